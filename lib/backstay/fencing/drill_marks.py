# SPDX-License-Identifier: GPL-2.0-or-later
"""What a drill writes down in the cluster: that one is under way, and what came of the last one of each host.

Decides the words. Both are permanent attributes of the drilled host in the CIB: every host has them on its disk, they
survive a restart of the whole cluster, and `crm_mon -A` shows them to an admin in words. That the host is set aside
is a transient attribute: it dies with the host's membership, so no host can come back from its fencing in standby.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

OPEN, RECORD = "backstay-drill", "backstay-drilled"
"""The names of the two attributes."""

DRAINING, FENCING, ENDED = "draining", "fencing", "ended"
_STAMP = r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)"
_OPEN = re.compile(rf"{_STAMP} from (\S+), (\S+)")
_RECORD = re.compile(rf"{_STAMP} from (\S+) by (\S+): off ([\d.]+|\?) s, back ([\d.]+|\?) s")


@dataclass(frozen=True, slots=True)
class Open:
    """A drill that was begun and not ended: `since` is in seconds since the epoch, by the clock of the host `here`."""

    target: str
    since: float
    here: str
    phase: str = DRAINING

    def text(self) -> str:
        """The value of the attribute."""
        return f"{_written(self.since)} from {self.here}, {self.phase}"

    def __str__(self) -> str:
        return f"begun {_written(self.since)} from {self.here}, {self.phase}"


@dataclass(frozen=True, slots=True)
class Record:
    """The last drill of a host that really fenced it: when (seconds since the epoch), from where, with which devices.

    `off` is how long the cluster took to be sure that it is off, `back` until it was a member again, both in seconds
    from the order on; None when nobody measured it.
    """

    target: str
    at: float
    here: str
    device: str
    off: float | None = None
    back: float | None = None

    def text(self) -> str:
        """The value of the attribute."""
        device = re.sub(r"\s", "_", self.device) or "?"
        return f"{_written(self.at)} from {self.here} by {device}: off {_took(self.off)} s, back {_took(self.back)} s"


def opened(values: Mapping[str, str]) -> tuple[Open, ...]:
    """The drills that are open, from the values of OPEN by host; one that cannot be read counts, as one of 1970."""
    found = []
    for target, text in sorted(values.items()):
        match = _OPEN.fullmatch(text)
        found.append(Open(target, _read(match[1]), match[2], match[3]) if match else Open(target, 0.0, "?"))
    return tuple(found)


def records(values: Mapping[str, str]) -> tuple[Record, ...]:
    """The records, from the values of RECORD by host; one that cannot be read is none."""
    matches = ((target, _RECORD.fullmatch(text)) for target, text in sorted(values.items()))
    return tuple(
        Record(target, _read(m[1]), m[2], m[3], _seconds(m[4]), _seconds(m[5])) for target, m in matches if m
    )


class Left(Enum):
    """What an open drill is to somebody who finds it."""

    RUNNING = "it is running on this host"
    ABANDONED = "nobody carries it out any more"
    ELSEWHERE = "another host may be carrying it out"


def left(drill: Open, here: str, online: Iterable[str], locked: bool) -> Left:
    """Whether somebody still carries it out. `locked`: a drill runs on this host, `here`, now."""
    if drill.here == here:
        return Left.RUNNING if locked else Left.ABANDONED
    return Left.ELSEWHERE if drill.here in online else Left.ABANDONED


def _written(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _read(stamp: str) -> float:
    try:
        return datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0


def _took(seconds: float | None) -> str:
    return "?" if seconds is None else f"{seconds:.1f}"


def _seconds(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
