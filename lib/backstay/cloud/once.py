# SPDX-License-Identifier: GPL-2.0-or-later
"""What must be given once only: names, addresses, files.

Decides that the second owner of a value is the one that is reported.
"""

from __future__ import annotations

from collections.abc import Iterable

from backstay.cloud.problems import Position, Report, listed, nearest, quote


class Once:
    """Reports a value that two owners share."""

    def __init__(self, report: Report, what: str) -> None:
        self.report = report
        self.what = what
        self.owners: dict[object, str] = {}

    def claim(self, value: object, owner: str, at: Position, shown: str) -> None:
        """Note that `owner` has `value`; an empty value belongs to nobody."""
        other = self.owners.setdefault(value, owner) if value else owner
        if other != owner:
            self.report.add(at, f"{shown} for {owner}", f"{self.what} of its own ({other} has this one)")


def known(
    report: Report, places: Iterable[tuple[Position, object]], valid: Iterable[str], key: str, noun: str
) -> tuple[str, ...]:
    """The words of a list that are all `valid`, each once; what is not is reported. `noun` is what they name."""
    names = list(valid)
    lookup = set(names)
    good: list[str] = []
    for at, value in places:
        word = str(value)
        if word not in lookup:
            expected = f"the name of a {noun} ({listed(names)})"
            report.add(at, f"{quote(word)} for {key}", expected, nearest(word, names))
        elif word in good:
            report.add(at, f"{quote(word)} for {key} again", f"each {noun} once")
        else:
            good.append(word)
    return tuple(good)
