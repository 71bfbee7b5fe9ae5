# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo: a cloud is built, every story is performed, the audit judges, and the machine is as before.

Decides the order of things and the exit status. What a story is stands in `stories`, what is wrong in `audit`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from backstay.host.clock import pause
from backstay.host.interrupt import interruptible, undisturbed
from backstay.lab import chronicle, evidence, lab, logs, summary
from backstay.lab.audit import Period, Verdict, audit
from backstay.lab.furnish import furnish
from backstay.lab.installation import Payload
from backstay.lab.layout import Layout
from backstay.lab.performance import Act, perform
from backstay.lab.progress import Progress
from backstay.lab.stage import Look, Stage, both, everybody_speaks
from backstay.lab.stories import STORIES, Scene, Story

NODES = 3
CALM_SECONDS = 12.0
"""Without faults, to learn how regularly the guests speak on this machine today."""

WATCHED_SECONDS = 120.0
"""How long a story is watched with agents that do not say when they are done: longer than their slowest timeout."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the caller of the demo wants."""

    payload: Payload
    stories: tuple[Story, ...] = STORIES
    todays_agents: bool = False
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What was performed, what the audit says, and the whole of it as text."""

    acts: tuple[Act, ...]
    verdict: Verdict
    text: str

    @property
    def held(self) -> bool:
        """Whether every story ended well and the audit is clean."""
        return self.verdict.clean and not any(act.problem for act in self.acts)


def play(layout: Layout, wish: Wish, progress: Progress) -> Result:
    """Perform the demo. Whatever happens, no lab is left, unless it was wished to be kept.

    Raises what prevents the cloud from being built; logs of a failed run are collected, and the text says where.
    """
    with interruptible(), _lab(layout, wish, progress):
        stage = furnish(layout, progress, todays_agents=wish.todays_agents)
        progress.step(f"{CALM_SECONDS:.0f} s without faults, to learn how often the guests speak")
        begin = time.monotonic()
        pause(CALM_SECONDS)
        calm = (begin, time.monotonic())
        acts = tuple(_acts(stage, wish, progress))
        result = judge(stage, acts, calm, todays_agents=wish.todays_agents)
        if not result.held and not wish.todays_agents:
            progress.step(f"not everything held; the evidence is in {logs.collect(layout, None)}")
        return result


def judge(
    stage: Stage, acts: Sequence[Act], calm: tuple[float, float], *, todays_agents: bool = False
) -> Result:
    """Audit what was performed and put it into words."""
    periods = tuple(period(act) for act in acts)
    found = evidence.collect(stage.layout, stage.guests, calm[0], time.monotonic())
    verdict = audit(found, periods, calm)
    events = chronicle.collect(stage.layout, found, verdict.silences)
    text = summary.text(acts, periods, verdict, found, events, todays_agents=todays_agents)
    return Result(tuple(acts), verdict, text)


def period(act: Act) -> Period:
    """The time of a story, for the audit."""
    return Period(act.story.title, act.begin, act.end, act.story.expected(act.scene))


def _acts(stage: Stage, wish: Wish, progress: Progress) -> Iterator[Act]:
    for story in wish.stories:
        told = _watched(story) if wish.todays_agents else story
        act = perform(stage, told, _teller(progress))
        progress.step(act.problem or f"{story.title}: over after {act.seen - act.begin:.0f} s")
        yield act


def _teller(progress: Progress) -> Callable[[str], None]:
    """The first sentence of a story begins a step, the others repeat what is waited for."""
    spoken: list[str] = []

    def tell(text: str) -> None:
        (progress.still if spoken else progress.step)(text)
        spoken.append(text)

    return tell


def _watched(story: Story) -> Story:
    """The same story for agents that say nothing of their own: watched for a fixed time, then until all speak."""

    def seen(_scene: Scene) -> Look:
        until = time.monotonic() + WATCHED_SECONDS
        return both(lambda _stage: "" if time.monotonic() >= until else "watching", everybody_speaks)

    return replace(story, seen=seen, hold=0.0)


@contextmanager
def _lab(layout: Layout, wish: Wish, progress: Progress) -> Iterator[None]:
    """A lab that is gone afterwards, or kept with a word on how to look around."""
    lab.up(layout, NODES, wish.payload, progress)
    kept = False
    try:
        yield
        kept = wish.keep
    finally:
        if not kept:
            with undisturbed():
                progress.step("removing the lab")
                lab.down(layout, progress)
