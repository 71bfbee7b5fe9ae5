# SPDX-License-Identifier: GPL-2.0-or-later
"""What kinds of value a template may take, and how the text that an admin writes becomes one.

Decides what is accepted, in the same words as a cloud description. Never guesses: ValueError says what is expected.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from backstay.cloud import names, units
from backstay.cloud.problems import listed

TRUE = ("true", "yes", "on")
FALSE = ("false", "no", "off")
LONGEST_TEXT = 1024


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value: how it is read, and what is expected, in words that follow "expected"."""

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


def _path(text: str) -> PurePosixPath:
    path = PurePosixPath(_text(text))
    if not path.is_absolute() or ".." in path.parts:
        raise ValueError(text)
    return path


def _boolean(text: str) -> bool:
    if text.lower() not in TRUE + FALSE:
        raise ValueError(text)
    return text.lower() in TRUE


WORD = re.compile(r"[!-~]{1,1024}")

KINDS = {
    "address": Kind(names.address, "an IP address or a DNS name"),
    "boolean": Kind(_boolean, "yes or no"),
    "host": Kind(_matching(names.HOST_NAME), names.HOST_NAME_EXPECTED),
    "name": Kind(_matching(names.DOMAIN_NAME), names.DOMAIN_NAME_EXPECTED),
    "path": Kind(_path, "an absolute path such as `/srv/vm`"),
    "size": Kind(units.parse_size, units.SIZE_EXAMPLE),
    "text": Kind(_text, "one line of text"),
    "time": Kind(units.parse_duration, units.TIME_EXAMPLE),
    "uuid": Kind(_matching(names.UUID), "a UUID in lower case, as `virsh domuuid` prints it"),
    "word": Kind(_matching(WORD), "a word without blanks"),
}


def integer(least: int, most: int) -> Kind:
    """A whole number from `least` to `most`."""

    def read(text: str) -> int:
        if re.fullmatch(r"-?[0-9]{1,9}", text) is None or not least <= int(text) <= most:
            raise ValueError(text)
        return int(text)

    return Kind(read, f"a whole number from {least} to {most}")


def choice(words: Sequence[str]) -> Kind:
    """One of `words`."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    return Kind(read, f"one of {listed(words)}")
