# SPDX-License-Identifier: GPL-2.0-or-later
"""The audit of a lab that somebody broke by hand: from the ledger of faults instead of a list of stories.

Decides what a fault by hand justifies: what the story of that fault does; a fault without a story justifies
nothing. The time of a fault lasts until the next one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backstay.cloud.parse import parse
from backstay.errors import CannotAsk
from backstay.lab import chronicle, evidence, furnish, summary, timeline
from backstay.lab.audit import NOTHING, Expected, Period, Verdict, audit
from backstay.lab.faults import ledger
from backstay.lab.layout import Layout
from backstay.lab.records import Testimony
from backstay.lab.stage import FRESH
from backstay.lab.stories import FURTHER, STORIES, Scene

CALM_SECONDS = 10.0
"""Less than the demo's, so that one that was kept can be judged again."""

TOGETHER = 5.0
"""Seconds within which the same fault on several hosts is one fault everywhere."""


@dataclass(frozen=True, slots=True)
class Review:
    """What the audit says, and the whole of it as text."""

    verdict: Verdict
    text: str

    @property
    def held(self) -> bool:
        """Whether the audit is clean."""
        return self.verdict.clean


def review(layout: Layout) -> Review:
    """Judge the lab from the moment at which every guest ran; CannotAsk when it never did."""
    guests = furnish.stage_of(layout, parse(furnish.example().encode(), furnish.EXAMPLE)).guests
    begin, now = furnish.since(layout), time.monotonic()
    found = evidence.collect(layout, guests, begin, now)
    injected = [
        entry for entry in ledger.read(layout) if entry.event == ledger.INJECTED and entry.at >= begin
    ]
    first = injected[0].at if injected else now
    if first - begin < CALM_SECONDS:
        raise CannotAsk(
            f"there were only {first - begin:.0f} s without a fault, too few to know how often guests speak",
            hint=f"wait {CALM_SECONDS:.0f} s before the first fault",
        )
    periods = derive(injected, found.testimony, guests, now)
    verdict = audit(found, periods, (first - CALM_SECONDS, first))
    told = timeline.render(chronicle.collect(layout, found, verdict.silences), found.testimony.offset)
    return Review(verdict, f"{told}\n\n{summary.closing((), verdict)}")


def derive(
    injected: Sequence[ledger.Entry], testimony: Testimony, guests: Mapping[str, str], end: float
) -> tuple[Period, ...]:
    """The times of the faults, each until the next one or `end`, with what they justify."""
    together = _groups(injected)
    bounds = [group[0].at for group in together] + [end]
    return tuple(
        Period(group[0].fault, begin, after, _justified(group, testimony, guests))
        for group, begin, after in zip(together, bounds[:-1], bounds[1:], strict=True)
    )


def _groups(injected: Sequence[ledger.Entry]) -> list[list[ledger.Entry]]:
    found: list[list[ledger.Entry]] = []
    for entry in injected:
        if found and found[-1][0].fault == entry.fault and entry.at - found[-1][0].at < TOGETHER:
            found[-1].append(entry)
        else:
            found.append([entry])
    return found


def _justified(group: Sequence[ledger.Entry], testimony: Testimony, guests: Mapping[str, str]) -> Expected:
    hosts = tuple(entry.host for entry in group)
    everywhere = len(hosts) > 1
    known = (*STORIES, *FURTHER)
    story = next((s for s in known if s.fault == group[0].fault and s.everywhere == everywhere), None)
    if story is None:
        return NOTHING
    begin = group[0].at
    heard = (
        each for each in testimony.heard if begin - FRESH <= each.at < begin and each.record.uuid in guests
    )
    places = {guests[each.record.uuid]: each.host for each in heard}
    return story.expected(Scene(hosts, tuple(sorted(name for name, host in places.items() if host in hosts))))
