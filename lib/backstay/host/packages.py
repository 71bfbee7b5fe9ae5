# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a package manager is at work on this host.

Decides it by the locks that package managers hold, never by process names. Takes no lock and waits for none.
Source: dpkg and apt hold fcntl locks on the first two files for as long as they work; rpm on the others.
"""

from __future__ import annotations

import fcntl
import os
import struct

LOCKS = (
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/rpm/.rpm.lock",
    "/usr/lib/sysimage/rpm/.rpm.lock",
)
FLOCK = "hhqqi4x"  # struct flock on 64-bit Linux: type, whence, start, length, pid


def at_work(locks: tuple[str, ...] = LOCKS) -> str:
    """Give the path of a lock that is held, or an empty text; what cannot be looked at counts as free."""
    for path in locks:
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            wanted = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            holder = struct.unpack(FLOCK, fcntl.fcntl(handle, fcntl.F_GETLK, wanted))
            if holder[0] != fcntl.F_UNLCK:
                return path
        except OSError:
            continue
        finally:
            os.close(handle)
    return ""
