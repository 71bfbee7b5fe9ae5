# SPDX-License-Identifier: GPL-2.0-or-later
"""One text for all that an agent stands on: its files, what it imports, interpreter, shared libraries and tools.

Decides nothing about what a change means. Contents count, not times: a file that was written again with the same bytes
is the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from backstay.host.process import ProcessTimedOut, ToolMissing, run

ASKING = 20.0  # seconds
GONE = "gone"


class Fingerprints:
    """Digests of files, each read once."""

    def __init__(self) -> None:
        self._digests: dict[str, str] = {}

    def of(self, files: Iterable[str]) -> str:
        """Give 32 hexadecimal digits for files and their contents; one that is missing counts as such."""
        whole = hashlib.sha256()
        for file in sorted(set(files)):
            whole.update(f"{file}\0{self._digest(file)}\n".encode("utf-8", "surrogateescape"))
        return whole.hexdigest()[:32]

    def _digest(self, file: str) -> str:
        if file not in self._digests:
            try:
                with Path(file).open("rb") as stream:
                    self._digests[file] = hashlib.file_digest(stream, "sha256").hexdigest()
            except OSError:
                self._digests[file] = GONE
        return self._digests[file]


def tool(path: str) -> tuple[str, ...]:
    """Give a program and the shared libraries that it would load; the program alone when it is none of that kind."""
    try:
        done = run(["ldd", path], timeout=ASKING)
    except (ProcessTimedOut, ToolMissing):
        return (path,)
    words = done.stdout.split() if done.ok else []
    return (path, *(word for word in words if word.startswith("/")))
