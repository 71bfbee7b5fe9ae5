# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading a domain's definition from a place that may hang: a share, usually.

Decides nothing. The file is read in a child, because a read from a dead share never returns.
"""

from __future__ import annotations

import os

from backstay.errors import CannotAsk
from backstay.host.child import ask

LIMIT = 8 << 20  # bytes; a definition is some kilobytes


class Definitions:
    """The files that `config` names."""

    __slots__ = ()

    def read(self, path: str, timeout: float) -> bytes:
        """Give the file's content; raises CannotAsk with the reason. `timeout` is in seconds."""
        kind, content = ask(lambda: _read(path), timeout)
        if kind == "trouble":
            raise CannotAsk(f"{path} cannot be read: {content}")
        assert isinstance(content, bytes)
        return content


def _read(path: str) -> tuple[str, bytes | str]:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        content = b""
        while len(content) < LIMIT and (part := os.read(handle, 1 << 16)):
            content += part
    except OSError as error:
        return "trouble", os.strerror(error.errno or 0)
    return "content", content
