# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay drbd repair|grow`: every described host has the data again; a disk gets more room while it is used.

Decides words, what is asked, and what an exit code means: 0 it is so (changed or not), 1 a step came to nothing, 3 a
host or a tool could not be asked, 4 refused. What was interrupted goes on with the same command.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

import click

from backstay.cli import options
from backstay.cli.drbd_world import Grow, Repair
from backstay.cli.hosts_words import GO_ON
from backstay.cloud.units import SIZE_EXAMPLE, parse_size
from backstay.errors import BackstayError, BadInput, Findings, Refused
from backstay.host import drills
from backstay.host.interrupt import interruptible
from backstay.mirror import grow, repair

F = TypeVar("F", bound=Callable[..., object])
DESCRIPTION = "/etc/backstay/cloud.yaml"
LOCK = "/run/backstay/drbd.lock"
OFTEN = 3  # a step that is to be done once more after so many times does not help
DAY = 86400.0
FINDINGS = 1
ENDS = {"repair": "has its data on every described host", "grow": "is as big as asked for"}


S = TypeVar("S", bound=repair.Step | grow.Step)


@dataclass(frozen=True)
class Course(Generic[S]):
    """One verb: `look` gives what is to be done and what speaks against it; `waits` change nothing."""

    verb: str
    resource: str
    look: Callable[[], tuple[Sequence[S], Sequence[str]]]
    do: Callable[[S], None]
    waits: Collection[Enum]
    begun: list[S] = field(default_factory=list)

    def changes(self, steps: Sequence[S]) -> bool:
        """Whether one of these steps changes something."""
        return any(step.verb not in self.waits for step in steps)


@click.group()
def drbd() -> None:
    """DRBD disks that lost a host or need more room.

    Run on a full member, as root. The other hosts of the disk are reached by ssh as root with a key, without a
    question. Each step looks first and does only what is missing.
    """


def _shared(function: F) -> F:
    for option in (
        options.waiting(DAY, "How long a resync is watched; it goes on by itself."),
        click.option("--plan", "only_plan", is_flag=True, help="Say what would be done, and change nothing."),
        options.unasked,
        click.option("--cloud", "path", default=DESCRIPTION, show_default=True, help="The description."),
        options.common,
    ):
        function = option(function)
    return function


@drbd.command("repair")
@click.argument("resource", metavar="MIRROR")
@click.option("--allow-stop", is_flag=True, help="Also when loading the description stops something.")
@_shared
def repair_(
    resource: str, path: str, allow_stop: bool, seconds: float, output: str, *, yes: bool, only_plan: bool
) -> int:
    """Give every described host of the DRBD resource MIRROR the data again, after the loss of a host or of a disk.

    For a lost host another one stands in the description. It gets metadata (on an empty device only), the others forget
    the lost one, and the resync is watched. The guest runs on.
    """
    world = Repair(path, resource, seconds, allow_stop=allow_stop)

    def look() -> tuple[Sequence[repair.Step], Sequence[str]]:
        now = world.now()
        return repair.repairing(now), repair.objections(now)

    course = Course("repair", resource, look, world.do, repair.WAITS)
    return carry_out(course, output, yes=yes, only_plan=only_plan)


@drbd.command("grow")
@click.argument("resource", metavar="MIRROR")
@click.argument("size", metavar="SIZE")
@click.option("--volume", type=int, help="Which volume, where there is more than one.")
@_shared
def grow_(
    resource: str,
    size: str,
    volume: int | None,
    path: str,
    seconds: float,
    output: str,
    *,
    yes: bool,
    only_plan: bool,
) -> int:
    """Make the logical volumes below the DRBD resource MIRROR as big as SIZE (20GiB), DRBD, and the guest's disk.

    The guest runs on. Nothing is ever made smaller. A file system of storage you make bigger afterwards, where it is
    mounted (resize2fs, xfs_growfs).
    """
    try:
        wanted = int(parse_size(size))
    except ValueError as error:
        raise BadInput(f"{size!r} is no size", hint=f"expected: {SIZE_EXAMPLE}") from error
    world = Grow(path, resource, seconds, 0 if volume is None else volume, wanted)
    numbers = [each.number for each in world.drbd.volumes]
    if world.volume not in numbers or (volume is None and len(numbers) > 1):
        there = ", ".join(map(str, numbers))
        raise BadInput(f"{resource} has the volumes {there}", hint="say which one with --volume")

    def look() -> tuple[Sequence[grow.Step], Sequence[str]]:
        now = world.looked()
        return grow.growing(now), grow.objections(now)

    course = Course("grow", resource, look, world.do, grow.WAITS)
    return carry_out(course, output, yes=yes, only_plan=only_plan)


def carry_out(course: Course[S], output: str, *, yes: bool, only_plan: bool) -> int:
    """Say what would be done, ask, do it; the exit code."""
    with interruptible(), drills.alone(LOCK) as mine:
        if not mine and not only_plan:
            raise Refused("backstay drbd is at work on this host", hint="wait until it is over")
        steps, against = course.look()
        _show(course, steps, against)
        if only_plan:
            _answer(course, output, steps, against, changed=course.changes(steps), done=False)
            return FINDINGS if against else 0
        try:
            if against:
                raise Refused(f"nothing was done: {options.first_of(against)}")
            if course.changes(steps):
                options.agree("Do it?", "do it", "nothing was done", yes=yes)
            _go(course, steps)
        except BackstayError as error:
            if course.begun and GO_ON not in error.hint:
                error.hint = f"{error.hint}; then {GO_ON}" if error.hint else GO_ON
            if output == "json":
                _answer(course, output, steps, against, changed=course.changes(course.begun), done=False)
            raise
        _answer(course, output, steps, (), changed=course.changes(steps), done=True)
        return 0


def _go(course: Course[S], steps: Sequence[S]) -> None:
    """Do the first step, look again, until nothing is left."""
    while steps:
        step = steps[0]
        if course.begun.count(step) >= OFTEN:
            raise Findings(f"this does not take effect: {step.text(resource=course.resource)}")
        click.echo(f"  {step.text(resource=course.resource)}", err=True)
        course.begun.append(step)
        course.do(step)
        steps, against = course.look()
        if against:
            raise Refused(f"not gone on with: {options.first_of(against)}")


def _show(course: Course[S], steps: Sequence[S], against: Sequence[str]) -> None:
    lines = [f"drbd {course.verb} {course.resource}"]
    lines += [f"  {step.text(resource=course.resource)}" for step in steps] or ["  nothing is to be done"]
    lines += [f"  ! {text}" for text in against]
    click.echo("\n".join(lines), err=True)


def _answer(
    course: Course[S], output: str, steps: Sequence[S], against: Sequence[str], *, changed: bool, done: bool
) -> None:
    data = {
        "resource": course.resource,
        "verb": course.verb,
        "changed": changed,
        "done": done,
        "steps": [
            {"step": step.verb.name.lower(), "where": step.where, "text": step.text(resource=course.resource)}
            for step in steps
        ],
        "refusals": list(against),
    }
    nothing = "" if changed else "; nothing had to be done"
    text = f"{course.resource} {ENDS[course.verb]}{nothing}." if done else "Nothing was changed."
    options.show(output, text, data)
