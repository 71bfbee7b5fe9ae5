# SPDX-License-Identifier: GPL-2.0-or-later
"""On what kind of file system a path lies, by the kernel's list of mounts; the path itself is not touched.

Decides nothing about what a kind is good for. Source: proc(5), /proc/PID/mountinfo.
"""

from __future__ import annotations

MOUNTS = "/proc/self/mountinfo"


class Mount:
    """One mount: the kind of file system, its source, and its options, those of the mount and those of the server.

    `device` is what the kernel calls it (major:minor).
    """

    __slots__ = ("device", "kind", "options", "source")

    def __init__(self, kind: str, source: str, options: frozenset[str], device: str = "") -> None:
        self.kind = kind
        self.source = source
        self.options = options
        self.device = device

    def __repr__(self) -> str:
        return f"Mount({self.kind} of {self.source})"


def at(directory: str, text: str) -> Mount | None:
    """Find what is mounted exactly there, the topmost of several; None when that is no mount point."""
    found = None
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        fields, kinds = left.split(), right.split()
        if len(fields) >= 6 and len(kinds) >= 2 and plain(fields[4]) == directory:
            options = [*fields[5].split(","), *(kinds[2].split(",") if len(kinds) > 2 else ())]
            found = Mount(kinds[0], plain(kinds[1]), frozenset(options), fields[2])
    return found


def mounted(path: str, mounts: str = MOUNTS) -> tuple[str, str]:
    """Give kind and source of the file system that a path lies on, such as ("nfs4", "filer:/vms"); raises OSError."""
    with open(mounts, encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123
        return of(path, file.read())


def of(path: str, text: str) -> tuple[str, str]:
    """Find it in the text of such a list; two empty texts when there is nothing."""
    best, found = -1, ("", "")
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        fields, kinds = left.split(), right.split()
        if len(fields) < 5 or len(kinds) < 2:
            continue
        place = plain(fields[4])
        if (path == place or path.startswith(place.rstrip("/") + "/")) and len(place) >= best:
            best, found = len(place), (kinds[0], plain(kinds[1]))
    return found


def plain(text: str) -> str:
    """Give a path as it is, from how the kernel's list of mounts writes it."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text
