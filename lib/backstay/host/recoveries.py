# SPDX-License-Identifier: GPL-2.0-or-later
"""What the cluster knows that a recovery is decided from: hosts, fencings, node attributes, and the records.

Decides nothing. The records are permanent attributes of the hosts they are about, so that they outlive every host but
not the host's own removal; they are read from the CIB, because crm_mon shows the attributes of hosts that are on line
only. Source: crm_mon(8), cibadmin(8), crm_attribute(8) of Pacemaker 2.1.5, whose fencer notes "a human" as the one who
carried out what `stonith_admin --confirm` says (seen in the lab).
"""

from __future__ import annotations

from backstay.errors import CannotAsk
from backstay.host.process import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

RECORD = "backstay-recovery"
SAYS = "backstay-recovering"
"""The transient attribute of the role's host that says what is recovered, and what is not and why."""

CRM_MON = (
    "crm_mon", "--one-shot", "--output-as=xml", "--include=none,nodes,fencing,attributes", "--fence-history=3",
)  # fmt: skip
NODES = ("cibadmin", "--query", "--scope", "nodes")
HUMAN = "a human"
DEADLY = ("off", "reboot")


class Node:
    """A host; `attributes` are those that crm_mon shows, `record` is the text of the record about it."""

    __slots__ = ("attributes", "name", "online", "record", "unclean")

    def __init__(self, name: str, online: bool, unclean: bool = False) -> None:
        self.name = name
        self.online = online
        self.unclean = unclean
        self.attributes: dict[str, str] = {}
        self.record = ""


class Event:
    """A fencing of a host: success, failed or pending; `when` it ended in seconds since the epoch, 0 if it has not."""

    __slots__ = ("human", "reason", "status", "target", "when")

    def __init__(self, target: str, status: str, when: int, human: bool = False, reason: str = "") -> None:
        self.target = target
        self.status = status
        self.when = when
        self.human = human
        self.reason = reason


class Seen:
    """One look at the cluster."""

    __slots__ = ("events", "nodes")

    def __init__(self, nodes: tuple[Node, ...], events: tuple[Event, ...]) -> None:
        self.nodes = nodes
        self.events = events


def look(timeout: float) -> Seen:
    """Look at the cluster; CannotAsk when it does not answer within `timeout` seconds for each of two questions."""
    return read(_said(CRM_MON, timeout), _said(NODES, timeout))


def read(crm_mon: str, nodes: str) -> Seen:
    """Give what crm_mon's XML and the nodes of the CIB say; CannotAsk when crm_mon says nothing of hosts."""
    top, records = _parsed(crm_mon, "crm_mon"), _records(_parsed(nodes, "cibadmin"))
    trouble = top.findtext("status/errors/error")
    if trouble:  # its exit code may be 0 all the same, seen where the CIB could not be read
        raise CannotAsk(f"crm_mon does not tell how the hosts are: {trouble}")
    found = {
        node.get("name", ""): Node(
            node.get("name", ""), node.get("online") == "true", node.get("unclean") == "true"
        )
        for node in top.iterfind("nodes/node")
        if node.get("type") in ("member", "remote")
    }
    if not found:
        raise CannotAsk("crm_mon names no host of the cluster")
    for node in top.iterfind("node_attributes/node"):
        if node.get("name", "") in found:
            pairs = node.iterfind("attribute")
            found[node.get("name", "")].attributes = {
                pair.get("name", ""): pair.get("value", "") for pair in pairs
            }
    for name, text in records.items():
        if name in found:
            found[name].record = text
    events = (_event(each) for each in top.iterfind("fence_history/fence_event"))
    return Seen(tuple(found.values()), tuple(event for event in events if event is not None))


def keep(host: str, text: str, timeout: float) -> None:
    """Write the record about a host; CannotAsk when the cluster does not take it."""
    done = run(
        ["crm_attribute", "--type", "nodes", "--node", host, "--name", RECORD, "--update", text],
        timeout=timeout,
    )
    if not done.ok:
        raise CannotAsk(f"the record about {host} cannot be written: {done.complaint()}")


def _said(argv: tuple[str, ...], timeout: float) -> str:
    done = run(argv, timeout=timeout)
    if not done.ok:
        raise CannotAsk(f"{argv[0]}: {done.complaint()}")
    return done.stdout


def _parsed(text: str, who: str) -> Element:
    from xml.etree import ElementTree as ET

    try:
        return ET.fromstring(text)
    except ET.ParseError as error:
        raise CannotAsk(f"{who} does not speak XML: {error}") from error


def _records(nodes: Element) -> dict[str, str]:
    return {
        node.get("uname", node.get("id", "")): pair.get("value", "")
        for node in nodes.iter("node")
        for pair in node.iterfind("instance_attributes/nvpair")
        if pair.get("name") == RECORD
    }


def _event(element: Element) -> Event | None:
    if element.get("action") not in DEADLY:
        return None
    human = element.get("delegate") == HUMAN
    when = moment(element.get("completed", ""))
    return Event(
        element.get("target", ""), element.get("status", ""), when, human, element.get("exit-reason", "")
    )


def moment(text: str) -> int:
    """Give the seconds since the epoch of a time as Pacemaker writes it (`2026-11-20 15:10:06 +01:00`), 0 for none."""
    from datetime import datetime

    words = text.split()
    if not words:
        return 0
    try:
        return int(datetime.fromisoformat(" ".join(words[:2]) + "".join(words[2:])).timestamp())
    except ValueError:
        return 0
