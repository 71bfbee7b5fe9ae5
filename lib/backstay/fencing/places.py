# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a fence device must not run, by a CIB's location constraints: a host where it may not run cannot use it either.

Decides how Pacemaker adds up scores for one resource. A rule other than one about `#uname` rules nobody out.
Source: Pacemaker 2.1.5, seen with crm_simulate: what comes to less than 0 is no place; -1000000 is -INFINITY; names of
hosts are compared without case; with symmetric-cluster=false a host without a constraint is no place.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from lxml import etree

INFINITY = 1000000


def never_on(
    cib: etree._Element, primitive: etree._Element, hosts: tuple[str, ...], everywhere: bool
) -> frozenset[str]:
    """The hosts where a device must not run; `everywhere`: it may run where no constraint says anything."""
    names = {
        primitive.get("id", ""),
        *(each.get("id", "") for each in primitive.iterancestors("group", "clone")),
    }
    found: dict[str, int] = {} if everywhere else dict.fromkeys(hosts, -INFINITY)
    named: set[str] = set() if everywhere else set(hosts)
    for place in cib.iterfind("configuration/constraints/rsc_location"):
        for host, score in _scores(place, hosts) if _concerns(place, names) else ():
            before = 0 if host in named else found.get(host, 0)
            named.discard(host)
            found[host] = -INFINITY if -INFINITY in (before, score) else before + score
    return frozenset(host for host, score in found.items() if score < 0)


def _matches(pattern: str, name: str) -> bool:
    """Whether Pacemaker's regular expression fits; one that is none fits nothing, as for Pacemaker."""
    try:
        return re.search(pattern, name) is not None
    except re.error:
        return False


def _concerns(place: etree._Element, names: Collection[str]) -> bool:
    pattern = place.get("rsc-pattern", "")
    if pattern:
        inverted = pattern.startswith("!")
        return any(_matches(pattern.removeprefix("!"), name) is not inverted for name in names)
    return place.get("rsc") in names or any(
        each.get("id") in names for each in place.iterfind("resource_set/resource_ref")
    )


def _scores(place: etree._Element, hosts: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """Each host that a constraint, by itself or in its rules, says a score for."""
    node = place.get("node", "")
    if node:
        known = next((host for host in hosts if host.lower() == node.lower()), node)
        yield known, _score(place.get("score", "0"))
    for rule in place.iterfind("rule"):
        yield from _ruled(rule, hosts)


def _ruled(rule: etree._Element, hosts: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """The same for a rule `#uname eq HOST` or `ne`; another one is not understood, and may allow every host."""
    terms = rule.findall("expression")
    operation = terms[0].get("operation", "") if terms else ""
    score = _score(rule.get("score", "0"))
    if len(rule) == 1 and terms and terms[0].get("attribute") == "#uname" and operation in ("eq", "ne"):
        value = terms[0].get("value", "").lower()
        yield from ((host, score) for host in hosts if (host.lower() == value) is (operation == "eq"))
    else:
        yield from ((host, max(score, 0)) for host in hosts)


def _score(text: str) -> int:
    """A score as a number, no further from 0 than INFINITY."""
    if text.lstrip("+-") == "INFINITY":
        text = text.replace("INFINITY", str(INFINITY))
    number = int(text) if re.fullmatch("[+-]?[0-9]+", text) else 0
    return max(-INFINITY, min(INFINITY, number))
