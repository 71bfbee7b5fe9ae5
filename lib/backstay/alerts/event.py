# SPDX-License-Identifier: GPL-2.0-or-later
"""What Pacemaker tells an alert agent: one event, read once from the environment.

Decides nothing about its meaning. Source: Pacemaker Explained 2.1.5, "Alerts"; lib/common/alerts.c for the names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

PREFIX = "CRM_alert_"
KINDS = ("node", "fencing", "resource", "attribute")
# Pacemaker 2.1.5 and older; then newer ones.
_FENCINGS = (
    re.compile(
        r"Operation '?(?P<action>\w+)'? of (?P<target>\S+) by (?P<by>.*?) for (?P<client>\S+): (?P<result>.*)"
    ),
    re.compile(
        r"Operation '?(?P<action>\w+)'? targeting (?P<target>\S+) by (?P<by>.*?) for (?P<client>\S+): (?P<result>.*)"
    ),
)
_REFERENCE = re.compile(r"\s*\(ref=[^)]*\)$")


@dataclass(frozen=True, slots=True)
class Fencing:
    """What an event about a fencing says: `by` is a host, `a human` or nothing, `result` what Pacemaker calls it."""

    action: str
    by: str
    result: str


@dataclass(frozen=True, slots=True)
class Event:
    """One event. What its kind does not have is empty; `rc` and `target_rc` are OCF codes (fencing: 0 is good)."""

    kind: str
    node: str = ""
    desc: str = ""
    resource: str = ""
    task: str = ""
    rc: int = 0
    target_rc: int = 0
    status: int = 0
    interval: int = 0  # milliseconds
    attribute: str = ""
    value: str = ""
    time: str = ""  # ISO 8601, or as Pacemaker wrote it

    @property
    def fencing(self) -> Fencing:
        """The parts of a fencing's description; the whole of it is the result when it is not understood."""
        plain = _REFERENCE.sub("", self.desc)
        for form in _FENCINGS:
            found = form.match(plain)
            if found:
                return Fencing(found["action"], found["by"], found["result"])
        return Fencing("", "", plain)


def read(environ: Mapping[str, str]) -> Event | None:
    """The event that the environment describes; nothing when it describes none."""

    def word(name: str) -> str:
        return " ".join(environ.get(PREFIX + name, "").split())

    kind = word("kind")
    if not kind:
        return None
    return Event(
        kind=kind,
        node=word("node"),
        desc=word("desc"),
        resource=word("rsc"),
        task=word("task"),
        rc=_number(word("rc")),
        target_rc=_number(word("target_rc")),
        status=_number(word("status")),
        interval=_number(word("interval")),
        attribute=word("attribute_name"),
        value=word("attribute_value"),
        time=_time(word("timestamp_epoch")) or word("timestamp"),
    )


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"-?\d{1,9}", text) else 0


def _time(epoch: str) -> str:
    if not re.fullmatch(r"\d{1,11}", epoch):
        return ""
    return datetime.fromtimestamp(int(epoch), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
