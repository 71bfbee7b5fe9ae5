# SPDX-License-Identifier: GPL-2.0-or-later
"""Configurations on the way to one without some resources: first they are stopped, then they go.

Decides what has to stay until they are down. What is taken out while it runs is stopped by Pacemaker 2.1.5 within 20 s,
whatever its own timeout was, in no order, and a promoted one is demoted without its parameters (all seen on VM nodes):
a guest gets no time to shut down, and its DRBD disk is taken away while it writes. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy

from lxml import etree

from backstay.cib.document import elements, own_ids, section, sure_section

ROLE, STOPPED = "target-role", "Stopped"
REFERENCES = ("rsc", "with-rsc", "first", "then")


def stopping(before: etree._Element, after: etree._Element, names: Iterable[str]) -> etree._Element | None:
    """`after`, in which the resources `names` of `before` are still there, but stopped, in the order that they had.

    None when there are none. One of which a part stays under its own id (it left a group) goes without that.
    """
    configuration = after.find("configuration")  # what the status says of the same ids does not count
    kept = set(own_ids(configuration)) if configuration is not None else set()
    leaving = [
        one for one in _resources(before) if one.get("id") in set(names) and not kept & set(own_ids(one))
    ]
    if not leaving:
        return None
    whole = deepcopy(after)
    for one in leaving:
        sure_section(whole, "resources").append(_stopped(one))
    among = {identity for one in leaving for identity in own_ids(one)}
    old = section(before, "constraints")
    for constraint in elements(old) if old is not None else ():
        concerned = _concerned(constraint)
        if concerned and concerned <= among and constraint.get("id") not in kept:
            sure_section(whole, "constraints").append(deepcopy(constraint))
    return whole


def without(cib: etree._Element, names: Iterable[str]) -> etree._Element:
    """`cib` without these resources and what `stopping` kept beside them."""
    new, going = deepcopy(cib), set(names)
    among = set()
    for one in _resources(new):
        if one.get("id") in going:
            among |= set(own_ids(one))
            _remove(one)
    constraints = section(new, "constraints")
    for constraint in list(elements(constraints)) if constraints is not None else ():
        if _concerned(constraint) & among:
            _remove(constraint)
    return new


def primitives(cib: etree._Element, name: str) -> tuple[str, ...]:
    """The ids of what runs where the resource `name` does: itself, or what is in it."""
    found = next((one for one in _resources(cib) if one.get("id") == name), None)
    return tuple(one.get("id", "") for one in found.iter("primitive")) if found is not None else ()


def _resources(cib: etree._Element) -> list[etree._Element]:
    found = section(cib, "resources")
    return list(elements(found)) if found is not None else []


def _concerned(constraint: etree._Element) -> set[str]:
    found = {constraint.get(name, "") for name in REFERENCES if constraint.get(name)}
    return found | {one.get("id", "") for one in constraint.iterfind(".//resource_ref")}


def _stopped(resource: etree._Element) -> etree._Element:
    copy = deepcopy(resource)
    holders = copy.findall("meta_attributes")
    for pair in [
        pair for holder in holders for pair in holder.iterfind("nvpair") if pair.get("name") == ROLE
    ]:
        _remove(pair)
    if not holders:
        holders = [etree.Element("meta_attributes", id=f"{resource.get('id')}-parting")]
        copy.insert(0, holders[0])
    etree.SubElement(
        holders[0], "nvpair", id=f"{resource.get('id')}-parting-{ROLE}", name=ROLE, value=STOPPED
    )
    return copy


def _remove(element: etree._Element) -> None:
    above = element.getparent()
    assert above is not None
    above.remove(element)
