# SPDX-License-Identifier: GPL-2.0-or-later
"""The course of a drill: mark it, set the host aside, wait until it is empty, fence it, watch it go and come back.

Decides when each part is over and what is undone when one does not end. Everything is done through a World. Whatever
interrupts a drain is followed by its undoing; from the order to fence on there is nothing to undo, since the host
forgets with its membership that it was set aside.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from typing import Protocol

from backstay.cloud.problems import counted
from backstay.errors import BackstayError, CannotAsk, Findings, Refused
from backstay.fencing.drill_marks import ENDED, FENCING, Open, Record

EVERY = 0.5  # seconds between two looks
TELL = 3.0  # seconds of waiting between two words about it
UNSEEN = 30.0  # seconds after the confirmation in which Corosync has to lose a host that is really off
ABORT = "backstay fence drill --abort"


@dataclass(frozen=True, slots=True)
class Look:
    """The cluster at one moment, as far as a drill of one host cares.

    `member`: Corosync sees the target; `online`: it is a full member of Pacemaker's. `runs` is what Pacemaker still
    runs there, `guests` what the target itself says, None until it has said it for the last time. `down` are guests of
    the cluster that run nowhere, `trouble` is what is not well with the other hosts.
    """

    member: bool
    online: bool
    runs: tuple[str, ...] = ()
    guests: int | None = 0
    down: tuple[str, ...] = ()
    trouble: tuple[str, ...] = ()


class Order(Protocol):
    """An order to fence that was given to the cluster."""

    def ended(self) -> str | None:
        """None while it is under way, empty when the cluster is sure that the host is off, else why it failed."""


class World(Protocol):
    """What a drill sees and does; methods raise CannotAsk. `now` is monotonic, `wall` is since the epoch (s)."""

    def look(self, target: str) -> Look: ...

    def open(self) -> tuple[Open, ...]: ...

    def mark(self, drill: Open) -> None: ...

    def unmark(self, target: str) -> None: ...

    def set_aside(self, target: str) -> None: ...

    def bring_back(self, target: str) -> None: ...

    def keep(self, record: Record) -> None: ...

    def fence(self, target: str) -> Order: ...

    def now(self) -> float: ...

    def pause(self, seconds: float) -> None: ...

    def say(self, text: str) -> None: ...

    def calm(self) -> None:
        """Wait until the cluster is at nothing any more, or for as long as a migration may take."""

    def undisturbed(self) -> AbstractContextManager[None]: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How long (s) a drill waits for the drain, for the fencing and for the host to be back."""

    drain: float = 600.0
    fence: float = 300.0
    back: float = 900.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a drill came to: seconds from the order to fence on, None for what never came; `problems` as sentences."""

    drained: float
    off: float | None = None
    lost: float | None = None
    back: float | None = None
    problems: tuple[str, ...] = ()


def drill(begun: Open, device: str, world: World, patience: Patience, recheck: Callable[[], None]) -> Outcome:
    """Carry it out; `recheck` raises when something speaks against the fencing at the last moment.

    Raises what interrupted it, after the drain was undone.
    """
    start, empty, over = world.now(), False, False
    _claim(begun, world)
    try:
        world.say(f"{begun.target} is set aside, its guests move away (undone when this ends early)")
        world.set_aside(begun.target)
        _drain(begun, world, patience.drain)
        recheck()
        _still_mine(begun, world)
        world.mark(replace(begun, phase=FENCING))
        empty = True
    finally:
        if not empty:
            put_back(begun, world, moving=True)
    drained = world.now() - start
    world.say(f"{begun.target} is empty after {drained:.0f} s; telling the cluster to fence it")
    try:
        record = Record(begun.target, begun.since, begun.here, device)
        found = replace(_watch(record, world, patience), drained=drained)
        if found.off is not None:
            world.keep(replace(record, off=found.off, back=found.back))
        over = True
    finally:
        if not over:
            world.say(
                f"the cluster goes on with the fencing of {begun.target}; {ABORT} tidies up and keeps the record"
            )
    put_back(begun, world)
    return found


def put_back(begun: Open, world: World, *, moving: bool = False) -> None:
    """Undo what a drain did: the host leaves its standby, then the mark goes. Says what could not be undone.

    A mark that became somebody else's is left to him, and the standby with it. While guests are `moving` it waits for
    them first: Pacemaker 2.1.5 stops and starts a guest whose migration is under way when its host is wanted again.
    """
    undone = not moving
    try:
        if moving:
            world.calm()
            undone = True
    finally:
        if not undone:
            world.say(f"{begun.target} is still in standby; undo it with {ABORT}")
    with world.undisturbed():
        try:
            if all(_same(each, begun) for each in world.open() if each.target == begun.target):
                world.bring_back(begun.target)
                world.unmark(begun.target)
        except BackstayError as error:
            world.say(f"{begun.target} may still be in standby: {error}; undo it with {ABORT}")


def take_over(begun: Open, world: World, *, alive: bool) -> None:
    """End a drill that somebody else began; one that may be `alive` gets time to see it before anything is undone."""
    world.mark(replace(begun, phase=ENDED))
    if alive:
        world.pause(2 * TELL)
    world.calm()
    world.bring_back(begun.target)
    world.unmark(begun.target)


def _claim(begun: Open, world: World) -> None:
    """Mark the drill; of two that begin at the same moment each sees the other and withdraws."""
    world.mark(begun)
    found = world.open()
    others = [each for each in found if not _same(each, begun)]
    if others:
        if any(_same(each, begun) for each in found):
            world.unmark(begun.target)
        raise Refused(f"a drill of {others[0].target} has begun at the same moment ({others[0]})")


def _same(one: Open, other: Open) -> bool:
    return (one.target, one.here) == (other.target, other.here)


def _drain(begun: Open, world: World, seconds: float) -> None:
    """Wait until nothing runs on the target, as the cluster and the target itself say."""
    target, start, told = begun.target, world.now(), world.now()
    while True:
        seen = world.look(target)
        waiting = _waiting(target, seen)
        if seen.trouble:
            raise Findings(f"{target} is not fenced: {seen.trouble[0]} while it was drained")
        if not seen.online:
            raise Findings(f"{target} left the cluster while it was drained")
        if not waiting:
            return
        spent = world.now() - start
        if spent >= seconds:
            hint = "crm_mon -1 and the log of that host say more; --wait gives it longer"
            raise Findings(f"{target} is not empty after {seconds:.0f} s: {waiting}", hint=hint)
        if world.now() - told >= TELL:
            told = world.now()
            _still_mine(begun, world)
            world.say(f"{spent:5.0f} s  waiting for: {waiting}")
        world.pause(EVERY)


def _waiting(target: str, seen: Look) -> str:
    if seen.runs:
        return f"{', '.join(seen.runs)} on {target}"
    if seen.guests is None:
        return f"{target} to say that no guest is left"
    if seen.guests:
        return f"{counted(seen.guests, 'guest')} on {target} that the cluster does not know"
    return f"{', '.join(seen.down)} to run elsewhere" if seen.down else ""


def _still_mine(begun: Open, world: World) -> None:
    if not any(_same(each, begun) and each.phase == begun.phase for each in world.open()):
        raise Findings(f"somebody ended the drill of {begun.target}")


def _watch(record: Record, world: World, patience: Patience) -> Outcome:
    """Give the order and see what comes of it.

    That it is off is written into the CIB at once. It may be the last thing that this process does; and the host then
    comes back with an older CIB, so that Pacemaker 2.1.5 does not take the host's for the whole cluster's, as it does
    with one of the same epoch, upon which every resource is probed anew (seen in the lab).
    """
    target, start, told = record.target, world.now(), world.now()
    order, found, problems = world.fence(target), Outcome(0.0), []
    failed = ""
    while True:
        spent = world.now() - start
        ended = order.ended()
        if ended == "" and found.off is None:
            found = replace(found, off=spent)
            world.say(f"{spent:5.0f} s  the cluster is sure that {target} is off")
            with suppress(CannotAsk):  # while the cluster forms anew; it is kept once more at the end
                world.keep(replace(record, off=spent))
        elif ended and not failed:
            failed = f"the cluster could not fence {target}: {ended}"
        found = _seen(target, found, spent, world)
        over, problem = _over(target, found, failed, spent, patience)
        if over:
            problems += [text for text in (failed, problem) if text]
            return replace(found, problems=tuple(problems))
        if world.now() - told >= TELL:
            told = world.now()
            world.say(f"{spent:5.0f} s  waiting for: {_awaited(target, found)}")
        world.pause(EVERY)


def _seen(target: str, found: Outcome, spent: float, world: World) -> Outcome:
    """One look; while the cluster forms anew it may have no answer, which is none."""
    try:
        seen = world.look(target)
    except CannotAsk:
        return found
    if found.lost is None and not seen.member:
        world.say(f"{spent:5.0f} s  {target} has left the membership")
        return replace(found, lost=spent)
    if found.lost is not None and found.back is None and seen.online:
        return replace(found, back=spent)
    return found


def _over(target: str, found: Outcome, failed: str, spent: float, patience: Patience) -> tuple[bool, str]:
    """Whether there is nothing left to wait for, and what is wrong with that."""
    if found.back is not None and (found.off is not None or failed):
        return True, ""
    if failed and found.lost is None:
        return True, ""
    if found.off is None and not failed:
        late = spent >= patience.fence
        return late, f"the cluster has not fenced {target} within {spent:.0f} s" if late else ""
    if found.off is not None and found.lost is None and spent - found.off >= UNSEEN:
        why = f"{target} is said to be off, and never left the membership: its BMC does not tell the truth"
        return True, why
    late = spent >= patience.back
    return late, f"{target} is not back within {spent:.0f} s: look at its console" if late else ""


def _awaited(target: str, found: Outcome) -> str:
    if found.off is None:
        return f"the cluster to fence {target}"
    return f"{target} to leave the membership" if found.lost is None else f"{target} to come back"
