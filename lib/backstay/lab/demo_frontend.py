# SPDX-License-Identifier: GPL-2.0-or-later
"""The first story, live: a manager starts twice what a crashed libvirtd hides, and with Backstay it does not.

Three acts on real hosts with real machines: libvirtd crashes beside a manager that nobody keeps in order; the same
manager and the same crash with Backstay; then a host really loses its power. The audit judges each. Decides the order
of things and what counts as a good end; the manager itself is the stand-in (`manager`), for OpenNebula's server is not
in Debian.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from backstay.errors import BackstayError
from backstay.host.clock import Deadline, pause, until
from backstay.host.interrupt import interruptible, undisturbed
from backstay.lab import lab, power
from backstay.lab.faults import catalogue, libvirtd
from backstay.lab.installation import Payload
from backstay.lab.layout import Layout
from backstay.lab.manager import HOSTS, Manager
from backstay.lab.node import Node
from backstay.lab.progress import Progress
from backstay.lab.stage import both, libvirtd_answers, libvirtd_is, wait

CALM_SECONDS = 12.0
VICTIM = HOSTS[-1]
CRASH = "crash-libvirtd"
MISSED = 120.0  # seconds that the hasty manager has to start again what it misses; it needs some 20
HEALED = 120.0  # seconds that the agent has to heal libvirtd; it needs some 10
WATCHED = 60.0
"""Seconds that the manager is watched after the crash: three times what it needs to lose patience."""

EXPLAINED = """started: machines that the manager started; after: from the fault until
machines ran twice, until libvirtd was healed, until all ran again."""


@dataclass(frozen=True, slots=True)
class Act:
    """What happened: machines that the manager started, those that ran twice, and when it was well (seconds)."""

    title: str
    started: int
    twice: int
    after: float
    said: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """The acts, and the whole of it as text."""

    acts: tuple[Act, ...]

    @property
    def held(self) -> bool:
        """Whether each act ended as it should: the first one in ruins, the others well."""
        return not any(act.problem for act in self.acts)

    @property
    def text(self) -> str:
        """A row for each act, then what is to be said about each."""
        heads = ("", "started", "ran twice", "after")
        cells = [(act.title, f"{act.started}", f"{act.twice}", f"{act.after:.0f} s") for act in self.acts]
        widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
        rows = [_row(each, widths) for each in (heads, *cells)]
        said = [f"- {act.title}: {act.problem or act.said}" for act in self.acts]
        end = "All of it held." if self.held else "Not all of it held."
        return "\n".join([*rows, "", EXPLAINED, "", *said, "", end])


def _row(cells: tuple[str, ...], widths: list[int]) -> str:
    first, *others = cells
    numbers = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
    return "  ".join([first.ljust(widths[0]), *numbers]).rstrip()


def play(layout: Layout, payload: Payload, progress: Progress, *, keep: bool = False) -> Result:
    """Perform the acts; no lab is left, unless it was wished to be kept. Raises what prevents an act from beginning."""
    with interruptible():
        lab.up(layout, len(HOSTS), payload, progress)
        kept = False
        try:
            manager = Manager(layout)
            acts = tuple(_told(each, manager, progress) for each in (before, crashed, lost))
            kept = keep
            return Result(acts)
        finally:
            if not kept:
                with undisturbed():
                    progress.step("removing the lab")
                    lab.down(layout, progress)


def _told(act: Callable[[Manager, Progress], Act], manager: Manager, progress: Progress) -> Act:
    done = act(manager, progress)
    progress.step(f"{done.title}: {done.problem or done.said}")
    return done


def before(manager: Manager, progress: Progress) -> Act:
    """The story as it was: the act is good when machines run twice, for else the others prove nothing."""
    progress.step("a manager that nobody keeps in order, with four machines on two hosts")
    manager.install()
    manager.be_hasty()
    Node(manager.layout, HOSTS[0]).check("systemctl start opennebula")
    manager.speak()
    calm, told = _calm(), len(manager.starts())
    progress.step(f"libvirtd crashes on {VICTIM}")
    began = _crash(manager)
    problem = ""
    try:
        until(lambda: manager.judge(calm) or None, Deadline(MISSED), 2.0, "machines to run twice")
    except BackstayError as error:
        problem = f"the story was not seen: {error}"
    after = time.monotonic() - began
    catalogue.heal(manager.layout, CRASH, VICTIM)
    found = manager.judge(calm)
    said = f"the manager believed them gone; {found[0]}" if found else "nothing"
    return Act("without Backstay", len(manager.starts()) - told, len(found), after, said, problem)


def crashed(manager: Manager, progress: Progress) -> Act:
    """The same manager, the same machines, the same crash, with Backstay."""
    progress.step("the same manager as a role of the cluster, with Backstay")
    manager.install()
    manager.be_hasty()
    manager.guard()
    manager.role()
    manager.speak()
    calm, told = _calm(), len(manager.starts())
    progress.step(f"libvirtd crashes on {VICTIM}")
    began = _crash(manager)
    answers = both(libvirtd_answers([VICTIM]), libvirtd_is([VICTIM], "healthy"))
    problem = wait(manager.stage, answers, HEALED, "libvirtd to be healed", progress.still)
    after = time.monotonic() - began
    pause(WATCHED - after)
    catalogue.heal(manager.layout, CRASH, VICTIM)
    found, started = manager.judge(calm), len(manager.starts()) - told
    problem = problem or (f"the manager started {started} again" if started else "") or "; ".join(found)
    return Act(
        "with Backstay",
        started,
        len(found),
        after,
        "libvirtd was healed before anybody missed a machine",
        problem,
    )


def lost(manager: Manager, progress: Progress) -> Act:
    """A host is really lost: its machines come back after its fencing, and not before."""
    manager.drop_its_hook()
    for host in HOSTS:
        manager.until_recorded(host, "seen")
    here, calm, told = manager.role(), _calm(), len(manager.starts())
    dead = next(host for host in reversed(HOSTS) if host != here)
    there = [name for name, host in manager.stage.places().items() if host == dead]
    progress.step(f"{dead} loses its power, and {len(there)} machines with it")
    began, clock = time.monotonic(), time.time()
    power.cut(manager.layout, dead)
    manager.speak(besides=dead)
    after = time.monotonic() - began
    when = manager.until_recorded(dead, "done", since=clock).fencing.when
    started, found = manager.starts()[told:], manager.judge(calm)
    early = [each for each in started if float(str(each["at"])) + 1 < when]  # the fencer notes whole seconds
    problem = f"{len(early)} were started before the fencing" if early else "; ".join(found)
    if len(started) != len(there):
        problem = problem or f"{len(there)} ran there, {len(started)} were started"
    said = f"fenced {when - clock:.0f} s after the power cut, and started elsewhere only then"
    return Act("a host is lost", len(started), len(found), after, said, problem)


def _calm() -> tuple[float, float]:
    """Time without faults, to learn how often the machines speak."""
    begin = time.monotonic()
    pause(CALM_SECONDS)
    return begin, time.monotonic()


def _crash(manager: Manager) -> float:
    """Crash libvirtd so that nothing but an agent brings it back; other hosts' calls do not wake it either."""
    Node(manager.layout, VICTIM).check(f"systemctl start libvirtd.service; systemctl stop {libvirtd.REMOTE}")
    began = time.monotonic()
    catalogue.inject(manager.layout, CRASH, VICTIM)
    return began
