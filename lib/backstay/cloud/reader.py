# SPDX-License-Identifier: GPL-2.0-or-later
"""Typed fields out of the tree of a description; what is wrong goes to the report and reading goes on.

Decides how a mapping is read: which keys belong in it is declared in `keys`, what a value may be in `kinds`.
Every reader answers None (or the default) after it has reported a problem.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Mapping_
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from backstay.cloud.kinds import Kind, choice
from backstay.cloud.problems import Position, Report, listed, nearest, quote
from backstay.cloud.secrets import SECRETS, found_in
from backstay.cloud.sections import Section, Variants
from backstay.cloud.tree import Mapping, Node, Scalar
from backstay.cloud.tree import Sequence as ListNode

T = TypeVar("T")
NO_KEYS: Mapping_[str, str] = {}

# Keys that nobody declared and that look like a secret.
SECRET = re.compile(SECRETS, re.IGNORECASE)
# Keys whose value must never be repeated in a message, whatever is wrong with it.
HIDDEN = re.compile(r"pass|secret|credential", re.IGNORECASE)


def describe(node: Node) -> str:
    """`node` as the "found" half of a message."""
    if isinstance(node, Scalar):
        return "nothing" if node.nothing else quote(node.value)
    return "a list" if isinstance(node, ListNode) else "a mapping"


@dataclass(slots=True)
class Fields:
    """The fields of one mapping. `owner` names it in messages (`the host n1`)."""

    mapping: Mapping
    owner: str
    report: Report
    _read: set[str] = field(default_factory=set)

    @property
    def at(self) -> Position:
        """Where the mapping begins."""
        return self.mapping.at

    def where(self, *keys: str) -> Position:
        """Where the value of `keys` (one below the other) stands; as near as there is anything."""
        node: Node = self.mapping
        for key in keys:
            if not isinstance(node, Mapping) or key not in node.items:
                break
            node = node.items[key][1]
        return node.at

    def allow(self, section: Section, besides: Mapping_[str, str] = NO_KEYS) -> None:
        """Report each key that does not belong here, and each that is required and missing.

        A key that looks like a secret is told where a secret belongs. `besides` maps keys that belong into another
        variant of the section to what would be expected.
        """
        known = [key.name for key in section.keys]
        for name, (where, _) in self.mapping.items.items():
            if name in known:
                continue
            secret = SECRET.search(name) is not None
            expected = besides.get(name) or (section.instead if secret else f"one of {listed(known)}")
            meant = "" if secret or name in besides else nearest(name, known)
            self.report.add(where.at, f"the key {quote(name)} in {self.owner}", expected, meant)
        for key in section.keys:
            if key.required and key.name not in self.mapping.items:
                self.report.add(self.at, f"{self.owner} without `{key.name}`", f"the key `{key.name}`")
        self._exactly_one(section)

    def _exactly_one(self, section: Section) -> None:
        if section.at_least_one and not any(key in self.mapping.items for key in section.at_least_one):
            keys = " or ".join(f"`{key}`" for key in section.at_least_one)
            self.report.add(self.at, f"{self.owner} without {keys}", f"the key {keys}")
        given = [key for key in section.exactly_one if key in self.mapping.items]
        what = section.exactly_one[0].partition("_")[0] if section.exactly_one else ""
        if len(given) > 1:
            self.report.add(self.where(given[1]), f"two sources of the {what}", "one of them")
        elif section.exactly_one and not given and not any(map(SECRET.search, self.mapping.items)):
            expected = " or ".join(f"`{key}`" for key in section.exactly_one)
            self.report.add(self.at, f"{self.owner} without a {what}", expected)

    def _scalar(self, key: str, expected: str) -> Scalar | None:
        entry = self.mapping.items.get(key)
        if entry is None:
            return None
        node = entry[1]
        if isinstance(node, Scalar) and not node.nothing:
            return node
        self.report.add(node.at, f"{describe(node)} for `{key}`", expected)
        return None

    def converted(self, key: str, node: Scalar, kind: Kind) -> object:
        """The value of `node` as one of `kind`, or None after a report."""
        secret = found_in(node.value)
        if secret:
            self.report.add(node.at, f"{secret} for `{key}`", kind.instead)
            return None
        try:
            return kind.convert(node.value)
        except ValueError:
            shown = "a value that cannot be right" if HIDDEN.search(key) else quote(node.value)
            self.report.add(node.at, f"{shown} for `{key}`", kind.expected, _meant(node.value, kind))
            return None

    def words(self, key: str) -> list[Scalar]:
        """A list of words, or a single word; with their places."""
        entry = self.mapping.items.get(key)
        if entry is None:
            return []
        node = entry[1]
        items: list[Node] = node.items if isinstance(node, ListNode) else [node]
        good = [item for item in items if isinstance(item, Scalar) and not item.nothing]
        for item in items:
            if not any(item is known for known in good):
                self.report.add(item.at, f"{describe(item)} for `{key}`", "a word or a list of words")
        return good

    def value(self, key: str, kind: Kind) -> object:
        """The value of `key`; of a kind that is `many`, all good ones as a tuple. None when there is none."""
        if not kind.many:
            node = self._scalar(key, kind.expected)
            return None if node is None else self.converted(key, node, kind)
        if key not in self.mapping.items:
            return None
        return tuple(value for _, value in self.places(key, kind))

    def quietly(self, key: str, kind: Kind) -> object:
        """The value of `key` without a report, for what is looked at before it is read."""
        return replace(self, report=Report("")).value(key, kind)

    def places(self, key: str, kind: Kind) -> list[tuple[Position, object]]:
        """The good values of a kind that is `many`, with their places, without another report."""
        quiet = replace(self, report=Report("")) if key in self._read else self
        self._read.add(key)
        found: list[tuple[Position, object]] = []
        for word in quiet.words(key):
            value = quiet.converted(key, word, kind)
            if value is not None:
                found.append((word.at, value))
        return found

    def variant(self, variants: Variants) -> tuple[str, dict[str, Any]]:
        """Which of `variants` this mapping is, and its values (see `take`)."""
        words = [value for value, _ in variants.sections]
        chosen = self.value(variants.key, choice(words)) or variants.default or words[0]
        needed = {}
        for name in self.mapping.items:
            if name != variants.key and (other := variants.elsewhere(name, str(chosen))):
                expected = f"`{variants.key}: {other}`, or no such key: it means nothing with {chosen}"
                needed[name] = expected
        section = dict(variants.sections)[str(chosen)]
        if not variants.default and variants.key not in self.mapping.items:
            expected = f"the key `{variants.key}`: {listed(words)}"
            self.report.add(self.at, f"{self.owner} without `{variants.key}`", expected)
            every = list(dict.fromkeys(key.name for _, section in variants.sections for key in section.keys))
            for name, (where, _) in self.mapping.items.items():
                if name not in every:
                    meant = nearest(name, every)
                    self.report.add(
                        where.at, f"the key {quote(name)} in {self.owner}", f"one of {listed(every)}", meant
                    )
            return words[0], {}
        return str(chosen), self.take(section, needed)

    def take(self, section: Section, besides: Mapping_[str, str] = NO_KEYS) -> dict[str, Any]:
        """The values of all keys of `section` that hold a value, by name; sections in it are left to the caller.

        What is required and missing or wrong has its stand-in. Unknown keys are reported.
        """
        self.allow(section, besides)
        taken: dict[str, Any] = {}
        for key in section.keys:
            if isinstance(key.kind, Kind):
                value = self.value(key.name, key.kind)
                if value is None and key.required:
                    value = key.kind.stand_in
                if value is not None:
                    taken[key.name] = value
        return taken

    def fields(self, key: str, owner: str) -> Fields | None:
        """The mapping under `key`."""
        entry = self.mapping.items.get(key)
        return fields_of(entry[1], owner, self.report) if entry else None


def fields_of(node: Node, owner: str, report: Report) -> Fields | None:
    """`node` as a mapping of fields, or a problem."""
    if isinstance(node, Mapping):
        return Fields(node, owner, report)
    found = (
        "nothing"
        if isinstance(node, Scalar) and node.nothing
        else "a list"
        if isinstance(node, ListNode)
        else "text"
    )
    report.add(node.at, f"{found} for {owner}", "a mapping with keys")
    return None


def _meant(text: str, kind: Kind) -> str:
    """What was probably meant by a wrong value; empty where that would be wrong as well: too little, or too much."""
    guess = kind.meant(text)
    try:
        kind.convert(guess)
    except ValueError:
        return ""
    return guess
