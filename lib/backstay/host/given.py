# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that an admin names, and stdin: read to their end, or refused with one sentence.

Decides what is worth reading: a file or a pipe, no larger than what it may be, that does not stay silent. What is
waited for is said, except at once: a program that writes to a pipe needs its time.
"""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Callable

from backstay.errors import BadInput

CHUNK = 1 << 20
LARGEST = 8 << 20
"""The most bytes of a description; its parser takes no more."""
LARGEST_CIB = 256 * 2**20
"""The most bytes of a CIB or of a plan, which holds two; that of 64 hosts and 1000 domains has 34 MB."""
QUIET = 2.0  # seconds of waiting without a word
PATIENCE = 60.0  # seconds for a pipe to which nobody writes


def opened(path: str) -> int:
    """A descriptor for reading the file or pipe `path`, without waiting for whoever writes to a pipe.

    Raises OSError, and BadInput for what is neither.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    kind = os.fstat(handle).st_mode
    if stat.S_ISBLK(kind) or (stat.S_ISCHR(kind) and not os.isatty(handle)):
        os.close(handle)
        raise BadInput(f"{path} is a device, and a file is needed", hint="name a file, or - for stdin")
    return handle


def whole(handle: int, name: str, say: Callable[[str], None]) -> bytes:
    """What can be read from the descriptor `handle`, called `name`, to its end; `say` is told what is waited for.

    Raises OSError, and BadInput for what is too large, or silent for too long.
    """
    parts: list[bytes] = []
    size = 0
    while part := _next(handle, name, say):
        parts.append(part)
        size += len(part)
        _bounded(size, parts[0], name)
    return b"".join(parts)


def _bounded(size: int, begins: bytes, name: str) -> None:
    what, most = "cloud description", LARGEST
    if begins.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"<", b"{")):
        what, most = "CIB or a plan", LARGEST_CIB
    if size > most:
        hint = "is it the right file?"
        raise BadInput(f"{name} has more than the {most >> 20} MiB that a {what} may have", hint=hint)


def _next(handle: int, name: str, say: Callable[[str], None]) -> bytes:
    """The next bytes; none at the end."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    if not poll.poll(QUIET * 1000):
        if os.isatty(handle):
            say(f"reading {name} from the terminal; Ctrl-D ends it")
            poll.poll()
        else:
            say(f"waiting for what {name} gives, for {PATIENCE:.0f} s at most")
            if not poll.poll((PATIENCE - QUIET) * 1000):
                hint = "it is a pipe: does anybody write to it?"
                raise BadInput(f"nothing came from {name} within {PATIENCE:.0f} s", hint=hint)
    return os.read(handle, CHUNK)
