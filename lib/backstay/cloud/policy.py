# SPDX-License-Identifier: GPL-2.0-or-later
"""What is chosen for a cluster like the described one; an admin's `policy:` overrules each of it.

Decides quorum behaviour, delays, stickiness and what follows failures. The reasons stand in the templates, beside what
they are for (`backstay render --explain`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from fractions import Fraction

from backstay.cloud.model import Cloud, Policy
from backstay.cloud.units import Seconds

PRIORITY_DELAY = Seconds(Fraction(15))
TIE_DELAY = Seconds(Fraction(5))
FENCING_TIMEOUT = Seconds(Fraction(60))
FAILURE_TIMEOUT = Seconds(Fraction(600))
NO_QUORUM = "freeze"
STICKINESS = 1000
MIGRATION_THRESHOLD = 3
MIGRATION_LIMIT = 2
NO_PLACEMENT = "default"
LARGEST = 999  # GiB; what is larger counts as that


@dataclass(frozen=True, slots=True)
class Chosen:
    """What holds for one cloud; a delay or limit of None is not set. `overruled` are the keys that the admin set."""

    no_quorum: str
    fencing_timeout: Seconds
    priority_fencing_delay: Seconds | None
    tie_delay: Seconds | None
    stickiness: int
    migration_threshold: int
    failure_timeout: Seconds
    migration_limit: int
    placement: str
    shutdown_lock: bool
    shutdown_lock_limit: Seconds | None
    wait_for_all: bool
    overruled: tuple[str, ...]
    first: str = ""
    """The first full member: who is fenced later when there is nothing else to tell hosts apart."""

    @property
    def sized(self) -> bool:
        """Whether a host's capacity decides where a domain may start."""
        return self.placement != NO_PLACEMENT


def choose(cloud: Cloud) -> Chosen:
    """What holds for `cloud`."""
    given = cloud.policy
    wait = cloud.quorum.wait_for_all
    return Chosen(
        no_quorum=given.no_quorum or NO_QUORUM,
        fencing_timeout=given.fencing_timeout or FENCING_TIMEOUT,
        priority_fencing_delay=_delay(given.priority_fencing_delay, PRIORITY_DELAY, cloud),
        tie_delay=_delay(given.tie_delay, TIE_DELAY, cloud),
        stickiness=STICKINESS if given.stickiness is None else given.stickiness,
        migration_threshold=given.migration_threshold or MIGRATION_THRESHOLD,
        failure_timeout=given.failure_timeout or FAILURE_TIMEOUT,
        migration_limit=given.migration_limit or MIGRATION_LIMIT,
        placement=given.placement or _placement(cloud),
        shutdown_lock=bool(given.shutdown_lock),
        shutdown_lock_limit=given.shutdown_lock_limit,
        wait_for_all=cloud.pair if wait is None else wait,
        first=cloud.members[0].name if cloud.members else "",
        overruled=tuple(field.name for field in fields(Policy) if getattr(given, field.name) is not None),
    )


def _delay(given: Seconds | None, ours: Seconds, cloud: Cloud) -> Seconds | None:
    """What was given, where 0 is none, which is Pacemaker's default for both (its own metadata); else ours for two."""
    if given is not None:
        return given or None
    return ours if cloud.pair else None


def _placement(cloud: Cloud) -> str:
    return "balanced" if all(host.capacity for host in cloud.hosts) else NO_PLACEMENT


def priority(importance: int, memory: int, *, sized: bool) -> int:
    """A domain's priority: the admin's importance, and within one importance the larger domain first.

    Placement is greedy: a large domain that is placed last may find no host though there was room for all
    (Pacemaker Explained, "Utilization and Placement Strategy"). `memory` in bytes counts in whole GiB, so that one
    domain's priority never depends on the others.
    """
    return importance * (LARGEST + 1) + min(LARGEST, -(-memory // 2**30)) if sized else importance
