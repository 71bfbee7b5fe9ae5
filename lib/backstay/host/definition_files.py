# SPDX-License-Identifier: GPL-2.0-or-later
"""Many domains' definitions, for a command: those that can be read on this machine.

Decides that a directory which does not answer in time has nothing to read. One that does not lie on a disk of this
machine is listed in a child first, because a dead share never answers; once for all of its files.
"""

from __future__ import annotations

import os
from pathlib import PurePosixPath

from backstay.errors import CannotAsk
from backstay.host.child import ask
from backstay.host.filesystems import mounted

LISTING_SECONDS = 5.0
LOCAL = frozenset({"btrfs", "ext2", "ext3", "ext4", "overlay", "ramfs", "tmpfs", "xfs", "zfs"})
LARGEST = 8 << 20


class DefinitionFiles:
    """Calling it with a path gives the file's content, or None when it cannot be read here."""

    def __init__(self, seconds: float = LISTING_SECONDS) -> None:
        self._seconds = seconds
        self._there: dict[PurePosixPath, dict[str, bool]] = {}

    def __call__(self, path: PurePosixPath) -> bytes | None:
        """The content of the definition at `path`, at most 8 MiB; nothing, which is no XML, where it is no file."""
        directory = path.parent
        if directory not in self._there:
            self._there[directory] = self._list(str(directory))
        if path.name not in self._there[directory]:
            return None
        if not self._there[directory][path.name]:
            return b""
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(handle, "rb") as file:
                return file.read(LARGEST)
        except OSError:
            return None

    def _list(self, directory: str) -> dict[str, bool]:
        try:
            if mounted(directory)[0] in LOCAL:
                return dict(_names(directory))
            return dict(ask(lambda: tuple(_names(directory)), self._seconds))
        except (CannotAsk, OSError):
            return {}


def _names(directory: str) -> list[tuple[str, bool]]:
    """What is there, and whether it is a file; links that lead to none are not there."""
    try:
        return [
            (entry.name, there)
            for entry in os.scandir(directory)
            if (there := entry.is_file()) or not entry.is_symlink()
        ]
    except OSError:
        return []
