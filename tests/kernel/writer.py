# SPDX-License-Identifier: GPL-2.0-or-later
"""Somebody who writes numbers to a device of a node, and says outside of it which ones were acknowledged.

A number counts as acknowledged when the write has returned (O_DIRECT, O_DSYNC) and the number stands in a file of the
machine that the node's power cut does not touch (its share for the witness).
"""

from __future__ import annotations

from collections.abc import Iterator

from backstay.host.clock import Deadline, NotYet, until
from backstay.lab.node import Node

BEGIN, BLOCKS = 1, 7936
END = 32
"""MiB: where its blocks of 4 KiB begin and end; they are written one after the other, again and again."""

UNIT = "numbers"
FILE = "acknowledged"
PROGRAM = f"""\
import mmap, os, sys, time
page = mmap.mmap(-1, 4096)
device = os.open(sys.argv[1], os.O_WRONLY | os.O_DIRECT | os.O_DSYNC)
said = os.open("/srv/witness/{FILE}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
number = 0
while True:
    number += 1
    page[:] = (b"%d\\n" % number).ljust(4096, b"\\0")
    os.pwrite(device, page, {BEGIN << 20} + number % {BLOCKS} * 4096)
    os.write(said, b"%d\\n" % number)
    time.sleep(0.05)
"""
READER = f"""\
import sys
last = int(sys.argv[2])
with open(sys.argv[1], "rb") as device:
    for number in range(max(1, last - {BLOCKS - 1}), last + 1):
        device.seek({BEGIN << 20} + number % {BLOCKS} * 4096)
        there = device.read(16).partition(b"\\n")[0]
        if not there.isdigit() or int(there) < number:
            print(number, there)
"""
"""Prints each acknowledged number in whose block stands neither it nor a later one."""


class Writer:
    """It writes on `node` from now on, until it is stopped or the power goes."""

    def __init__(self, node: Node, device: str) -> None:
        self.node = node
        self.file = node.places.witness / FILE
        self.file.unlink(missing_ok=True)
        node.write("/run/numbers.py", PROGRAM)
        node.check(["systemd-run", f"--unit={UNIT}", "python3", "/run/numbers.py", device], 60.0)

    def acknowledged(self) -> int:
        """The last number that was acknowledged."""
        return max(self._numbers(), default=0)

    def _numbers(self) -> Iterator[int]:
        text = self.file.read_text() if self.file.exists() else ""
        yield from (int(line) for line in text.split("\n")[:-1])

    def goes_on(self, more: int, seconds: float) -> None:
        """Wait until that many more were acknowledged."""
        wanted = self.acknowledged() + more

        def look() -> bool:
            if self.acknowledged() < wanted:
                raise NotYet(f"{self.acknowledged()} of {wanted}")
            return True

        until(look, Deadline(seconds), every=1.0, what="more acknowledged writes")

    def stop(self) -> None:
        """Let it end, on a node that lives."""
        self.node.check(["systemctl", "stop", UNIT], 120.0)


def lost(node: Node, device: str, last: int) -> str:
    """Which of the numbers up to the last one the device of this node does not have."""
    return node.check(["python3", "-c", READER, device, str(last)], 120.0)
