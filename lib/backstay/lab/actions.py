# SPDX-License-Identifier: GPL-2.0-or-later
"""What the cluster did by itself: the actions and fencings in Pacemaker's own logs.

Decides which lines of a log are actions: whatever may change a resource. Probes, monitors and notifications look
only, so they are none. The lines are those of Pacemaker 2.1.5 (lib: log_executor_event, handle_fence_notification).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

LOOKING = frozenset({"monitor", "probe", "notify", "meta-data", "validate-all", "cancel"})
"""Operations that change nothing."""

CANCELLED = "Cancelled"
_STAMP = re.compile(r"(\w{3} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)?) (\S+) pacemaker-controld\b")
_RESULT = re.compile(r"Result of (\S+) operation for (\S+) on (\S+): (.*?)(?: \| |$)")
_FENCED = re.compile(
    r"Peer (\S+) was (not )?terminated \((\S+)\) by (.+?) on behalf of (.+?): (.+?) \| event=(\S+)"
)


@dataclass(frozen=True, slots=True)
class Action:
    """One operation that Pacemaker carried out. `at` is when it ended, in seconds on the machine's monotonic clock."""

    at: float
    host: str
    resource: str
    operation: str
    result: str

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.result == "ok"

    def __str__(self) -> str:
        outcome = "" if self.ok else f" failed: {self.result}"
        return f"{self.operation} of {self.resource} on {self.host}{outcome}"


@dataclass(frozen=True, slots=True)
class Fencing:
    """One fencing that ended. `event` is its name in the whole cluster; every host logs it."""

    at: float
    target: str
    by: str
    action: str
    result: str
    event: str

    @property
    def ok(self) -> bool:
        """Whether the host is proven to be dead."""
        return self.result == "OK"

    def __str__(self) -> str:
        outcome = "" if self.ok else f" failed: {self.result}"
        return f"fencing ({self.action}) of {self.target} by {self.by}{outcome}"


Deed = Action | Fencing


def moment(stamp: str, near: float) -> float:
    """Seconds since the epoch of a log's time stamp, which has no year: the one closest to `near` (UTC)."""
    form = "%Y %b %d %H:%M:%S.%f" if "." in stamp else "%Y %b %d %H:%M:%S"
    middle = datetime.fromtimestamp(near, UTC).year
    walls = []
    for year in (middle - 1, middle, middle + 1):
        try:
            walls.append(datetime.strptime(f"{year} {stamp}", form).replace(tzinfo=UTC).timestamp())
        except ValueError:  # the 29th of February
            continue
    return min(walls, key=lambda wall: abs(wall - near))


def parse_log(lines: Iterable[str], *, near: float, offset: float) -> tuple[Deed, ...]:
    """The deeds in one host's Pacemaker log, in its order.

    `near` is any moment of the run in seconds since the epoch; `offset` is what the wall clock is ahead of the
    monotonic one. A line that was cut off by a power cut is passed over.
    """
    deeds: list[Deed] = []
    for line in lines:
        stamp = _STAMP.match(line)
        if stamp is None:
            continue
        result, fenced = _RESULT.search(line), _FENCED.search(line)
        if result is not None and result[1] not in LOOKING and not result[4].startswith(CANCELLED):
            deeds.append(Action(moment(stamp[1], near) - offset, result[3], result[2], result[1], result[4]))
        elif fenced is not None:
            target, _, action, by, _, outcome, event = fenced.groups()
            deeds.append(Fencing(moment(stamp[1], near) - offset, target, by, action, outcome, event))
    return tuple(deeds)


def merge(logs: Iterable[Iterable[Deed]]) -> tuple[Deed, ...]:
    """The deeds of all hosts in the order of time; a fencing that several hosts noted is one deed."""
    found: list[Deed] = []
    events: set[str] = set()
    for deed in sorted((deed for log in logs for deed in log), key=lambda each: each.at):
        if isinstance(deed, Fencing):
            if deed.event in events:
                continue
            events.add(deed.event)
        found.append(deed)
    return tuple(found)
