# SPDX-License-Identifier: GPL-2.0-or-later
"""Metadata of an agent as OCF 1.1 wants it, from the one declaration.

Decides nothing and looks at nothing outside: the controller may run this in its own main loop. The text is pure
ASCII, ends with a newline and is the same every time. Schema: ocf-1.1.rng (Debian package pcs); the order of the
elements is part of it.
"""

from __future__ import annotations

from backstay import __version__
from backstay.ocf.agent import PROVIDED, PROVIDED_TIMEOUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.ocf.agent import Action, Agent
    from backstay.ocf.parameters import Declaration


def render(agent: Agent) -> str:
    """Give the XML document that `meta-data` prints."""
    lines = [
        '<?xml version="1.0"?>',
        f"<resource-agent{_attributes(name=agent.name, version=__version__)}>",
        "  <version>1.1</version>",
        *_described("  ", agent.longdesc, agent.shortdesc),
        "  <parameters>",
    ]
    for declaration in agent.parameters.declared():
        lines += _parameter(declaration)
    lines += ["  </parameters>", "  <actions>"]
    lines += [_action(action) for action in agent.actions]
    lines += [f"    <action{_attributes(name=name, timeout=_time(PROVIDED_TIMEOUT))}/>" for name in PROVIDED]
    lines += ["  </actions>", "</resource-agent>", ""]
    return "\n".join(lines)


def _parameter(declared: Declaration) -> list[str]:
    flags = _attributes(
        **{
            "name": declared.name,
            "unique-group": declared.unique_group,
            "required": "1" if declared.required else "",
            "reloadable": "1" if declared.reloadable else "",
        }
    )
    content = _attributes(type=declared.kind, default=declared.default or "")
    if declared.options:
        inner = [f"        <option{_attributes(value=word)}/>" for word in declared.options]
        shown = [f"      <content{content}>", *inner, "      </content>"]
    else:
        shown = [f"      <content{content}/>"]
    return [
        f"    <parameter{flags}>",
        *_described("      ", declared.longdesc or declared.shortdesc, declared.shortdesc),
        *shown,
        "    </parameter>",
    ]


def _action(action: Action) -> str:
    given = _attributes(
        name=action.name,
        timeout=_time(action.timeout),
        interval="" if action.interval is None else _time(action.interval),
        depth="" if action.depth is None else str(action.depth),
        role=action.role,
    )
    return f"    <action{given}/>"


def _described(indent: str, longdesc: str, shortdesc: str) -> list[str]:
    paragraphs = "\n".join(line.strip() for line in longdesc.strip().splitlines())
    return [
        f'{indent}<longdesc lang="en">',
        _escaped(paragraphs),
        f"{indent}</longdesc>",
        f'{indent}<shortdesc lang="en">{_escaped(" ".join(shortdesc.split()))}</shortdesc>',
    ]


def _attributes(**given: str) -> str:
    return "".join(f' {name}="{_escaped(value)}"' for name, value in given.items() if value)


def _time(seconds: float) -> str:
    return f"{seconds:g}s"


def _escaped(text: str) -> str:
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(character, entity)
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")
