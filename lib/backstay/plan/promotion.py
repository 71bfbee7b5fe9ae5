# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks whose agent has not said yet how good their data are.

Decides that a new promotable clone is taken for one that may be promoted wherever it may run. Only its agent's score
lets the scheduler promote it, and that is set when it has started: without one, what needs it would find no place in
any plan that adds both. Pure.
"""

from __future__ import annotations

from copy import deepcopy

from lxml import etree

SCORE = "1"
PROMOTABLE = ("true", "yes", "on", "y", "1")


def hoped_for(live: etree._Element, new: etree._Element) -> tuple[str, ...]:
    """The primitives of promotable clones that `new` has and `live` does not."""
    had = {one.get("id") for one in live.iterfind("configuration/resources//primitive")}
    return tuple(
        name
        for clone in new.iterfind("configuration/resources//clone")
        if any(
            pair.get("name") == "promotable" and pair.get("value", "").lower() in PROMOTABLE
            for pair in clone.iterfind("meta_attributes/nvpair")
        )
        for one in clone.iterfind(".//primitive")
        if (name := one.get("id", "")) not in had
    )


def with_scores(cib: etree._Element, primitives: tuple[str, ...]) -> etree._Element:
    """A copy in which every host in the status has a promotion score for each of these."""
    copy = deepcopy(cib)
    for state in copy.iterfind("status/node_state"):
        number = state.get("id", "")
        attributes = state.find("transient_attributes")
        if attributes is None:
            attributes = etree.SubElement(state, "transient_attributes", id=number)
        pairs = attributes.find("instance_attributes")
        if pairs is None:
            pairs = etree.SubElement(attributes, "instance_attributes", id=f"status-{number}")
        for name in primitives:
            score = f"master-{name}"  # as LINBIT calls it
            etree.SubElement(pairs, "nvpair", id=f"hoped-{number}-{name}", name=score, value=SCORE)
    return copy
