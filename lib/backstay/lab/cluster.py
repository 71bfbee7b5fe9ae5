# SPDX-License-Identifier: GPL-2.0-or-later
"""What the lab's cluster says of itself, typed, and waiting for it to say something else.

Asks any node that lives. Decides nothing: predicates come from the caller. The XML is that of
`crm_mon --output-as=xml` (Pacemaker's api/crm_mon-2.*.rng).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from lxml import etree

from backstay.errors import CannotAsk
from backstay.host.clock import Deadline, NotYet, until
from backstay.lab import kinds
from backstay.lab.layout import Layout
from backstay.lab.node import Node

ASK_SECONDS = 20.0
DESCRIPTION = "/etc/backstay/cloud.yaml"
CRM_MON = ["crm_mon", "--one-shot", "--inactive", "--fence-history=3", "--output-as=xml"]


@dataclass(frozen=True, slots=True)
class Member:
    """A node as the cluster sees it."""

    name: str
    online: bool
    pending: bool
    unclean: bool
    standby: bool
    maintenance: bool
    is_dc: bool


@dataclass(frozen=True, slots=True)
class Resource:
    """One instance of a resource. `nodes` are those on which the cluster believes it to be active.

    `target` is the role that an admin asked for ("Stopped" for a disabled one), empty for the usual one.
    """

    name: str
    agent: str
    role: str
    target: str
    nodes: tuple[str, ...]
    active: bool
    failed: bool
    managed: bool
    blocked: bool
    orphaned: bool

    def missing(self) -> bool:
        """Whether it should run and does not."""
        return not self.active and self.target != "Stopped"


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed action that the cluster shows until a cleanup."""

    action: str
    node: str
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Fencing:
    """One entry of the fence history."""

    action: str
    target: str
    status: str
    completed: str
    reason: str


@dataclass(frozen=True, slots=True)
class State:
    """One answer of the cluster, given by the node `seen_from`."""

    seen_from: str
    members: tuple[Member, ...]
    resources: tuple[Resource, ...]
    failures: tuple[Failure, ...]
    fencing: tuple[Fencing, ...]
    quorate: bool
    attributes: dict[str, dict[str, str]] = field(default_factory=dict)

    def online(self) -> frozenset[str]:
        """The nodes that are full members."""
        return frozenset(m.name for m in self.members if m.online and not m.pending)

    def unclean(self) -> frozenset[str]:
        """The nodes that the cluster wants fenced."""
        return frozenset(m.name for m in self.members if m.unclean)

    def resource(self, name: str) -> tuple[Resource, ...]:
        """All instances of a resource (a clone has several); empty when the cluster does not know it."""
        return tuple(r for r in self.resources if r.name == name or r.name.startswith(f"{name}:"))

    def running_on(self, name: str) -> tuple[str, ...]:
        """The nodes on which a resource is active, sorted; more than one for a clone, or for a disaster."""
        return tuple(sorted({node for r in self.resource(name) if r.active for node in r.nodes}))

    def summary(self) -> str:
        """One line: what an admin has to know of this state."""
        nodes = " ".join(f"{m.name}:{condition(m)}" for m in self.members)
        down = [r.name for r in self.resources if r.failed or r.missing()]
        parts = [nodes or "no nodes", "" if self.quorate else "no quorum"]
        parts.append(f"not running: {' '.join(down)}" if down else "")
        parts.append("; ".join(f"{f.action} on {f.node} failed ({f.code})" for f in self.failures))
        return ", ".join(part for part in parts if part)


def condition(member: Member) -> str:
    """A member's condition in one word."""
    if member.unclean:
        return "UNCLEAN"
    if not member.online:
        return "offline"
    if member.pending:
        return "pending"
    if member.maintenance:
        return "maintenance"
    return "standby" if member.standby else "online"


def parse(text: str, seen_from: str) -> State:
    """The state in crm_mon's XML. ValueError when it is not that."""
    try:
        top = etree.fromstring(text.encode())
    except etree.XMLSyntaxError as error:
        raise ValueError(str(error)) from error
    dc = top.find("summary/current_dc")
    return State(
        seen_from=seen_from,
        members=tuple(_member(e) for e in top.iterfind("nodes/node")),
        resources=tuple(_resource(e) for e in top.iterfind("resources//resource")),
        failures=tuple(_failure(e) for e in top.iterfind("failures/failure")),
        fencing=tuple(_fencing(e) for e in top.iterfind("fence_history/fence_event")),
        quorate=dc is not None and dc.get("with_quorum") == "true",
        attributes={
            str(e.get("name")): {str(a.get("name")): str(a.get("value")) for a in e.iterfind("attribute")}
            for e in top.iterfind("node_attributes/node")
        },
    )


def _true(element: etree._Element, name: str) -> bool:
    return element.get(name) == "true"


def _member(e: etree._Element) -> Member:
    flags = ("online", "pending", "unclean", "standby", "maintenance", "is_dc")
    return Member(str(e.get("name")), *(_true(e, flag) for flag in flags))


def _resource(e: etree._Element) -> Resource:
    flags = ("active", "failed", "managed", "blocked", "orphaned")
    where = tuple(str(n.get("name")) for n in e.iterfind("node"))
    names = (
        str(e.get("id")),
        str(e.get("resource_agent")),
        str(e.get("role")),
        str(e.get("target_role") or ""),
    )
    return Resource(*names, where, *(_true(e, flag) for flag in flags))


def _failure(e: etree._Element) -> Failure:
    action = str(e.get("op_key") or e.get("call") or "")
    return Failure(action, str(e.get("node")), int(e.get("exitcode") or 1), str(e.get("exitreason") or ""))


def _fencing(e: etree._Element) -> Fencing:
    names = ("action", "target", "status", "completed", "exit-reason")
    return Fencing(*(str(e.get(name) or "") for name in names))


def ask(layout: Layout, among: Iterable[str] = ()) -> State:
    """The cluster's state from the first node that answers (of `among`, or any). CannotAsk when none does."""
    said = []
    for name in tuple(among) or layout.names():
        try:
            completed = Node(layout, name).run(CRM_MON, timeout=ASK_SECONDS)
            if completed.ok:
                return parse(completed.stdout, name)
            said.append(f"{name}: {_refusal(completed.stdout) or completed.complaint()}")
        except (CannotAsk, ValueError) as error:
            said.append(f"{name}: {error}")
    raise CannotAsk(f"no node tells the state of the cluster ({'; '.join(said)})")


def _refusal(text: str) -> str:
    """crm_mon says in XML, too, why it cannot answer."""
    try:
        status = etree.fromstring(text.encode()).find("status")
    except etree.XMLSyntaxError:
        return ""
    return "" if status is None else str(status.get("message") or "")


def replace(node: Node, xml: str, scope: str = "configuration") -> None:
    """Put a section of the CIB in place as it is (for tests of configurations that are not Backstay's)."""
    node.check(["cibadmin", "--replace", "--scope", scope, "--xml-pipe"], 60.0, xml)


Predicate = Callable[[State], str]
"""Empty when the state is as wanted, else what is not."""


def all_online(names: Iterable[str]) -> Predicate:
    """Want every one of these nodes as a full member, and quorum."""
    wanted = frozenset(names)

    def look(state: State) -> str:
        missing = wanted - state.online()
        if missing:
            return f"not online: {' '.join(sorted(missing))}"
        return "" if state.quorate else "no quorum"

    return look


def wait_for(
    layout: Layout,
    wanted: Predicate,
    deadline: Deadline,
    what: str,
    tell: Callable[[str], None] = lambda _: None,
    every: float = 0.0,
) -> State:
    """Ask until the cluster is as wanted. TimedOut names `what` and what was last seen.

    `every` is in seconds; 0.0 is what nodes of this kind stand without being slowed down by it.
    """

    def look() -> State:
        try:
            state = ask(layout)
        except CannotAsk as error:
            tell(f"waiting for {what}: {error}")
            raise NotYet(str(error)) from error
        missing = wanted(state)
        if missing:
            tell(f"waiting for {what}: {missing}")
            raise NotYet(f"{missing} ({state.summary()}, seen from {state.seen_from})")
        return state

    return until(look, deadline, every or kinds.of(layout).pace, what)


def running(names: Iterable[str]) -> Predicate:
    """Want each of these resources active on exactly one node, nothing of it failed."""
    wanted = tuple(names)

    def look(state: State) -> str:
        missing = [name for name in wanted if len(state.running_on(name)) != 1]
        return f"not running on exactly one node: {' '.join(missing)}" if missing else ""

    return look
