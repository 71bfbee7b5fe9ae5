# SPDX-License-Identifier: GPL-2.0-or-later
"""All manual pages, from what the programs themselves are made of: declarations of agents, verbs and keys.

Decides which pages there are and what each is called. Nothing in a page is written twice: what --help and metadata
say is what it says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module

from backstay import __version__
from backstay.cli import manual_alert, manual_verbs
from backstay.cli.roff import Block, Code, Head, Page, Term, Text, render
from backstay.cloud import reference
from backstay.fencing.agent import FAILED, OFF, FenceAgent
from backstay.fencing.metadata import options as option_of
from backstay.fencing.parameters import Parameter
from backstay.ocf import codes
from backstay.ocf.agent import PROVIDED, PROVIDED_TIMEOUT, Action, Agent
from backstay.ocf.parameters import Declaration

FENCES = "fence_backstay_"
EXIT_CODES = (
    (codes.SUCCESS, "Done; a monitor: it runs."),
    (codes.GENERIC, "It failed, and the log has the reason."),
    (codes.NOT_RUNNING, "It does not run, and that was seen; a monitor says so, and nothing else does."),
    (codes.DEGRADED, "A monitor: it runs, but not well. Nothing is restarted for that."),
)
PROMOTED_CODES = (
    (codes.PROMOTED, "A monitor: it is promoted."),
    (
        codes.FAILED_PROMOTED,
        "A monitor: it is promoted and has failed, and another side may be promoted for it.",
    ),
    (codes.DEGRADED_PROMOTED, "A monitor: it is promoted, but not well. Nothing is demoted for that."),
)


def pages(agents: Sequence[str], fences: Sequence[str], example: str) -> dict[str, str]:
    """Every page by its file's name, for the programs of these names; `example` is a cloud description."""
    made = [*manual_verbs.pages(), _description(example), manual_alert.page(), *of_agents(agents, fences)]
    return {page.file: render(page, __version__) for page in made}


def of_agents(agents: Sequence[str], fences: Sequence[str]) -> list[Page]:
    """A page for each agent and fence agent of these names."""
    made = [agent_page(import_module(f"backstay.agents.{name}").AGENT) for name in agents]
    for name in fences:
        made.append(fence_page(import_module(f"backstay.fencing.{name.removeprefix(FENCES)}").AGENT))
    return made


def agent_page(agent: Agent) -> Page:
    """`ocf_backstay_NAME(7)`, as the pages of other resource agents are called."""
    name = f"ocf_backstay_{agent.name}"
    required = [each.name for each in agent.parameters.declared() if each.required]
    given = " ".join(f"{each}=VALUE" for each in required)
    made = f"crm configure primitive NAME ocf:backstay:{agent.name}"
    made += f" params {given}" if given else ""
    pcs = f"pcs resource create NAME ocf:backstay:{agent.name} {given}".rstrip()
    parts = (
        ("DESCRIPTION", (Text(agent.longdesc),)),
        ("PARAMETERS", tuple(_declared(each) for each in agent.parameters.declared())),
        ("ACTIONS", (Text("What each needs at least is what is advertised here."), *_actions(agent))),
        ("EXIT STATUS", tuple(Term(str(code), said) for code, said in _exit_codes(agent))),
        ("EXAMPLES", (Code(made), Code(pcs))),
        (
            "SEE ALSO",
            (Text("`backstay`(8), `backstay-agents-check`(8), `backstay-cloud`(5), `crm_resource`(8)"),),
        ),
    )
    return Page(name, 7, agent.shortdesc, parts)


def _exit_codes(agent: Agent) -> list[tuple[int, str]]:
    promotable = any(action.name == "promote" for action in agent.actions)
    return sorted((*EXIT_CODES, *(PROMOTED_CODES if promotable else ())))


def _declared(declared: Declaration) -> Term:
    kind = " | ".join(declared.options) if declared.options else declared.kind
    about = [f"{declared.shortdesc[:1].upper()}{declared.shortdesc[1:]}."]
    about += [declared.longdesc] if declared.longdesc else []
    facts = ["Has to be given." if declared.required else ""]
    facts += [f"Default: `{declared.default}`." if declared.default else ""]
    facts += ["It may be changed while the resource runs." if declared.reloadable else ""]
    facts += ["No two resources have the same." if declared.unique_group else ""]
    return Term(f"{declared.name} ({kind})", "\n\n".join([*about, " ".join(filter(None, facts))]))


def _actions(agent: Agent) -> Iterator[Block]:
    for action in agent.actions:
        yield Term(_called(action), f"Timeout {action.timeout:g}s{_every(action)}.")
    for name in PROVIDED:
        yield Term(name, f"Timeout {PROVIDED_TIMEOUT:g}s.")


def _called(action: Action) -> str:
    return action.name if action.depth is None else f"{action.name} (OCF_CHECK_LEVEL {action.depth})"


def _every(action: Action) -> str:
    return "" if action.interval is None else f", interval {action.interval:g}s"


def fence_page(agent: FenceAgent) -> Page:
    """`fence_backstay_NAME(8)`."""
    actions = ", ".join(f"`{action.name}`" for action in agent.actions)
    required = [each for each in agent.parameters if each.required and each.name != "action"]
    given = " ".join(f"{each.name}=VALUE" for each in required)
    parts = (
        ("SYNOPSIS", (Code(f"{agent.name} [OPTION]..."), Code(f"{agent.name} < FILE"))),
        ("DESCRIPTION", (Text(agent.longdesc), Text(f"Actions: {actions}."))),
        ("OPTIONS", tuple(_fence_options(agent))),
        (
            "EXIT STATUS",
            (
                Term("0", "Done, and seen to be done; `status`: the power is on."),
                Term(str(FAILED), "It failed, and the reason was said."),
                Term(str(OFF), "`status` only: the power is off."),
            ),
        ),
        (
            "EXAMPLES",
            (Code(f"{agent.name} --help"), Code(f"pcs stonith create NAME {agent.name} {given}".rstrip())),
        ),
        ("SEE ALSO", (Text("`backstay-fence-check`(8), `backstay-fence-drill`(8), `backstay-cloud`(5)"),)),
    )
    return Page(agent.name, 8, agent.shortdesc, parts)


def _fence_options(agent: FenceAgent) -> Iterator[Block]:
    yield Text(
        "Each is given as an option, or, without any option, as name=value in a line of standard input."
    )
    yield from map(_option, agent.parameters)
    yield Term("-h, --help", "Show the options.")
    yield Term("-V, --version", "Show the version of Backstay.")


def _option(parameter: Parameter) -> Term:
    about = f"{parameter.shortdesc[:1].upper()}{parameter.shortdesc[1:]}."
    facts = [f"On standard input: `{parameter.name}`."]
    facts += [f"Also called `{parameter.old}`."] if parameter.old else []
    facts += [f"One of {', '.join(parameter.choices)}."] if parameter.choices else []
    facts += ["Has to be given."] if parameter.required else []
    facts += [f"Default: `{parameter.default}`."] if parameter.default else []
    return Term(option_of(parameter), f"{about}\n\n{' '.join(facts)}")


def _description(example: str) -> Page:
    """`backstay-cloud(5)`: the keys of a cloud description."""
    blocks: list[Block] = []
    for title, section in reference.sections():
        blocks += [Head(title.replace("`", "")), Text(section.doc)]
        for key in section.keys:
            default = "has to be given" if key.required else key.default and f"default: {key.default}"
            facts = f"{reference.word(key)}; {default}" if default else reference.word(key)
            blocks.append(Term(key.name, f"{facts}.\n\n{key.doc}"))
        blocks += [Text(said) for said in reference.demands(section)]
    about = """One YAML file, or a directory of `*.yaml` files that are read as one, says what a cloud is: its hosts,
    what fences them, its domains, and what holds between them. `backstay validate` says what is wrong with one."""
    parts = (
        ("DESCRIPTION", (Text(about),)),
        ("KEYS", tuple(blocks)),
        ("EXAMPLES", (Code(example),)),
        ("SEE ALSO", (Text("`backstay-render`(8), `backstay-validate`(8), `backstay-plan`(8)"),)),
    )
    return Page("backstay-cloud", 5, "the description of a cloud, from which a cluster is configured", parts)
