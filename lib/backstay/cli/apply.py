# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay apply` and `backstay rollback`: a plan becomes the live configuration, and the way back.

Decides when that is refused or asked for: whatever stops a guest or fences a host has to be allowed. Takes a checkpoint
first, loads in one transaction, waits until the cluster has settled, and says what really happened. What the plan
removes is stopped by that transaction, and taken out by a second one when it is down.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import click
from lxml import etree

from backstay.cib import document
from backstay.cib.difference import REMOVED, Difference, differences
from backstay.cib.parting import primitives, stopping, without
from backstay.cli import options, plan
from backstay.errors import BadInput, Refused
from backstay.host.checkpoints import Checkpoints
from backstay.host.clock import Deadline
from backstay.host.pacemaker import Pacemaker
from backstay.plan import planned, wording
from backstay.plan.happened import Look, absent, compare, happened, look
from backstay.plan.planned import Plan
from backstay.plan.transition import Step

F = TypeVar("F", bound=Callable[..., object])
RUNS = ("domain", "resource", "clone", "group", "bundle")
SURPRISED = 1
LOOK_EVERY = 3.0  # seconds of waiting between two words about it


def removed(different: tuple[Difference, ...]) -> list[str]:
    """What of it runs and is to be configured no longer."""
    return [one.name for one in different if one.verb == REMOVED and one.kind in RUNS]


def permit(
    made: Plan, different: tuple[Difference, ...], *, stop: bool, remove: bool | None, yes: bool
) -> None:
    """Raise Refused, and say how to insist, when the plan hurts or nobody agreed to it.

    With `remove` what the plan takes out may run; None (a rollback) lets it be taken out, and counts as harm what runs.
    """
    gone = removed(different)
    if gone and remove is False:
        hint = "describe them again, or insist with --remove: Pacemaker stops them"
        raise Refused(f"the plan no longer has {', '.join(gone)}, and applying it would stop them", hint=hint)
    harm = [step for step in made.prediction.harm if not (remove and step.subject in gone)]
    hurts = ""
    if (harm or made.prediction.stranded) and not stop:
        first = wording.sentence(harm[0]) if harm else f"{made.prediction.stranded[0]} finds no place"
        more = len(harm) + len(made.prediction.stranded) - 1
        hurts = f"applying it would hurt: {first}" + (f" (and {more} more)" if more else "")
    if hurts and (yes or not sys.stdin.isatty()):
        raise Refused(hurts, hint="insist with --allow-stop")
    question = f"{hurts}. Apply it all the same?" if hurts else "Apply it?"
    options.agree(question, "apply it", "not applied", yes=yes)


def carry_out(
    made: Plan, pacemaker: Pacemaker, checkpoints: Checkpoints, seconds: float
) -> dict[str, object]:
    """Load the plan, wait and compare; what came of it, for --output json."""
    before, gone = _look(made.before.encode(), pacemaker), _absent(made.before.encode())
    going, through = _through(made)
    name = checkpoints.take(made.before.encode())
    click.echo(f"checkpoint {name}; backstay rollback {name} returns to it", err=True)
    loaded = pacemaker.replace(made.before.encode(), through)
    settled, away = _wait(pacemaker, Deadline(seconds)) if loaded else (False, frozenset[str]())
    now = _look(pacemaker.live(), pacemaker) if loaded else before
    real = happened(before, now, away - gone) if loaded else ()
    left = _take_out(going, now, pacemaker) if loaded and settled else going
    missing, surprising = compare(made.prediction.steps, real)
    return {
        "checkpoint": name,
        "loaded": loaded,
        "settled": settled,
        "left": list(left),
        "happened": [asdict(step) for step in real],
        "missing": [asdict(step) for step in missing],
        "surprising": [asdict(step) for step in surprising],
    }


def _through(made: Plan) -> tuple[tuple[str, ...], bytes]:
    """The resources that the plan removes, and what is loaded first: what becomes live, with those stopped in it."""
    before, after = (document.parse(text.encode(), "the plan") for text in (made.before, made.after))
    going = removed(differences(before, after))
    whole = stopping(before, after, going)
    return (tuple(going), etree.tostring(whole)) if whole is not None else ((), made.after.encode())


def _take_out(going: tuple[str, ...], now: Look, pacemaker: Pacemaker) -> tuple[str, ...]:
    """Remove what is down; what still runs somewhere stays configured, and is given back."""
    if not going:
        return ()
    live = pacemaker.live()
    root = document.parse(live, "the live CIB")
    left = tuple(name for name in going if any(now.running.get(each) for each in primitives(root, name)))
    try:
        pacemaker.replace(live, etree.tostring(without(root, set(going) - set(left))))
    except (
        Refused
    ):  # somebody changed the configuration in this moment: they are stopped, and stay configured
        return going
    return left


def _look(cib: bytes, pacemaker: Pacemaker) -> Look:
    root = document.parse(cib, "the live CIB")
    return look(root, plan.Simulated().transition(cib), pacemaker.fencings())


def _absent(cib: bytes) -> frozenset[str]:
    return absent(document.parse(cib, "the live CIB"))


def _wait(pacemaker: Pacemaker, deadline: Deadline) -> tuple[bool, frozenset[str]]:
    """Whether it has settled in time, and the hosts that were seen absent meanwhile."""
    begin, away = deadline.left(), frozenset[str]()
    while not pacemaker.settled(min(LOOK_EVERY, max(1.0, deadline.left()))):
        if deadline.expired:
            return False, away
        now = pacemaker.live()
        away |= _absent(now)
        if sys.stderr.isatty():
            steps = plan.Simulated().transition(now).steps
            doing = wording.sentence(steps[0]) if steps else "the last operations"
            click.echo(f"{begin - deadline.left():5.0f} s  waiting for: {doing}", err=True)
    return True, away | _absent(pacemaker.live())


def _report(said: dict[str, object], seconds: float) -> str:
    if not said["loaded"]:
        return "Nothing was loaded."
    lines = ["Loaded. What happened:"]
    lines += [f"  {wording.sentence(step)}" for step in _steps(said["happened"])] or [
        "  nothing had to be done"
    ]
    lines += [f"  ! foreseen, did not happen: {wording.sentence(step)}" for step in _steps(said["missing"])]
    lines += [f"  ! happened, not foreseen: {wording.sentence(step)}" for step in _steps(said["surprising"])]
    if said["left"]:
        names = ", ".join(map(str, said["left"])) if isinstance(said["left"], list) else ""
        lines.append(f"  ! not down, and so not taken out yet: {names}; run the same command again")
    if not said["settled"]:
        lines.append(
            f"  ! the cluster has not settled within {seconds:.0f} s: crm_mon -1 says what it waits for"
        )
    return "\n".join(lines)


def _steps(said: object) -> list[Step]:
    return [Step(**step) for step in said] if isinstance(said, list) else []


def _as_asked(said: dict[str, object]) -> bool:
    odd = said["missing"] or said["surprising"] or said["left"]
    return bool(said["loaded"]) and bool(said["settled"]) and not odd


def _plan_of(file: str, directories_: tuple[Path, ...], pacemaker: Pacemaker) -> Plan:
    files = options.read_files(file)
    if planned.is_plan(files[0][1]):
        return planned.read(files[0][1], files[0][0])
    return plan.make(files, file, plan.start_from(None, pacemaker), directories_, pacemaker)


def decide(
    made: Plan,
    pacemaker: Pacemaker,
    output: str,
    seconds: float,
    *,
    stop: bool,
    remove: bool | None,
    yes: bool,
) -> int:
    """Show a plan, ask, carry it out and report; the exit code."""
    different = plan.changed(made)
    click.echo(plan.show(made, different), err=True)
    if not different:
        options.show(output, "Nothing was loaded.", {"loaded": False})
        return 0
    permit(made, different, stop=stop, remove=remove, yes=yes)
    said = carry_out(made, pacemaker, Checkpoints(), seconds)
    options.show(output, _report(said, seconds), said)
    return 0 if _as_asked(said) else SURPRISED


def _asking(function: F) -> F:
    """The options of what changes a live configuration."""
    for option in (
        options.waiting(600.0, "How long the cluster may take to settle."),
        click.option(
            "--allow-stop", is_flag=True, help="Also when something that runs is stopped, or finds no place."
        ),
        options.unasked,
    ):
        function = option(function)
    return function


@click.command()
@click.argument("file")
@_asking
@click.option("--remove", is_flag=True, help="Also remove (and stop) what is no longer described.")
@options.templates
@options.common
def apply(
    file: str,
    yes: bool,
    allow_stop: bool,
    remove: bool,
    seconds: float,
    directories_: tuple[Path, ...],
    output: str,
) -> int:
    """Make FILE the live configuration: a plan of `backstay plan --out`, or a cloud description.

    Refused when the live configuration has moved since the plan was made. Before something that runs is stopped you are
    asked; where nobody is there to be asked, or with --yes, --allow-stop has to allow it. A checkpoint is taken first.
    Exit code 1: it was loaded, but not all went as foreseen.
    """
    pacemaker = Pacemaker()
    made = _plan_of(file, directories_, pacemaker)
    return decide(made, pacemaker, output, seconds, stop=allow_stop, remove=remove, yes=yes)


@click.command()
@click.argument("checkpoint", required=False)
@_asking
@options.common
def rollback(checkpoint: str | None, yes: bool, allow_stop: bool, seconds: float, output: str) -> int:
    """Return to CHECKPOINT (default: the newest): its configuration takes the place of the live one."""
    checkpoints = Checkpoints()
    names = checkpoints.names()
    if not (names or checkpoint):
        hint = "backstay apply takes one on the host where it runs; look on the others"
        raise BadInput("there is no checkpoint on this host", hint=hint)
    name = checkpoint or names[-1]
    kept = document.parse(checkpoints.read(name), f"checkpoint {name}")
    pacemaker = Pacemaker()
    made = plan.replacing(document.parse(*plan.start_from(None, pacemaker)), kept, pacemaker)
    return decide(made, pacemaker, output, seconds, stop=allow_stop, remove=None, yes=yes)
