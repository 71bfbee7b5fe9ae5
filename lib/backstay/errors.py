# SPDX-License-Identifier: GPL-2.0-or-later
"""The errors that an admin may see, each with its exit code.

Decides which exit code a failure has (the same for every verb). Never prints and never exits: the one guard
of each process does that. Imports nothing, because agents load it on their hot path.
"""

from __future__ import annotations


class BackstayError(Exception):
    """Anything that Backstay says to an admin instead of doing what was asked.

    `str(error)` is one sentence: what happened, to which host or domain. `hint` is what to do next, without a
    full stop, or empty. `exit_code` is what the process ends with.
    """

    exit_code: int = 3

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Findings(BackstayError):
    """The question was answered and the answer is "no", or there are findings (exit code 1)."""

    exit_code = 1


class BadInput(BackstayError):
    """Wrong usage, or an input that cannot be right; names file and line where there is one (exit code 2)."""

    exit_code = 2


class CannotAsk(BackstayError):
    """The cluster, the host or a tool could not be asked, so nothing is known (exit code 3)."""

    exit_code = 3


class Refused(BackstayError):
    """Not done because it would hurt; the hint says how to insist (exit code 4)."""

    exit_code = 4
