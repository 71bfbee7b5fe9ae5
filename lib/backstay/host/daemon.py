# SPDX-License-Identifier: GPL-2.0-or-later
"""One daemon's process: whether it makes progress, in what it is stuck, and a signal that can only hit it.

Decides nothing. A signal goes through a pidfd after the start time was compared, so it never reaches another
process that got the same pid. Source: proc(5), pidfd_open(2).
"""

from __future__ import annotations

import os
import time

from backstay.host.proc import Proc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

STATE, USER, SYSTEM, START = 0, 11, 12, 19  # fields of /proc/PID/stat after the closing bracket
STOPPED = "T"  # by a signal; one that is traced (t) has somebody who looks at it


class Daemon:
    """A look at the process. `ticks` is the CPU that it has used, in clock ticks (10 ms on Linux).

    `blocked` are the kernel functions in which threads of it wait uninterruptibly (D state); `stopped` says that
    it was stopped by a signal, `runnable` that a thread of it wants a processor. `when` is the time of the look, in
    seconds on the monotonic clock.
    """

    __slots__ = ("blocked", "pid", "runnable", "start", "stopped", "ticks", "when")

    def __init__(
        self,
        pid: int,
        start: int,
        ticks: int,
        when: float,
        blocked: tuple[str, ...] = (),
        stopped: bool = False,
        runnable: bool = False,
    ) -> None:
        self.pid = pid
        self.start = start
        self.ticks = ticks
        self.when = when
        self.blocked = blocked
        self.stopped = stopped
        self.runnable = runnable

    def __repr__(self) -> str:
        return f"Daemon({self.pid}, ticks={self.ticks}, blocked={self.blocked}, stopped={self.stopped})"

    def same_as(self, other: Daemon | None) -> bool:
        """Whether the other look was at the same process."""
        return other is not None and (self.pid, self.start) == (other.pid, other.start)


def look(pid: int) -> Daemon | None:
    """Give the process of that pid, or None when there is none (0 is none)."""
    if pid <= 0:
        return None
    proc = Proc()
    process = proc.look(pid, with_arguments=False)
    if process is None:
        return None
    return Daemon(
        pid,
        process.start,
        ticks(pid),
        time.monotonic(),
        proc.blocked(pid),
        process.state in STOPPED,
        proc.runnable(pid),
    )


def ticks(pid: int) -> int:
    """Give the CPU that a process has used, in clock ticks; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123
            fields = stat.read().rpartition(b")")[2].split()
        return int(fields[USER]) + int(fields[SYSTEM])
    except (OSError, ValueError, IndexError):
        return 0


def signal(daemon: Daemon, numbers: Sequence[int], core: int | None = None) -> bool:
    """Send signals in that order to exactly this process; False when it is gone already.

    `core` is how many bytes it may dump for them; None leaves that as it is.
    """
    from signal import pidfd_send_signal

    try:
        handle = os.pidfd_open(daemon.pid)
    except OSError:
        return False
    try:
        same = Proc().look(daemon.pid, with_arguments=False)
        if same is None or same.start != daemon.start:
            return False
        if core is not None:
            _limit_core(daemon.pid, core)
        for number in numbers:
            pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


def _limit_core(pid: int, size: int) -> None:
    from backstay.host.cores import limit

    try:
        limit(pid, size)
    except OSError:
        return  # it is gone, and then the signals go nowhere either
