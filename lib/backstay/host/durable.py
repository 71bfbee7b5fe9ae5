# SPDX-License-Identifier: GPL-2.0-or-later
"""A small file that is replaced as a whole and survives a crash of the host: the old one or the new one, never a part.

Decides nothing. May block where storage hangs, so it is called where it can be abandoned (host.child).
"""

from __future__ import annotations

import os
from contextlib import suppress


def replace(path: str, content: bytes) -> None:
    """Replace the file, or create it, and return when that is on the disk; raises OSError.

    What is written first has a name that no other host and process uses, as the directory may be shared.
    """
    fresh = f"{path}.{os.uname().nodename}.{os.getpid()}"
    try:
        _write(fresh, content)
        os.replace(fresh, path)  # noqa: PTH105
    except OSError:
        with suppress(OSError):
            os.unlink(fresh)  # noqa: PTH108  (on a full disk it would take the last place)
        raise
    directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_CLOEXEC)  # noqa: PTH120
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _write(fresh: str, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    handle = os.open(fresh, flags, 0o600)
    try:
        left = content
        while left:
            left = left[os.write(handle, left) :]
        os.fsync(handle)
    finally:
        os.close(handle)
