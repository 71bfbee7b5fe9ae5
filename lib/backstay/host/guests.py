# SPDX-License-Identifier: GPL-2.0-or-later
"""The guests of this host as their emulators show them: whose they are and whether they run, without asking libvirtd.

Decides who accounts for an emulator (libvirt, by the pid file that it wrote; a resource of the cluster, by the
record that its agent wrote; a user's own libvirt, by the place of the monitor socket) and whether the guest in it
runs. One that waits for a migration to arrive, or that was paused, does not: it may exist twice without harm.
"""

from __future__ import annotations

from backstay.host.emulator import Emulators, is_stopped, monitor_socket_of, name_of, uuid_of
from backstay.host.libvirt_status import DIRECTORY, says_running

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.host.proc import Process

OF_THE_SYSTEM = (
    "/var/lib/libvirt/",
    "/run/libvirt/",
)  # where the system's libvirt keeps an emulator's sockets
ARRIVING = "-incoming"
REHEARSAL = (
    "6261636b-7374-4179-8000-000000000001"  # the guest of a rehearsal's private host, the same on every host
)


class Guest:
    """One emulator; `key` makes the process unmistakable on this host, `runs` says that the guest does something."""

    __slots__ = ("accounted", "key", "name", "runs", "uuid")

    def __init__(self, uuid: str, name: str, key: str, runs: bool = True, accounted: bool = True) -> None:
        self.uuid = uuid
        self.name = name
        self.key = key
        self.runs = runs
        self.accounted = accounted

    def __repr__(self) -> str:
        return f"Guest({self.name} {self.uuid} {self.key} runs={self.runs} accounted={self.accounted})"


def guests(timeout: float) -> tuple[Guest, ...]:
    """Give the guests of this host; raises OSError or CannotAsk when that cannot be known within `timeout` seconds."""
    from backstay.host.child import ask
    from backstay.host.records import Records

    emulators = Emulators(ask=ask)
    recorded = {(record.pid, record.start) for record in Records(emulators.boot()).others("")}
    found = (_guest(process, recorded) for process in emulators.all(timeout))
    return tuple(guest for guest in found if guest.uuid != REHEARSAL)


def recorded(timeout: float = 2.0) -> tuple[str, ...]:
    """Name the guests that their own agents have seen and whose emulator lives; empty when nobody can look.

    libvirt's files are not asked: this is for a libvirt that has lost them.
    """
    from backstay.errors import CannotAsk
    from backstay.host.child import ask
    from backstay.host.records import Records

    emulators = Emulators(ask=ask)
    known = {(record.pid, record.start): record.name for record in Records(emulators.boot()).others("")}
    try:
        living = emulators.all(timeout) if known else ()
    except (OSError, CannotAsk):
        return ()
    names = [known.get((process.pid, process.start), "") for process in living]
    return tuple(name for name in names if name)


def _guest(process: Process, recorded: set[tuple[int, int]], directory: str = DIRECTORY) -> Guest:
    name = name_of(process.arguments)
    libvirts = _pid_of(name, directory) == process.pid
    runs = says_running(name, process.pid, directory) if libvirts else ARRIVING not in process.arguments
    socket = monitor_socket_of(process.arguments)
    accounted = (
        libvirts
        or (process.pid, process.start) in recorded
        or (bool(socket) and not socket.startswith(OF_THE_SYSTEM))
    )
    key = f"{process.pid}.{process.start}"
    return Guest(uuid_of(process.arguments), name, key, runs and not is_stopped(process), accounted)


def _pid_of(name: str, directory: str) -> int:
    """Give the pid that libvirt wrote down for the domain of that name, 0 when there is none."""
    if not name or "/" in name:
        return 0
    try:
        with open(f"{directory}/{name}.pid") as text:  # noqa: PTH123
            return int(text.read())
    except (OSError, ValueError):
        return 0
