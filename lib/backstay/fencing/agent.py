# SPDX-License-Identifier: GPL-2.0-or-later
"""What a fence agent is: a name, its declared parameters, the actions that it offers, and who carries them out.

Decides nothing; the protocol reads it from one side, metadata from the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from backstay.fencing.parameters import Parameter, Values

ON, FAILED, OFF = 0, 1, 2  # exit codes: done or powered on; failed; status only: powered off


class Call(Protocol):
    """One run of an agent, as the code that carries it out sees it."""

    action: str
    values: Values

    def say(self, text: str) -> None:
        """One line for the caller, on standard output."""

    def warn(self, text: str) -> None:
        """One line on standard error, which Pacemaker puts into its log."""

    def trace(self, text: str) -> None:
        """One line about what is being done, when verbose."""

    def hide(self, secret: str) -> None:
        """Keep this text out of everything that is logged."""

    def settle(self, code: int) -> None:
        """Whatever happens from here on, this is the exit code: the caller's question is answered."""


@dataclass(frozen=True, slots=True)
class Action:
    """An action as metadata shows it. `bare` ones need no parameters and run nothing outside."""

    name: str
    bare: bool = False
    automatic: bool | None = None


POWER_ACTIONS = (
    Action("on", automatic=False),
    Action("off"),
    Action("reboot"),
    Action("status"),
    Action("monitor"),
    Action("list"),
    Action("list-status"),
    Action("validate-all"),
    Action("metadata", bare=True),
    Action("manpage", bare=True),
)
"""What an agent offers that switches the power of a host."""


@dataclass(frozen=True, slots=True)
class FenceAgent:
    """One fence agent; `run` returns the exit code and raises BackstayError for a failure that it understands."""

    name: str
    shortdesc: str
    longdesc: str
    parameters: tuple[Parameter, ...]
    actions: tuple[Action, ...]
    run: Callable[[Call], int]
