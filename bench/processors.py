# SPDX-License-Identifier: GPL-2.0-or-later
"""What a node spends of the processors, by control group, without its emulators.

Decides what is counted: every process of the node (libvirtd, Pacemaker, systemd, the journal) and everything that the
bench runs in it, in nanoseconds of the kernel's own account; the emulators' threads are taken away again.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from backstay.errors import CannotAsk
from backstay.lab.node import Node

V1 = Path("/sys/fs/cgroup/cpuacct")
V1_TOO = Path("/sys/fs/cgroup/cpu,cpuacct")
V2 = Path("/sys/fs/cgroup")


class Processors:
    """The account of one node, in groups that `remove_groups` removes."""

    def __init__(self, node: Node) -> None:
        self.leader = node.leader() or 0
        if not self.leader:
            raise CannotAsk(f"{node.name} is off")
        old = [place for place in (V1, V1_TOO) if (place / "cpuacct.usage").exists()]
        self.top = old[0] if old else V2
        if not old and not (V2 / "cgroup.controllers").exists():
            raise CannotAsk("no control group of this machine counts processor time")
        self.bench = self._make("agents")
        # systemd knows its services by their groups where there is one hierarchy alone, so nothing is moved there
        self.groups = [self.bench, self._make("node") if old else self._of_leader()]
        if old:
            self._move()

    def _make(self, name: str) -> Path:
        group = self.top / f"backstay-bench-{os.getpid()}-{name}"
        group.mkdir(exist_ok=True)
        return group

    def _of_leader(self) -> Path:
        """The node's whole group: that of its PID 1, without the scope in which systemd puts itself."""
        path = Path(f"/proc/{self.leader}/cgroup").read_text().strip().rpartition(":")[2]
        return V2 / path.removesuffix("/init.scope").lstrip("/")

    def _move(self) -> None:
        for pid in self.pids():
            with suppress(OSError):
                (self.groups[1] / "cgroup.procs").write_text(str(pid))

    def pids(self) -> list[int]:
        """Every process of the node, as the machine numbers it."""
        mine = Path(f"/proc/{self.leader}/ns/pid").stat().st_ino
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                with suppress(OSError):
                    if (entry / "ns/pid").stat().st_ino == mine:
                        found.append(int(entry.name))
        return found

    def emulators(self) -> list[int]:
        """Those that run guests."""
        found = []
        for pid in self.pids():
            with suppress(OSError):
                if b"\0-uuid\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found

    def enter(self, argv: Sequence[str]) -> list[str]:
        """The argument list that runs another one in the node, and in the bench's own group.

        It comes before what else the machine has to do.
        """
        return [
            "/bin/sh",
            "-c",
            f'echo $$ >{shlex.quote(str(self.bench / "cgroup.procs"))}; exec nice -n -15 "$@"',
            "sh",
            *("nsenter", f"--target={self.leader}", "--all", "--"),
            *argv,
        ]

    def seconds(self) -> float:
        """What was spent up to now."""
        return sum(map(_spent, self.groups)) - sum(map(_spent_by, self.emulators()))


def remove_groups() -> None:
    """Remove the groups of this process's bench; those that somebody is in stay."""
    for top in (V1, V1_TOO, V2):
        for name in ("agents", "node"):
            with suppress(OSError):
                (top / f"backstay-bench-{os.getpid()}-{name}").rmdir()


def _spent(group: Path) -> float:
    old = group / "cpuacct.usage"
    if old.exists():
        return int(old.read_text()) / 1e9
    words = (group / "cpu.stat").read_text().split()
    return int(words[words.index("usage_usec") + 1]) / 1e6


def _spent_by(pid: int) -> float:
    """What all threads of a process spent (schedstat, nanoseconds)."""
    total = 0
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9
