# SPDX-License-Identifier: GPL-2.0-or-later
"""The constraint that keeps a DRBD resource from being promoted where its data is old: found, made, removed in a CIB.

Decides what stands in the CIB and how a host's state in it is read. Changes trees, never a cluster. The constraint has
the id and the form that crm-fence-peer.sh of drbd-utils gives it, so that either finds what the other left: a rule for
the promoted role that is true on every host but those that are named. Its id is not one of Backstay's own, because a
cloud description must not remove it.
"""

from __future__ import annotations

import re
from copy import deepcopy
from enum import Enum

from lxml import etree

PREFIX = "drbd-fence-by-handler"
SINCE = (3, 7)  # the schema of the CIB in which the role is called Promoted (constraints-3.7.rng)
NO = ("", "no", "n", "false", "off", "0")


class Peer(Enum):
    """What the cluster knows of a host: a member that works, known to be dead, anything between."""

    MEMBER = "a member of the cluster"
    DEAD = "known to be down"
    UNCLEAR = "neither a member nor known to be down"


def clone_of(cib: etree._Element, resource: str) -> str:
    """Give the id of the clone that manages a DRBD resource; empty when there is none."""
    for primitive in cib.iterfind("configuration/resources//primitive"):
        template = _template(cib, primitive)
        kind = (primitive if template is None else template).get("type", "")
        own = _named(primitive)
        names = own if own or template is None else _named(template)
        above = next(primitive.iterancestors("clone", "master"), None)  # linbit's time
        if kind == "drbd" and resource in names and above is not None:
            return above.get("id", "")
    return ""


def _template(cib: etree._Element, primitive: etree._Element) -> etree._Element | None:
    """Give the template that says which agent a primitive has; None when it says that itself."""
    found = cib.iterfind("configuration/resources/template")
    return next((each for each in found if each.get("id") == primitive.get("template")), None)


def _named(holder: etree._Element) -> list[str]:
    """Give the DRBD resources that the parameters of a primitive or a template name."""
    pairs = holder.iterfind("instance_attributes/nvpair[@name='drbd_resource']")
    return [pair.get("value", "") for pair in pairs]


def hosts(cib: etree._Element) -> dict[str, str]:
    """Give the hosts of the cluster by their names in lower case: DRBD knows a host by uname -n, in whatever case."""
    nodes = cib.iterfind("configuration/nodes/node")
    return {node.get("uname", "").lower(): node.get("uname", "") for node in nodes if node.get("uname")}


def peer(cib: etree._Element, name: str) -> Peer:
    """Give what the cluster knows of a host."""
    state = next((each for each in cib.iterfind("status/node_state") if each.get("uname") == name), None)
    if state is None:
        return Peer.UNCLEAR
    inside, working = _is(state.get("in_ccm", "")), state.get("crmd", "") not in (*NO, "offline")
    if inside and working and state.get("join") == "member":
        return Peer.MEMBER
    if not inside and state.get("expected") == "down":
        return Peer.DEAD
    return Peer.UNCLEAR


def _is(value: str) -> bool:
    return value.lower() not in NO


def quorate(cib: etree._Element) -> bool:
    """Whether the partition of this CIB has quorum."""
    return _is(cib.get("have-quorum", "0"))


def fences(cib: etree._Element) -> bool:
    """Whether the cluster fences hosts at all (stonith-enabled, by default)."""
    pairs = cib.iterfind("configuration/crm_config/cluster_property_set/nvpair")
    given = [
        pair.get("value", "") for pair in pairs if pair.get("name") in ("stonith-enabled", "stonith_enabled")
    ]
    return _is(given[0]) if given else True


def constraint(cib: etree._Element, resource: str, clone: str) -> etree._Element | None:
    """Find the constraint."""
    wanted = _id(resource, clone)
    found = cib.iterfind("configuration/constraints/rsc_location")
    return next((each for each in found if each.get("id") == wanted), None)


def allowed(found: etree._Element) -> frozenset[str]:
    """Give the hosts that a constraint leaves."""
    return frozenset(
        expression.get("value", "")
        for expression in found.iterfind("rule/expression")
        if expression.get("operation") == "ne" and expression.get("attribute") == "#uname"
    )


def with_constraint(cib: etree._Element, resource: str, clone: str, leaves: frozenset[str]) -> etree._Element:
    """Give a CIB in which only these hosts may be promoted."""
    changed = without_constraint(cib, resource, clone)
    constraints = changed.find("configuration/constraints")
    assert constraints is not None  # every CIB has them (its schema)
    top = etree.SubElement(constraints, "rsc_location", rsc=clone, id=_id(resource, clone))
    rule = etree.SubElement(top, "rule", role=role(cib), score="-INFINITY", id=_id(resource, clone, "rule"))
    for number, host in enumerate(sorted(leaves)):
        identity = _id(resource, clone, f"expr-{number}")
        etree.SubElement(rule, "expression", attribute="#uname", operation="ne", value=host, id=identity)
    return changed


def without_constraint(cib: etree._Element, resource: str, clone: str) -> etree._Element:
    """Give a CIB in which DRBD's handlers keep nobody from being promoted."""
    changed = deepcopy(cib)
    found = constraint(changed, resource, clone)
    if found is not None:
        above = found.getparent()
        assert above is not None
        above.remove(found)
    return changed


def role(cib: etree._Element) -> str:
    """Give the word for the promoted role that the schema of this CIB takes."""
    version = re.fullmatch(r"pacemaker-(\d+)\.(\d+)", cib.get("validate-with", ""))
    old = version is not None and tuple(map(int, version.groups())) < SINCE
    return "Master" if old else "Promoted"  # linbit's time: a CIB that was never upgraded


def _id(resource: str, clone: str, part: str = "") -> str:
    """Give an id; what an XML id cannot hold becomes a point."""
    words = [PREFIX, resource, *([part] if part else []), clone]
    return re.sub(r"[^A-Za-z0-9_.-]", ".", "-".join(words))
