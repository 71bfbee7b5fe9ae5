# SPDX-License-Identifier: GPL-2.0-or-later
"""The stories of the demo, as data: what breaks, what must then be seen, and what the cluster may do about it.

The lab tests perform the same stories. Decides what counts as a good end; `performance` carries a story out and
`audit` judges it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from backstay.errors import BadInput
from backstay.lab.audit import NOTHING, Expected
from backstay.lab.faults import libvirtd
from backstay.lab.stage import (
    DEGRADED,
    NOT_RUNNING,
    Look,
    both,
    everybody_speaks,
    libvirtd_answers,
    libvirtd_is,
    monitor_says,
    nobody_speaks_from,
    nothing_runs_on,
)


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a story plays: the broken hosts, and the guests that ran there when it began."""

    hosts: tuple[str, ...]
    guests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Story:
    """One fault and its good end.

    `seen` is waited for while the fault is in force, at most `limit` seconds; then the fault stays for `hold`
    seconds more, is healed by hand, and `mended` is waited for. `expected` is all that the cluster may do.
    """

    name: str
    title: str
    chapter: int
    fault: str
    seen: Callable[[Scene], Look]
    expected: Callable[[Scene], Expected]
    everywhere: bool = False
    hold: float = 0.0
    limit: float = 300.0


def _answers(scene: Scene) -> Look:
    return both(libvirtd_answers(scene.hosts), libvirtd_is(scene.hosts, "healthy"))


def _noticed(scene: Scene) -> Look:
    return libvirtd_is(scene.hosts, "degraded")


def _given_up(scene: Scene) -> Look:
    return libvirtd_is(scene.hosts, "broken")


def _elsewhere(scene: Scene) -> Look:
    return both(*(nobody_speaks_from(host) for host in scene.hosts), everybody_speaks)


def _nothing(_scene: Scene) -> Expected:
    return NOTHING


def _leave(scene: Scene) -> Expected:
    """The guests of the host stop there and start elsewhere; Pacemaker tries libvirtd there once more.

    Pacemaker moves whatever may migrate by trying to migrate it, also from a host whose libvirtd is gone.
    """
    leaving = NOTHING.stopping(scene.guests, scene.hosts).starting(scene.guests)
    for host in scene.hosts:
        leaving = leaving.attempting_migration(scene.guests, host)
    return leaving.restarting("libvirtd", scene.hosts)


def _fenced(scene: Scene) -> Expected:
    """The host is fenced and its guests start elsewhere; libvirtd starts on it when it is back."""
    return NOTHING.fencing(scene.hosts).starting(scene.guests).restarting("libvirtd", scene.hosts)


STORIES = (
    Story("hung", "libvirtd hangs (SIGSTOP)", 2, "hang-libvirtd", _answers, _nothing),
    Story(
        "stalled",
        "libvirtd hangs in D state",
        2,
        "stall-datastore",
        _noticed,
        _nothing,
        hold=5,
    ),
    Story(
        "crashed",
        "libvirtd crashes (SIGSEGV)",
        2,
        "crash-libvirtd",
        _answers,
        _nothing,
    ),
    Story("broken", "libvirtd broken on one host", 3, "break-libvirtd", _elsewhere, _leave),
    Story(
        "broken-everywhere",
        "libvirtd broken on all hosts",
        3,
        "break-libvirtd",
        _given_up,
        _nothing,
        everywhere=True,
        hold=10,
    ),
    Story("power", "a host loses its power", 4, "cut-power", _elsewhere, _fenced),
    Story("cut-off", "a host is cut off, lives on", 4, "cut-network", _elsewhere, _fenced),
)
"""In the order of the demo."""


def _drained(scene: Scene) -> Look:
    return both(_elsewhere(scene), *(nothing_runs_on(host) for host in scene.hosts))


def _moved(scene: Scene) -> Expected:
    """Each guest moves alive; libvirtd's resource stops and starts; the host's fence devices are watched elsewhere."""
    moving = NOTHING.restarting("libvirtd", scene.hosts).watching_elsewhere()
    for host in scene.hosts:
        moving = moving.migrating(scene.guests, host)
    return moving


def _killed(scene: Scene) -> Expected:
    return NOTHING.stopping(scene.guests[:1], scene.hosts).starting(scene.guests[:1])


def _silenced(scene: Scene) -> Expected:
    return NOTHING.silencing(scene.guests[:1])


def _missed(scene: Scene) -> Look:
    """The monitor of the first guest finds it gone. That it is silent cannot be waited for: it may last a second."""
    return both(monitor_says(scene.guests[0], NOT_RUNNING), everybody_speaks)


def _reported(word: str) -> Callable[[Scene], Look]:
    """The monitor of the first guest calls it degraded, for this reason."""
    return lambda scene: monitor_says(scene.guests[0], DEGRADED, word)


FURTHER = (
    Story(
        "crash-loop",
        "libvirtd crashes in a loop",
        2,
        "crash-loop-libvirtd",
        _noticed,
        _nothing,
        hold=libvirtd.CRASHES * libvirtd.CRASH_EVERY + 5,
    ),
    Story("uninstalled", "libvirtd is uninstalled on one host", 3, "uninstall-libvirtd", _elsewhere, _leave),
    Story("reboot", "a host is rebooted in order", 5, "reboot", _elsewhere, _moved),
    Story("drain", "a host is drained", 5, "drain", _drained, _moved),
    Story("killed", "a guest's emulator is killed", 6, "kill-guest", _missed, _killed),
    Story(
        "stopped", "a guest's emulator is stopped", 6, "stop-guest", _reported("signal"), _silenced, hold=12
    ),
    Story(
        "io-error", "a guest's disk takes no writes", 6, "io-error", _reported("ioerror"), _silenced, hold=20
    ),
)
"""Not in the demo: the lab tests perform them, and `backstay lab audit` judges by them what an admin broke by hand."""


def choose(names: Sequence[str]) -> tuple[Story, ...]:
    """The stories of these names in the order of the demo, all without a name; BadInput names the others."""
    unknown = sorted(set(names) - {story.name for story in STORIES})
    if unknown:
        known = ", ".join(story.name for story in STORIES)
        raise BadInput(f"there is no story {unknown[0]!r}", hint=f"there are {known}")
    return tuple(story for story in STORIES if not names or story.name in names)
