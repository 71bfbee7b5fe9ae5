# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay agents ...`: would every agent of this host do its work, before anything needs it.

Turns words of the command line into a check; decides only what counts as no (exit code 1).
"""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import click

import backstay
from backstay.agents import proven
from backstay.agents.check import BAD, COLUMNS, GOOD, UNKNOWN, Cell, Foreign, World, check, used_by
from backstay.cib import document
from backstay.cib.merge import LIVE
from backstay.cli import announcing, options, proving
from backstay.errors import CannotAsk
from backstay.host import cores, installed
from backstay.host.desk import desk
from backstay.host.fence_agents import FenceAgents, Said
from backstay.host.pacemaker import Pacemaker
from backstay.host.private_host import private_host
from backstay.host.state import State

KEPT, PROVEN = "/var/lib/backstay", "agents-proven"
FENCES = "fence-agents-changed"
FINDINGS = 1
NAME = 24
WIDTH = 80


@click.group()
def agents() -> None:
    """Agents that are proven before they are needed."""
    cores.forbid()


@agents.command("check")
@click.option(
    "--cib", "file", metavar="FILE", help="Whose foreign agents to ask (- for stdin); default: the live CIB."
)
@click.option("--own", is_flag=True, help="Backstay's own agents only; no CIB is read.")
@click.option("--publish", is_flag=True, help="Tell crm_mon -A, and the log on a change, what came of it.")
@click.option(
    "--changed", is_flag=True, help="Only agents that are not what they were when they were last proven."
)
@click.option("--memory", type=click.Path(path_type=Path), hidden=True)
@click.option("--version", "root", type=click.Path(path_type=Path), hidden=True)
@options.common
def check_command(
    file: str | None,
    own: bool,
    publish: bool,
    changed: bool,
    memory: Path | None,
    root: Path | None,
    output: str,
) -> int:
    """Rehearse every agent of this host; nothing real is touched.

    Everything that Backstay's agents could ever load is loaded. ocf:backstay agents start, watch and stop a guest of
    a libvirtd that is made for it, in namespaces of its own; fence agents switch a simulated BMC; the alert agent tells
    a mail server and a web server of the rehearsal; DRBD's handler is begun. Agents of others that the CIB uses are
    asked for their metadata and validate-all, systemd for the units that it uses. Needs root.

    What an agent stands on is remembered when it was proven: its files, what it imports, the interpreter, shared
    libraries, ipmitool. After a change of any of these it is unproven until it has passed again.
    """
    if not installed.is_root():
        raise CannotAsk("only root can run agents", hint="run it with sudo")
    begin = time.monotonic()
    version = installed.Version(root or Path(backstay.__file__).resolve().parents[2])
    notes: list[str] = []
    foreign = () if own else tuple(_foreign(file, notes))
    kept = State(str(memory or KEPT))
    before = proven.read(kept.read(PROVEN))
    prints = {path.name: version.fingerprint(path) for path in version.programs()}
    same = proven.unchanged(prints, before)
    skipped = same if changed else frozenset()
    unproven = sorted(set(prints) - same)
    if publish and unproven:
        announcing.tell(f"unproven:{','.join(unproven)}", notes)
    if publish and any(name.startswith("fence_") for name in unproven):
        State().write(FENCES, "")  # libexec/after-change has fencing proven anew
    cells = check(_world(version), foreign, skipped)
    verdicts = [(cell.agent, cell.state == GOOD) for cell in cells]
    after = proven.after(before, prints, verdicts, time.time())
    if after != before:
        kept.write(PROVEN, proven.written(after))
    waiting = "" if root else installed.refused()
    ready = not waiting and not any(cell.state == BAD for cell in cells)
    if publish:
        announcing.announce(kept, cells, waiting, notes)
    took = time.monotonic() - begin
    data = {
        "ready": ready, "version": version.root.name, "refused": waiting, "seconds": round(took, 1),
        "cells": [asdict(cell) for cell in cells], "unchanged": sorted(skipped),
        "proven": {name: asdict(each) for name, each in after.items()}, "notes": notes,
    }  # fmt: skip
    notes += [_unchanged(name, before[name]) for name in sorted(skipped)]
    options.show(output, "\n".join(told(cells, waiting, notes, took)), data)
    return 0 if ready else FINDINGS


@agents.command("switch")
@click.option(
    "--insist", is_flag=True, help="Switch without a rehearsal: for a version that is known to be good."
)
@options.common
def switch_command(insist: bool, output: str) -> int:
    """Rehearse the version that waits to be used, and switch to it.

    A version that a package delivered is switched to by one rename, once its rehearsal has passed. One that failed
    waits, and the old one keeps serving: this tries again, or, with --insist, does without. Restarts nothing. Needs
    root.

    Exit codes: 0 what was delivered serves; 1 its rehearsal failed and the old version keeps serving; 2 wrong usage;
    3 it could not be copied, or nothing was delivered.
    """
    done = installed.take_over(insist)
    click.echo(done.stderr, nl=False, err=True)
    serves, waiting = installed.serving(), installed.refused()
    text = f"{serves} serves." if done.ok else f"{serves or 'Nothing'} serves, as before."
    options.show(output, text, {"serves": serves, "refused": waiting, "switched": done.ok})
    return done.returncode


def _world(version: installed.Version) -> World:
    return World(
        ours=version,
        ask=installed.ask,
        fence=Fences(version.root / "fencing"),
        host=private_host,
        simulator=proving.simulator,
        desk=desk,
        secrets=FenceAgents().with_secrets,
        unit=installed.load_state,
        script=installed.has_script,
    )


def _unchanged(name: str, known: proven.Proven) -> str:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(known.at))
    return f"{name} is what it was when it was proven ({when})"


class Fences(FenceAgents):
    """Fence agents: Backstay's own of one version, everybody else's where they are installed."""

    def __init__(self, own: Path) -> None:
        super().__init__()
        self._own = FenceAgents(own)

    def run(self, agent: str, action: str, parameters: Mapping[str, str], timeout: float) -> Said:
        """Run one action; `timeout` is in seconds."""
        if agent.startswith("fence_backstay_"):
            return self._own.run(agent, action, parameters, timeout)
        return super().run(agent, action, parameters, timeout)


def _foreign(file: str | None, notes: list[str]) -> Iterator[Foreign]:
    """The agents of others in a CIB; without a cluster there are none, and a note says so."""
    try:
        data, name = (Pacemaker().live(), LIVE) if file is None else options.read_input(file)
    except CannotAsk as error:
        notes.append(f"agents of others are not asked: {error}")
        return
    yield from used_by(document.parse_cib(data, name), installed.RESOURCE_AGENTS, installed.FENCE_AGENTS)


def told(cells: Sequence[Cell], waiting: str, notes: Sequence[str], took: float) -> Iterator[str]:
    """Everything for a terminal: the matrix, a sentence for each cell that is not good, the verdict."""
    names = list(dict.fromkeys(cell.agent for cell in cells))
    if names:
        yield " " * NAME + " ".join(COLUMNS)
    for name in names:
        row = {cell.column: cell.state for cell in sorted(cells, key=_worst_last) if cell.agent == name}
        shown = " ".join(_shown(row.get(column, "")).ljust(len(column)) for column in COLUMNS)
        yield f"{name[: NAME - 1]:<{NAME}}{shown}".rstrip()
    if names:
        yield ""
    for cell in cells:
        if cell.state != GOOD:
            yield from _wrapped(f"{cell.agent}: {cell.reason}")
    for note in notes:
        yield from _wrapped(f"note: {note}")
    if waiting:
        yield from _wrapped(f"A version was installed and is not in use: {waiting}")
    bad = sum(cell.state == BAD for cell in cells)
    if waiting and not bad:
        yield f"Not ready: what serves does its work, what was installed does not ({took:.0f} s)."
    elif bad:
        yield f"Not ready: {bad} of {len(cells)} proofs failed ({took:.0f} s)."
    else:
        yield f"Ready: every agent that was rehearsed does its work ({took:.0f} s)."


def _worst_last(cell: Cell) -> int:
    return (GOOD, UNKNOWN, BAD).index(cell.state)


def _shown(state: str) -> str:
    return "BAD" if state == BAD else state


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False)
