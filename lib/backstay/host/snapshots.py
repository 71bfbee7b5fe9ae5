# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of saved memories in a directory on shared storage: the image, its record, the generation of the domain.

For a domain of UUID there are UUID.save (libvirt's image), UUID.saved (what the image belongs to) and
UUID.generation (which start was the last one, on whatever host). Decides nothing about them. Small files are replaced
as a whole and fsynced; everything happens in a child, because a share may hang.
"""

from __future__ import annotations

import os

from backstay.errors import CannotAsk
from backstay.host.child import ask
from backstay.host.durable import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

LIMIT = 1 << 20  # bytes
IMAGE, RECORD, GENERATION, ASIDE = "save", "saved", "generation", "save.aside"
NO_IMAGE = -1
UNREADABLE = "- -"


class Found:
    """What lies there: `size` of the image in bytes (NO_IMAGE: none), texts of record and generation (or empty)."""

    __slots__ = ("generation", "record", "size")

    def __init__(self, size: int = NO_IMAGE, record: str = "", generation: str = "") -> None:
        self.size = size
        self.record = record
        self.generation = generation


class Snapshots:
    """The saved memories in one directory. Every method raises CannotAsk; `timeout` is in seconds."""

    __slots__ = ("directory",)

    def __init__(self, directory: str) -> None:
        self.directory = directory.rstrip("/") or "/"

    def path(self, uuid: str, kind: str = IMAGE) -> str:
        """Give the file of that kind."""
        return f"{self.directory}/{uuid}.{kind}"

    def look(self, uuid: str, timeout: float) -> Found:
        """Say what lies there for a domain.

        The directory must not be a mount point: it would still be there, and empty, when nothing is mounted on it.
        """
        size, record, generation = self._do(lambda: self._look(uuid), timeout)
        return Found(size, record, generation)

    def next_generation(self, uuid: str, host: str, timeout: float) -> str:
        """Say that the domain is started once more, by `host`; gives the new generation, which no other start has."""
        text = f"{os.urandom(16).hex()} {host}"
        self.write_generation(uuid, text, timeout)
        return text

    def write_generation(self, uuid: str, text: str, timeout: float) -> None:
        """Say which start was the last one."""
        self._do(lambda: _write(self.path(uuid, GENERATION), text), timeout)

    def write_record(self, uuid: str, text: str, timeout: float) -> None:
        """Say what the image belongs to."""
        self._do(lambda: _write(self.path(uuid, RECORD), text), timeout)

    def forget_record(self, uuid: str, timeout: float) -> None:
        """Make the image one that belongs to nothing."""
        self._do(lambda: _remove(self.path(uuid, RECORD)), timeout)

    def forget(self, uuid: str, timeout: float) -> None:
        """Remove the image, its record first."""

        def remove() -> None:
            _remove(self.path(uuid, RECORD))
            _remove(self.path(uuid))

        self._do(remove, timeout)

    def set_aside(self, uuid: str, timeout: float) -> str:
        """Keep the image under another name, in place of the one that was kept so before; gives that name."""

        def move() -> None:
            _remove(self.path(uuid, RECORD))
            os.replace(self.path(uuid), self.path(uuid, ASIDE))  # noqa: PTH105

        self._do(move, timeout)
        return self.path(uuid, ASIDE)

    def signatures(self, files: tuple[str, ...], timeout: float) -> dict[str, str]:
        """Give size and time of the last change of each file; UNREADABLE for one that cannot be opened."""
        given: dict[str, str] = self._do(lambda: {path: _signature(path) for path in files}, timeout)
        return given

    def _look(self, uuid: str) -> tuple[int, str, str]:
        if os.stat(self.directory).st_dev != os.stat(os.path.dirname(self.directory)).st_dev:  # noqa: PTH116, PTH120
            raise CannotAsk(
                f"{self.directory} is a mount point, and would be an empty directory without its mount: name one in it"
            )
        try:
            size = os.stat(self.path(uuid)).st_size  # noqa: PTH116
        except FileNotFoundError:
            size = NO_IMAGE
        return size, _text(self.path(uuid, RECORD)), _text(self.path(uuid, GENERATION))

    def _do(self, question: Callable[[], Any], timeout: float) -> Any:
        def guarded() -> tuple[str, Any]:
            try:
                return "", question()
            except OSError as error:
                return f"{error.filename or self.directory}: {os.strerror(error.errno or 0)}", None

        trouble, given = ask(guarded, timeout)
        if trouble:
            raise CannotAsk(f"the snapshot directory cannot be used: {trouble}")
        return given


def _text(path: str) -> str:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    try:
        return os.read(handle, LIMIT).decode("utf-8", "surrogateescape")
    finally:
        os.close(handle)


def _write(path: str, text: str) -> None:
    replace(path, text.encode("utf-8", "surrogateescape"))


def _remove(path: str) -> None:
    try:
        os.unlink(path)  # noqa: PTH108
    except FileNotFoundError:
        return


def _signature(path: str) -> str:
    """Opened first: NFS asks its server for fresh attributes at an open, and may answer a bare stat from its cache."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return UNREADABLE
    try:
        now = os.fstat(handle)
    finally:
        os.close(handle)
    return f"{now.st_size} {now.st_mtime_ns}"
