# SPDX-License-Identifier: GPL-2.0-or-later
"""A host is led into the cluster or out of it: the first step that is left, another look, until none is left.

Decides that a step that comes to nothing is not done for ever. The world is given to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from backstay.errors import Findings
from backstay.members.steps import Now, Step

OFTEN = 3  # a step that is to be done once more after so many times does not help
Table = Callable[[Now], tuple[Step, ...]]


class World(Protocol):
    """The cluster around the host `name`, seen from `here`."""

    name: str
    here: str

    def now(self) -> Now:
        """Look at the host; CannotAsk when a member cannot be reached."""

    def do(self, step: Step) -> None:
        """Carry out one step."""


def go(
    world: World, table: Table, steps: Sequence[Step], begun: list[Step], before: Callable[[Step], None]
) -> None:
    """Do the first step, look again, until nothing is left; `begun` gets each step before it is done.

    `before` is told of a step and may refuse it. Raises Findings where a step does not take effect.
    """
    while steps:
        step = steps[0]
        if begun.count(step) >= OFTEN:
            raise Findings(f"this does not take effect: {step.text(host=world.name, here=world.here)}")
        before(step)
        begun.append(step)
        world.do(step)
        steps = table(world.now())
