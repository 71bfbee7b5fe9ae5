# SPDX-License-Identifier: GPL-2.0-or-later
"""What an agent is: its name, what it says about itself, its parameters and its actions.

Decides which action a call means (check levels included). Never runs one: that is the runtime's.
"""

from __future__ import annotations

from backstay.ocf import codes
from backstay.ocf.outcome import Outcome, done, failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from backstay.ocf.context import Context
    from backstay.ocf.parameters import Parameters

PROVIDED = ("meta-data", "validate-all")  # actions that every agent has without declaring them
PROVIDED_TIMEOUT = 10.0  # seconds
LOCAL_LEVEL = 10  # from this check level on, validate-all may look at this host (OCF 1.1)


class Action:
    """One advertised action; `timeout` and `interval` are in seconds, `depth` is a check level.

    `role` is the one of a promotable resource that a monitor is for: Promoted, Unpromoted.
    """

    __slots__ = ("depth", "interval", "name", "role", "run", "timeout")

    def __init__(
        self,
        name: str,
        timeout: float,
        run: Callable[[Context[Any]], Outcome],
        interval: float | None = None,
        depth: int | None = None,
        role: str = "",
    ) -> None:
        self.name = name
        self.timeout = timeout
        self.run = run
        self.interval = interval
        self.depth = depth
        self.role = role


class Agent:
    """An agent; `validate` is what validate-all does at check level 10 and above (the environment of this host).

    Descriptions are plain ASCII text; an empty line separates paragraphs.
    """

    __slots__ = ("actions", "longdesc", "name", "parameters", "shortdesc", "validate")

    def __init__(
        self,
        name: str,
        shortdesc: str,
        longdesc: str,
        parameters: type[Parameters],
        actions: tuple[Action, ...],
        validate: Callable[[Context[Any]], Outcome] | None = None,
    ) -> None:
        self.name = name
        self.shortdesc = shortdesc
        self.longdesc = longdesc
        self.parameters = parameters
        self.actions = actions
        self.validate = validate

    def names(self) -> tuple[str, ...]:
        """Give the names of all actions, each once."""
        return tuple(dict.fromkeys([action.name for action in self.actions] + list(PROVIDED)))

    def find(self, name: str, check_level: int = 0) -> Action | None:
        """Give the action of that name with the greatest depth that does not exceed the check level.

        A level that is not implemented means the next lower one (OCF 1.1). None when there is no such action.
        """
        if name == "validate-all":
            look = self.validate if check_level >= LOCAL_LEVEL else None
            return Action(name, PROVIDED_TIMEOUT, look or _well_formed)
        named = [action for action in self.actions if action.name == name]
        fitting = [action for action in named if (action.depth or 0) <= check_level]
        return max(fitting or named, key=lambda action: action.depth or 0, default=None)


def _well_formed(context: Context[Any]) -> Outcome:
    contradiction = context.parameters.contradiction()
    return (
        failed(contradiction, codes.NOT_CONFIGURED)
        if contradiction
        else done("the parameters are well formed")
    )


def reload_agent(_context: Context[Any]) -> Outcome:
    """Answer reload-agent for an agent that reads its parameters afresh in every action."""
    return done("the new parameters are used from the next action on")
