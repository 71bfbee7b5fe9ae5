# SPDX-License-Identifier: GPL-2.0-or-later
"""What kinds of value a template may take, and how the text that an admin writes becomes one.

Decides what is accepted, in the same words as a cloud description. Never guesses: ValueError says what is expected.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from backstay.cloud import kinds as described
from backstay.cloud import names, units
from backstay.cloud.problems import listed

LONGEST_TEXT = 1024  # characters


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value: how it is read, and what is expected, in words that follow "expected".

    `read` raises ValueError for a text that is none.
    """

    read: Callable[[str], object]
    expected: str


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if pattern.fullmatch(text) is None:
            raise ValueError(text)
        return text

    return read


def _text(text: str) -> str:
    if not text.isprintable() or len(text) > LONGEST_TEXT:
        raise ValueError(text)
    return text


WORD = re.compile(r"[!-~]{1,1024}")
"""Printable ASCII without blanks."""

KINDS = {
    "address": Kind(names.address, "an IP address or a DNS name"),
    "boolean": Kind(described.BOOLEAN.convert, "yes or no"),
    "host": Kind(_matching(names.HOST_NAME), names.HOST_NAME_EXPECTED),
    "name": Kind(_matching(names.DOMAIN_NAME), names.DOMAIN_NAME_EXPECTED),
    "path": Kind(described.PATH.convert, "an absolute path such as `/srv/vm`"),
    "size": Kind(units.parse_size, units.SIZE_EXAMPLE),
    "text": Kind(_text, "one line of text"),
    "time": Kind(units.parse_duration, units.TIME_EXAMPLE),
    "uuid": Kind(_matching(names.UUID), "a UUID in lower case, as `virsh domuuid` prints it"),
    "word": Kind(_matching(WORD), "a word without blanks"),
}
"""By the word that a template's header says after `is`; `integer` and `choice` have bounds or words of their own.

Read as: a bool for `boolean`, PurePosixPath for `path`, Bytes for `size`, Seconds for `time` (at most a day), else str.
"""


def integer(least: int, most: int) -> Kind:
    """A whole number from `least` to `most`, both included; it may be negative. Read as an int."""

    def read(text: str) -> int:
        if re.fullmatch(r"-?[0-9]{1,9}", text) is None or not least <= int(text) <= most:
            raise ValueError(text)
        return int(text)

    return Kind(read, f"a whole number from {least} to {most}")


def choice(words: Sequence[str]) -> Kind:
    """One of `words`, as it is written there."""
    return Kind(described.one_of(words), f"one of {listed(words)}")
