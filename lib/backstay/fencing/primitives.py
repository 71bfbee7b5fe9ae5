# SPDX-License-Identifier: GPL-2.0-or-later
"""What each primitive of a CIB is and is given, as Pacemaker reads it: templates, id-ref, scores of attribute sets.

Decides which value of a name counts. Never what it means to an agent, or whether it is any good. A set with a rule
counts at some times or on some hosts only: it is left out, and which names that concerns is told beside the values. Not
even `crm_resource --get-parameter` says what such a name has on a host (it answers as where no rule about hosts holds).
Source: Pacemaker 2.1.5, lib/pengine (unpack_template, pe__unpack_dataset_nvpairs); seen there with crm_resource -N and
crm_simulate.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from lxml import etree

# Options of Pacemaker itself in a fence device: its agent never gets them.
_PACEMAKERS = re.compile(
    r"pcmk_(action_limit|delay_(base|max)|host_(argument|check|list|map)|\w+_(action|timeout|retries))"
    r"|provides|stonith-timeout"
)


@dataclass(frozen=True, slots=True)
class Primitive:
    """One resource: which agent it has, and every attribute that it is given by itself or by its template.

    `ruled` are the attributes whose value depends on a rule, with the set that has the rule.
    """

    name: str
    standard: str
    provider: str
    kind: str
    options: Mapping[str, str]
    ruled: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def parameters(self) -> dict[str, str]:
        """What the agent itself is given."""
        return agents_own(self.options) if self.standard == "stonith" else dict(self.options)


def primitives(cib: etree._Element) -> Iterator[Primitive]:
    """Each resource of a CIB that has an agent, in groups, clones and bundles, too."""
    resources = cib.find("configuration/resources")
    for element in () if resources is None else resources.iter("primitive"):
        yield read(cib, element)


def read(cib: etree._Element, element: etree._Element) -> Primitive:
    """What one `<primitive>` is."""
    kind = layers(cib, element)[0]
    standard, provider, agent = (kind.get(word, "") for word in ("class", "provider", "type"))
    options = pairs_of(cib, element, "instance_attributes")
    ruled = ruled_of(cib, element, "instance_attributes")
    return Primitive(element.get("id", ""), standard, provider, agent, options, MappingProxyType(ruled))


def layers(cib: etree._Element, element: etree._Element) -> tuple[etree._Element, ...]:
    """The template of a `<primitive>`, if it has one, and itself: what comes last overrides."""
    template = _named(cib, "template", element.get("template", ""))
    return (element,) if template is None else (template, element)


def pairs_of(cib: etree._Element, element: etree._Element, tag: str) -> dict[str, str]:
    """Names and values of the attribute sets of one kind that hold for a `<primitive>`: the nearest wins."""
    found: dict[str, str] = {}
    for sets in _nearest_first(cib, element, tag):
        found = pairs(cib, sets) | found
    return found


def _nearest_first(
    cib: etree._Element, element: etree._Element, tag: str
) -> Iterator[tuple[etree._Element, ...]]:
    """Its own sets with its template's, those of its group, of its clone, and the defaults of all resources."""
    yield tuple(each for layer in layers(cib, element) for each in layer.iterfind(tag))
    for parent in element.iterancestors("group", "clone"):
        yield tuple(parent.iterfind(tag))
    yield tuple(cib.iterfind(f"configuration/rsc_defaults/{tag}"))


def pairs(cib: etree._Element, sets: Iterable[etree._Element]) -> dict[str, str]:
    """Names and values of the attribute sets without a rule: the highest score wins, the last one among equals."""
    found: dict[str, str] = {}
    present = [each for each in (_meant(cib, one) for one in sets) if each is not None]
    for each in sorted(present, key=lambda one: _score(one.get("score", "0"))):
        if each.find("rule") is None:
            found.update(_named_values(cib, each))
    return found


def ruled_of(cib: etree._Element, element: etree._Element, tag: str) -> dict[str, str]:
    """The names that depend on a rule for a `<primitive>`, where nothing nearer says them; see `ruled`."""
    found: dict[str, str] = {}
    said: set[str] = set()
    for sets in _nearest_first(cib, element, tag):
        found = {name: place for name, place in ruled(cib, sets).items() if name not in said} | found
        said.update(pairs(cib, sets))
    return found


def ruled(cib: etree._Element, sets: Iterable[etree._Element]) -> dict[str, str]:
    """The names in attribute sets with a rule, and the id of the set."""
    present = [each for each in (_meant(cib, one) for one in sets) if each is not None]
    return {
        name: each.get("id", "")
        for each in present
        if each.find("rule") is not None
        for name, _ in _named_values(cib, each)
    }


def by_rule(names: Mapping[str, str]) -> str:
    """Say what depends on a rule: `ip and plug depend on a rule (in fence-n1-night)`."""
    verb = "depends" if len(names) == 1 else "depend"
    return f"{' and '.join(sorted(names))} {verb} on a rule (in {', '.join(sorted(set(names.values())))})"


def _named_values(cib: etree._Element, each: etree._Element) -> Iterator[tuple[str, str]]:
    for pair in each.iterfind("nvpair"):
        meant = _meant(cib, pair)
        if meant is not None:
            # A reference may give the value another name.
            yield pair.get("name") or meant.get("name") or "", meant.get("value", "")


def agents_own(options: Mapping[str, str]) -> dict[str, str]:
    """What a fence agent is given of the options of its device."""
    return {name: value for name, value in options.items() if not _PACEMAKERS.fullmatch(name)}


def _meant(cib: etree._Element, element: etree._Element) -> etree._Element | None:
    """The element itself, or the one that it refers to; None when there is no such one."""
    reference = element.get("id-ref", "")
    return _named(cib, str(element.tag), reference) if reference else element


def _score(text: str) -> int:
    if "INFINITY" in text:
        return -(10**6) if text.startswith("-") else 10**6
    return int(text) if text.lstrip("+-").isdecimal() else 0


def _named(cib: etree._Element, tag: str, identity: str) -> etree._Element | None:
    return next((each for each in cib.iter(tag) if identity and each.get("id") == identity), None)
