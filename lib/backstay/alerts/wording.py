# SPDX-License-Identifier: GPL-2.0-or-later
"""An event in the admin's words: what happened to which host or resource, how grave that is, and what to do next.

Decides exactly that, as a table; asks nobody. Pacemaker reports a human's confirmation like a fencing that succeeded,
and an alert is never repeated: so no sentence says more than that Pacemaker said it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from backstay.alerts import attributes
from backstay.alerts.event import Event
from backstay.ocf import codes

HUMAN = "a human"
GOOD = frozenset({"", "ready", "healthy", "up", "ok"})
BAD = frozenset({"broken", "failed", "refused", "not-ready"})
LOOK = "crm_mon -1 -A shows how the cluster is now"
CHECK = "run `backstay fence check` on a host that is up: it names the device and the reason"


class Weight(IntEnum):
    """How grave it is: the syslog priority, so the smaller the graver."""

    alarm = 1
    warning = 4
    note = 5
    routine = 6


@dataclass(frozen=True, slots=True)
class Message:
    """What is told: two sentences without a full stop; `todo` is empty when there is nothing to do."""

    weight: Weight
    what: str
    todo: str = ""

    @property
    def text(self) -> str:
        """All of it in a line."""
        return f"{self.what}. What to do: {self.todo}." if self.todo else f"{self.what}."


def message(event: Event) -> Message:
    """What is to be said about an event."""
    kinds = {"node": _node, "fencing": _fencing, "resource": _resource, "attribute": _attribute}
    said = kinds.get(event.kind)
    if said is None:
        return Message(
            Weight.note, f"Pacemaker reports an event of the kind {event.kind}: {event.desc}", LOOK
        )
    return said(event)


def _node(event: Event) -> Message:
    if event.desc == "member":
        return Message(Weight.note, f"host {event.node} is a member of the cluster")
    if event.desc == "lost":
        return Message(
            Weight.warning,
            f"host {event.node} is no member of the cluster any more",
            f"nothing, if somebody shut it down; else the cluster fences it now and tells that too. If it does not "
            f"within a few minutes, {CHECK}; start none of its domains by hand before it is fenced",
        )
    return Message(Weight.warning, f"host {event.node}: {event.desc}", LOOK)


def _fencing(event: Event) -> Message:
    fencing = event.fencing
    action = f" ({fencing.action})" if fencing.action else ""
    if event.rc != 0:
        return Message(
            Weight.alarm,
            f"host {event.node} could NOT be fenced{action}: {fencing.result or 'no reason given'}",
            f"none of its domains is started elsewhere until it is fenced. {CHECK}. Only if you have seen yourself "
            f"that {event.node} has no power, say so: stonith_admin --confirm {event.node}; if it lives on, its "
            "domains then run twice",
        )
    if fencing.action == "on":
        return Message(Weight.note, f"host {event.node} was switched on (or unfenced)")
    if fencing.by == HUMAN:
        return Message(
            Weight.warning,
            f"somebody has confirmed that host {event.node} is off; nothing has switched it",
            f"make sure that {event.node} has no power: its domains are started elsewhere now",
        )
    by = f" by {fencing.by}" if fencing.by else ""
    return Message(
        Weight.warning,
        f"host {event.node} was fenced{by}{action}, and its domains may start elsewhere",
        f"look why, before it takes guests again: `journalctl --boot=-1` on {event.node} once it is back, and its "
        "BMC's event log; `backstay fence check` shows that it could be fenced again",
    )


def _resource(event: Event) -> Message:
    name, host, code = event.resource, event.node, event.rc
    reason = (
        f"crm_mon -1 on any host has the reason, `journalctl BACKSTAY_RESOURCE={name}` on {host} the story"
    )
    called = "notice of " if event.task == "notify" else ""
    if event.status == 1 or (code == event.target_rc and event.status in (0, -1)):
        return Message(Weight.routine, f"{name}: {called}{event.task} on {host} ended as expected")
    if code in (codes.DEGRADED, codes.DEGRADED_PROMOTED):
        todo = f"{reason}; nothing is restarted for it"
        return Message(Weight.warning, f"{name} runs on {host}, but not well", todo)
    if event.task == "stop":
        return Message(
            Weight.alarm,
            f"{name} could not be stopped on {host}: {_why(event)}",
            f"{reason}; unless on-fail says otherwise {host} is fenced now, so that {name} may run elsewhere",
        )
    if event.task == "monitor" and code == codes.NOT_RUNNING:
        todo = f"nothing if it comes back by itself (crm_mon -1); why it ended: `journalctl BACKSTAY_RESOURCE={name}`"
        return Message(
            Weight.warning, f"{name} is not running on {host} any more; the cluster recovers it", todo
        )
    if event.task == "monitor" and code == codes.SUCCESS and event.target_rc == codes.NOT_RUNNING:
        return Message(Weight.note, f"{name} runs on {host} already")
    return Message(
        Weight.warning,
        f"{name}: {event.task} failed on {host}: {_why(event)}",
        f"{reason}; once the cause is gone: crm_resource --cleanup --resource {name}",
    )


def _why(event: Event) -> str:
    """In words; Pacemaker gives an alert no more than these."""
    return f"{event.desc or codes.NAMES.get(event.rc, 'unknown')} ({event.rc})"


def _attribute(event: Event) -> Message:
    about, value = attributes.about(event.attribute), event.value
    if about is None:
        became = f"is {value} now" if value else "is gone"
        return Message(Weight.routine, f"attribute {event.attribute} of host {event.node} {became}")
    what = f"{about.of(event.attribute)} on host {event.node}"
    word = value.partition(":")[0]
    if word in GOOD:
        return Message(Weight.note, f"{what}: {value or 'nothing to report any more'}")
    grave = about.grave or word in BAD
    return Message(Weight.alarm if grave else Weight.warning, f"{what}: {value}", about.todo)
