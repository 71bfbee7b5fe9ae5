# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the kernel said that a DRBD resource has a split brain, which DRBD's own state does not tell.

Decides it by the last word about it in the kernel's log: a connection that came up since then ended it. Reads what
is there and waits for nothing. Source: drivers/block/drbd (8.4.11), "Split-Brain detected"; DRBD 9 writes the same.
"""

from __future__ import annotations

import os

KMSG = "/dev/kmsg"
TORN = "Split-Brain detected but unresolved"
# The two agreed on whose data it is: 8.4 in one state of the connection, 9 in that of the replication.
WHOLE = ("WFReportParams -> Connected", "WFReportParams -> WFBitMap", "Off -> Established", "Off -> WFBitMap")
RECORD = 8192  # bytes: the kernel gives one record per read, and none is longer


def told_of_split_brain(resource: str, minors: tuple[int, ...], path: str = KMSG) -> bool:
    """Whether the last word about it was a split brain; raises OSError when the log cannot be read."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return last_word(_records(handle), resource, minors)
    finally:
        os.close(handle)


def last_word(records: list[str], resource: str, minors: tuple[int, ...]) -> bool:
    """Whether the last word about the resource in these lines was a split brain."""
    subjects = (f"drbd {resource}", *(f"block drbd{minor}:" for minor in minors))
    torn = False
    for record in records:
        line = record.partition(";")[2] or record
        about = line.startswith(subjects) and line[len(f"drbd {resource}") :][:1] in (":", "/", " ", "")
        if about or line.startswith(subjects[1:]):
            torn = (torn or TORN in line) and not any(word in line for word in WHOLE)
    return torn


def _records(handle: int) -> list[str]:
    found: list[str] = []
    while True:
        try:
            record = os.read(handle, RECORD)
        except BlockingIOError:
            return found
        except BrokenPipeError:
            continue  # overwritten while it was read: the next one is
        if not record:
            return found
        found.append(record.decode("utf-8", "replace"))
