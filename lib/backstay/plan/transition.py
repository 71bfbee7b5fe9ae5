# SPDX-License-Identifier: GPL-2.0-or-later
"""What Pacemaker's scheduler would do next: its answer as data.

Decides what each word of `crm_simulate --output-as=xml` means (schema crm_simulate-2.24.rng of Pacemaker 2.1.5). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from lxml import etree

from backstay.errors import CannotAsk

START, STOP, RESTART, RECOVER = "start", "stop", "restart", "recover"
# Looking back: given new parameters, by a reload or by a restart; a host that was away from the cluster.
AFRESH, LEFT = "afresh", "left"
MOVE, MIGRATE, RELOAD, PROMOTE, DEMOTE, FENCE = "move", "migrate", "reload", "promote", "demote", "fence"
RESOURCES = "cluster_status/resources//resource"
LEAVING = (STOP, DEMOTE)
PROMOTED = "Promoted"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that the cluster wants to do.

    `verb` is one of the words above; `subject` is a resource (without the number of its instance) or, for a fencing, a
    host. `source` and `target` are hosts, empty where there is none. A `blocked` step is wanted but cannot be done.
    """

    verb: str
    subject: str
    source: str = ""
    target: str = ""
    reason: str = ""
    blocked: bool = False


@dataclass(frozen=True, slots=True)
class Transition:
    """All steps of one answer, in the scheduler's order; where each resource runs before it, and where promoted."""

    steps: tuple[Step, ...]
    running: dict[str, frozenset[str]]
    promoted: dict[str, frozenset[str]] = field(default_factory=dict)


class Scheduler(Protocol):
    """Pacemaker's scheduler (host.scheduler)."""

    def transition(self, cib: bytes) -> Transition: ...


def read(answer: str) -> Transition:
    """The answer of `crm_simulate --run --output-as=xml`; CannotAsk when it is none."""
    try:
        root = etree.fromstring(answer.encode())
    except etree.XMLSyntaxError as error:
        raise CannotAsk(f"crm_simulate gave no readable answer: {error}") from error
    if root.find("cluster_status") is None:
        raise CannotAsk(f"crm_simulate did not say how the cluster is: {_complaint(root)}")
    steps = [_step(element) for element in root.iterfind("actions/*")]
    promoted = [one for one in root.iterfind(RESOURCES) if one.get("role") == PROMOTED]
    return Transition(
        tuple(step for step in steps if step), _running(root.iterfind(RESOURCES)), _running(promoted)
    )


def _step(element: etree._Element) -> Step | None:
    if element.tag == "node_action":
        task = element.get("task", "")
        verb = FENCE if task.lower().startswith("fence") else task.lower()
        return Step(verb, element.get("node", ""), reason=element.get("reason", ""))
    if element.tag != "rsc_action":
        return None
    verb = element.get("action", "")
    source, target = _places(verb, element)
    return Step(
        verb,
        instance_of(element.get("resource", "")),
        source=source,
        target=target,
        reason=element.get("reason", ""),
        blocked=element.get("blocked") == "true",
    )


def instance_of(name: str) -> str:
    """The resource that `libvirtd:2` is an instance of."""
    base, _, number = name.rpartition(":")
    return base if base and number.isdecimal() else name


def _places(verb: str, element: etree._Element) -> tuple[str, str]:
    """From where and to where. A change of role happens at one host, whichever attribute names it."""
    source, target, here = (element.get(name, "") for name in ("source", "dest", "node"))
    if verb in (PROMOTE, DEMOTE):
        here, source, target = here or target or source, "", ""
    return source or (here if verb in LEAVING else ""), target or (here if verb not in LEAVING else "")


def _running(resources: Iterable[etree._Element]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for resource in resources:
        hosts = found.setdefault(instance_of(resource.get("id", "")), set())
        if resource.get("orphaned") != "true" or resource.get("active") == "true":
            hosts.update(node.get("name", "") for node in resource.iterfind("node"))
    return {name: frozenset(hosts) for name, hosts in found.items()}


def _complaint(root: etree._Element) -> str:
    status = root.find("status")
    said = [error.text or "" for error in root.iterfind("status/errors/error")]
    return (
        "; ".join(said) or (status.get("message", "") if status is not None else "") or "no reason was given"
    )
