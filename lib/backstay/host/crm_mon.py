# SPDX-License-Identifier: GPL-2.0-or-later
"""What the running cluster says of itself: its hosts, what runs where, what was fenced (crm_mon), and Corosync's votes.

Decides nothing. Source: crm_mon(8) of Pacemaker 2.1.5 (schema crm_mon-2.*.rng), corosync-quorumtool(8) of Corosync 3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from lxml import etree

from backstay.errors import CannotAsk
from backstay.host.process import run

CRM_MON = ("crm_mon", "--one-shot", "--inactive", "--fence-history=3", "--output-as=xml")
QUORUM = ("corosync-quorumtool", "-s")
_NUMBER = re.compile(r"^(Total votes|Quorum):\s+(\d+)", re.MULTILINE)
_ROW = re.compile(r"^\s+(0x[0-9a-f]+|\d+)\s+(\d+)\s")


@dataclass(frozen=True, slots=True)
class Node:
    """A host; `number` is its id in Corosync."""

    name: str
    number: str
    online: bool
    standby: bool
    maintenance: bool
    pending: bool
    unclean: bool


@dataclass(frozen=True, slots=True)
class Event:
    """A fencing: `completed` in seconds since the epoch, 0 when it has not ended; `reason` why it failed, if told."""

    target: str
    action: str
    status: str
    completed: float
    client: str
    delegate: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Cluster:
    """One answer of crm_mon. `active` are the resources that run, with their hosts; `remotes` the remote hosts."""

    nodes: tuple[Node, ...]
    active: Mapping[str, frozenset[str]]
    events: tuple[Event, ...]
    remotes: tuple[Node, ...] = ()

    def runs_on(self, host: str) -> tuple[str, ...]:
        """The resources that run on a host, by name."""
        return tuple(sorted(name for name, hosts in self.active.items() if host in hosts))

    def node(self, name: str) -> Node | None:
        """A host by its name."""
        return next((node for node in self.nodes if node.name == name), None)


@dataclass(frozen=True, slots=True)
class Votes:
    """Corosync's votes; `of` are those of each member by its id."""

    total: int
    quorum: int
    of: Mapping[str, int]


def cluster(timeout: float) -> Cluster:
    """The cluster now; CannotAsk when it does not answer within `timeout` seconds."""
    done = run(CRM_MON, timeout=timeout)
    if not done.ok:
        raise CannotAsk(f"the cluster on this host does not answer: {done.complaint()}")
    return read(done.stdout)


def read(text: str) -> Cluster:
    """What crm_mon's XML says."""
    try:
        top = etree.fromstring(text.encode())
    except etree.XMLSyntaxError as error:
        raise CannotAsk(f"crm_mon does not speak XML: {error.msg}") from error
    active: dict[str, frozenset[str]] = {}
    for one in top.iterfind("resources//resource"):
        if one.get("active") == "true":
            name = re.sub(r":\d+$", "", one.get("id", ""))
            where = {node.get("name", "") for node in one.iterfind("node")}
            active[name] = active.get(name, frozenset()) | where
    nodes = [node for node in top.iterfind("nodes/node") if node.get("type", "member") == "member"]
    remotes = [node for node in top.iterfind("nodes/node") if node.get("type") == "remote"]
    return Cluster(
        tuple(map(_node, nodes)),
        MappingProxyType(active),
        tuple(map(_event, top.iterfind("fence_history/fence_event"))),
        tuple(map(_node, remotes)),
    )


def _node(element: etree._Element) -> Node:
    flags = ("online", "standby", "maintenance", "pending", "unclean")
    return Node(
        element.get("name", ""), element.get("id", ""), *(element.get(flag) == "true" for flag in flags)
    )


def _event(element: etree._Element) -> Event:
    names = ("target", "action", "status", "client", "delegate", "exit-reason")
    target, action, status, client, delegate, reason = (element.get(name, "") for name in names)
    return Event(target, action, status, moment(element.get("completed", "")), client, delegate, reason)


def moment(text: str) -> float:
    """Seconds since the epoch of a time as Pacemaker writes it (`2026-11-20 15:10:06 +01:00`); 0 when it is none."""
    try:
        found = datetime.fromisoformat(re.sub(r"\s+(?=[+-]\d\d:?\d\d$|Z$)", "", text.strip()))
    except ValueError:
        return 0.0
    return found.timestamp()


def votes(timeout: float) -> Votes:
    """Corosync's votes now; CannotAsk when it does not tell within `timeout` seconds."""
    done = run(QUORUM, timeout=timeout)
    return read_votes(done.stdout, done.complaint())


def read_votes(text: str, complaint: str = "") -> Votes:
    """What `corosync-quorumtool -s` says. Its exit code says whether there is a quorum, which is no failure to tell."""
    numbers = dict(_NUMBER.findall(text))
    _, found, table = text.partition("Membership information")
    if len(numbers) != 2 or not found:
        raise CannotAsk(f"Corosync does not tell its votes: {complaint or 'no table of members'}")
    rows = [match.groups() for match in map(_ROW.match, table.splitlines()) if match]
    members = {str(int(number, 0)): int(count) for number, count in rows if int(number, 0)}
    return Votes(int(numbers["Total votes"]), int(numbers["Quorum"]), MappingProxyType(members))
