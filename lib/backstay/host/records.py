# SPDX-License-Identifier: GPL-2.0-or-later
"""Which emulator was verified as whose: one small record per resource instance, kept for this boot only.

Decides whether a record still speaks of this boot. It lets a monitor or stop know its emulator while the definition
lies on a share that is not mounted, and without reading the arguments of every process each time.
"""

from __future__ import annotations

import os

from backstay.host.state import State

DIRECTORY = "/run/backstay/domain"


class Record:
    """An emulator that was verified: the domain's UUID and name, the process's pid and start time (clock ticks)."""

    __slots__ = ("name", "pid", "start", "uuid")

    def __init__(self, uuid: str, name: str, pid: int, start: int) -> None:
        self.uuid = uuid
        self.name = name
        self.pid = pid
        self.start = start

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record):
            return NotImplemented
        return (self.uuid, self.name, self.pid, self.start) == (
            other.uuid,
            other.name,
            other.pid,
            other.start,
        )

    def __hash__(self) -> int:
        return hash((self.uuid, self.pid, self.start))


class Records:
    """The records of one host. `boot` names this boot: a record of another one does not count."""

    __slots__ = ("_boot", "_state")

    def __init__(self, boot: str, state: State | None = None) -> None:
        self._boot = boot
        self._state = State(DIRECTORY) if state is None else state

    def read(self, instance: str) -> Record | None:
        """Give the record of that instance; None when there is none that can be read and is of this boot."""
        try:
            lines = self._state.read(instance).splitlines()
            boot, uuid, name, pid, start = lines
            return Record(uuid, name, int(pid), int(start)) if boot == self._boot else None
        except (OSError, ValueError):
            return None

    def write(self, instance: str, record: Record) -> None:
        """Keep the record, unless it is kept already; raises OSError when that is impossible."""
        if self.read(instance) != record:
            text = "\n".join((self._boot, record.uuid, record.name, str(record.pid), str(record.start)))
            self._state.write(instance, text + "\n")

    def forget(self, instance: str) -> None:
        """Remove the record if there is one."""
        try:
            self._state.forget(instance)
        except OSError:
            return

    def others(self, instance: str) -> tuple[Record, ...]:
        """Give the records of all other instances; what a killed writer of our own left does not count."""
        try:
            names = os.listdir(self._state.directory)  # noqa: PTH208
        except OSError:
            return ()
        own = os.path.basename(self._state.path(instance))  # noqa: PTH119
        found = [self.read(name) for name in sorted(names) if name != own and not name.startswith(own + ".")]
        return tuple(record for record in found if record is not None)
