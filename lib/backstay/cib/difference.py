# SPDX-License-Identifier: GPL-2.0-or-later
"""What is different between two configurations, in the admin's words.

Decides what counts as the same: another order, another id of a set, `60` for `60s`, `yes` for `true`, and a default of
Pacemaker's that one side writes and the other leaves out are no difference. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from lxml import etree

from backstay.cib.document import SECTIONS, elements, is_ours

ADDED, CHANGED, REMOVED = "added", "changed", "removed"
# Pacemaker Explained 2.1, "Resource Meta-Attributes", "Clone Options" and "Resource Constraints": what holds when
# nothing is written. Defaults that op_defaults may change are not among them.
DEFAULTS = {
    "meta target-role": "Started",
    "meta is-managed": "true",
    "meta maintenance": "false",
    "meta priority": "0",
    "meta resource-stickiness": "0",
    "meta migration-threshold": "INFINITY",
    "meta failure-timeout": "0",
    "meta allow-migrate": "false",
    "meta interleave": "false",
    "meta ordered": "false",
    "meta notify": "false",
    "meta globally-unique": "false",
    "kind": "Mandatory",
    "symmetrical": "true",
    "first-action": "start",
    "resource-discovery": "always",
}
KINDS = {
    "rsc_colocation": "colocation",
    "rsc_order": "order",
    "rsc_location": "location",
    "rsc_ticket": "ticket",
    "fencing-level": "fencing level",
    "primitive": "resource",
}
SETS = {
    "instance_attributes": "parameter",
    "meta_attributes": "meta",
    "utilization": "utilization",
    "cluster_property_set": "property",
}
MEMBERS = ("primitive", "group", "clone", "bundle")
TRUE, FALSE = frozenset({"true", "yes", "on", "y"}), frozenset({"false", "no", "off", "n"})
_TIME = re.compile(r"([0-9]{1,9})(ms|msec|us|s|sec|m|min|h|hr)?")
_MILLISECONDS = {
    "us": "1/1000", "ms": "1", "msec": "1", "": "1000", "s": "1000", "sec": "1000",
    "m": "60000", "min": "60000", "h": "3600000", "hr": "3600000",
}  # fmt: skip
_TIMED = ("interval", "timeout", "start-delay", "failure-timeout")


@dataclass(frozen=True, slots=True)
class Detail:
    """One fact about a thing that differs; an empty text means that it is not set on that side."""

    fact: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that was `added`, `changed` or `removed`. `kind` says what it is (domain, order, property, ...).

    `ours` is whether Backstay created it; `details` are all facts of a new one, and those that differ of a changed one.
    """

    verb: str
    kind: str
    name: str
    details: tuple[Detail, ...]
    ours: bool


def differences(old: etree._Element, new: etree._Element) -> tuple[Difference, ...]:
    """What differs between the configurations of two CIBs, in the order of the new one; removed things come last."""
    before, after = dict(_things(old)), dict(_things(new))
    found = [_compare(key, before.get(key), thing) for key, thing in after.items()]
    found += [_compare(key, thing, None) for key, thing in before.items() if key not in after]
    return tuple(difference for difference in found if difference)


def foreign(old: etree._Element, new: etree._Element) -> tuple[tuple[str, str], ...]:
    """Kind and name of what stands in both configurations and Backstay did not create; properties are left out.

    So are the entries of the full members, which Pacemaker makes itself.
    """
    before = dict(_things(old))
    return tuple(
        (thing.kind, thing.name)
        for key, thing in _things(new)
        if key in before and not thing.ours and thing.kind not in ("property", "node")
    )


def same(fact: str, old: str, new: str) -> bool:
    """Whether two values of a fact mean the same to Pacemaker; an empty one means that nothing is written."""
    default = DEFAULTS.get(fact, "")
    one, other = old or default, new or default
    if one == other or {one.lower()} | {other.lower()} <= TRUE or {one.lower()} | {other.lower()} <= FALSE:
        return True
    timed = fact.rpartition(" ")[2] in _TIMED
    return timed and _milliseconds(one) is not None and _milliseconds(one) == _milliseconds(other)


@dataclass(frozen=True, slots=True)
class _Thing:
    kind: str
    name: str
    facts: Mapping[str, str]
    ours: bool


def _compare(key: str, old: _Thing | None, new: _Thing | None) -> Difference | None:
    thing = new or old
    assert thing is not None, key
    was, becomes = (side.facts if side else {} for side in (old, new))
    details = tuple(
        Detail(fact, was.get(fact, ""), becomes.get(fact, ""))
        for fact in {**becomes, **was}
        if not same(fact, was.get(fact, ""), becomes.get(fact, ""))
    )
    if old and new and not details:
        return None
    verb = CHANGED if old and new else ADDED if new else REMOVED
    return Difference(verb, thing.kind, thing.name, details, thing.ours)


def _things(cib: etree._Element) -> Iterator[tuple[str, _Thing]]:
    """All things of a configuration by a key that survives another id of a set."""
    for name in SECTIONS:
        for child in cib.iterfind(f"configuration/{name}/*"):
            if name == "crm_config":
                for fact, value in _pairs(child):
                    ours = any(
                        is_ours(pair) for pair in elements(child) if f"property {pair.get('name')}" == fact
                    )
                    short = fact.removeprefix("property ")
                    yield f"property {short}", _Thing("property", short, {"value": value}, ours)
            else:
                identity = child.get("id", "")
                yield (
                    f"{name} {identity}",
                    _Thing(_kind(child), identity, dict(_facts(child)), is_ours(child)),
                )


def _kind(element: etree._Element) -> str:
    if element.get("provider") == "backstay" and element.get("type") == "domain":
        return "domain"
    if element.get("class") == "stonith":
        return "fence device"
    return KINDS.get(str(element.tag), str(element.tag))


def _facts(element: etree._Element, prefix: str = "") -> Iterator[tuple[str, str]]:
    tag = str(element.tag)
    if tag == "primitive":
        parts = (element.get("class"), element.get("provider"), element.get("type"))
        yield f"{prefix}agent", ":".join(part for part in parts if part)
    elif tag not in MEMBERS:
        yield from _plain(element, prefix)
        return
    for child in elements(element):
        if child.tag in SETS:
            yield from ((prefix + fact, value) for fact, value in _pairs(child))
        elif child.tag == "operations":
            yield from _operations(child, prefix)
        elif child.tag in MEMBERS:
            yield f"{prefix}member {child.get('id')}", "yes"
            yield from _facts(child, f"{prefix}{child.get('id')}: ")


def _plain(element: etree._Element, prefix: str) -> Iterator[tuple[str, str]]:
    """An element that is its attributes and whatever stands in it: a constraint, a node, an alert."""
    for name, value in sorted(element.attrib.items()):
        if name != "id":
            yield prefix + str(name), str(value)
    for number, child in enumerate(elements(element), 1):
        if child.tag in SETS:
            yield from ((prefix + fact, value) for fact, value in _pairs(child))
        else:
            yield from _plain(child, f"{prefix}{child.tag} {child.get('id') or number} ")


def _pairs(holder: etree._Element) -> Iterator[tuple[str, str]]:
    """The name-value pairs of a set; those that hold under a rule only carry it."""
    rule = "".join(etree.tostring(child, encoding="unicode") for child in holder.iterfind("rule"))
    when = f" when {rule}" if rule else ""
    for pair in holder.iterfind("nvpair"):
        yield f"{SETS[str(holder.tag)]} {pair.get('name')}{when}", pair.get("value", "")


def _operations(holder: etree._Element, prefix: str) -> Iterator[tuple[str, str]]:
    for operation in holder.iterfind("op"):
        every = float(_milliseconds(operation.get("interval", "0")) or 0)
        role = f" as {operation.get('role')}" if operation.get("role") else ""
        name = operation.get("name", "") + (f" every {every / 1000:g}s" if every else "")
        yield f"{prefix}{name}{role}", "yes"
        for fact in sorted(map(str, operation.attrib)):
            if fact not in ("id", "name", "interval", "role"):
                yield f"{prefix}{name}{role} {fact}", operation.get(fact, "")
        for child in elements(operation):
            if child.tag in SETS:
                yield from ((f"{prefix}{name}{role} {pair}", value) for pair, value in _pairs(child))


def _milliseconds(text: str) -> Fraction | None:
    match = _TIME.fullmatch(text.strip().lower())
    return int(match[1]) * Fraction(_MILLISECONDS[match[2] or ""]) if match else None
