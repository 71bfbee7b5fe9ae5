# SPDX-License-Identifier: GPL-2.0-or-later
"""FUSE connections of the lab: a hung one keeps its users in D state, where no signal ends them.

Aborts only connections that nodes of the lab have mounted and the machine has not.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from backstay.host.process import run
from backstay.lab import mounts

CONTROL = Path("/sys/fs/fuse/connections")


def connections(pids: Iterable[int]) -> frozenset[int]:
    """The numbers of the FUSE connections that these processes see and the machine itself does not."""
    theirs = {number for pid in pids for number in _numbers(mounts.of(pid))}
    return frozenset(theirs - set(_numbers(mounts.of())))


def _numbers(table: Iterable[mounts.Mount]) -> list[int]:
    """The kernel numbers a connection like the minor number of its device."""
    return [
        int(m.device.split(":")[1])
        for m in table
        if m.type in ("fuse", "fuseblk") or m.type.startswith("fuse.")
    ]


def abort(numbers: Iterable[int]) -> None:
    """End these connections: whoever waits for them gets an error at once."""
    wanted = tuple(numbers)
    if not wanted:
        return
    with tempfile.TemporaryDirectory(prefix="backstay-fuse-") as place:
        run(["mount", "-t", "fusectl", "none", place], timeout=10)
        try:
            for number in wanted:
                with suppress(OSError):
                    Path(place, str(number), "abort").write_text("1")
        finally:
            mounts.unmount(Path(place))
