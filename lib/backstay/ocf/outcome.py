# SPDX-License-Identifier: GPL-2.0-or-later
"""What an action ended with: the OCF code and the one sentence for the admin, never one without the other.

Decides nothing; `running`, `stopped`, `degraded`, `failed` and `done` only name the codes that agents use.
"""

from __future__ import annotations

from backstay.ocf import codes

LONGEST = 600  # characters of a reason; Pacemaker keeps it in the CIB for every failed action


class Outcome:
    """An OCF exit code with its reason; the reason is kept to one printable line."""

    __slots__ = ("code", "reason")

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = one_line(reason)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Outcome):
            return NotImplemented
        return (self.code, self.reason) == (other.code, other.reason)

    def __hash__(self) -> int:
        return hash((self.code, self.reason))

    def __repr__(self) -> str:
        return f"Outcome({self.code} {codes.NAMES.get(self.code, '?')}: {self.reason!r})"


def one_line(text: str) -> str:
    """Fold whitespace into blanks, show what cannot be printed as `?`, and cut what is too long to be read."""
    folded = " ".join(text.split())
    if not folded.isprintable():
        folded = "".join(letter if letter.isprintable() else "?" for letter in folded)
    return folded if len(folded) <= LONGEST else folded[: LONGEST - 3] + "..."


def running(reason: str) -> Outcome:
    """Say that the resource runs and is well (0)."""
    return Outcome(codes.SUCCESS, reason)


def done(reason: str) -> Outcome:
    """Say that an action did what it was asked to (0)."""
    return Outcome(codes.SUCCESS, reason)


def stopped(reason: str) -> Outcome:
    """Say that the resource is proven not to run here (7); never say it on doubt."""
    return Outcome(codes.NOT_RUNNING, reason)


def degraded(reason: str) -> Outcome:
    """Say that the resource counts as running, and that an admin should look (190)."""
    return Outcome(codes.DEGRADED, reason)


def failed(reason: str, code: int = codes.GENERIC) -> Outcome:
    """Say that the resource or the action failed (1, or the more precise code)."""
    return Outcome(code, reason)
