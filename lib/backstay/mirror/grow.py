# SPDX-License-Identifier: GPL-2.0-or-later
"""Which steps make one volume of a DRBD resource bigger on every host while it is used, and what speaks against it.

Decides the order: what lies below on every host, then DRBD, then the guest. Each step is there because something is
smaller than what lies below it, so an interrupted one goes on. Pure. Source of the sizes of DRBD's own data:
drbd_md_set_sector_offsets of drbd 8.4.11, and its like in 9 (one bitmap for each peer).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from backstay import steps
from backstay.mirror.sides import NINE, Side

SECTOR, PAGE = 512, 4096  # bytes
FIXED = 72  # sectors of the superblock and of the activity log
COVERED, BITMAP = 1 << 18, 8  # so many sectors of the device need so many of a bitmap
GUEST_UNIT = SECTOR


class Verb(Enum):
    """What a step does; the sentence for it, with {resource} and {where}."""

    EXTEND = "make the logical volume below {resource} bigger on {where}"
    SYNC = "wait until every host is up to date"
    RESIZE = "let DRBD use it ({where})"
    GUEST = "tell the guest on {where}"


WAITS = frozenset({Verb.SYNC})
"""Steps that change nothing."""


class Step(steps.Step[Verb]):
    """One step of making a volume bigger."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Guest:
    """The guest as it runs on `host` with the volume as its disk `target`, for it `size` bytes big."""

    host: str
    target: str
    size: int


@dataclass(frozen=True, slots=True)
class Now:
    """What is seen. `wanted` is the size of the devices below the volume in bytes; `guest` is None while none runs.

    `resized`: DRBD was told so, in vain or not; how much it keeps for itself is not known to a byte with DRBD 9.
    """

    resource: str
    volume: int
    wanted: int
    sides: tuple[Side, ...]
    generation: int = 8
    guest: Guest | None = None
    resized: bool = False

    @property
    def promoted(self) -> str:
        """The host on which DRBD is told; empty when it is promoted nowhere."""
        return next((side.name for side in self.sides if side.promoted), "")

    @property
    def size(self) -> int:
        """How big DRBD is, in bytes."""
        return max((side.size(self.volume) for side in self.sides), default=0)

    @property
    def usable(self) -> int:
        """How big DRBD could be on what lies below it, in bytes."""
        least = min(side.lower(self.volume).size for side in self.sides)
        bitmaps = len(self.sides) - 1 if self.generation >= NINE else 1
        sectors = least // SECTOR
        kept = FIXED + -(-sectors // COVERED) * BITMAP * bitmaps
        return (sectors - kept) * SECTOR // PAGE * PAGE

    def short(self, side: Side) -> int:
        """How many bytes are missing below on a host, in its volume group's unit."""
        lower = side.lower(self.volume)
        return max(-(-(self.wanted - lower.size) // lower.extent) * lower.extent, 0)


def growing(now: Now) -> tuple[Step, ...]:
    """What is still to be done until the guest has the room; nothing when it has."""
    return tuple(_steps(now))


def _steps(now: Now) -> Iterator[Step]:
    below = [Step(Verb.EXTEND, side.name) for side in now.sides if now.short(side)]
    yield from below
    whole = all(side.whole for side in now.sides)
    smaller = bool(below) or now.size < now.usable
    if smaller and not now.resized:
        if not whole:
            yield Step(Verb.SYNC)
        yield Step(Verb.RESIZE, now.promoted)
    if now.guest and (now.guest.size < now.size // GUEST_UNIT * GUEST_UNIT or (smaller and not now.resized)):
        yield Step(Verb.GUEST, now.guest.host)
    if not whole or (smaller and not now.resized):
        yield Step(Verb.SYNC)


def objections(now: Now) -> tuple[str, ...]:
    """What speaks against it, each with what to do about it; nothing when it may begin."""
    return tuple(text for side in now.sides for text in _below(now, side)) + tuple(_above(now))


def _below(now: Now, side: Side) -> Iterator[str]:
    lower = side.lower(now.volume)
    if not lower.size:
        yield f"{lower.path or f'volume {now.volume}'} of {side.name} is not there"
    elif lower.size > now.wanted and lower.size - now.wanted >= lower.extent:
        yield f"{lower.path} of {side.name} has {lower.size} bytes already: a disk is never made smaller"
    elif now.short(side) and lower.room is None:
        yield f"{lower.path} of {side.name} is no logical volume: make it bigger yourself, and run this again"
    elif now.short(side) > (lower.room or 0):
        yield (
            f"{lower.path} of {side.name} needs {now.short(side)} bytes more, and its volume group has {lower.room}: "
            "vgextend"
        )


def _above(now: Now) -> Iterator[str]:
    if not growing(now):
        return
    for side in now.sides:
        if side.state is None or not all(peer.connected for peer in side.state.connections):
            yield f"{side.name} does not have {now.resource} connected: backstay drbd repair {now.resource}"
        elif side.diskless:
            yield f"{side.name} has no disk of {now.resource}: backstay drbd repair {now.resource}"
    if not now.promoted and any(step.verb is Verb.RESIZE for step in growing(now)):
        yield f"{now.resource} is promoted nowhere, and DRBD is only made bigger where it is"
