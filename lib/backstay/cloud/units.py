# SPDX-License-Identifier: GPL-2.0-or-later
"""Sizes and times as people write them, and as Pacemaker reads them.

Decides what `4 GiB` and `30s` mean. A number without its unit is never guessed at: ValueError says what to write.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NewType

Bytes = NewType("Bytes", int)
"""An amount of memory or disk in bytes."""
Seconds = NewType("Seconds", Fraction)
"""A length of time in seconds, exact."""

SIZES = {
    "B": 1,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
    "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
}  # fmt: skip
TIMES = {
    "ms": Fraction(1, 1000),
    "s": Fraction(1), "sec": Fraction(1), "second": Fraction(1), "seconds": Fraction(1),
    "min": Fraction(60), "minute": Fraction(60), "minutes": Fraction(60),
    "h": Fraction(3600), "hour": Fraction(3600), "hours": Fraction(3600),
}  # fmt: skip

SIZE_EXAMPLE = "a size such as `512 MiB` or `4 GiB`"
TIME_EXAMPLE = "a time such as `30s`, `2 min` or `500 ms`"
# Long digit strings are refused: no host has that memory, and Pacemaker keeps milliseconds in 32 bits.
_WRITTEN = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)[ \t]{0,8}([A-Za-z]{0,8})")
LONGEST = Seconds(Fraction(24 * 3600))


def _split(text: str, units: dict[str, Fraction] | dict[str, int]) -> Fraction:
    match = _WRITTEN.fullmatch(text)
    if match is None or match[2] not in units:
        raise ValueError(text)
    return Fraction(match[1]) * units[match[2]]


def parse_size(text: str) -> Bytes:
    """The size that `text` (`4 GiB`, `512MiB`, `2 GB`) names; ValueError when it is not a whole number of bytes."""
    size = _split(text, SIZES)
    if size.denominator != 1:
        raise ValueError(text)
    return Bytes(int(size))


def parse_duration(text: str) -> Seconds:
    """The time that `text` (`30s`, `2 min`, `500 ms`) names, at most a day; ValueError otherwise.

    Anything finer than a millisecond is an error too, because Pacemaker counts in milliseconds.
    """
    seconds = _split(text, TIMES)
    if seconds > LONGEST or (seconds * 1000).denominator != 1:
        raise ValueError(text)
    return Seconds(seconds)


def nearest_size(text: str) -> str:
    """What was probably meant by a size that cannot be read: `4 GiB` for `4G`, `4g` or `4 gib`; or empty."""
    match = _WRITTEN.fullmatch(text.strip())
    if match is None or not match[2]:
        return ""
    word = match[2].casefold()
    meant = [unit for unit in SIZES if unit.casefold() == word or unit.casefold() == f"{word}ib"]
    return f"{match[1]} {meant[0]}" if meant else ""


def nearest_duration(text: str) -> str:
    """What was probably meant by a time that cannot be read: `30s` for `30` or `30 S`, `2 min` for `2m`; or empty."""
    match = _WRITTEN.fullmatch(text.strip())
    if match is None:
        return ""
    word = match[2].casefold()
    if word in ("m", "mins"):
        return f"{match[1]} min"
    return f"{match[1]}s" if word in ("", "s", "secs") else ""


def cib_duration(seconds: Seconds) -> str:
    """`seconds` as Pacemaker writes a time: `30s`, or `1500ms` when it is not a whole number."""
    return f"{seconds}s" if seconds.denominator == 1 else f"{seconds * 1000}ms"


def mebibytes(size: Bytes) -> int:
    """`size` in MiB, rounded up: what a utilization attribute holds, which is an integer."""
    return -(-size // 2**20)
