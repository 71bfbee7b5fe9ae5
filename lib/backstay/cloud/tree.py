# SPDX-License-Identifier: GPL-2.0-or-later
"""YAML text as a tree whose every node knows its line and column.

Decides what YAML a description may use: one document of mappings, lists and scalars; keys once each. Scalars stay
text, so that `no` or `1e3` mean what was written. Anchors and tags are refused: a description has no use for them,
and they are how a small file becomes a huge one. Never recurses, so that no nesting can exhaust the stack.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.reader import Reader

from backstay.cloud.problems import InvalidDescription, Position, Report, quote

NOTHING = ("", "~", "null", "Null", "NULL")
"""How a plain scalar says that there is no value (YAML 1.2, 10.3.2)."""
LARGEST = 8 * 2**20
"""The most bytes that a file may have."""
DEEPEST = 16
"""The most lists and mappings that may stand in one another."""
# libyaml where PyYAML was built with it (about eight times as fast); both parsers are iterative.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class Scalar:
    """A single value, as text, at its first character. `plain` is false when it stands in quotes or as a block."""

    at: Position
    value: str
    plain: bool

    @property
    def nothing(self) -> bool:
        """Whether there is no value: it was left out, or is YAML's null."""
        return self.plain and self.value in NOTHING


@dataclass(slots=True)
class Sequence:
    """A list, at its first character; `items` in the order of the file."""

    at: Position
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Mapping:
    """Keys with values, at its first character; a key that stood twice is reported and keeps its first value.

    `items` are the key as it stood and its value, by the key's text; `again` has the others of a key that stood twice.
    `key` is the one whose value has not been read yet: None in a tree that is complete.
    """

    at: Position
    items: dict[str, tuple[Scalar, Node]] = field(default_factory=dict)
    key: Scalar | None = None
    again: list[tuple[Scalar, Node]] = field(default_factory=list)

    def place(self, key: Scalar, value: Node, report: Report, *, name_file: bool = False) -> None:
        """Add a value; that its key was there before is reported, by its line or by its file, too."""
        first = self.items.setdefault(key.value, (key, value))
        if first[1] is not value:
            self.again.append((key, value))
            there = first[0].at.place if name_file else f"line {first[0].at.line}"
            report.add(key.at, f"the key {quote(key.value)} again", f"each key once (first in {there})")


Node = Scalar | Sequence | Mapping
"""What stands at one place of a description."""


def nodes(roots: Iterable[Node]) -> Iterator[Node]:
    """Every node of these trees, themselves included; not what stood again."""
    ahead = list(roots)
    while ahead:
        node = ahead.pop()
        yield node
        if isinstance(node, Sequence):
            ahead += node.items
        elif isinstance(node, Mapping):
            ahead += (value for _, value in node.items.values())


class _Stop(Exception):
    """The rest of the file cannot be read; the report says why."""


def _position(mark: Any, file: str) -> Position:
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    return Position(line, column, file)


class _Builder:
    """Turns parser events into a tree."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.open: list[Sequence | Mapping] = []
        self.root: Node | None = None

    def stop(self, at: Position, found: str, expected: str) -> _Stop:
        self.report.add(at, found, expected)
        return _Stop()

    def take(self, event: yaml.Event) -> None:
        at = _position(event.start_mark, self.report.file)
        if isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            raise self.stop(at, "a second YAML document", "one document")
        if isinstance(event, yaml.AliasEvent):
            raise self.stop(at, f"the alias {quote('*' + str(event.anchor))}", "the value itself")
        if isinstance(event, yaml.NodeEvent):
            self.node(event, at)
        elif isinstance(event, yaml.CollectionEndEvent):
            self.open.pop()

    def node(self, event: yaml.NodeEvent, at: Position) -> None:
        if event.anchor is not None:
            raise self.stop(at, f"the anchor {quote('&' + str(event.anchor))}", "no anchors")
        if getattr(event, "tag", None) not in (None, "!"):
            raise self.stop(at, f"the tag {quote(str(event.tag))}", "no tags")  # type: ignore[attr-defined]
        if isinstance(event, yaml.ScalarEvent):
            self.place(Scalar(at, event.value, plain=not event.style), at)
            return
        new = Sequence(at) if isinstance(event, yaml.SequenceStartEvent) else Mapping(at)
        self.place(new, at)
        self.open.append(new)
        if len(self.open) > DEEPEST:
            raise self.stop(at, f"more than {DEEPEST} levels", "hosts, domains and their fields")

    def place(self, node: Node, at: Position) -> None:
        if not self.open:
            self.root = node
            return
        parent = self.open[-1]
        if isinstance(parent, Sequence):
            parent.items.append(node)
        elif parent.key is not None:
            key, parent.key = parent.key, None
            parent.place(key, node, self.report)
        elif isinstance(node, Scalar):
            parent.key = node
        else:
            raise self.stop(at, "a list or a mapping as a key", "a word as a key")


def _place_of(text: str, index: int, file: str) -> Position:
    line = text.count("\n", 0, index) + 1
    return Position(line, index - text.rfind("\n", 0, index), file)


def _decode(data: bytes, report: Report) -> str:
    if len(data) > LARGEST:
        report.add(Position(1, 1, report.file), f"{len(data)} bytes", f"at most {LARGEST} bytes")
        raise _Stop
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        at = _place_of(before + "\n", len(before), report.file)
        report.add(at, f"the byte 0x{data[error.start]:02x}", "text in UTF-8")
        raise _Stop from None
    bad = Reader.NON_PRINTABLE.search(text)
    if bad is not None:
        report.add(
            _place_of(text, bad.start(), report.file), f"the character U+{ord(bad[0]):04X}", "printable text"
        )
        raise _Stop
    return text


def _events(text: str, report: Report) -> Iterator[yaml.Event]:
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        at = _position(error.problem_mark or error.context_mark, report.file)
        report.add(at, f"YAML that cannot be read ({error.problem or error.context})", "valid YAML")


def read_tree(data: bytes, report: Report) -> Node:
    """The tree of `data`, the content of `report.file` in UTF-8; the report gets what is wrong with it.

    A tree with problems is returned as long as its root was closed, so that the rest is read too: whoever reads it
    calls `report.raise_if_any` in the end. Raises InvalidDescription, with all problems so far, when there is no
    whole tree: the file is empty, or its reading ended within it.
    """
    builder = _Builder(report)
    try:
        for event in _events(_decode(data, report), report):
            builder.take(event)
    except _Stop:
        pass
    if report.problems and (builder.root is None or builder.open):
        raise InvalidDescription(report.file, report.problems)
    if builder.root is None:
        report.add(Position(1, 1, report.file), "nothing", "the keys `cluster`, `hosts` and `domains`")
        raise InvalidDescription(report.file, report.problems)
    return builder.root
