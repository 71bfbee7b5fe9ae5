# SPDX-License-Identifier: GPL-2.0-or-later
"""The real cluster for `backstay fence drill`: what a drill sees of it and does to it.

Decides nothing: what speaks against a drill is drill.py's, when each part of it is over drill_course.py's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager

import click
from lxml import etree

from backstay.agents.libvirtd_strays import left_at_stop
from backstay.agents.libvirtd_strays import read as read_note
from backstay.cib import document
from backstay.cli.plan import Simulated
from backstay.errors import CannotAsk
from backstay.fencing import configuration
from backstay.fencing.copies import copies
from backstay.fencing.drill_course import Look
from backstay.fencing.drill_marks import OPEN, RECORD, Open, Record, opened, records
from backstay.fencing.drill_situation import Foreseen, Host, Situation, Votes
from backstay.fencing.readiness import CELLS, unpacked
from backstay.host import clock, crm_mon, drills
from backstay.host.attributes import Attributes
from backstay.host.interrupt import undisturbed
from backstay.host.libvirtd import ATTRIBUTE, NOTE
from backstay.host.machine import MEMORY_LEFT
from backstay.host.pacemaker import Pacemaker
from backstay.plan.leaving import leaving

ANSWER = 10.0  # seconds for a tool of the cluster
MOVING = 330.0  # seconds: a migration has 300


def live() -> etree._Element:
    """The live CIB."""
    return document.parse(Pacemaker().live(), "the live CIB")


def here() -> str:
    """The name of this host in the cluster; CannotAsk where none runs."""
    try:
        return Attributes().local(ANSWER)
    except CannotAsk as error:
        hint = "run it as root on a host of the cluster where Pacemaker runs"
        raise CannotAsk(f"the cluster on this host does not answer: {error}", hint=hint) from error


def settle(what: str, seconds: float) -> bool:
    """Wait until the cluster has come to rest, telling the admin; whether it has within these seconds."""
    deadline, pacemaker = clock.Deadline(seconds), Pacemaker()
    while not pacemaker.settled(min(3.0, max(1.0, deadline.left()))):
        if deadline.expired:
            return False
        click.echo(f"{seconds - deadline.left():5.0f} s  waiting for: {what}", err=True)
    return True


def open_drills(cib: etree._Element) -> tuple[Open, ...]:
    """The drills that were begun and not ended."""
    return opened(drills.permanent(cib, OPEN))


def recorded(cib: etree._Element) -> tuple[Record, ...]:
    """The last real fencing of each host by a drill."""
    return records(drills.permanent(cib, RECORD))


def situation(target: str, here: str, cib: etree._Element, *, foresee: bool = True) -> Situation:
    """Everything that a drill of `target` depends on; without `foresee` the scheduler is not asked."""
    now = crm_mon.cluster(ANSWER)
    return Situation(
        target,
        here,
        time.time(),
        tuple(map(_host, now.nodes)),
        _votes(now),
        configuration.read(cib),
        tuple(cell for host, text in _said(CELLS).items() for cell in unpacked(host, text)),
        _foreseen(target, cib) if foresee else Foreseen(),
        _seen(target),
        tuple(sorted({event.target for event in now.events if event.status == "pending"})),
        open_drills(cib),
        copies(cib),
    )


def _host(node: crm_mon.Node) -> Host:
    return Host(node.name, node.online, node.standby, node.maintenance, node.pending, node.unclean)


def _votes(now: crm_mon.Cluster) -> Votes:
    found = crm_mon.votes(ANSWER)
    return Votes(found.total, found.quorum, {node.name: found.of[node.number] for node in now.nodes
                                             if node.number in found.of})  # fmt: skip


def _foreseen(target: str, cib: etree._Element) -> Foreseen:
    left = {host: int(text) for host, text in _said(MEMORY_LEFT).items() if text.isdecimal()}
    found = leaving(cib, target, left, Simulated())
    return Foreseen(
        found.moves,
        found.harm,
        found.stranded,
        found.unsettled,
        found.stays,
        found.crowded,
        found.guests,
        found.unmeasured,
    )


def _said(attribute: str) -> Mapping[str, str]:
    return Attributes().values(attribute, ANSWER)


def _seen(target: str) -> int | None:
    """How many guests the target says that it runs; None when its libvirtd agent does not run, or said nothing yet."""
    text = _said(NOTE).get(target)
    if text is None or target not in _said(ATTRIBUTE) or left_at_stop(text) is not None:
        return None
    return len(read_note(text).runs)


class Cluster:
    """The cluster of this host, for the course of a drill (drill_course.World)."""

    def __init__(self, guests: tuple[str, ...] = (), *, only_these: bool = False) -> None:
        self._guests = guests
        self._only_these = only_these

    def look(self, target: str) -> Look:
        """The cluster now, as far as the drill of `target` cares."""
        now, votes = crm_mon.cluster(ANSWER), crm_mon.votes(ANSWER)
        node = now.node(target)
        full = node is not None and node.online and not node.pending and not node.unclean
        runs = now.runs_on(target)
        others = (host for host in map(_host, now.nodes) if host.name != target)
        return Look(
            node is not None and node.number in votes.of,
            full,
            runs,
            0 if self._only_these or runs else left_at_stop(_said(NOTE).get(target, "")),
            tuple(name for name in self._guests if not now.active.get(name)),
            tuple(f"{host.name} became {host.trouble}" for host in others if host.trouble),
        )

    def open(self) -> tuple[Open, ...]:
        """The drills that are not over."""
        return open_drills(live())

    def mark(self, drill: Open) -> None:
        """Tell the whole cluster that a drill is under way."""
        drills.remember(drill.target, OPEN, drill.text())

    def unmark(self, target: str) -> None:
        """Tell it that it is over."""
        drills.forget(target, OPEN)

    def set_aside(self, target: str) -> None:
        """Standby, until the host leaves the membership."""
        drills.set_aside(target)

    def bring_back(self, target: str) -> None:
        """End that standby."""
        drills.bring_back(target)

    def keep(self, record: Record) -> None:
        """Remember what came of it, on every host."""
        drills.remember(record.target, RECORD, record.text())

    def fence(self, target: str) -> drills.Order:
        """Give the order, the cluster's own way."""
        return drills.Order(target)

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        """Wait."""
        clock.pause(seconds)

    def say(self, text: str) -> None:
        """Tell the admin."""
        click.echo(text, err=True)

    def calm(self) -> None:
        """Wait until the cluster is at nothing any more, or for as long as a migration may take."""
        settle("what is under way to end, before the standby does", MOVING)

    def undisturbed(self) -> AbstractContextManager[None]:
        """Nobody's impatience ends an undoing."""
        return undisturbed()
