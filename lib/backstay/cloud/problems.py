# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong in a description: where, what was found, what is expected, and the nearest valid word.

Decides how a problem reads, and collects all of them so that an admin mends a file once. Never shows a secret.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from backstay.cloud.secrets import LONGEST, masked
from backstay.errors import BadInput

LONGEST_QUOTE = 60
MOST_SHOWN = 100


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a file; both count from 1, as editors do."""

    line: int
    column: int
    file: str = ""

    @property
    def place(self) -> str:
        """The place as another message names it."""
        return f"{self.file} line {self.line}"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong; `nearest` is the valid word that was probably meant, or empty."""

    position: Position
    found: str
    expected: str
    nearest: str = ""

    def __str__(self) -> str:
        place = f"{self.position.file}:{self.position.line}:{self.position.column}"
        meant = f" (did you mean {quote(self.nearest)}?)" if self.nearest else ""
        return f"{place}: found {self.found}, expected {self.expected}{meant}"


def _order(problem: Problem) -> tuple[object, ...]:
    at = problem.position
    return (at.file, at.line, at.column, problem.found, problem.expected)


class InvalidDescription(BadInput):
    """A description that cannot be used; `problems` holds everything that is wrong with it, in file order."""

    def __init__(self, file: str, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=_order))
        count = len(self.problems)
        shown = [str(problem) for problem in self.problems[:MOST_SHOWN]]
        if count > MOST_SHOWN:
            shown.append(f"and {count - MOST_SHOWN} more")
        noun = "problem" if count == 1 else "problems"
        self.summary = f"{file} cannot be used: {count} {noun}"
        super().__init__(
            "\n".join([f"{self.summary}:", *shown]), hint="mend the file and run the same command again"
        )


class Report:
    """Collects the problems of one file while it is read."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._said: set[Problem] = set()

    def add(self, position: Position, found: str, expected: str, nearest: str = "") -> None:
        """Note one problem, once."""
        self.take((Problem(position, found, expected, nearest),))

    def take(self, problems: Iterable[Problem]) -> None:
        """Note several, each once."""
        for problem in problems:
            if problem not in self._said:
                self._said.add(problem)
                self.problems.append(problem)

    def raise_if_any(self) -> None:
        """InvalidDescription with all problems, if there is one."""
        if self.problems:
            raise InvalidDescription(self.file, self.problems)


def quote(text: str) -> str:
    """`text` as a message may show it: short, on one line, without control characters."""
    text = masked(text[:LONGEST])
    short = text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}..."
    return (
        "`"
        + "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in short)
        + "`"
    )


def nearest(word: str, valid: Iterable[str]) -> str:
    """The valid word that `word` was probably meant to be, or empty."""
    choices = list(valid)
    folded = {choice.casefold(): choice for choice in reversed(choices)}
    close = difflib.get_close_matches(word[:200].casefold(), list(folded), n=1, cutoff=0.6)
    return folded[close[0]] if close else ""


def counted(count: int, noun: str) -> str:
    """How many of something there are: `no domain`, `1 domain`, `2 domains`."""
    return f"{count or 'no'} {noun}{'s' if count > 1 else ''}"


def listed(words: Iterable[str]) -> str:
    """`words` as a message lists them, in the given order, shortened when there are many, or one is no plain word."""
    every = list(words)
    plain = (
        word if word.isprintable() and len(word) <= LONGEST_QUOTE else quote(word) for word in every[:12]
    )
    shown = ", ".join(plain)
    return shown if len(every) <= 12 else f"{shown} and {len(every) - 12} more"
