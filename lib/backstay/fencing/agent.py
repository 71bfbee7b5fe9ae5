# SPDX-License-Identifier: GPL-2.0-or-later
"""What a fence agent is: a name, its declared parameters, the actions that it offers, and who carries them out.

Decides nothing; the protocol reads it from one side, metadata from the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
        """Something to know besides, for the one line on standard error, which Pacemaker puts into its log."""

    def trace(self, text: str) -> None:
        """One line about what is being done, when verbose."""

    def hide(self, secret: str) -> None:
        """Keep this text out of everything that is logged."""

    def settle(self, code: int) -> None:
        """Whatever happens from here on, this is the exit code: the caller's question is answered."""


@dataclass(frozen=True, slots=True)
class Action:
    """An action as metadata shows it."""

    name: str
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
    Action("metadata"),
    Action("manpage"),
)
"""What an agent offers that switches the power of a host."""


@dataclass(frozen=True, slots=True)
class FenceAgent:
    """One fence agent; `run` returns the exit code and raises BackstayError for a failure that it understands.

    `like` is the agent whose parameter names it takes, `ignored` those of them that it accepts and that change nothing,
    each with the reason.
    """

    name: str
    shortdesc: str
    longdesc: str
    parameters: tuple[Parameter, ...]
    actions: tuple[Action, ...]
    run: Callable[[Call], int]
    like: str = ""
    ignored: Mapping[str, str] = field(default_factory=dict)
