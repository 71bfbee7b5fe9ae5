# SPDX-License-Identifier: GPL-2.0-or-later
"""The emulators (QEMU processes) of this host: whose they are, whether they live, how they are ended.

Decides what counts as an emulator: a process with `-uuid UUID` as two exact arguments, which is how libvirt starts
one. Its name or path is not asked: they differ between distributions, and a filter that misses one would prove an
absence that is none. One that is ending has no arguments any more; what is left to know it by is in host.dying. A
signal goes only to the process that was verified, by a handle that a reused pid cannot
inherit (pidfd).
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # signal itself imports enum: 4 ms
import os

from backstay.host.proc import STOPPED, Proc, Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MASTER_KEY = "master-key.aes"  # libvirt puts it beside the emulator's monitor socket
SHOWN_FILES = 3
LACKS = "-lacks"  # no argument of an emulator: what host.container says of a container
INIT, CONTROLLER = "init", "controller"  # and what it may lack
FROZEN = ("-frozen", "yes")  # the same of one whose processes get no time
FIRST_LOOK = 0.6  # of the time for a scan, before it goes past those that may not be readable
TERMINATE, KILL, GO_ON = int(signal.SIGTERM), int(signal.SIGKILL), int(signal.SIGCONT)


class Emulators:
    """The emulators of one host. `ask` runs a scan where it can be abandoned (host.child.ask)."""

    __slots__ = ("_ask", "_proc")
    by_pid = True  # one that was verified is known by its pid and start time

    def __init__(
        self, proc: Proc | None = None, ask: Callable[[Callable[[], object], float], object] | None = None
    ) -> None:
        self._proc = Proc() if proc is None else proc
        self._ask = ask

    def all(self, timeout: float = 5.0) -> tuple[Process, ...]:
        """Give every emulator of this host; raises OSError or CannotAsk when that cannot be known.

        Arguments are read from each process's memory, which blocks while that process is stuck in the kernel with its
        memory map locked; hence the child, and `timeout` in seconds. One such process, whosever it is, must not make
        every guest of the host unknown: in a second look, those that wait in D state are told by what needs no memory.
        """
        found = self._scan() if self._ask is None else self._scan_in_time(self._ask, timeout)
        assert isinstance(found, list)
        return tuple(Process(pid, start, state, tuple(arguments)) for pid, start, state, arguments in found)

    def _scan_in_time(self, ask: Callable[[Callable[[], object], float], object], timeout: float) -> object:
        from backstay.host.child import NoAnswer

        try:
            return ask(self._scan, timeout * FIRST_LOOK)
        except NoAnswer:
            return ask(lambda: self._scan(past_blocked=True), timeout * (1 - FIRST_LOOK))

    def _scan(self, past_blocked: bool = False) -> list[tuple[int, int, str, tuple[str, ...]]]:
        found = []
        for process in self._proc.all(past_blocked):
            arguments = process.arguments if any(process.arguments) else self._left_of(process.pid)
            if arguments is not None and (arguments is not process.arguments or uuid_of(arguments)):
                found.append((process.pid, process.start, process.state, arguments))
        return found

    def _left_of(self, pid: int) -> tuple[str, ...] | None:
        """Give what is left of the arguments of a process that has none; None when it was no emulator."""
        from backstay.host.dying import arguments_of

        return arguments_of(self._proc.root, pid)

    def boot(self) -> str:
        """Give the kernel's name for this boot."""
        return self._proc.boot()

    def again(self, process: Process) -> Process | None:
        """Look at a verified emulator again; None when it is gone (its pid may be another process by now)."""
        now = self._proc.look(process.pid, with_arguments=False)
        if now is None or now.start != process.start:
            return None
        return Process(now.pid, now.start, now.state, process.arguments)

    def signal(self, process: Process, number: int) -> bool:
        """Send a signal to exactly this process; False when it is gone."""
        try:
            handle = os.pidfd_open(process.pid)
        except ProcessLookupError:
            return False
        try:
            if self.again(process) is None:
                return False
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True

    def waits_for(self, process: Process) -> str:
        """Say where an emulator that cannot end waits; empty when no thread of it is blocked in the kernel."""
        blocked = self._proc.blocked(process.pid)
        return f"blocked in the kernel in {', '.join(blocked)}" if blocked else ""

    def files(self, process: Process) -> str:
        """Name what the emulator holds open; empty when that cannot be told, as for one that is ending."""
        files = self._proc.open_files(process.pid)
        return ", ".join(files[:SHOWN_FILES]) + (" ..." if len(files) > SHOWN_FILES else "")


def uuid_of(arguments: tuple[str, ...]) -> str:
    """Give the UUID that the arguments of an emulator name, in lower case, or an empty text."""
    return _after(arguments, "-uuid").lower()


def name_of(arguments: tuple[str, ...]) -> str:
    """Give the domain's name as libvirt wrote it (`-name guest=NAME,...`), or an empty text.

    A comma in a value is written twice (QEMU's option syntax).
    """
    first, *others = _after(arguments, "-name").replace(",,", "\0").split(",")
    named = [option.partition("=")[2] for option in (first, *others) if option.startswith("guest=")]
    return (named[0] if named else "" if "=" in first else first).replace("\0", ",")


def monitor_socket_of(arguments: tuple[str, ...]) -> str:
    """Give the path of the emulator's QMP socket, or an empty text.

    libvirt hands the socket over as a descriptor, so its path stands in no argument; the master key's does, and
    lies in the same directory. An emulator that was started by hand may name the socket itself.
    """
    for argument in arguments:
        if MASTER_KEY in argument:
            directory = argument.split(MASTER_KEY)[0]
            return f"{directory[directory.find('/') :]}monitor.sock"
    by_hand = _after(arguments, "-qmp")
    return by_hand[len("unix:") :].split(",")[0] if by_hand.startswith("unix:") else ""


def is_stopped(process: Process) -> bool:
    """Whether the process was stopped by a signal or a tracer, so that its guest does not run."""
    return process.state in STOPPED


def lacks(process: Process) -> str:
    """Give what a container lacks, init or controller; empty for one that is whole and for an emulator."""
    return _after(process.arguments, LACKS)


def is_frozen(process: Process) -> bool:
    """Whether it is a container whose processes do not run although nothing stopped them."""
    return _after(process.arguments, FROZEN[0]) == FROZEN[1]


def is_incoming(process: Process) -> bool:
    """Whether the emulator was started to receive a guest from another host."""
    return "-incoming" in process.arguments


def _after(arguments: tuple[str, ...], option: str) -> str:
    for place, argument in enumerate(arguments[:-1]):
        if argument == option:
            return arguments[place + 1]
    return ""
