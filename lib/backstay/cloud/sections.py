# SPDX-License-Identifier: GPL-2.0-or-later
"""How the parts of a description are declared: sections of keys, and mappings of names.

Decides the form of the declarations in `keys`, from which the parser, the JSON Schema and the reference are made.
"""

from __future__ import annotations

from dataclasses import dataclass

from backstay.cloud.kinds import Kind
from backstay.cloud.secrets import INSTEAD


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a section. `default` is what holds when it is left out, in the words of the reference."""

    name: str
    kind: Kind | Section | Named | Variants
    doc: str
    required: bool = False
    default: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping with fixed keys; `instead` is what to write instead of a secret."""

    title: str
    doc: str
    keys: tuple[Key, ...]
    instead: str = INSTEAD
    exactly_one: tuple[str, ...] = ()
    """Of these keys one, and only one, is given."""
    at_least_one: tuple[str, ...] = ()
    """Of these keys one is given."""

    def kind(self, name: str) -> Kind:
        """The kind of the key `name`, which has a plain value."""
        found = next(key.kind for key in self.keys if key.name == name)
        assert isinstance(found, Kind), name
        return found


@dataclass(frozen=True, slots=True)
class Variants:
    """A mapping with a key that decides which other keys there are, such as `protocol` of a BMC."""

    title: str
    doc: str
    key: str
    words: str
    """What the key says, in the reference."""
    default: str
    """The value of the key when it is left out; empty when it may not be."""
    sections: tuple[tuple[str, Section], ...]

    def elsewhere(self, name: str, chosen: str) -> str:
        """The value of the key with which the key `name` would mean something; empty when there is none."""
        there = [value for value, section in self.sections if any(key.name == name for key in section.keys)]
        return "" if chosen in there or not there else there[0]


@dataclass(frozen=True, slots=True)
class Named:
    """A mapping whose keys are names that the admin gives: of hosts, of domains."""

    noun: str
    value: Section | Kind | Variants
    pattern: str
    most: int
    least: int = 0
    secrets: bool = False
    """Whether names that look like a secret are refused."""
