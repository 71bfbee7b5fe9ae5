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
from backstay.lab.stage import Look, both, everybody_speaks, libvirtd_answers, libvirtd_is, nobody_speaks_from


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


def choose(names: Sequence[str]) -> tuple[Story, ...]:
    """The stories of these names in the order of the demo, all without a name; BadInput names the others."""
    unknown = sorted(set(names) - {story.name for story in STORIES})
    if unknown:
        known = ", ".join(story.name for story in STORIES)
        raise BadInput(f"there is no story {unknown[0]!r}", hint=f"there are {known}")
    return tuple(story for story in STORIES if not names or story.name in names)
