# SPDX-License-Identifier: GPL-2.0-or-later
"""What is mounted, and taking it away again.

Reads the kernel's own table only, so that mounts of a lab that crashed are found as well. Unmounts nothing that
does not lie below the directory it is given.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from backstay.errors import CannotAsk

DETACH = 2  # MNT_DETACH of umount2(2): out of sight at once, gone when the last user has left
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo (proc(5)). `options` are those of the file system (an overlay's directories)."""

    device: str
    point: Path
    type: str
    options: str


def parse(text: str) -> tuple[Mount, ...]:
    """The mounts in the text of a mountinfo file, in the kernel's order (a later one covers an earlier one)."""
    return tuple(_line(line) for line in text.splitlines() if " - " in line)


def _line(line: str) -> Mount:
    before, after = line.split(" - ", 1)
    fields, tail = before.split(" "), after.split(" ")
    return Mount(fields[2], Path(_plain(fields[4])), tail[0], _plain(tail[-1]))


def _plain(text: str) -> str:
    """Spaces and the like are written in octal."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)


def of(pid: int | str = "self") -> tuple[Mount, ...]:
    """The mounts that a process sees; none when it is gone."""
    try:
        return parse(Path(f"/proc/{pid}/mountinfo").read_text())
    except (FileNotFoundError, ProcessLookupError, OSError):
        return ()


def below(directory: Path, table: Iterable[Mount]) -> tuple[Mount, ...]:
    """The mounts below a directory, the innermost first: the order in which they can be unmounted."""
    found = [mount for mount in table if directory in mount.point.parents]
    return tuple(reversed(found))


def is_mounted(point: Path) -> bool:
    """Whether something is mounted exactly there."""
    return any(mount.point == point for mount in of())


def unmount_below(directory: Path) -> None:
    """Unmount everything below a directory, lazily: a user in D state must not hold up the rest."""
    for mount in below(directory, of()):
        unmount(mount.point)


def unmount(point: Path) -> None:
    """Unmount one place lazily; not mounted is as good. CannotAsk when the kernel refuses."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(os.fsencode(point), DETACH) == 0:
        return
    error = ctypes.get_errno()
    if point in {mount.point for mount in of()}:
        raise CannotAsk(
            f"{point} cannot be unmounted: {os.strerror(error)}", hint="see what uses it with fuser -vm"
        )
