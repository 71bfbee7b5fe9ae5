# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs agents inside a node, as Pacemaker's executor does: a fresh process for each call, a few at a time.

Decides nothing about the figures. Needs nothing but the node's Python; reads its orders (JSON) from stdin and prints
what happened (JSON). Its own cost is the same for every agent, and is measured with /bin/true.

    {"calls": [{"argv": [...], "environ": {...}, "forget": PATH or ""}, ...],
     "at_once": N, "every": SECONDS, "rounds": N, "within": SECONDS}

`every` 0 means one after the other without a pause; otherwise the calls of one round are spread over that time. After
`within` seconds no further call begins: who cannot keep up does fewer.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

FIRST_PID = 300  # where the kernel goes on counting after the greatest pid (RESERVED_PIDS)


class Pids:
    """Counts the processes and threads started in this pid namespace (the last pid of /proc/loadavg)."""

    def __init__(self) -> None:
        self.most = int(Path("/proc/sys/kernel/pid_max").read_text())
        self.last = self.read()
        self.total = 0

    def read(self) -> int:
        return int(Path("/proc/loadavg").read_text().split()[4])

    def count(self) -> None:
        now = self.read()
        self.total += now - self.last if now >= self.last else now - self.last + self.most - FIRST_PID
        self.last = now


class Calls:
    """The calls under way and what became of those that ended."""

    def __init__(self) -> None:
        self.running: dict[int, float] = {}
        self.codes: dict[int, int] = {}
        self.wall = 0.0
        self.slowest = 0.0
        self.ended = 0
        devnull = os.open(os.devnull, os.O_RDWR)
        self.streams = [(os.POSIX_SPAWN_DUP2, devnull, stream) for stream in (0, 1, 2)]

    def begin(self, call: dict[str, Any]) -> None:
        if call["forget"]:
            Path(call["forget"]).unlink(missing_ok=True)
        pid = os.posix_spawn(call["argv"][0], call["argv"], call["environ"], file_actions=self.streams)
        self.running[pid] = time.monotonic()

    def end(self, wait: bool) -> bool:
        """Take one that has ended; waits for it if `wait`."""
        if not self.running:
            return False
        pid, status = os.waitpid(-1, 0 if wait else os.WNOHANG)
        if not pid:
            return False
        took = time.monotonic() - self.running.pop(pid)
        code = os.waitstatus_to_exitcode(status)
        self.codes[code] = self.codes.get(code, 0) + 1
        self.wall += took
        self.slowest = max(self.slowest, took)
        self.ended += 1
        return True


def main() -> None:
    orders = json.load(sys.stdin)
    calls, every = orders["calls"], orders["every"]
    pids, doing = Pids(), Calls()
    began = time.monotonic()
    for number in range(orders["rounds"] * len(calls)):
        due = began + every * number / len(calls)
        while every and time.monotonic() < due:
            if not doing.end(wait=False):
                time.sleep(min(0.02, max(0.0, due - time.monotonic())))
        while len(doing.running) >= orders["at_once"]:
            doing.end(wait=True)
        if time.monotonic() - began > orders["within"]:
            break
        doing.begin(calls[number % len(calls)])
        pids.count()
    while doing.running:
        doing.end(wait=True)
    pids.count()
    own = resource.getrusage(resource.RUSAGE_SELF)
    said = {
        "calls": doing.ended,
        "codes": doing.codes,
        "seconds": time.monotonic() - began,
        "wall": doing.wall / doing.ended,
        "slowest": doing.slowest,
        "started": pids.total,
        "own": own.ru_utime + own.ru_stime,
    }
    sys.stdout.write(json.dumps(said) + "\n")


main()
