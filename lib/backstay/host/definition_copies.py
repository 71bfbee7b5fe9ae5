# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's own copy of each domain's definition, for the time when the share with the original is away.

Decides whether a copy is whole: one file holds the original's path, the checksum and the content, and is replaced as
a whole (fsync, rename), so that a crash leaves the old copy or the new one. A file whose checksum is wrong counts as
none. Never decides what a copy is good for. Everything happens in a child, as a disk of this host may hang too.
"""

from __future__ import annotations

import os

from backstay.errors import CannotAsk
from backstay.host.child import ask
from backstay.host.durable import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DIRECTORY = "/var/lib/backstay/definitions"
MODE = 0o700  # a definition may hold secrets (a VNC password)
LIMIT = 16 << 20  # bytes
TITLE = b"backstay definition 1"
SUFFIX = ".definition"


class Copies:
    """The copies of one host, by resource instance: who cannot read the original knows neither UUID nor name."""

    __slots__ = ("directory",)

    def __init__(self, directory: str = DIRECTORY) -> None:
        self.directory = directory

    def path(self, instance: str) -> str:
        """Give the file that holds the copy for that instance."""
        return f"{self.directory}/{instance.replace('/', '_')}{SUFFIX}"

    def keep(self, instance: str, config: str, content: bytes, timeout: float) -> None:
        """Keep what was read from `config`, unless just that is kept; raises CannotAsk. `timeout` is in seconds."""
        self._do(lambda: self._keep(self.path(instance), pack(config, content)), instance, timeout)

    def read(self, instance: str, config: str, timeout: float) -> tuple[bytes, str]:
        """Give the content that `config` had and when it was read; raises CannotAsk when there is no such copy."""
        raw, taken = self._do(lambda: self._read(self.path(instance)), instance, timeout)
        content = unpack(raw, config)
        if content is None:
            raise CannotAsk(f"the copy {self.path(instance)} is damaged, or one of another config")
        return content, taken

    def _do(self, question: Any, instance: str, timeout: float) -> Any:
        kind, given = ask(question, timeout)
        if kind == "trouble":
            raise CannotAsk(f"the copy {self.path(instance)} cannot be used: {given}")
        return given

    def _keep(self, target: str, packed: bytes) -> tuple[str, str]:
        try:
            os.makedirs(self.directory, MODE, exist_ok=True)  # noqa: PTH103  (pathlib costs 6 ms)
            if _content(target, missing=b"") != packed:
                replace(target, packed)
        except OSError as error:
            return "trouble", os.strerror(error.errno or 0)
        return "kept", ""

    def _read(self, target: str) -> tuple[str, str | tuple[bytes, str]]:
        from time import gmtime, strftime

        try:
            taken = strftime("%Y-%m-%d %H:%M UTC", gmtime(os.stat(target).st_mtime))  # noqa: PTH116
            return "read", (_content(target), taken)
        except OSError as error:
            return "trouble", os.strerror(error.errno or 0)


def pack(config: str, content: bytes) -> bytes:
    """Give the file of a copy: title, path of the original, checksum over path and content, an empty line, content."""
    name = config.encode("utf-8", "surrogateescape")
    return b"\n".join((TITLE, name, _checksum(name, content), b"", content))


def unpack(raw: bytes, config: str) -> bytes | None:
    """Give the content of a copy; None when it is damaged, or the copy of something else than `config`."""
    parts = raw.split(b"\n", 4)
    name = config.encode("utf-8", "surrogateescape")
    if len(parts) != 5 or parts[:2] != [TITLE, name] or parts[2] != _checksum(name, parts[4]):
        return None
    return parts[4]


def _checksum(name: bytes, content: bytes) -> bytes:
    import hashlib

    return hashlib.sha256(name + b"\0" + content).hexdigest().encode()


def _content(path: str, missing: bytes | None = None) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        if missing is None:
            raise
        return missing
    content = b""
    try:
        while len(content) < LIMIT and (part := os.read(handle, 1 << 16)):
            content += part
    finally:
        os.close(handle)
    return content
