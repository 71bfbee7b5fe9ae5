# SPDX-License-Identifier: GPL-2.0-or-later
"""A plan is carried out: a checkpoint, one transaction, a wait, and a comparison with what was foreseen.

Decides the order. What the plan removes is stopped by that transaction, and taken out by a second one when it is down.
Pure: the cluster, the checkpoints and the scheduler are ports.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from lxml import etree

from backstay.cib import document
from backstay.cib.difference import differences
from backstay.cib.parting import primitives, stopping, without
from backstay.errors import Refused
from backstay.host.clock import Deadline
from backstay.plan.consent import removed
from backstay.plan.happened import Look, compare, happened, look, present, under_way
from backstay.plan.outcome import Outcome
from backstay.plan.planned import Plan
from backstay.plan.transition import Transition

LOOK_EVERY = 3.0  # seconds of waiting between two looks


class Cluster(Protocol):
    """The live cluster (host.pacemaker)."""

    def live(self) -> bytes: ...
    def replace(self, old: bytes, new: bytes) -> bool: ...
    def settled(self, seconds: float) -> bool: ...
    def fencings(self) -> frozenset[tuple[str, str]]: ...


class Keeper(Protocol):
    """Who keeps configurations (host.checkpoints)."""

    def take(self, cib: bytes) -> str: ...
    def drop(self, name: str) -> None: ...


class Present(Protocol):
    """Who says where everything runs (host.scheduler)."""

    def present(self, cib: bytes) -> Transition: ...


@dataclass(frozen=True, slots=True)
class Carrier:
    """Who carries a plan out. `say` takes a line for the admin, at most one in `every` seconds while he waits."""

    cluster: Cluster
    checkpoints: Keeper
    scheduler: Present
    say: Callable[[str], None]
    every: float

    def carry_out(self, made: Plan, seconds: float) -> Outcome:
        """Load the plan, wait for the cluster up to `seconds`, and compare.

        Raises Refused, and leaves everything as it was, when the live configuration has moved.
        """
        old = made.before.encode()
        before, there = self._look(old), present(document.parse(old, "the plan"))
        going, through = _through(made)
        name = self.checkpoints.take(old)
        self.say(f"checkpoint {name}; backstay rollback {name} returns to it")
        try:
            loaded = self.cluster.replace(old, through)
        except Refused:
            self.checkpoints.drop(name)  # nothing was loaded, so there is nothing to return from
            raise
        if not loaded:
            return Outcome(name, loaded=False, settled=False, left=going, missing=made.prediction.steps)
        settled, away = self.wait(Deadline(seconds), there)
        now = self._look(self.cluster.live())
        real = happened(before, now, away)
        left = self._take_out(going, now) if settled else going
        return Outcome(name, True, settled, left, real, *compare(made.prediction.steps, real))

    def wait(self, deadline: Deadline, there: frozenset[str]) -> tuple[bool, frozenset[str]]:
        """Whether it has settled in time, and who of those that were `there` was seen absent meanwhile."""
        begin, away = deadline.left(), frozenset[str]()
        spoken = begin
        while not self.cluster.settled(min(LOOK_EVERY, max(1.0, deadline.left()))):
            if deadline.expired:
                return False, away
            now = self._live()
            away |= there - present(now)
            if spoken - deadline.left() >= self.every:
                spoken = deadline.left()
                self.say(f"{begin - deadline.left():5.0f} s  waiting for: {_doing(now, there)}")
        return True, away | (there - present(self._live()))

    def _live(self) -> etree._Element:
        return document.parse(self.cluster.live(), "the live CIB")

    def _look(self, cib: bytes) -> Look:
        root = document.parse(cib, "the CIB")
        return look(root, self.scheduler.present(cib), self.cluster.fencings())

    def _take_out(self, going: tuple[str, ...], now: Look) -> tuple[str, ...]:
        """Remove what is down; what still runs somewhere stays configured, and is given back."""
        if not going:
            return ()
        live = self.cluster.live()
        root = document.parse(live, "the live CIB")
        left = tuple(name for name in going if any(now.running.get(each) for each in primitives(root, name)))
        try:
            self.cluster.replace(live, etree.tostring(without(root, set(going) - set(left))))
        except Refused:  # somebody changed it in this moment: they are stopped, and stay configured
            return going
        return left


def _through(made: Plan) -> tuple[tuple[str, ...], bytes]:
    """The resources that the plan removes, and what is loaded first: what becomes live, with those stopped in it."""
    before, after = (document.parse(text.encode(), "the plan") for text in (made.before, made.after))
    going = removed(differences(before, after))
    whole = stopping(before, after, going)
    return (tuple(going), etree.tostring(whole)) if whole is not None else ((), made.after.encode())


def _doing(now: etree._Element, there: frozenset[str]) -> str:
    """What the cluster has begun. The scheduler is not asked what is left: for 1000 domains it thinks for minutes."""
    gone = [f"{host}, which left the cluster" for host in sorted(there - present(now))]
    begun = [*under_way(now), *gone]
    more = f" (and {len(begun) - 1} more)" if len(begun) > 1 else ""
    return begun[0] + more if begun else "the last operations"
