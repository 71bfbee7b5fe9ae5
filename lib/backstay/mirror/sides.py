# SPDX-License-Identifier: GPL-2.0-or-later
"""What one host has of a DRBD resource: its file, what the kernel runs, and what lies below each volume.

Decides only what such a value means, for repairing and for growing. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from backstay.host import drbd_state as drbd
from backstay.host.drbd_state import State

FRESH = 4
"""The UUID of metadata that were made and never used (UUID_JUST_CREATED of drbd_int.h, 8.4 and 9)."""

NINE = 9


@dataclass(frozen=True, slots=True)
class Lower:
    """The block device below one volume. Sizes are in bytes.

    `size` is 0 where there is none. `holds` is what else lies on it than DRBD (by wipefs: `ext4`, or nothing); `uuid`
    the one that its metadata have, 0 where none could be read (there are none, or it is in use). `room` is what its
    volume group has left, None where it is no logical volume; `extent` the unit of that.
    """

    volume: int
    path: str = ""
    size: int = 0
    holds: str = ""
    uuid: int = 0
    room: int | None = None
    extent: int = 1


@dataclass(frozen=True, slots=True)
class Side:
    """One host. `peers` are the addresses that its kernel connects the resource to; `file` is its file in drbd.d.

    `version` is that of the module that is loaded or could be, empty where there is none.
    """

    name: str
    address: str
    file: str | None = None
    state: State | None = None
    peers: frozenset[str] = frozenset()
    version: tuple[int, ...] = ()
    lowers: tuple[Lower, ...] = ()

    @property
    def good(self) -> bool:
        """Whether all of the data is here."""
        return self.state is not None and self.state.local(drbd.UP_TO_DATE)

    @property
    def promoted(self) -> bool:
        """Whether it may write."""
        return self.state is not None and self.state.promoted

    @property
    def whole(self) -> bool:
        """Whether it knows itself and every peer to be connected and up to date."""
        return self.state is not None and self.state.redundant

    @property
    def bare(self) -> tuple[int, ...]:
        """The volumes without metadata that could be used; not known of a disk that is in use."""
        return tuple(
            lower.volume
            for lower in self.lowers
            if lower.size and not lower.uuid and self.detached(lower.volume)
        )

    def detached(self, volume: int) -> bool:
        """Whether DRBD does not use the disk of a volume."""
        found = [each for each in self.state.devices if each.volume == volume] if self.state else []
        return not found or found[0].disk in (drbd.DISKLESS, drbd.FAILED)

    @property
    def diskless(self) -> tuple[int, ...]:
        """The volumes that it runs without a disk which it should have."""
        devices = self.state.devices if self.state else ()
        return tuple(
            device.volume
            for device in devices
            if device.disk in (drbd.DISKLESS, drbd.FAILED) and not device.client
        )

    @property
    def standing_alone(self) -> bool:
        """Whether it does not try to connect any more."""
        return self.state is not None and any(
            peer.state == drbd.STANDALONE for peer in self.state.connections
        )

    def talks_to_others(self, names: Collection[str]) -> bool:
        """Whether it is connected to a peer that is none of these hosts; 8.4 does not name its one peer."""
        return self.state is not None and any(
            peer.connected and (peer.name == drbd.ANONYMOUS or peer.name not in names)
            for peer in self.state.connections
        )

    def lower(self, volume: int) -> Lower:
        """What lies below a volume."""
        return next((each for each in self.lowers if each.volume == volume), Lower(volume))

    def size(self, volume: int) -> int:
        """How big the volume is for whoever uses it, in bytes; 0 when that is not known."""
        devices = self.state.devices if self.state else ()
        return next((each.size * 1024 for each in devices if each.volume == volume), 0)


def progress(sides: Sequence[Side]) -> str:
    """What is not up to date yet, and how far it is, in the words of whoever knows most; empty when all is whole."""
    for side in sorted(sides, key=lambda one: not one.good):
        for peer in side.state.connections if side.state else ():
            for on in peer.volumes:
                if on.done is not None and on.disk != drbd.UP_TO_DATE:
                    held = f", held up by {on.held}" if on.held else ""
                    return f"volume {on.volume} is {on.done:.1f} % done{held}"
    waiting = [side.name for side in sides if not side.whole]
    return f"{', '.join(waiting)} to be connected and up to date" if waiting else ""
