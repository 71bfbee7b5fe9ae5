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
        self._there: dict[PurePosixPath, frozenset[str]] = {}

    def __call__(self, path: PurePosixPath) -> bytes | None:
        """The content of the definition at `path`, at most 8 MiB."""
        directory = path.parent
        if directory not in self._there:
            self._there[directory] = self._list(str(directory))
        if path.name not in self._there[directory]:
            return None
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(handle, "rb") as file:
                return file.read(LARGEST)
        except OSError:
            return None

    def _list(self, directory: str) -> frozenset[str]:
        try:
            if mounted(directory)[0] in LOCAL:
                return frozenset(_names(directory))
            return frozenset(ask(lambda: tuple(_names(directory)), self._seconds))
        except (CannotAsk, OSError):
            return frozenset()


def _names(directory: str) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(directory) if entry.is_file()]
    except OSError:
        return []
