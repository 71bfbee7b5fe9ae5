# SPDX-License-Identifier: GPL-2.0-or-later
"""Typed fields out of the tree of a description; what is wrong goes to the report and reading goes on.

Decides what a single value may be. What follows from several values together is decided in `parse`.
Every reader answers None (or the default) after it has reported a problem.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeVar

from backstay.cloud.problems import Position, Report, listed, nearest, quote
from backstay.cloud.tree import Mapping, Node, Scalar
from backstay.cloud.tree import Sequence as ListNode
from backstay.cloud.units import (
    SIZE_EXAMPLE,
    TIME_EXAMPLE,
    Bytes,
    Seconds,
    nearest_duration,
    nearest_size,
    parse_duration,
    parse_size,
)

T = TypeVar("T")

TRUE = ("true", "yes", "on")
FALSE = ("false", "no", "off")
# Keys whose value must never be repeated in a message, whatever is wrong with it.
_SECRET = re.compile(r"pass|secret|token", re.IGNORECASE)


def describe(node: Node) -> str:
    """`node` as the "found" half of a message."""
    if isinstance(node, Scalar):
        return quote(node.value) if node.value or not node.plain else "nothing"
    return "a list" if isinstance(node, ListNode) else "a mapping"


@dataclass(slots=True)
class Fields:
    """The fields of one mapping. `owner` names it in messages (`the host n1`)."""

    mapping: Mapping
    owner: str
    report: Report

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

    def allow(
        self, keys: Sequence[str], *, required: Iterable[str] = (), forbidden: dict[str, str] | None = None
    ) -> None:
        """Report each key that does not belong here, and each of `required` that is missing.

        `forbidden` maps a key that people write, but must not, to what to write instead.
        """
        for key, (where, _) in self.mapping.items.items():
            instead = (forbidden or {}).get(key)
            if instead is not None:
                self.report.add(where.at, f"the key {quote(key)} in {self.owner}", instead)
            elif key not in keys:
                expected = f"one of {listed(keys)}"
                self.report.add(
                    where.at, f"the key {quote(key)} in {self.owner}", expected, nearest(key, keys)
                )
        for key in required:
            if key not in self.mapping.items:
                self.report.add(self.at, f"{self.owner} without `{key}`", f"the key `{key}`")

    def _scalar(self, key: str, expected: str) -> Scalar | None:
        entry = self.mapping.items.get(key)
        if entry is None:
            return None
        node = entry[1]
        if isinstance(node, Scalar) and (node.value or not node.plain):
            return node
        self.report.add(node.at, f"{describe(node)} for `{key}`", expected)
        return None

    def read(
        self, key: str, convert: Callable[[str], T], expected: str, meant: Callable[[str], str] = lambda _: ""
    ) -> T | None:
        """The value of `key` through `convert`; its ValueError is a problem. `meant` guesses what was meant."""
        node = self._scalar(key, expected)
        if node is None:
            return None
        try:
            return convert(node.value)
        except ValueError:
            shown = "a value that cannot be right" if _SECRET.search(key) else quote(node.value)
            guess = meant(node.value)
            # Well written, and too little or too much: what is there already is not what was meant.
            guess = "" if guess.replace(" ", "") == node.value.replace(" ", "") else guess
            self.report.add(node.at, f"{shown} for `{key}`", expected, guess)
            return None

    def matching(self, key: str, pattern: re.Pattern[str], expected: str) -> str | None:
        """Text that matches `pattern` as a whole."""

        def convert(text: str) -> str:
            if pattern.fullmatch(text) is None:
                raise ValueError(text)
            return text

        return self.read(key, convert, expected)

    def path(self, key: str) -> PurePosixPath | None:
        """An absolute path without `..`."""

        def convert(text: str) -> PurePosixPath:
            path = PurePosixPath(text)
            if not path.is_absolute() or ".." in path.parts or len(text) > 1024 or not text.isprintable():
                raise ValueError(text)
            return path

        return self.read(key, convert, "an absolute path such as `/srv/vm/domains/web1.xml`")

    def integer(self, key: str, lowest: int, highest: int) -> int | None:
        """A whole number in decimal, within bounds (both included)."""

        def convert(text: str) -> int:
            if re.fullmatch(r"[0-9]{1,9}", text) is None or not lowest <= int(text) <= highest:
                raise ValueError(text)
            return int(text)

        return self.read(key, convert, f"a whole number from {lowest} to {highest}")

    def boolean(self, key: str) -> bool | None:
        """Yes or no, in the words YAML has for it."""

        def convert(text: str) -> bool:
            if text.lower() not in TRUE + FALSE:
                raise ValueError(text)
            return text.lower() in TRUE

        return self.read(key, convert, "`true` or `false`", lambda text: nearest(text, TRUE + FALSE))

    def choice(self, key: str, words: Sequence[str]) -> str | None:
        """One of `words`."""

        def convert(text: str) -> str:
            if text not in words:
                raise ValueError(text)
            return text

        return self.read(key, convert, f"one of {listed(words)}", lambda text: nearest(text, words))

    def size(self, key: str) -> Bytes | None:
        """An amount of memory with its unit, at least 1 MiB."""

        def convert(text: str) -> Bytes:
            if (size := parse_size(text)) < 2**20:
                raise ValueError(text)
            return size

        return self.read(key, convert, SIZE_EXAMPLE, nearest_size)

    def duration(self, key: str, least: int = 1) -> Seconds | None:
        """A length of time with its unit, at least `least` seconds."""

        def convert(text: str) -> Seconds:
            if (seconds := parse_duration(text)) < least:
                raise ValueError(text)
            return seconds

        at_least = f" of at least {least}s" if least > 1 else ""
        return self.read(key, convert, TIME_EXAMPLE + at_least, nearest_duration)

    def words(self, key: str) -> list[Scalar]:
        """A list of words, or a single word; with their places."""
        entry = self.mapping.items.get(key)
        if entry is None:
            return []
        node = entry[1]
        items: list[Node] = node.items if isinstance(node, ListNode) else [node]
        good = [item for item in items if isinstance(item, Scalar) and (item.value or not item.plain)]
        for item in items:
            if not any(item is known for known in good):
                self.report.add(item.at, f"{describe(item)} for `{key}`", "a word or a list of words")
        return good

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
        if isinstance(node, Scalar) and not node.value
        else "a list"
        if isinstance(node, ListNode)
        else "text"
    )
    report.add(node.at, f"{found} for {owner}", "a mapping with keys")
    return None
