# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo's last page: a row for each fault, the timeline, what the audit found, and whether all of it held.

Decides how it looks (80 columns). Every figure comes from the audit's evidence.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from backstay.lab import timeline
from backstay.lab.actions import Action, Deed, Fencing
from backstay.lab.audit import Evidence, Period, Verdict
from backstay.lab.performance import Act
from backstay.lab.timeline import Event

WIDTH = 80
HEADS = ("fault", "lost", "silent", "starts", "fenced", "mended by", "after")


def text(
    acts: Sequence[Act],
    periods: Sequence[Period],
    verdict: Verdict,
    found: Evidence,
    events: Sequence[Event],
    *,
    todays_agents: bool,
) -> str:
    """The whole page. `events` are those of the timeline."""
    agents = "VirtualDomain, systemd:libvirtd, fence_ipmilan" if todays_agents else "Backstay"
    parts = [
        f"What happened with {agents} (times in UTC)",
        timeline.render(events, found.testimony.offset),
        table(acts, periods, verdict, found, events),
        _folded(
            f"lost: guest-seconds without service, from gaps above {verdict.tolerance:.1f} s between records "
            f"that usually come every {verdict.usual:.2f} s; silent: guests with such a gap; starts: of guests; "
            "fenced: hosts; after: from the fault until it was mended or the guests ran elsewhere."
        ),
        closing(acts, verdict),
    ]
    return "\n\n".join(part for part in parts if part)


def table(
    acts: Sequence[Act],
    periods: Sequence[Period],
    verdict: Verdict,
    found: Evidence,
    events: Sequence[Event],
) -> str:
    """One row for each story."""
    both = zip(acts, periods, strict=True)
    rows = [HEADS, *(row(act, period, verdict, found, events) for act, period in both)]
    widths = [max(len(each[column]) for each in rows) for column in range(len(HEADS))]
    widths[0] = min(widths[0], WIDTH - sum(widths[1:]) - 2 * (len(HEADS) - 1))
    return "\n".join(_line(each, widths) for each in rows)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = cells
    left = first if len(first) <= widths[0] else first[: widths[0] - 1] + "~"
    return "  ".join([left.ljust(widths[0]), *(c.rjust(w) for c, w in zip(others, widths[1:], strict=True))])


def row(
    act: Act, period: Period, verdict: Verdict, found: Evidence, events: Sequence[Event]
) -> tuple[str, ...]:
    """A story's figures: guest-seconds lost, guests silent, starts, hosts fenced, who mended it, how long it took."""
    deeds = [deed for deed in found.deeds if period.holds(deed.at)]
    silences = verdict.during(period)
    return (
        act.story.title,
        f"{verdict.lost(silences):.1f} s",
        f"{len({silence.guest for silence in silences})}",
        f"{restarts(deeds, found.guests.values())}",
        f"{sum(isinstance(deed, Fencing) and deed.ok for deed in deeds)}",
        timeline.healed_by([event for event in events if period.holds(event.at)]),
        "never" if act.problem else f"{act.seen - act.begin:.0f} s",
    )


def restarts(deeds: Sequence[Deed], guests: Iterable[str]) -> int:
    """How often a guest was started."""
    names = frozenset(guests)
    return sum(
        isinstance(d, Action) and d.operation == "start" and d.resource in names and d.ok for d in deeds
    )


def closing(acts: Sequence[Act], verdict: Verdict) -> str:
    """The audit's findings and the stories that did not end well, or one good sentence."""
    problems = [f"{act.story.title}: {act.problem}" for act in acts if act.problem]
    found = [f"{finding.kind}: {finding.text}" for finding in verdict.findings]
    if not problems and not found:
        return _folded(
            "All of it held: no guest ran twice, nothing acknowledged was lost, and the cluster did nothing that "
            "was not needed."
        )
    return "\n".join(["Not all of it held:", *(_folded(each, "- ") for each in (*problems, *found))])


def _folded(sentence: str, bullet: str = "") -> str:
    return textwrap.fill(sentence, WIDTH, initial_indent=bullet, subsequent_indent=" " * len(bullet))
