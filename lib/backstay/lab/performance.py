# SPDX-License-Identifier: GPL-2.0-or-later
"""Carries a story out on a running lab: breaks, waits for its good end, mends, puts the cluster in order.

Decides when a story is over. A good end that does not come is written down, not raised: the demo goes on to mend
what it broke, and the verdict is spoken at the end.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from backstay.errors import CannotAsk
from backstay.host.clock import pause
from backstay.lab import failures
from backstay.lab.faults import catalogue
from backstay.lab.stage import Stage, Tell, all_well, wait, whole
from backstay.lab.stories import Scene, Story

SETTLE_SECONDS = 300.0
"""A fenced host is back after about 45 s (12 s of firmware, boot, membership); five times that, and some more."""

CLEANUPS = 5
"""How often failures are forgotten: what fails once more while the cluster settles is forgotten once more."""


@dataclass(frozen=True, slots=True)
class Act:
    """A story that was carried out; times in seconds on the monotonic clock. `problem` is empty when it ended well."""

    story: Story
    scene: Scene
    begin: float
    seen: float
    healed: float
    end: float
    problem: str


def perform(stage: Stage, story: Story, tell: Tell, where: str = "") -> Act:
    """Carry one story out; returns when the cluster is in order again, or says in `problem` why it is not.

    It plays on the host `where`, or on the one with most guests.
    """
    hosts = stage.hosts() if story.everywhere else (where or stage.busiest(),)
    scene = Scene(hosts, tuple(guest for host in hosts for guest in stage.guests_on(host)))
    tell(f"{story.title}: {', '.join(hosts)} with {', '.join(scene.guests)}")
    begin = time.monotonic()
    for host in hosts:
        catalogue.inject(stage.layout, story.fault, host)
    problem = wait(stage, story.seen(scene), story.limit, f"«{story.title}» to end well", tell)
    seen = time.monotonic()
    pause(story.hold)
    mended = "; ".join(filter(None, (mend(stage, story.fault, host, tell) for host in hosts)))
    healed = time.monotonic()
    settled = settle(stage, tell)  # also after a bad end: the next story begins with a whole cloud
    return Act(story, scene, begin, seen, healed, time.monotonic(), problem or mended or settled)


def mend(stage: Stage, fault: str, host: str, tell: Tell) -> str:
    """Heal a fault, also on a host that was fenced and is not back yet; empty, or why it could not be healed."""

    def look(_stage: Stage) -> str:
        catalogue.heal(stage.layout, fault, host)
        return ""

    return wait(stage, look, SETTLE_SECONDS, f"{host} to be there to be mended", tell)


def settle(stage: Stage, tell: Tell) -> str:
    """Clean up what the cluster remembers of the fault and wait until all is well; empty, or what is not."""
    problem = wait(stage, whole, SETTLE_SECONDS, "every host and guest to be back", tell)
    for _ in range(CLEANUPS):
        try:
            failures.forget(stage.layout)
        except CannotAsk as error:
            return problem or str(error)
        problem = wait(stage, all_well, SETTLE_SECONDS / CLEANUPS, "the cluster to be in order", tell)
        if not problem:
            break
    return problem
