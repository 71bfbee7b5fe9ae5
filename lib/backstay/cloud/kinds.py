# SPDX-License-Identifier: GPL-2.0-or-later
"""What a single value of a description may be, declared once: how it is read, what a message expects, its JSON Schema.

Decides syntax and bounds of values. What follows from several values together is decided in `parse`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from backstay.cloud import names
from backstay.cloud.problems import listed, nearest
from backstay.cloud.secrets import INSTEAD
from backstay.cloud.units import (
    LONGEST,
    SIZE_EXAMPLE,
    SIZES,
    TIME_EXAMPLE,
    TIMES,
    Bytes,
    Seconds,
    nearest_duration,
    nearest_size,
    parse_duration,
    parse_size,
)

TRUE = ("true", "yes", "on")
FALSE = ("false", "no", "off")
"""Words for yes and no, in lower case; any case is read. YAML 1.1 takes them for booleans as well."""
PATH_EXAMPLE = "an absolute path such as `/srv/vm/domains/web1.xml`"
# A path of YAML that an editor checks: no `..`, nothing that cannot be printed.
_PATH = r"/(?!(?:.*/)?\.\.(?:/|$))[^\x00-\x1f\x7f]{0,1023}"
LONGEST_LINE = 1024  # characters

Json = Mapping[str, object]
"""A part of a JSON Schema, as json.dumps takes it."""


def _guess_nothing(_: str) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value. `convert` raises ValueError for a wrong one; `meant` guesses what was meant by it, or is empty.

    `word` names it in the reference, `expected` in a message, after "expected"; `schema` is its JSON Schema, which an
    editor checks.
    `stand_in` takes the place of a required value that is missing or wrong, so that reading can go on. With `many`,
    a list of such values or a single one is read, as a tuple.
    """

    word: str
    expected: str
    convert: Callable[[str], object]
    schema: Json
    stand_in: object = None
    meant: Callable[[str], str] = field(default=_guess_nothing)
    many: bool = False
    instead: str = INSTEAD
    """What to write instead of a value with a secret in it."""


def many(kind: Kind, word: str = "") -> Kind:
    """A list of `kind`, or a single one: read as a tuple, empty where it is missing. `word` replaces its name."""
    schema = {"anyOf": [kind.schema, {"type": "array", "items": kind.schema}]}
    return replace(kind, word=word or f"list of: {kind.word}", schema=schema, stand_in=(), many=True)


def anchored(pattern: str) -> str:
    """A pattern for the whole of a text, as JSON Schema writes it: there a pattern alone may match a part."""
    return f"^(?:{pattern})$"


def matching(word: str, pattern: re.Pattern[str], expected: str) -> Kind:
    """Text that matches `pattern` as a whole, read as a str; one that is missing stands in as "".

    YAML may take such a text for a number; an editor must not mind.
    """

    def convert(text: str) -> str:
        if pattern.fullmatch(text) is None:
            raise ValueError(text)
        return text

    schema = {"type": ["string", "number", "boolean"], "pattern": anchored(pattern.pattern)}
    return Kind(word, expected, convert, schema, stand_in="")


def line(expected: str = "one line of text", instead: str = INSTEAD) -> Kind:
    """Text on one line, of 1 to LONGEST_LINE characters, none of them a control character."""
    kind = matching("text", re.compile(rf"[^\x00-\x1f\x7f]{{1,{LONGEST_LINE}}}"), expected)
    return replace(kind, instead=instead)


def _path(text: str) -> PurePosixPath:
    path = PurePosixPath(text)
    if not path.is_absolute() or ".." in path.parts or len(text) > 1024 or not text.isprintable():
        raise ValueError(text)
    return path


PATH = Kind("path", PATH_EXAMPLE, _path, {"type": "string", "pattern": anchored(_PATH)}, PurePosixPath("/"))


def integer(lowest: int, highest: int) -> Kind:
    """A whole number in decimal without a sign, within bounds (both included), read as an int."""

    def convert(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,9}", text) is None or not lowest <= int(text) <= highest:
            raise ValueError(text)
        return int(text)

    schema = {"type": "integer", "minimum": lowest, "maximum": highest}
    expected = f"a whole number from {lowest} to {highest}"
    return Kind(f"number, {lowest} to {highest}", expected, convert, schema, stand_in=0)


def _boolean(text: str) -> bool:
    if text.lower() not in TRUE + FALSE:
        raise ValueError(text)
    return text.lower() in TRUE


_ANY_CASE = "|".join("".join(f"[{letter.upper()}{letter}]" for letter in word) for word in (*TRUE, *FALSE))
BOOLEAN = Kind(
    "true or false",
    "`true` or `false`",
    _boolean,
    {"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": anchored(_ANY_CASE)}]},
    meant=lambda text: nearest(text, TRUE + FALSE),
)


def _as_yaml(words: Sequence[str]) -> list[object]:
    """`words`, and what an editor's YAML may take them for: numbers, and the yes and no of YAML 1.1."""
    numbers = [int(word) for word in words if word.isdecimal()]
    booleans = [word in TRUE for word in words if word in TRUE + FALSE]
    return [*words, *numbers, *booleans]


def one_of(words: Sequence[str]) -> Callable[[str], str]:
    """Reads one of `words`; ValueError for any other text."""

    def convert(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    return convert


def choice(words: Sequence[str]) -> Kind:
    """One of `words` (not empty), as it is written there; the first stands in for one that is missing."""

    def meant(text: str) -> str:
        return nearest(text, words)

    return Kind(
        listed(words), f"one of {listed(words)}", one_of(words), {"enum": _as_yaml(words)}, words[0], meant
    )


def _size(text: str) -> Bytes:
    """At least 1 MiB, since the cluster counts memory in MiB (units.mebibytes)."""
    if (size := parse_size(text)) < 2**20:
        raise ValueError(text)
    return size


def _written(units: Mapping[str, object]) -> str:
    return rf"[0-9]{{1,12}}(?:\.[0-9]{{1,6}})?[ \t]{{0,8}}(?:{'|'.join(units)})"


SIZE = Kind(
    "size",
    SIZE_EXAMPLE,
    _size,
    {"type": "string", "pattern": anchored(_written(SIZES))},
    Bytes(0),
    nearest_size,
)


def duration(least: int = 1) -> Kind:
    """A length of time with its unit, from `least` seconds to a day, read as Seconds."""

    def convert(text: str) -> Seconds:
        if (seconds := parse_duration(text)) < least:
            raise ValueError(text)
        return seconds

    at_least = f" of at least {least}s" if least > 1 else ""
    word = "time" + (f" from {least}s" if least > 1 else "")
    schema = {"type": "string", "pattern": anchored(_written(TIMES))}
    return Kind(word, TIME_EXAMPLE + at_least, convert, schema, LONGEST, nearest_duration)


ADDRESS = Kind(
    "address",
    "an IP address or a DNS name",
    names.address,
    {
        "type": ["string", "number"],
        "anyOf": [
            {"format": "ipv4"},
            {"format": "ipv6"},
            {"pattern": anchored(names.DNS_NAME)},
        ],
    },
    stand_in="",
)
