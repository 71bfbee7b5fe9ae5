# SPDX-License-Identifier: GPL-2.0-or-later
"""What a value of a configuration means to Pacemaker: `yes` is `true`, `1min` is `60`, `+INFINITY` is `1000000`.

Decides when two texts say the same, and what holds when nothing is written. Sources: Pacemaker Explained 2.1
("Resource Meta-Attributes", "Clone Options", "Resource Constraints"); crm_str_to_boolean(), crm_get_msec() and
char2score() of Pacemaker 2.1.5. What the options of the cluster and the parameters of an agent are is asked of their
own metadata, through a port. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

META = {
    "target-role": "Started",
    "is-managed": "true",
    "maintenance": "false",
    "priority": "0",
    "critical": "true",
    "resource-stickiness": "0",
    "migration-threshold": "INFINITY",
    "failure-timeout": "0",
    "multiple-active": "stop_start",
    "allow-unhealthy-nodes": "false",
    "allow-migrate": "false",
    "interleave": "false",
    "ordered": "false",
    "notify": "false",
    "globally-unique": "false",
    "clone-node-max": "1",
    "clone-min": "0",
    "promotable": "false",
    "promoted-max": "1",
    "promoted-node-max": "1",
}
"""Meta attributes of a resource; `rsc_defaults` come before them, and a clone is a little sticky by itself."""
OPERATION = {"enabled": "true", "start-delay": "0", "record-pending": "true", "timeout": "20s"}
"""Of an operation; `op_defaults` come before them."""
CONSTRAINT = {
    "kind": "Mandatory",
    "symmetrical": "true",
    "first-action": "start",
    "resource-discovery": "always",
    "role": "Started",
    "rsc-role": "Started",
    "with-rsc-role": "Started",
    "node-attribute": "#uname",
}
TRUE, FALSE = frozenset({"true", "yes", "on", "y", "1"}), frozenset({"false", "no", "off", "n", "0"})
INFINITY = 1_000_000
INFINITIES = {"INFINITY": INFINITY, "+INFINITY": INFINITY, "-INFINITY": -INFINITY}
TIMED = ("timeout", "start-delay")
PERIODS = ("interval", "failure-timeout")
SCORED = ("score", "priority", "resource-stickiness", "migration-threshold")
BOOLEAN, TIME, INTEGER, SCORE, PERIOD, LOOSE = "boolean", "time", "integer", "score", "period", ""
"""Kinds of values, by the words of Pacemaker's metadata; a loose one is a text, or whatever it looks like.

A period is a time that ISO 8601 may have written as well."""
# A fraction is skipped, and of the unit only its beginning counts: `1.5 seconds` is a second.
_TIME = re.compile(r"\s*([0-9]{1,9})(?:\.[0-9.]*)?\s*(?:(ms|us|s|m|h).*)?", re.IGNORECASE | re.DOTALL)
_ISO = re.compile(r"PT(?=[0-9])(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9})S)?\s*")
_NUMBER = re.compile(r"[+-]?[0-9]{1,12}")
_MICROSECONDS = {"us": 1, "ms": 1000, "s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6}


@dataclass(frozen=True, slots=True)
class Option:
    """What metadata says of an option: its kind, and what holds when it is not written (empty: nothing)."""

    kind: str
    default: str


class Options(Protocol):
    """The metadata of the cluster and its agents; None for what nobody knows."""

    def of_cluster(self, name: str) -> Option | None:
        """A cluster property."""

    def of_agent(self, agent: str, name: str) -> Option | None:
        """A parameter of an agent (`ocf:backstay:domain`)."""


@dataclass(frozen=True, slots=True)
class Known:
    """Metadata that was read before: the properties, and the parameters by agent."""

    properties: Mapping[str, Option]
    parameters: Mapping[str, Mapping[str, Option]]

    def of_cluster(self, name: str) -> Option | None:
        """A cluster property."""
        return self.properties.get(name)

    def of_agent(self, agent: str, name: str) -> Option | None:
        """A parameter of an agent."""
        return self.parameters.get(agent, {}).get(name)


NOTHING = Known({}, {})


def same(kind: str, one: str, other: str) -> bool:
    """Whether two texts of a kind of value mean the same."""
    return one == other or _meaning(kind, one) == _meaning(kind, other)


def kind_of(fact: str) -> str:
    """The kind of value of an attribute, a meta attribute or an operation's word, by its name."""
    name = fact.rpartition(" ")[2]
    if name in TIMED:
        return TIME
    if name in PERIODS:
        return PERIOD
    return SCORE if name in SCORED else LOOSE


def milliseconds(text: str) -> int | None:
    """A time as Pacemaker reads it; None for what is none."""
    match = _TIME.fullmatch(text)
    return int(match[1]) * _MICROSECONDS[(match[2] or "s").lower()] // 1000 if match else None


def period(text: str) -> int | None:
    """An interval in milliseconds, as Pacemaker reads it (crm_parse_interval_spec()): a time, or `PT1M30S`."""
    match = _ISO.fullmatch(text)
    if match is None:
        return milliseconds(text)
    hours, minutes, seconds = (int(number or 0) for number in match.groups())
    return ((hours * 60 + minutes) * 60 + seconds) * 1000


def _meaning(kind: str, text: str) -> object:
    """Something that is equal for equal meanings; the text itself where it has no other."""
    read = _READERS.get(kind)
    found = read(text) if read else None
    return text if found is None else found


def _truth(text: str) -> bool | None:
    word = text.lower()
    return word in TRUE if word in TRUE | FALSE else None


def _number(text: str) -> int | None:
    if text in INFINITIES:
        return INFINITIES[text]
    return int(text) if _NUMBER.fullmatch(text) else None


def _score(text: str) -> int | None:
    number = _number(text)
    return None if number is None else max(-INFINITY, min(INFINITY, number))


_READERS: Mapping[str, Callable[[str], object]] = {
    BOOLEAN: _truth,
    TIME: milliseconds,
    PERIOD: period,
    INTEGER: _number,
    SCORE: _score,
    LOOSE: _truth,
}
