# SPDX-License-Identifier: GPL-2.0-or-later
"""What a change of the configuration will do, by Pacemaker's own scheduler.

Decides which steps are due to the change and which would happen without it, who finds no place, and which steps hurt.
Pure: the scheduler is a port.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from lxml import etree

from backstay.cib.document import write
from backstay.plan.promotion import hoped_for, with_scores
from backstay.plan.prune import prune
from backstay.plan.transition import (
    DEMOTE,
    FENCE,
    MIGRATE,
    MOVE,
    PROMOTE,
    RECOVER,
    RESTART,
    START,
    STOP,
    Scheduler,
    Step,
    Transition,
)

HURTS = frozenset({STOP, RESTART, MOVE, RECOVER, DEMOTE, FENCE})
"""What ends a running guest or a role, at least for a moment."""
ARRIVES = frozenset({START, MOVE, MIGRATE, RESTART, RECOVER})
UNDESCRIBED = "it is no longer described"
NO_PLACE = "node availability"
"""The scheduler's reason for a stop when no host may or can run it."""
GUESTS = frozenset({"domain", "VirtualDomain"})
"""Types of agents whose resources are virtual machines."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What follows from a change.

    `steps` are due to it; `anyway` would happen without it; `stranded` are resources that should run after it and find
    no place, but for those that have none without it either; `guests` are the names of the virtual machines of both
    configurations. `hoped` are new disks that were taken for up to date: only their agent knows.
    """

    steps: tuple[Step, ...]
    anyway: tuple[Step, ...]
    stranded: tuple[str, ...]
    guests: frozenset[str]
    harmless: frozenset[str] = frozenset()
    hoped: tuple[str, ...] = ()

    @property
    def harm(self) -> tuple[Step, ...]:
        """The steps that stop something that runs, or fence a host."""
        return tuple(step for step in self.steps if step.verb in HURTS and step.subject not in self.harmless)


def predict(live: etree._Element, new: etree._Element, scheduler: Scheduler) -> Prediction:
    """What happens when `new` is loaded in place of `live`. Raises CannotAsk when the scheduler gives no answer.

    Both CIBs have to be valid: the scheduler ignores one that is not, without a word (seen with Pacemaker 2.1.5).
    """
    hoped = hoped_for(live, new)
    asked = [write(prune(live)), write(prune(with_scores(new, hoped)))]
    with ThreadPoolExecutor() as at_once:  # each takes seconds for 1000 domains
        before, after = at_once.map(scheduler.transition, asked)
    anyway = frozenset(before.steps)
    priorities = _priorities(new)
    due = tuple(step for step in after.steps if step not in anyway)
    homeless = frozenset(_stranded(live, before))
    return Prediction(
        steps=tuple(_explained(step, due, priorities) for step in due),
        anyway=tuple(step for step in after.steps if step in anyway),
        stranded=tuple(name for name in _stranded(new, after) if name not in homeless),
        guests=_of_types(live, GUESTS) | _of_types(new, GUESTS),
        harmless=_harmless(live) | _harmless(new),
        hoped=hoped,
    )


def _explained(step: Step, due: tuple[Step, ...], priorities: Mapping[str, int]) -> Step:
    """The step with a reason where the scheduler gives none that an admin understands.

    Of something that is gone from the configuration it says only that no host may run it; of what has to make room for
    something more important the same, or nothing when it finds another place (seen with Pacemaker 2.1.5).
    """
    if step.verb == STOP and step.subject not in priorities:
        return replace(step, reason=UNDESCRIBED)
    first = [
        one.subject
        for one in due
        if one.verb in ARRIVES
        and one.target
        and priorities.get(one.subject, 0) > priorities.get(step.subject, 0)
    ]
    here = [one.subject for one in due if one.subject in first and one.target == step.source]
    if step.verb == STOP and step.reason == NO_PLACE and first:
        return replace(step, reason=f"no room is left for it: {_some(first)} comes first")
    if step.verb in (MOVE, MIGRATE) and not step.reason and here:
        return replace(step, reason=f"it makes room for {_some(here)}")
    return step


def _some(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} or another of {len(names)}"


def _priorities(cib: etree._Element) -> dict[str, int]:
    """The priority of each resource; one that is part of a clone or group has that of the whole as well."""
    found = {}
    for resource in cib.iterfind("configuration/resources//primitive"):
        given = [
            pair.get("value", "")
            for element in (resource, *resource.iterancestors("clone", "group", "bundle"))
            for pair in element.iterfind("meta_attributes/nvpair[@name='priority']")
        ]
        found[resource.get("id", "")] = max(
            (int(text) for text in given if text.lstrip("-").isdecimal()), default=0
        )
    return found


def _stranded(cib: etree._Element, after: Transition) -> list[str]:
    placed = {
        step.subject for step in after.steps if step.verb in ARRIVES and step.target and not step.blocked
    }
    placed |= {step.subject for step in after.steps if step.verb in (RESTART, RECOVER, PROMOTE)}
    leaving = {(step.subject, step.source) for step in after.steps if step.verb == STOP}
    found = []
    for resource in cib.iterfind("configuration/resources//primitive"):
        name = resource.get("id", "")
        runs = any((name, host) not in leaving for host in after.running.get(name, ()))
        if not (runs or name in placed or _is_switched_off(resource)):
            found.append(name)
    return found


def _is_switched_off(resource: etree._Element) -> bool:
    """Whether an admin wants it stopped, or keeps the cluster's hands off it (itself, or what it is part of)."""
    for element in (resource, *resource.iterancestors("clone", "group", "bundle")):
        for pair in element.iterfind("meta_attributes/nvpair"):
            name, value = pair.get("name"), pair.get("value", "").lower()
            if name == "target-role" and value == "stopped":
                return True
            if (name, value) in (("is-managed", "false"), ("maintenance", "true")):
                return True
    return False


def _of_types(cib: etree._Element, types: frozenset[str]) -> frozenset[str]:
    primitives = cib.iterfind("configuration/resources//primitive")
    return frozenset(one.get("id", "") for one in primitives if one.get("type") in types)


def _harmless(cib: etree._Element) -> frozenset[str]:
    """Fence devices, which only move, and libvirtd, without which guests go on."""
    return frozenset(
        one.get("id", "")
        for one in cib.iterfind("configuration/resources//primitive")
        if one.get("class") == "stonith" or (one.get("provider"), one.get("type")) == ("backstay", "libvirtd")
    )
