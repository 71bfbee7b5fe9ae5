# SPDX-License-Identifier: GPL-2.0-or-later
"""The measurements themselves, and their tables.

Decides what is subtracted: what the node spends when nothing is monitored (measured again before each round of
measurements), and what starting processes costs by itself (/bin/true in the agent's place).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backstay.errors import CannotAsk
from backstay.host.process import run
from backstay.lab.node import ENVIRONMENT, Node
from backstay.lab.progress import Progress
from bench import sides
from bench.processors import Processors
from bench.sides import Side

TOP = Path(__file__).resolve().parents[1]
DRIVER = Path(__file__).with_name("driver.py")
AT_ONCE = 4  # Pacemaker's own limit on two cores (node-action-limit: twice the cores)
ROUNDS = (
    5  # of each measurement, one agent after the other, so that a busy minute of the machine hits all alike
)
GUESTS = 6  # for single monitors
RARER = 10  # what is no side of the comparison is called for a tenth as often
PATIENCE = 4.0  # seconds for one monitor, on the average; a busy machine takes 0.7
META_DATA_CALLS = 100
META_DATA_LIMIT = 25.0  # milliseconds: what meta-data may take
BARE = ("/usr/bin/python3", "-IS", "-c", "pass")  # what the first line of each agent alone costs
META_DATA = """
import contextlib, os, sys, time
spent, took = 0.0, []
with contextlib.suppress(OSError):
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))  # nobody else's work is measured
count, *argv = sys.argv[1:]
for _ in range(int(count)):
    began = time.monotonic()
    stdout = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
    environ = {"OCF_ROOT": "/usr/lib/ocf", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    _, _, used = os.wait4(os.posix_spawn(argv[0], argv, environ, file_actions=stdout), 0)
    took.append(time.monotonic() - began)
    spent += used.ru_utime + used.ru_stime
took.sort()
print(spent / int(count), took[0], took[len(took) // 2], took[-1])
"""
NOTHING = Side("/bin/true", "")
WELL = {"0"}


@dataclass(slots=True)
class Sum:
    """What some calls cost together: processor seconds (without the idle node's), calls, seconds, processes."""

    calls: int = 0
    spent: float = 0.0
    idle: float = 0.0
    wall: float = 0.0
    started: float = 0.0
    seconds: float = 0.0
    slowest: float = 0.0

    def add(self, said: dict[str, float], spent: float, idle_rate: float) -> None:
        """Count one round; `idle_rate` is what the idle node spends in a second."""
        calls = int(said["calls"])
        self.calls += calls
        self.idle += idle_rate * said["seconds"]
        self.spent += spent - idle_rate * said["seconds"]
        self.wall += said["wall"] * calls
        self.started += said["started"]
        self.seconds += said["seconds"]
        self.slowest = max(self.slowest, said["slowest"])

    def each(self, value: float) -> float:
        return value / self.calls if self.calls else 0.0


class Bench:
    """One node, measured; leaves its control groups when it is done."""

    def __init__(self, node: Node, progress: Progress) -> None:
        self.node = node
        self.progress = progress
        self.processors = Processors(node)
        (node.layout.shared / "driver.py").write_text(DRIVER.read_text())

    # ---- what is measured

    def monitors(self, count: int) -> list[str]:
        """Single monitors, one after the other without a pause."""
        guests = sides.names(GUESTS)
        self.progress.step(f"starting {GUESTS} guests")
        sides.start_guests(self.node, guests)
        rarer = max(ROUNDS, count // RARER)
        shares = [
            (NOTHING, count),
            (sides.OURS, count),
            (sides.ALWAYS_ASKING, rarer),
            (sides.PROBE, rarer),
            (sides.LIBVIRTD, rarer),
            (sides.THEIRS, count),
            (sides.THEIRS_QUIET, count),
        ]
        sums = {side: Sum() for side, _ in shares}
        for number in range(ROUNDS):
            idle = self._idle(10.0)
            for side, calls in shares:
                self.progress.step(f"round {number + 1} of {ROUNDS}: {calls // ROUNDS} times {side.name}")
                self._round(sums[side], side, guests, calls // ROUNDS, idle)
        return _monitors_table(sums)

    def metadata(self) -> list[str]:
        """What meta-data of every agent costs: the processor's time (the mean), and how long it takes.

        Each ratio is that of the best to the best of a bare interpreter, which no agent can be below. The best of all
        is the agent's own; what the median is above it, the machine had other work.
        """
        agents = [f"backstay/{door.name}" for door in sorted((TOP / "agents").iterdir())]
        bare = self._calls("a bare interpreter", BARE)
        lines = [_meta_data_row("a bare interpreter", bare, bare)]
        for agent in (*agents, sides.THEIRS.agent):
            took = self._calls(f"meta-data of {agent}", (f"{sides.AGENTS}/{agent}", "meta-data"))
            lines.append(_meta_data_row(agent, took, bare))
        head = (
            f"| meta-data, {META_DATA_CALLS} calls | CPU | wall, the best | the median | the slowest "
            f"| under {META_DATA_LIMIT:.0f} ms | of a bare interpreter's best |"
        )
        return [
            "",
            f"Load of the machine {os.getloadavg()[0]:.1f}.",
            "",
            head,
            "|---|---|---|---|---|---|---|",
            *lines,
        ]

    def _calls(self, name: str, called: Sequence[str]) -> list[float]:
        """Give milliseconds: the processor's time of one call (the mean), the best, the median and the slowest."""
        self.progress.step(f"{META_DATA_CALLS} times {name}")
        argv = ["python3", "-c", META_DATA, str(META_DATA_CALLS), *called]
        said = self.node.check(argv, timeout=PATIENCE * META_DATA_CALLS).split()
        return [float(seconds) * 1000 for seconds in said]

    def host(self, count: int, seconds: float) -> list[str]:
        """A host with that many guests, each watched every ten seconds."""
        guests = sides.names(count)
        self.progress.step(f"starting guests up to {count}")
        sides.start_guests(self.node, guests)
        rounds = max(1, round(seconds / sides.INTERVAL))
        sums: dict[Side, Sum] = {}
        idle = self._idle(seconds)
        for side in (NOTHING, sides.OURS, sides.THEIRS, sides.THEIRS_QUIET):
            self.progress.step(f"{count} guests watched by {side.name} for {rounds * sides.INTERVAL:.0f} s")
            calls = self._host_calls(side, guests)
            if side is sides.OURS:  # the first monitor of each guest asks libvirt; later they do so by turns
                self._run([self._call(side, guest, 1) for guest in guests], 0.0, 1, 30.0 + count)
            said, spent = self._run(calls, sides.INTERVAL, rounds, seconds * 4)
            sums[side] = Sum()
            sums[side].add(said, spent, idle)
        return _host_table(count, sums)

    # ---- how

    def _round(self, total: Sum, side: Side, guests: Sequence[str], count: int, idle: float) -> None:
        calls = [self._call(side, guests[number % len(guests)], number) for number in range(count)]
        said, spent = self._run(calls, 0.0, 1, 30.0 + 2 * PATIENCE * count)
        total.add(said, spent, idle)

    def _host_calls(self, side: Side, guests: Sequence[str]) -> list[dict[str, object]]:
        """The calls of ten seconds. One in thirty of our monitors asks libvirt; libvirtd has a monitor of its own."""
        calls = [self._call(side, guest, number) for number, guest in enumerate(guests)]
        if side is sides.OURS:
            calls.append(self._call(sides.LIBVIRTD, "libvirtd", 0))
        return calls

    def _call(self, side: Side, guest: str, number: int) -> dict[str, object]:
        if side is NOTHING:
            return {"argv": ["/bin/true"], "environ": sides.OURS.environ(guest), "forget": ""}
        return side.call(guest, number)

    def _idle(self, seconds: float) -> float:
        """Give what the node spends by itself, in seconds of a processor for each second."""
        self.progress.step(f"{seconds:.0f} s of the idle node")
        began, before = time.monotonic(), self.processors.seconds()
        time.sleep(seconds)
        return (self.processors.seconds() - before) / (time.monotonic() - began)

    def _run(
        self, calls: Sequence[dict[str, object]], every: float, rounds: int, patience: float
    ) -> tuple[dict[str, float], float]:
        """Let the driver do its calls; gives what it said and the seconds of a processor that were spent."""
        orders = {
            "calls": calls,
            "at_once": AT_ONCE if every else 1,
            "every": every,
            "rounds": rounds,
            "within": patience / 2,
        }
        argv = self.processors.enter(["/usr/bin/python3", "-I", "/srv/vm/driver.py"])
        before = self.processors.seconds()
        done = run(argv, timeout=patience, environment=ENVIRONMENT, stdin=json.dumps(orders))
        spent = self.processors.seconds() - before
        if not done.ok:
            raise CannotAsk(f"the driver failed in {self.node.name}: {done.complaint()}")
        said = json.loads(done.stdout)
        if set(said["codes"]) != WELL:
            raise CannotAsk(f"not every monitor of {calls[0]['argv']} said 0: {said['codes']}")
        return said, spent


def _meta_data_row(name: str, took: Sequence[float], bare: Sequence[float]) -> str:
    spent, best, median, slowest = took
    word = "yes" if median < META_DATA_LIMIT else "the best" if best < META_DATA_LIMIT else "no"
    words = (*(f"{one:.1f} ms" for one in (spent, best, median, slowest)), word, f"{best / bare[1]:.1f}")
    return f"| {name} | {' | '.join(words)} |"


def _monitors_table(sums: dict[Side, Sum]) -> list[str]:
    base = sums[NOTHING]

    def net(one: Sum) -> float:
        return one.each(one.spent) - base.each(base.spent)

    theirs = net(sums[sides.THEIRS])
    lines = [
        f"Load of the machine {os.getloadavg()[1]:.1f}, {os.cpu_count()} cores. Subtracted: the idle node "
        f"({base.idle / base.seconds * 1000:.1f} ms a second), the driver ({base.each(base.spent) * 1000:.2f} ms and "
        f"{base.each(base.started):.2f} processes a call, with /bin/true).",
        "",
        "| a monitor (agent, libvirtd, helpers) | calls | CPU | of VirtualDomain's | wall | processes and threads |",
        "|---|---|---|---|---|---|",
    ]
    for side, one in sums.items():
        if side is not NOTHING:
            started = one.each(one.started) - base.each(base.started) + 1
            lines.append(
                f"| {side.name} | {one.calls} | {net(one) * 1000:.1f} ms | 1/{theirs / net(one):.1f} "
                f"| {one.each(one.wall) * 1000:.0f} ms | {started:.1f} |"
            )
    return lines


def _host_table(count: int, sums: dict[Side, Sum]) -> list[str]:
    base = sums[NOTHING]
    lines = [
        "",
        f"Load of the machine {os.getloadavg()[1]:.1f}. Subtracted: the idle node with its guests "
        f"({base.idle / base.seconds * 100:.1f} % of a core), the driver ({base.spent / base.seconds * 100:.1f} %). "
        "Needed: what every monitor in its time would have spent; a machine that is too busy does fewer.",
        "",
        f"| {count} guests, each every 10 s | done a second | CPU of a core | needed | of VirtualDomain's | slowest |",
        "|---|---|---|---|---|---|",
    ]

    def spent(one: Sum) -> float:
        return one.spent - one.calls * base.each(base.spent)

    def needed(side: Side) -> float:
        each_time = count + 1 if side is sides.OURS else count
        return spent(sums[side]) / sums[side].calls * each_time / sides.INTERVAL

    for side, one in sums.items():
        if side is not NOTHING:
            name = f"{side.name} and one of ocf:backstay:libvirtd" if side is sides.OURS else side.name
            lines.append(
                f"| {name} | {one.calls / one.seconds:.1f} | {spent(one) / one.seconds * 100:.1f} % "
                f"| {needed(side) * 100:.1f} % | 1/{needed(sides.THEIRS) / needed(side):.1f} | {one.slowest:.1f} s |"
            )
    return lines
