# SPDX-License-Identifier: GPL-2.0-or-later
"""What happens when a host is set aside (standby): who moves where, who would be stopped, who stays, who finds no room.

Decides which steps of Pacemaker's scheduler end something, and whether the others have the room that the arrivals are
configured to need. Pure: the scheduler is a port.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass

from lxml import etree

from backstay.plan.prediction import GUESTS, predict
from backstay.plan.transition import MIGRATE, MOVE, RECOVER, STOP, Scheduler, Step, Transition
from backstay.plan.wording import sentence

LEAVES = frozenset({STOP, MOVE, MIGRATE, RECOVER})
MEMORY = ("memory", "hv_memory")
"""Names under which a resource's utilization says how much memory it needs, in MiB."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """What follows when `host` is set aside.

    `moves` are (guest, target) that move alive; `harm` are sentences about what ends; `unsettled` about what the
    cluster would do anyway; `stays` what would go on running there; `crowded` sentences about hosts without the room.
    `guests` are the guests that run there now, `unmeasured` those of them whose memory nobody configured.
    """

    host: str
    moves: tuple[tuple[str, str], ...]
    harm: tuple[str, ...]
    stranded: tuple[str, ...]
    unsettled: tuple[str, ...]
    stays: tuple[str, ...]
    crowded: tuple[str, ...]
    guests: tuple[str, ...]
    unmeasured: tuple[str, ...]


class _Remembering:
    """A scheduler whose last answer is kept."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.running: dict[str, frozenset[str]] = {}

    def transition(self, cib: bytes) -> Transition:
        """Ask the scheduler."""
        found = self._scheduler.transition(cib)
        self.running = found.running
        return found


def leaving(cib: etree._Element, host: str, free: Mapping[str, int], scheduler: Scheduler) -> Leaving:
    """What happens when `host` is set aside; `free` is the memory (MiB) that hosts say they have left.

    Raises CannotAsk when the scheduler gives no answer.
    """
    asked = _Remembering(scheduler)
    foreseen = predict(cib, in_standby(cib, host), asked)
    there = [name for name, hosts in asked.running.items() if host in hosts]
    gone = {step.subject for step in foreseen.steps if step.verb in LEAVES and _from(step, host)}
    clones = _cloned(cib)
    ended = [step for step in foreseen.harm if not (step.verb == STOP and step.subject in clones)]
    moves = tuple((step.subject, step.target) for step in foreseen.steps if step.verb == MIGRATE)
    guests = tuple(sorted(name for name in there if name in foreseen.guests))
    needs = _needs(cib)
    return Leaving(
        host,
        tuple(move for move in moves if move[0] in foreseen.guests),
        tuple(sentence(step) for step in ended),
        tuple(
            name
            for name in foreseen.stranded
            if not (name in clones and asked.running.get(name, frozenset()) - {host})
        ),
        tuple(sentence(step) for step in foreseen.anyway),
        tuple(sorted(name for name in there if name not in gone)),
        tuple(_crowded(cib, asked.running, foreseen.steps, needs, free)),
        guests,
        tuple(name for name in guests if not _memory(needs.get(name, {}))),
    )


def in_standby(cib: etree._Element, host: str) -> etree._Element:
    """A copy of `cib` in which `host` is in standby."""
    copy = deepcopy(cib)
    for node in copy.iterfind("configuration/nodes/node"):
        if node.get("uname") == host:
            holder = node.find("instance_attributes")
            if holder is None:
                holder = etree.SubElement(node, "instance_attributes", id=f"backstay-set-aside-{host}")
            for pair in holder.findall("nvpair[@name='standby']"):
                holder.remove(pair)
            names = {"id": f"backstay-set-aside-{host}-standby", "name": "standby", "value": "on"}
            etree.SubElement(holder, "nvpair", names)
    return copy


def _from(step: Step, host: str) -> bool:
    return step.source == host and not step.blocked


def _cloned(cib: etree._Element) -> frozenset[str]:
    """Resources with an instance on several hosts: that the one of a host ends with it is in the nature of things."""
    primitives = cib.iterfind("configuration/resources//clone//primitive")
    return frozenset(one.get("id", "") for one in primitives)


def _needs(cib: etree._Element) -> dict[str, dict[str, int]]:
    """What each resource is configured to use, by the name of the utilization."""
    primitives = cib.iterfind("configuration/resources//primitive")
    return {one.get("id", ""): _numbers(one) for one in primitives}


def _numbers(element: etree._Element) -> dict[str, int]:
    pairs = [(pair.get("name", ""), pair.get("value", "")) for pair in element.iterfind("utilization/nvpair")]
    return {name: int(value) for name, value in pairs if value.isdecimal()}


def _memory(needs: Mapping[str, int]) -> int:
    return max((needs.get(name, 0) for name in MEMORY), default=0)


def _crowded(
    cib: etree._Element,
    running: Mapping[str, frozenset[str]],
    steps: tuple[Step, ...],
    needs: Mapping[str, Mapping[str, int]],
    free: Mapping[str, int],
) -> Iterator[str]:
    """The hosts that would get more than they were given room for, and those that have not the memory now."""
    arrivals: dict[str, list[str]] = {}
    for step in steps:
        if step.verb in (MIGRATE, MOVE, RECOVER) and step.target and step.target != step.source:
            arrivals.setdefault(step.target, []).append(step.subject)
    for node in cib.iterfind("configuration/nodes/node"):
        host = node.get("uname", "")
        coming = arrivals.get(host, [])
        here = [name for name, hosts in running.items() if host in hosts] + coming
        # Of other things than memory more may be promised than there is; where not, the scheduler itself sees to it.
        for what, room in sorted(_numbers(node).items()):
            used = sum(needs.get(name, {}).get(what, 0) for name in here)
            if coming and what in MEMORY and used > room:
                yield f"{host} has room for guests with {room} MiB of memory, and would have {used} MiB"
        wanted = sum(_memory(needs.get(name, {})) for name in coming)
        if host in free and wanted > free[host]:
            yield f"{host} has {free[host]} MiB of memory left, and would get guests with {wanted} MiB"


def guest_resources(cib: etree._Element) -> frozenset[str]:
    """The resources that are virtual machines."""
    primitives = cib.iterfind("configuration/resources//primitive")
    return frozenset(one.get("id", "") for one in primitives if one.get("type") in GUESTS)
