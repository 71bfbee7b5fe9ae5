# SPDX-License-Identifier: GPL-2.0-or-later
"""Which steps give every described host of a DRBD resource the data again, and what speaks against it.

Decides the order, and that nothing is done twice: a step is there because what it makes is not, so that whatever was
interrupted goes on where it stopped. No step touches the data of a host that has it: metadata are only made on a device
that has none and holds nothing else. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from backstay import steps
from backstay.mirror.sides import FRESH, NINE, Side


class Verb(Enum):
    """What a step does; the sentence for it, with {resource} and {where}."""

    PART = "end the connection of {where} to the host that is no longer described"
    WRITE = "write {resource}.res on {where}"
    MAKE = "make DRBD's metadata on {where}, whose disk has none"
    ATTACH = "attach the disk of {where}"
    CONNECT = "let {where} connect to the described hosts"
    APPLY = "load what the description says of {resource}"
    CLEAN = "let Pacemaker forget that {resource} failed on {where}"
    START = "wait until Pacemaker has started {resource} on {where}"
    SYNC = "wait until every host is up to date"
    TIDY = "set {resource}.res aside on {where}"


WAITS = frozenset({Verb.START, Verb.SYNC})
"""Steps that change nothing."""


class Step(steps.Step[Verb]):
    """One step of a repair."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Now:
    """What is seen of a resource. `sides` are its described hosts, `file` what each is to have in drbd.d.

    `loaded`: the CIB says of it what the description says; `failed`: where Pacemaker shows a failure of it; `split`:
    who says that both sides were written; `leftover`: hosts that have its file and are not described; `away`:
    described hosts that are no members now.
    """

    resource: str
    sides: tuple[Side, ...]
    file: str
    generation: int = 8
    loaded: bool = True
    failed: tuple[str, ...] = ()
    split: tuple[str, ...] = ()
    leftover: tuple[str, ...] = ()
    away: tuple[str, ...] = ()

    def others(self, side: Side) -> frozenset[str]:
        """The addresses to which a host is to be connected."""
        return frozenset(each.address for each in self.sides if each.name != side.name)

    def strangers(self, side: Side) -> frozenset[str]:
        """The addresses to which it connects, and should not."""
        return side.peers - self.others(side)

    def known(self, side: Side) -> bool:
        """Whether another host of the mirror counts on it already."""
        return any(side.address in each.peers for each in self.sides if each.name != side.name)


def repairing(now: Now) -> tuple[Step, ...]:
    """What is still to be done until every described host has the data; nothing when each has.

    Nothing either while one is away: what is missing is not known then, and `objections` says so.
    """
    if now.away:
        return ()
    return (*_configured(now), *_running(now), *(Step(Verb.TIDY, name) for name in now.leftover))


def _configured(now: Now) -> Iterator[Step]:
    for side in now.sides:
        if now.strangers(side):
            yield Step(Verb.PART, side.name)
    for side in now.sides:
        if side.file != now.file:
            yield Step(Verb.WRITE, side.name)
    for side in now.sides:
        if side.bare:
            yield Step(Verb.MAKE, side.name)
        if side.diskless:
            yield Step(Verb.ATTACH, side.name)


def _running(now: Now) -> Iterator[Step]:
    for side in now.sides:
        if side.state is not None and (now.others(side) - side.peers or side.standing_alone):
            yield Step(Verb.CONNECT, side.name)
    if not now.loaded:
        yield Step(Verb.APPLY)
    for side in now.sides:
        if side.state is None:
            if side.name in now.failed:
                yield Step(Verb.CLEAN, side.name)
            yield Step(Verb.START, side.name)
    if not all(side.whole for side in now.sides):
        yield Step(Verb.SYNC)


def objections(now: Now) -> tuple[str, ...]:
    """What speaks against it, the gravest first, each with what to do about it; nothing when it may begin."""
    if not repairing(now) and not now.away:
        return ()
    return (*_lost(now), *(text for side in now.sides for text in _unfit(now, side)))


def _lost(now: Now) -> Iterator[str]:
    names = ", ".join(side.name for side in now.sides)
    for name in now.away:
        yield f"{name} is no member of the cluster now: describe a host that is"
    if not any(side.good for side in now.sides):
        yield f"none of {names} has all of {now.resource} up to date and runs it: there is nothing to mirror"
    if now.split:
        yield (
            f"{' and '.join(now.split)} says that both sides were written (split brain): "
            "decide first whose changes are given up"
        )
    for side in now.sides:
        if now.strangers(side) and side.talks_to_others({each.name for each in now.sides}):
            yield (
                f"{side.name} is still connected to {', '.join(sorted(now.strangers(side)))}, which is no longer "
                f"described: end that yourself if it is to be given up (there: drbdadm disconnect {now.resource})"
            )


def _unfit(now: Now, side: Side) -> Iterator[str]:
    """What is wrong with a host that does not use its disk."""
    if not side.version:
        yield f"{side.name} has no module of DRBD: install it there"
    elif (side.version[0] >= NINE) != (now.generation >= NINE):
        shown = ".".join(map(str, side.version))
        yield f"{side.name} has DRBD {shown}, and generation {now.generation} is described"
    for lower in side.lowers:
        if not side.detached(lower.volume):
            continue
        what, wanted = f"{lower.path} of {side.name}", _needed(now, lower.volume)
        if not lower.size:
            yield f"{what} is not there: make it, with {wanted} bytes at least (lvcreate)"
        elif lower.size < wanted:
            yield f"{what} has {lower.size} bytes, and {wanted} are needed: make it bigger (lvextend)"
        elif lower.holds and not lower.uuid:
            yield f"{what} is not empty ({lower.holds}): is it the right one? (wipefs --all)"
        elif lower.uuid not in (0, FRESH) and side.state is None and not now.known(side):
            yield (
                f"{what} has DRBD's metadata of another time: if nothing on it is needed, drbdadm wipe-md "
                f"{now.resource} there"
            )


def _needed(now: Now, volume: int) -> int:
    """How big a device has to be: as the smallest one of those that have the data."""
    return min((side.lower(volume).size for side in now.sides if side.good), default=0)
