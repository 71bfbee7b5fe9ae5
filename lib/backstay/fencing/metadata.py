# SPDX-License-Identifier: GPL-2.0-or-later
"""The metadata of a fence agent (valid against metadata.rng of fence-agents), and its help.

Decides only how a declaration is written down. Pure ASCII, the same bytes every time, nothing looked up.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from backstay.fencing.agent import FenceAgent
from backstay.fencing.parameters import Parameter


def render(agent: FenceAgent) -> str:
    """The whole document, ending with a line feed."""
    return "\n".join(_lines(agent)) + "\n"


def _lines(agent: FenceAgent) -> Iterator[str]:
    yield '<?xml version="1.0" ?>'
    yield f"<resource-agent name={_quote(agent.name)} shortdesc={_quote(agent.shortdesc)}>"
    yield f"<longdesc>{_text(' '.join(filter(None, (agent.longdesc, without_effect(agent)))))}</longdesc>"
    yield "<vendor-url></vendor-url>"
    yield "<parameters>"
    for parameter in agent.parameters:
        yield from _parameter(parameter)
    yield "</parameters>"
    yield "<actions>"
    for action in agent.actions:
        automatic = "" if action.automatic is None else f' automatic="{int(action.automatic)}"'
        yield f"\t<action name={_quote(action.name)}{automatic} />"
    yield "</actions>"
    yield "</resource-agent>"


def _parameter(parameter: Parameter) -> Iterator[str]:
    obsoletes = f" obsoletes={_quote(parameter.old)}" if parameter.old else ""
    yield from _entry(parameter, parameter.name, f'required="{int(parameter.required)}"{obsoletes}')
    if parameter.old:
        yield from _entry(parameter, parameter.old, 'required="0" deprecated="1"')


def _entry(parameter: Parameter, name: str, attributes: str) -> Iterator[str]:
    yield f'\t<parameter name={_quote(name)} unique="0" {attributes}>'
    yield f"\t\t<getopt mixed={_quote(options(parameter))} />"
    default = f" default={_quote(parameter.default)}" if parameter.default else ""
    content = f"content type={_quote(parameter.kind)}{default}"
    if parameter.choices:
        yield f"\t\t<{content}>"
        for choice in parameter.choices:
            yield f"\t\t\t<option value={_quote(choice)} />"
        yield "\t\t</content>"
    else:
        yield f"\t\t<{content} />"
    yield f'\t\t<shortdesc lang="en">{_text(parameter.shortdesc)}</shortdesc>'
    yield "\t</parameter>"


def options(parameter: Parameter) -> str:
    """The parameter as an admin types it: `-a, --ip=[ip]`."""
    value = "" if parameter.kind == "boolean" else f"=[{parameter.name}]"
    letter = f"-{parameter.option}, " if parameter.option else ""
    return f"{letter}--{parameter.long}{value}"


def usage(agent: FenceAgent) -> str:
    """What `--help` prints."""
    lines = [f"{agent.name}: {agent.shortdesc}", "", agent.longdesc, ""]
    if agent.ignored:
        lines += [without_effect(agent), ""]
    lines += ["Without options, name=value lines are read from standard input.", "", "Options:"]
    for parameter in agent.parameters:
        known = f" (default: {parameter.default})" if parameter.default else ""
        lines.append(f"  {options(parameter):<42} {parameter.shortdesc}{known}")
    lines += [f"  {'-h, --help':<42} this text", f"  {'-V, --version':<42} the version of Backstay", ""]
    lines.append("Actions: " + ", ".join(action.name for action in agent.actions))
    return "\n".join(lines) + "\n"


def without_effect(agent: FenceAgent) -> str:
    """One sentence about the parameters that are accepted and ignored; nothing where there are none."""
    if not agent.ignored:
        return ""
    names = "; ".join(f"{name} ({why})" for name, why in sorted(agent.ignored.items()))
    return f"Parameters of {agent.like} that are accepted on standard input and change nothing: {names}."


def _quote(text: str) -> str:
    return quoteattr(text).encode("ascii", "xmlcharrefreplace").decode("ascii")


def _text(text: str) -> str:
    return escape(text).encode("ascii", "xmlcharrefreplace").decode("ascii")
