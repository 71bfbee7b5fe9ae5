# SPDX-License-Identifier: GPL-2.0-or-later
"""What an agent remembers between two calls on this host: small texts in /run/backstay, gone at the next boot.

Decides nothing about what is kept. A text is replaced as a whole (rename), so a reader never sees half of one.
Nothing is fsynced: what matters after a crash of the host is never kept here.
"""

from __future__ import annotations

import os

DIRECTORY = "/run/backstay"
MODE = 0o700
LIMIT = 1 << 20  # bytes; what is longer was not written by an agent


class State:
    """The texts of one directory. All methods raise OSError when the directory cannot be used."""

    __slots__ = ("directory",)

    def __init__(self, directory: str = DIRECTORY) -> None:
        self.directory = directory

    def path(self, name: str) -> str:
        """Give the file that holds the text of that name; a name never leaves the directory."""
        return f"{self.directory}/{name.replace('/', '_')}"

    def read(self, name: str) -> str:
        """Give the text, or an empty one when there is none."""
        try:
            handle = os.open(self.path(name), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return ""
        try:
            return os.read(handle, LIMIT).decode("utf-8", "surrogateescape")
        finally:
            os.close(handle)

    def write(self, name: str, text: str) -> None:
        """Replace the text, or create it (and the directory)."""
        target = self.path(name)
        fresh = f"{target}.{os.getpid()}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            handle = os.open(fresh, flags, 0o600)
        except FileNotFoundError:
            os.makedirs(self.directory, MODE, exist_ok=True)  # noqa: PTH103  (pathlib costs 6 ms)
            handle = os.open(fresh, flags, 0o600)
        try:
            os.write(handle, text.encode("utf-8", "surrogateescape"))
        finally:
            os.close(handle)
        os.replace(fresh, target)  # noqa: PTH105

    def forget(self, name: str) -> None:
        """Remove the text if there is one."""
        try:
            os.unlink(self.path(name))  # noqa: PTH108
        except FileNotFoundError:
            return
