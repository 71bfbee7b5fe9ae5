# SPDX-License-Identifier: GPL-2.0-or-later
"""What is different between two configurations, in the admin's words.

Decides what counts as the same: another order, another id of a set, another text for the same value, and a default that
one side writes and the other leaves out are no difference (cib/meaning.py). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lxml import etree

from backstay.cib.document import SECTIONS, elements, is_ours
from backstay.cib.meaning import (
    CONSTRAINT,
    META,
    NOTHING,
    OPERATION,
    Option,
    Options,
    kind_of,
    period,
    same,
)

ADDED, CHANGED, REMOVED = "added", "changed", "removed"
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
_META = re.compile(r"(?:\S+: )*meta \S+")
_PARAMETER = re.compile(r"(?P<of>(?:\S+: )*)parameter (?P<name>.+)", re.DOTALL)


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


def differences(
    old: etree._Element, new: etree._Element, options: Options = NOTHING, *, exact: bool = False
) -> tuple[Difference, ...]:
    """What differs between the configurations of two CIBs, in the order of the new one; removed things come last.

    `options` says what holds for what is not written. `exact` counts each text of a resource's parameter, as Pacemaker
    does when it compares a running resource with a configuration that is loaded.
    """
    before, after = dict(_things(old)), dict(_things(new))
    compare = _Comparison(options, _defaults(old), _defaults(new), exact)
    found = [compare(before.get(key), thing) for key, thing in after.items()]
    found += [compare(thing, None) for key, thing in before.items() if key not in after]
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


@dataclass(frozen=True, slots=True)
class _Thing:
    kind: str
    name: str
    facts: Mapping[str, str]
    ours: bool
    tag: str = ""


@dataclass(frozen=True, slots=True)
class _Comparison:
    """How the things of two configurations are compared; `old` and `new` are what each has as defaults."""

    options: Options
    old: Mapping[str, str]
    new: Mapping[str, str]
    exact: bool

    def __call__(self, old: _Thing | None, new: _Thing | None) -> Difference | None:
        thing = new or old
        assert thing is not None
        was, becomes = (side.facts if side else {} for side in (old, new))
        details = tuple(
            Detail(fact, was.get(fact, ""), becomes.get(fact, ""))
            for fact in {**becomes, **was}
            if not self._same(fact, was, becomes, thing, exact=self.exact or not (old and new))
        )
        if not details and ((old and new) or thing.kind == "property"):
            return None
        verb = CHANGED if old and new else ADDED if new else REMOVED
        return Difference(verb, thing.kind, thing.name, details, thing.ours)

    def _same(
        self, fact: str, was: Mapping[str, str], becomes: Mapping[str, str], thing: _Thing, *, exact: bool
    ) -> bool:
        one, other = was.get(fact, ""), becomes.get(fact, "")
        if one == other or (exact and _PARAMETER.fullmatch(fact)):
            return one == other
        option = self._option(fact, {**was, **becomes}, thing)
        one = one or _default(fact, option, self.old, was, thing)
        other = other or _default(fact, option, self.new, becomes, thing)
        return same(option.kind if option else kind_of(fact), one, other)

    def _option(self, fact: str, facts: Mapping[str, str], thing: _Thing) -> Option | None:
        if thing.kind == "property":
            return self.options.of_cluster(thing.name)
        match = _PARAMETER.fullmatch(fact)
        agent = facts.get(f"{match['of']}agent") if match else None
        return self.options.of_agent(agent, match["name"]) if match and agent else None


def _default(
    fact: str, option: Option | None, defaults: Mapping[str, str], facts: Mapping[str, str], thing: _Thing
) -> str:
    """What holds when nothing is written; empty where nobody can tell.

    A member of a group or clone inherits from that; what holds under a rule may win over what is written.
    """
    if option:
        return option.default
    before, _, name = fact.rpartition(" ")
    if _META.fullmatch(fact):
        own = thing.tag == "clone" and name == "resource-stickiness"
        return "" if own else _inherited(fact, name, defaults, facts)
    if name in OPERATION and before and before.rpartition(" ")[2] not in SETS.values():
        return defaults.get(f"operation {name}", OPERATION[name])
    if name == "symmetrical" and facts.get("kind") == "Serialize":
        return "false"
    return CONSTRAINT.get(fact, "")


def _inherited(fact: str, name: str, defaults: Mapping[str, str], facts: Mapping[str, str]) -> str:
    """What a meta attribute is that is not written: as what it stands in has it, else as `rsc_defaults` say."""
    members = fact.split(": ")[:-1]
    while True:
        here = "".join(f"{member}: " for member in members) + f"meta {name}"
        if any(other.startswith(f"{here} when ") for other in facts):
            return ""
        if here in facts:
            return facts[here]
        if not members:
            return defaults.get(here, META.get(name, ""))
        members.pop()


def _defaults(cib: etree._Element) -> dict[str, str]:
    """What `rsc_defaults` and `op_defaults` say; empty for what they say under a rule."""
    found: dict[str, str] = {}
    for section, word in (("rsc_defaults", "meta"), ("op_defaults", "operation")):
        for holder in cib.iterfind(f"configuration/{section}/meta_attributes"):
            ruled = holder.find("rule") is not None
            for pair in holder.iterfind("nvpair"):
                key = f"{word} {pair.get('name')}"
                found[key] = "" if ruled or key in found else pair.get("value", "")
    return found


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
                    _Thing(_kind(child), identity, dict(_facts(child)), is_ours(child), str(child.tag)),
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
        every = period(operation.get("interval", "0")) or 0
        role = f" as {operation.get('role')}" if operation.get("role") else ""
        name = operation.get("name", "") + (f" every {every / 1000:g}s" if every else "")
        yield f"{prefix}{name}{role}", "yes"
        for fact in sorted(map(str, operation.attrib)):
            if fact not in ("id", "name", "interval", "role"):
                yield f"{prefix}{name}{role} {fact}", operation.get(fact, "")
        for child in elements(operation):
            if child.tag in SETS:
                yield from ((f"{prefix}{name}{role} {pair}", value) for pair, value in _pairs(child))
