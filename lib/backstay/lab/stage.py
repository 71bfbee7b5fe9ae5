# SPDX-License-Identifier: GPL-2.0-or-later
"""What a story can see of a running lab: which guest speaks from which host, what libvirtd and the cluster say.

Every look returns an empty text when it sees what is wanted, else what is missing, so that a wait can say what it
waited for. Decides nothing and breaks nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from backstay.errors import CannotAsk
from backstay.host.clock import Deadline, NotYet, TimedOut, until
from backstay.lab import cluster, witness
from backstay.lab.layout import Layout
from backstay.lab.node import Node

FRESH = 4.0
"""Seconds after which a guest that said nothing does not count as speaking; it says something twice a second."""

ATTRIBUTE = "backstay-libvirtd"
VIRSH = "timeout --signal=KILL 8 virsh --connect qemu:///system list --name"


@dataclass(frozen=True, slots=True)
class Stage:
    """A lab in which something is about to break. `guests` are the domains' names by UUID (lower case)."""

    layout: Layout
    guests: Mapping[str, str]

    def hosts(self) -> tuple[str, ...]:
        """The hosts of the lab's cluster, on or off."""
        return self.layout.members()

    def places(self) -> dict[str, str]:
        """The host that each guest speaks from right now; a silent guest is not in it."""
        since = time.monotonic() - FRESH
        heard = witness.read(self.layout).heard
        recent = {h.record.uuid: h.host for h in heard if h.at >= since and h.record.uuid in self.guests}
        return {self.guests[uuid]: host for uuid, host in recent.items()}

    def guests_on(self, host: str) -> tuple[str, ...]:
        """The guests that speak from `host`, sorted."""
        return tuple(sorted(guest for guest, place in self.places().items() if place == host))

    def busiest(self) -> str:
        """The host with most guests, the last one by name among equals."""
        return max(self.hosts(), key=lambda host: (len(self.guests_on(host)), host))


Look = Callable[[Stage], str]
Tell = Callable[[str], None]
EVERY = 0.5
NOT_RUNNING, DEGRADED = 7, 190
"""A monitor's answers (OCF): it is gone; it runs, and an admin should look."""


def everybody_speaks(stage: Stage) -> str:
    """Want every guest heard from some host."""
    silent = sorted(set(stage.guests.values()) - set(stage.places()))
    return f"silent: {' '.join(silent)}" if silent else ""


def nobody_speaks_from(host: str) -> Look:
    """Want no guest on `host`."""

    def look(stage: Stage) -> str:
        there = stage.guests_on(host)
        return f"still on {host}: {' '.join(there)}" if there else ""

    return look


def libvirtd_answers(hosts: Iterable[str]) -> Look:
    """Want libvirtd to list its domains on each of these hosts."""
    wanted = tuple(hosts)

    def look(stage: Stage) -> str:
        return ", ".join(filter(None, (_libvirtd(stage, host) for host in wanted)))

    return look


def _libvirtd(stage: Stage, host: str) -> str:
    try:
        done = Node(stage.layout, host).run(VIRSH, timeout=20.0)
    except CannotAsk as error:
        return str(error)
    return "" if done.ok else f"libvirtd on {host} does not answer ({done.complaint()})"


def libvirtd_is(hosts: Iterable[str], word: str) -> Look:
    """Want the agent to have said of libvirtd on each of these hosts that it is `word` (healthy, degraded, broken)."""
    wanted = tuple(hosts)

    def look(stage: Stage) -> str:
        said = cluster.ask(stage.layout).attributes
        found = {host: said.get(host, {}).get(ATTRIBUTE, "-") for host in wanted}
        return ", ".join(f"{host}: {value}" for host, value in found.items() if not value.startswith(word))

    return look


def monitor_says(resource: str, code: int, word: str = "") -> Look:
    """Want the resource's monitor to have answered this code, with this word in its reason, since the last cleanup."""

    def look(stage: Stage) -> str:
        failures = cluster.ask(stage.layout).failures
        said = {f.code: f.reason for f in failures if f.action.startswith(f"{resource}_monitor_")}
        return (
            ""
            if code in said and word in said[code]
            else f"the monitor of {resource} says {said or 'nothing'}"
        )

    return look


def nothing_runs_on(host: str) -> Look:
    """Want no resource left on `host`, libvirtd included: it has been drained."""

    def look(stage: Stage) -> str:
        left = [r.name for r in cluster.ask(stage.layout).resources if r.active and host in r.nodes]
        return f"still on {host}: {' '.join(left)}" if left else ""

    return look


def whole(stage: Stage) -> str:
    """Want every host in the cluster and every guest speaking, whatever the cluster still remembers."""
    return cluster.all_online(stage.hosts())(cluster.ask(stage.layout)) or everybody_speaks(stage)


def all_well(stage: Stage) -> str:
    """Want every host in the cluster, every resource running, no failure remembered, and every guest speaking."""
    state = cluster.ask(stage.layout)
    down = [r.name for r in state.resources if r.managed and not r.orphaned and (not r.active or r.failed)]
    failed = [f"{failure.action} on {failure.node}" for failure in state.failures]
    return (
        cluster.all_online(stage.hosts())(state)
        or (f"not running: {' '.join(down)}" if down else "")
        or (f"failed: {', '.join(failed)}" if failed else "")
        or everybody_speaks(stage)
    )


def both(*looks: Look) -> Look:
    """Want all of these, in this order."""

    def look(stage: Stage) -> str:
        return next(filter(None, (each(stage) for each in looks)), "")

    return look


def wait(stage: Stage, wanted: Look, seconds: float, what: str, tell: Tell) -> str:
    """Look until nothing is missing; empty, or one sentence that says what was last seen."""

    def look() -> bool:
        missing = missing_now(stage, wanted)
        if missing:
            tell(f"waiting for {what}: {missing}")
            raise NotYet(missing)
        return True

    try:
        until(look, Deadline(seconds), EVERY, what)
    except TimedOut as problem:
        return str(problem)
    return ""


def missing_now(stage: Stage, wanted: Look) -> str:
    """What is missing now; that nobody can be asked is one way of missing it."""
    try:
        return wanted(stage)
    except CannotAsk as error:
        return str(error)
