# SPDX-License-Identifier: GPL-2.0-or-later
"""The audit: did a guest run twice, was anything lost, who fell silent, what did the cluster do needlessly?

Decides all of it from evidence alone: what the witness heard, what is on the disks, what Pacemaker logged. Touches
nothing. Where the evidence has a hole the audit says so instead of finding nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from statistics import median

from backstay.lab.actions import Deed
from backstay.lab.expected import NOTHING, Expected
from backstay.lab.records import Heard, Record, Testimony

__all__ = ["NOTHING", "Evidence", "Expected", "Finding", "Period", "Silence", "Verdict", "audit"]

RAN_TWICE, LOST, SILENT, NEEDLESS, MISSING, BLIND = (
    "ran twice",
    "lost",
    "silent",
    "needless",
    "missing",
    "blind",
)
"""The kinds of findings. BLIND is a hole in the evidence."""

PATIENCE = 2.0
"""A gap counts as silence when it is longer than this many times the longest one of the calm time."""

SHORTEST = 2.5
"""Seconds that the tolerance never goes below: five intervals of the guests. On two cores four guests that boot at
once keep another one from the processor for up to 1.3 s, which the calm time cannot show; a restart takes five."""

LONGEST = 10.0
"""Seconds above which a tolerance hides more than it forgives: the calm time was not calm."""

CLOCK_SET = 1.0
"""Seconds by which the wall clock may run apart from the monotonic one in a run: more than slewing ever does."""

CALM_RECORDS = 10
"""Records of each guest that make a calm time long enough to derive a tolerance from."""


@dataclass(frozen=True, slots=True)
class Period:
    """The time of one fault with its aftermath, in seconds on the monotonic clock, and what it justifies."""

    name: str
    begin: float
    end: float
    expected: Expected = NOTHING

    def holds(self, at: float) -> bool:
        """Whether a moment lies in it."""
        return self.begin <= at < self.end


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the audit looks at.

    `guests` are the domains' names by UUID, `disks` the records on each disk by UUID and sequence, `deeds` what
    Pacemaker logged on any host, in the order of time. `begin` and `end` bound what is judged: from the first
    moment at which every guest ran to the last at which every guest should have. Monotonic seconds.
    """

    guests: Mapping[str, str]
    testimony: Testimony
    disks: Mapping[str, Mapping[int, Record]]
    deeds: Sequence[Deed]
    begin: float
    end: float

    def clock(self, at: float) -> str:
        """A moment as the admin's clock showed it (UTC)."""
        return datetime.fromtimestamp(at + self.testimony.offset, UTC).strftime("%H:%M:%S")

    def of(self, uuid: str) -> list[Heard]:
        """What was heard of one guest between `begin` and `end`, in the order of arrival."""
        heard = (each for each in self.testimony.heard if each.record.uuid == uuid)
        return [each for each in heard if self.begin <= each.at <= self.end]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that must not be. `at` is when, in seconds on the monotonic clock."""

    kind: str
    subject: str
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Silence:
    """A guest was not heard from `begin` to `end`; `lost` are its seconds without service."""

    guest: str
    begin: float
    end: float
    lost: float
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the audit found. `usual` and `tolerance` are the seconds between two records, in calm times and at most."""

    findings: tuple[Finding, ...]
    silences: tuple[Silence, ...]
    usual: float
    tolerance: float

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def lost(self, silences: Iterable[Silence] | None = None) -> float:
        """Guest-seconds lost, in these silences or in all."""
        return sum(silence.lost for silence in (self.silences if silences is None else silences))

    def during(self, period: Period) -> tuple[Silence, ...]:
        """The silences that belong to a period: those that are noticed in it, however long they last.

        They begin with the last record, which may be just before the fault.
        """
        return tuple(s for s in self.silences if period.begin < self._noticed(s) <= period.end)

    def _noticed(self, silence: Silence) -> float:
        return min(silence.end, silence.begin + self.tolerance)


def audit(evidence: Evidence, periods: Sequence[Period], calm: tuple[float, float]) -> Verdict:
    """Judge a run. `calm` is a time without faults, from which the tolerance for gaps is derived."""
    usual, tolerance, findings = _calm(evidence, calm)
    silences: list[Silence] = []
    for uuid, name in evidence.guests.items():
        heard = evidence.of(uuid)
        findings += ran_twice(evidence, name, heard)
        findings += lost(evidence, name, heard, evidence.disks.get(uuid))
        silences += silences_of(evidence, name, heard, usual, tolerance)
    silences.sort(key=lambda silence: silence.begin)
    findings += [f for silence in silences for f in unjustified(evidence, silence, periods)]
    findings += deeds_judged(evidence, periods)
    findings += blind_spots(evidence)
    findings += clock_was_set(evidence)
    ordered = sorted(findings, key=lambda finding: (finding.at, finding.kind, finding.subject))
    return Verdict(tuple(ordered), tuple(silences), usual, tolerance)


def _calm(evidence: Evidence, calm: tuple[float, float]) -> tuple[float, float, list[Finding]]:
    """The usual and the tolerated gap, and a finding for each guest that was not there to be measured."""
    begin, end = calm
    findings: list[Finding] = []
    gaps: list[float] = []
    for uuid, name in evidence.guests.items():
        times = [heard.at for heard in evidence.of(uuid) if begin <= heard.at <= end]
        gaps += [later - earlier for earlier, later in pairwise(times)]
        if len(times) < CALM_RECORDS:
            text = (
                f"{name} said only {len(times)} records in the calm time, so nothing is known about its gaps"
            )
            findings.append(Finding(BLIND, name, begin, text))
    if not gaps:
        return 0.0, SHORTEST, findings
    tolerance = max(SHORTEST, PATIENCE * max(gaps))
    if tolerance > LONGEST:
        text = f"a guest was silent for {max(gaps):.1f} s in calm time, so no silence under {tolerance:.1f} s is seen"
        findings.append(Finding(BLIND, "calm time", begin, text))
    return median(gaps), tolerance, findings


def ran_twice(evidence: Evidence, name: str, heard: Sequence[Heard]) -> list[Finding]:
    """Two boots of one guest that speak alternately, or one boot that says a number again (two copies of one memory).

    A live migration hands one boot over from host to host, its numbers still growing; a restart begins a boot when
    the one before is silent for good.
    """
    findings: list[Finding] = []
    last: dict[str, int] = {heard.record.boot: index for index, heard in enumerate(heard)}
    first: dict[str, int] = {}
    newest: dict[str, Heard] = {}
    for index, each in enumerate(heard):
        boot = each.record.boot
        if boot not in first:
            first[boot] = index
            findings += [
                _two_boots(evidence, name, heard[index:], other, each)
                for other in first
                if other != boot and last[other] > index
            ]
        elif each.record.sequence <= newest[boot].record.sequence:
            findings.append(_two_copies(evidence, name, newest[boot], each))
            break  # once is enough: everything after it repeats as well
        newest[boot] = each
    return findings


def _two_boots(evidence: Evidence, name: str, rest: Sequence[Heard], old: str, new: Heard) -> Finding:
    other = next(heard for heard in rest if heard.record.boot == old)
    text = (
        f"{name} ran twice: boot {new.record.boot[:8]} spoke from {new.host} at {evidence.clock(new.at)}, and boot "
        f"{old[:8]} still spoke from {other.host} at {evidence.clock(other.at)}"
    )
    return Finding(RAN_TWICE, name, new.at, text)


def _two_copies(evidence: Evidence, name: str, before: Heard, again: Heard) -> Finding:
    text = (
        f"{name} ran twice from one memory: record {again.record.sequence} came from {again.host} at "
        f"{evidence.clock(again.at)}, after record {before.record.sequence} had come from {before.host}"
    )
    return Finding(RAN_TWICE, name, again.at, text)


def lost(
    evidence: Evidence, name: str, heard: Sequence[Heard], disk: Mapping[int, Record] | None
) -> list[Finding]:
    """Acknowledged records that are not on the disk, as one finding for the guest."""
    if disk is None:
        return [
            Finding(BLIND, name, evidence.end, f"the disk of {name} could not be read, so nothing is proven")
        ]
    gone = [each for each in heard if not _is_on(disk, each.record)]
    if not gone:
        return []
    first = gone[0]
    what = "an acknowledged record" if len(gone) == 1 else f"{len(gone)} acknowledged records"
    text = (
        f"{name} lost {what}: number {first.record.sequence} of boot {first.record.boot[:8]}, heard from "
        f"{first.host} at {evidence.clock(first.at)}, is not on its disk"
    )
    return [Finding(LOST, name, first.at, text)]


def _is_on(disk: Mapping[int, Record], record: Record) -> bool:
    return disk.get(record.sequence) == record


def silences_of(
    evidence: Evidence, name: str, heard: Sequence[Heard], usual: float, tolerance: float
) -> list[Silence]:
    """The gaps above the tolerance between `begin` and `end`, and those in which the guest booted, however short.

    A guest that never spoke is silent all the time.
    """
    times = [evidence.begin, *(each.at for each in heard), evidence.end]
    hosts = ["", *(each.host for each in heard), ""]
    booted = [
        False,
        *(one.record.boot != other.record.boot for one, other in pairwise(heard)),
        False,
    ]
    return [
        Silence(name, begin, end, end - begin - usual, hosts[index], hosts[index + 1])
        for index, (begin, end) in enumerate(pairwise(times))
        # two copies that speak alternately leave no gap at all: that is another finding
        if end - begin > (2 * usual if booted[index] else tolerance)
    ]


def unjustified(evidence: Evidence, silence: Silence, periods: Sequence[Period]) -> list[Finding]:
    """A silence that no fault gave reason for, or one that did not end."""
    seconds = f"{silence.end - silence.begin:.1f} s"
    if not silence.after:
        text = f"{silence.guest} was not heard again after {evidence.clock(silence.begin)}"
        return [Finding(SILENT, silence.guest, silence.begin, text)]
    overlapping = [p for p in periods if p.begin < silence.end and silence.begin < p.end]
    if any(period.expected.touches(silence.guest) for period in overlapping):
        return []
    during = f" during «{overlapping[0].name}»" if overlapping else ""
    text = f"{silence.guest} was needlessly silent for {seconds} from {evidence.clock(silence.begin)}{during}"
    return [Finding(SILENT, silence.guest, silence.begin, text)]


def deeds_judged(evidence: Evidence, periods: Sequence[Period]) -> list[Finding]:
    """What the cluster did without need, in and between the periods, and what it had to do and did not."""
    deeds = [deed for deed in evidence.deeds if evidence.begin <= deed.at <= evidence.end]
    findings = [
        Finding(
            NEEDLESS, "cluster", deed.at, f"needless {deed} at {evidence.clock(deed.at)}: nothing was broken"
        )
        for deed in deeds
        if not any(period.holds(deed.at) for period in periods)
    ]
    for period in periods:
        inside = [deed for deed in deeds if period.holds(deed.at)]
        findings += [
            Finding(
                NEEDLESS, "cluster", d.at, f"needless {d} at {evidence.clock(d.at)} during «{period.name}»"
            )
            for d in period.expected.needless(inside)
        ]
        findings += [
            Finding(
                MISSING, "cluster", period.end, f"{permit} had to happen during «{period.name}» and did not"
            )
            for permit in period.expected.missing(inside)
        ]
    return findings


def blind_spots(evidence: Evidence) -> list[Finding]:
    """Times in which the witness itself stood still: the order of what it heard then proves nothing."""
    return [
        Finding(
            BLIND,
            "witness",
            s.at,
            f"the witness stood still for {s.seconds:.1f} s until {evidence.clock(s.at)}",
        )
        for s in evidence.testimony.stalls
        if evidence.begin <= s.at <= evidence.end
    ]


def clock_was_set(evidence: Evidence) -> list[Finding]:
    """A wall clock that jumped: what the hosts' logs date before that cannot be put in its place."""
    offset = evidence.testimony.offset
    heard = [each for each in evidence.testimony.heard if evidence.begin <= each.at <= evidence.end]
    apart = [each for each in heard if abs(each.wall - each.at - offset) > CLOCK_SET]
    if not apart:
        return []
    last = apart[-1]
    text = (
        f"the machine's clock was set by {offset - last.wall + last.at:+.1f} s after {evidence.clock(last.at)}, so "
        "the cluster's actions before that have no proven time"
    )
    return [Finding(BLIND, "clock", last.at, text)]
