# SPDX-License-Identifier: GPL-2.0-or-later
"""Who holds a block device of this host open: a guest's emulator, another process, a mount, swap, a device upon it.

Decides only how each is named. Looks at what the kernel lists, and at no device: nothing here can block on storage that
hangs, and who cannot be looked at is left out. To be asked where it can be abandoned (host.child), since a process
whose memory is locked makes its /proc entries wait. Source: proc(5), sysfs (block/holders, block/dm/name).
"""

from __future__ import annotations

import os

from backstay.host.emulator import name_of
from backstay.host.filesystems import plain
from backstay.host.proc import Proc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

DEEPEST = 4  # layers of devices upon devices
SHOWN = 4  # holders in one message
NONE = (0, 0)  # the number of no device


class Holders:
    """The holders of block devices. `root` is where proc and sys are mounted."""

    __slots__ = ("_proc", "_root")

    def __init__(self, root: str = "") -> None:
        self._root = root
        self._proc = Proc(f"{root}/proc")

    def of(self, numbers: list[tuple[int, int]], ours: tuple[int, ...] = ()) -> list[str]:
        """Name who holds the devices with these numbers (major, minor), each once; raises OSError.

        `ours` are processes that only look: what they were given open by whoever started them is their starter's.
        """
        every = dict.fromkeys(numbers)
        said = []
        for major, minor in numbers:
            for number, name in self._upon(major, minor, DEEPEST):
                said.append(name)
                if number != NONE:
                    every[number] = None
        return list(dict.fromkeys([*said, *self._mounts(set(every)), *self._processes(set(every), ours)]))

    def _upon(self, major: int, minor: int, deeper: int) -> Iterator[tuple[tuple[int, int], str]]:
        """Give the devices that lie upon a device, with their names, and those upon them."""
        for name in _listed(f"{self._root}/sys/dev/block/{major}:{minor}/holders"):
            base = f"{self._root}/sys/class/block/{name}"
            number = _number(_text(f"{base}/dev"))  # (0, 0) when it is gone again: then nobody can hold it
            mapped = _text(f"{base}/dm/name")
            yield number, f"the device {mapped} (device-mapper)" if mapped else f"the device {name}"
            if deeper:
                yield from self._upon(*number, deeper - 1)

    def _mounts(self, numbers: set[tuple[int, int]]) -> Iterator[str]:
        """Name what is mounted from these devices in any mount namespace, and what is swapped to."""
        seen = set()
        for pid in self._proc.pids():
            try:
                space = os.readlink(f"{self._proc.root}/{pid}/ns/mnt")  # noqa: PTH115
            except OSError:
                continue
            if space in seen:
                continue
            seen.add(space)
            for line in self._proc.text(pid, "mountinfo").splitlines():
                fields = line.split(" ")
                if len(fields) > 4 and _number(fields[2]) in numbers:
                    yield f"the mount {plain(fields[4])}"
        for line in _text(f"{self._proc.root}/swaps").splitlines()[1:]:
            path = line.split(" ")[0]
            if _device(f"{self._root}{path}") in numbers:
                yield "swap"

    def _processes(self, numbers: set[tuple[int, int]], ours: tuple[int, ...]) -> Iterator[str]:
        """Name the processes that have one of these devices open."""
        for pid in sorted(set(self._proc.pids()) - set(ours)):
            base = f"{self._proc.root}/{pid}/fd"
            if any(self._holds(f"{base}/{name}", numbers) for name in _listed(base)):
                yield self._named(pid)

    def _holds(self, link: str, numbers: set[tuple[int, int]]) -> bool:
        """Whether an open file is one of these devices; only what looks like a device is looked at."""
        try:
            return "/dev/" in os.readlink(link) and _device(link) in numbers  # noqa: PTH115
        except OSError:
            return False

    def _named(self, pid: int) -> str:
        process = self._proc.look(pid)
        arguments = process.arguments if process else ()
        command = self._proc.text(pid, "comm").strip() or "?"
        if "-uuid" in arguments and name_of(arguments):
            return f"the domain {name_of(arguments)} (its emulator is process {pid})"
        return f"the process {pid} ({command})"


def said(holders: list[str]) -> str:
    """Give the sentence's part about who holds a device; some of them when there are many."""
    if not holders:
        return "nobody who could be seen"
    more = len(holders) - SHOWN
    return ", ".join(holders[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _listed(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))  # noqa: PTH208
    except OSError:
        return []


def _device(path: str) -> tuple[int, int]:
    """Give the number of the device behind a path; (0, 0) when there is none."""
    try:
        number = os.stat(path).st_rdev  # noqa: PTH116
    except OSError:
        return NONE
    return os.major(number), os.minor(number)


def _number(text: str) -> tuple[int, int]:
    major, _, minor = text.strip().partition(":")
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else NONE


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return ""
