# SPDX-License-Identifier: GPL-2.0-or-later
"""What the cluster really did between two looks at its CIB, in the same words as a prediction.

Decides it from where things run and from the records of their last operations: a record with another transition key is
a new operation. No clock is compared, since the hosts' clocks may differ. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from lxml import etree

from backstay.plan.transition import (
    AFRESH,
    DEMOTE,
    FENCE,
    LEFT,
    MIGRATE,
    MOVE,
    PROMOTE,
    RECOVER,
    RELOAD,
    RESTART,
    START,
    STOP,
    Step,
    Transition,
)

ONCE = ("_last_0", "_migrate_to_0", "_migrate_from_0")
"""How the ids of records end that are not of recurring operations: a migration has its own (seen with 2.1.5)."""

PENDING = "-1"
"""The op-status of an operation that has begun (Pacemaker keeps it unless record-pending is off)."""


@dataclass(frozen=True, slots=True)
class Record:
    """The record of the last operation of a resource on a host, as Pacemaker keeps it (empty texts: not there)."""

    operation: str
    key: str
    digest: str = ""
    restart_digest: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """The cluster at one moment: where what runs, and the last operation of each resource on each host."""

    running: dict[str, frozenset[str]]
    last: dict[tuple[str, str], Record]
    fencings: frozenset[tuple[str, str]] = frozenset()
    promoted: dict[str, frozenset[str]] = field(default_factory=dict)


def look(cib: etree._Element, transition: Transition, fencings: frozenset[tuple[str, str]]) -> Look:
    """A moment, from the CIB and the scheduler's answer to it; `fencings` are hosts with the time of their fencing."""
    last = {}
    for resource in cib.iterfind("status/node_state/lrm/lrm_resources/lrm_resource"):
        host = next(resource.iterancestors("node_state")).get("uname", "")
        once = [one for one in resource.iterfind("lrm_rsc_op") if one.get("id", "").endswith(ONCE)]
        if once:
            newest = max(once, key=lambda one: int(one.get("call-id", "0")))
            names = ("operation", "transition-key", "op-digest", "op-restart-digest")
            last[resource.get("id", ""), host] = Record(*(newest.get(name, "") for name in names))
    return Look(transition.running, last, fencings, transition.promoted)


def present(cib: etree._Element) -> frozenset[str]:
    """The hosts that are full members of the cluster at the moment."""
    states = cib.iterfind("status/node_state")
    return frozenset(one.get("uname", "") for one in states if one.get("crmd") == "online")


def under_way(cib: etree._Element) -> tuple[str, ...]:
    """The operations that hosts were told to carry out and have not answered to, such as `start of web1 on n1`."""
    return tuple(
        f"{operation.get('operation')} of {resource.get('id')} on {state.get('uname')}"
        for state in cib.iterfind("status/node_state")
        for resource in state.iterfind("lrm/lrm_resources/lrm_resource")
        for operation in resource.iterfind(f"lrm_rsc_op[@op-status='{PENDING}']")
    )


def happened(before: Look, after: Look, away: frozenset[str] = frozenset()) -> tuple[Step, ...]:
    """What was done between the two, fencings first. `away` are hosts that were members before and were seen absent.

    When the host that is fenced led the cluster, the fencer's history does not have it (seen with Pacemaker 2.1.5):
    then all that is known is that it left.
    """
    fenced = [host for host, _ in sorted(after.fencings - before.fencings)]
    hosts = [Step(FENCE, host) for host in fenced] + [Step(LEFT, host) for host in sorted(away - {*fenced})]
    names = {**before.running, **after.running}
    return (*hosts, *(step for name in names for step in _about(name, before, after)))


def _about(name: str, before: Look, after: Look) -> Iterator[Step]:
    was, runs = before.running.get(name, frozenset()), after.running.get(name, frozenset())
    lost, gained = sorted(was - runs), sorted(runs - was)
    while lost and gained:
        target = gained.pop(0)
        record = after.last.get((name, target))
        came_alive = record is not None and record.operation == "migrate_from"
        yield Step(MIGRATE if came_alive else MOVE, name, lost.pop(0), target)
    had, has = before.promoted.get(name, frozenset()), after.promoted.get(name, frozenset())
    yield from (Step(PROMOTE if host in has else START, name, target=host) for host in gained)
    yield from (Step(STOP, name, source=host) for host in lost)
    for host in sorted(was & runs):
        verb = _afresh(before.last.get((name, host)), after.last.get((name, host)))
        if verb:
            yield Step(verb, name, host)
        elif host in has - had:
            yield Step(PROMOTE, name, target=host)
        elif host in had - has:
            yield Step(DEMOTE, name, source=host)


def _afresh(old: Record | None, new: Record | None) -> str:
    """What a new record on a host that ran it before and after means.

    Pacemaker 2.1.5 records a reload-agent as a start (seen in the lab). When only parameters changed that need no
    restart, the record does not tell which of the two it was.
    """
    if new is None or new.operation != "start" or (old is not None and old.key == new.key):
        return ""
    if old is None or not new.restart_digest or old.restart_digest != new.restart_digest:
        return RESTART
    return RESTART if old.digest == new.digest else AFRESH


def compare(predicted: tuple[Step, ...], real: tuple[Step, ...]) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """The predicted steps that did not happen, and those that happened without having been predicted."""
    fenced = {one.subject for one in real if one.verb in (FENCE, LEFT)}
    foreseen = [step for step in predicted if not step.blocked]
    missing = tuple(step for step in foreseen if not any(_same(step, one) for one in real))
    surprising = tuple(one for one in real if not any(_same(step, one) for step in foreseen))
    return _besides(missing, fenced), _besides(surprising, fenced)


def _besides(steps: tuple[Step, ...], fenced: set[str]) -> tuple[Step, ...]:
    """The steps without what a fencing itself does: all that ran there stopped, and what belongs there came back."""
    return tuple(step for step in steps if not (step.verb in (STOP, RESTART) and step.source in fenced))


def _same(predicted: Step, real: Step) -> bool:
    if real.verb == AFRESH and predicted.verb in (RELOAD, RESTART):
        return (predicted.subject, predicted.source) == (real.subject, real.source)
    if real.verb == LEFT:
        return (predicted.verb, predicted.subject) == (FENCE, real.subject)
    return _essence(predicted) == _essence(real)


def _essence(step: Step) -> tuple[str, str, str, str]:
    """What two steps must share to be the same; a recovery looks like a restart or a move afterwards."""
    verb = step.verb
    if verb == RECOVER:
        verb = MOVE if step.target and step.target != step.source else RESTART
    source = "" if verb == FENCE else step.source
    return verb, step.subject, source, "" if verb in (RESTART, RELOAD, FENCE) else step.target
