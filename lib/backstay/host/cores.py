# SPDX-License-Identifier: GPL-2.0-or-later
"""How much of its memory a daemon may leave behind when it is aborted, so that healing never fills the disk.

Decides the limit: one core an hour, of an ordinary daemon a whole one, of a swollen one a part, and never more than
a tenth of what is free where it falls. The limit is the process's own RLIMIT_CORE, which the kernel obeys when it
writes a file and systemd-coredump when it is handed one (core(5), coredump.conf(5)). It is lowered only: where cores
are off, as for a service of Debian 12, they stay off.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.host.state import State

AT_MOST = 256 << 20  # bytes
SHARE = 0.1  # of the free space
EVERY = 3600.0  # seconds
MEMORY = "libvirtd-core"
PLACE = "/"  # where a daemon of the system has its working directory


def allowance(state: State, now: float, place: str = PLACE) -> int:
    """Give the bytes that a core may have that is written now, and count it; `now` is in seconds since boot."""
    try:
        last = float(state.read(MEMORY) or "-inf")
        if 0 <= now - last < EVERY:
            return 0
        state.write(MEMORY, f"{now:.1f}")
        disk = os.statvfs(place)
    except (OSError, ValueError):
        return 0
    return int(min(AT_MOST, disk.f_bavail * disk.f_frsize * SHARE))


def forbid() -> None:
    """No core of this process, nor of one that it starts: both may hold a secret in memory or in their environment.

    One byte, not none: where cores go to a program (systemd-coredump), the kernel does not look at the limit, but takes
    this one for "never". With none the program is started, and writes the environment into the log (core(5);
    Linux, fs/coredump.c; systemd's COREDUMP_ENVIRON).
    """
    import contextlib
    import resource

    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    with contextlib.suppress(ValueError, OSError):  # who is not root keeps a limit of none
        resource.setrlimit(resource.RLIMIT_CORE, (1, hard or 1))


def limit(pid: int, size: int) -> None:
    """Let that process dump at most so many bytes; raises OSError when it is gone or that is not allowed."""
    import resource

    soft, hard = resource.prlimit(pid, resource.RLIMIT_CORE)
    if soft == resource.RLIM_INFINITY or soft > size:
        resource.prlimit(pid, resource.RLIMIT_CORE, (size, hard))
