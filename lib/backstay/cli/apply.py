# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay apply` and `backstay rollback`: a plan becomes the live configuration, and the way back.

Decides when that is refused or asked for: whatever stops a guest or fences a host has to be allowed. What is harm says
plan/consent.py, how it is carried out plan/carrying.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TypeVar

import click

from backstay.cib import document
from backstay.cib.difference import Difference
from backstay.cli import options, plan
from backstay.errors import BadInput, Refused
from backstay.host.checkpoints import Checkpoints
from backstay.host.pacemaker import Pacemaker
from backstay.plan import consent, planned
from backstay.plan.carrying import Carrier
from backstay.plan.outcome import Outcome, report
from backstay.plan.planned import Plan

F = TypeVar("F", bound=Callable[..., object])
SURPRISED = 1
LOG_EVERY = 10.0  # seconds of waiting between two words about it in a log


def permit(
    made: Plan, different: tuple[Difference, ...], *, stop: bool, remove: bool | None, yes: bool
) -> None:
    """Raise Refused, and say how to insist, when the plan hurts or nobody agreed to it.

    With `remove` what the plan takes out may run; None (a rollback) lets it be taken out, and counts as harm what runs.
    """
    gone = consent.removed(different)
    if gone and remove is False:
        them = "it" if len(gone) == 1 else "them"
        hint = f"describe {them} again, or insist with --remove: Pacemaker stops {them}"
        raise Refused(f"the plan no longer has {', '.join(gone)}: applying it would stop {them}", hint=hint)
    harm = () if stop else consent.harm(made, tuple(gone) if remove else ())
    hurts = f"applying it would hurt: {options.first_of(harm)}" if harm else ""
    if hurts and (yes or not sys.stdin.isatty()):
        raise Refused(hurts, hint="insist with --allow-stop")
    question = f"{hurts}. Apply it all the same?" if hurts else "Apply it?"
    options.agree(question, "apply it", "not applied", yes=yes)


def _still(made: Plan, now: Plan) -> Plan:
    """The plan as of now; Refused when it hurts more than what was agreed to."""
    agreed, more = (consent.consequences(each, plan.unfenced(each)) for each in (made, now))
    worse = [said for said in more if said not in agreed]
    if worse:
        raise Refused(
            f"while you were asked something changed: applying it now would hurt: {options.first_of(worse)}",
            hint="run the same command again, and look at what it says",
        )
    return now


def carry_out(made: Plan, pacemaker: Pacemaker, checkpoints: Checkpoints, seconds: float) -> Outcome:
    """Carry the plan out on this cluster, with words about it on stderr."""
    every = 0.0 if sys.stderr.isatty() else LOG_EVERY
    say = partial(click.echo, err=True)
    return Carrier(pacemaker, checkpoints, plan.Simulated(), say, every).carry_out(made, seconds)


def _plan_of(file: str, directories_: tuple[Path, ...], pacemaker: Pacemaker) -> Plan:
    files = options.read_files(file)
    if planned.is_plan(files[0][1]):
        # What ran when it was made may be no longer what runs; and nobody is asked where there is no cluster.
        return plan.as_of_now(planned.read(files[0][1], files[0][0]), pacemaker)
    return plan.make(files, file, partial(plan.start_from, None, pacemaker), directories_, pacemaker)


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
    consent.keep_fenced(plan.unfenced(made), allowed=stop)
    permit(made, different, stop=stop, remove=remove, yes=yes)
    if not yes:
        made = _still(made, plan.as_of_now(made, pacemaker))
    came = carry_out(made, pacemaker, Checkpoints(), seconds)
    options.show(output, report(came, seconds), asdict(came))
    return 0 if came.as_foreseen else SURPRISED


def _asking(function: F) -> F:
    """The options of what changes a live configuration."""
    for option in (
        options.waiting(600.0, "How long the cluster may take to settle."),
        click.option(
            "--allow-stop",
            is_flag=True,
            help="Also when something that runs is stopped, or finds no place, or nothing could fence a host any more.",
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
    kept = document.parse_cib(checkpoints.read(name), f"checkpoint {name}")
    pacemaker = Pacemaker()
    made = plan.replacing(document.parse_cib(*plan.start_from(None, pacemaker)), kept, pacemaker)
    return decide(made, pacemaker, output, seconds, stop=allow_stop, remove=None, yes=yes)
