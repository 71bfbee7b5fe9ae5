# SPDX-License-Identifier: GPL-2.0-or-later
"""A host on its way: one step, another look, and an end for a step that does not help."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from backstay.errors import Findings
from backstay.members.course import OFTEN, go
from backstay.members.steps import Now, Step, Verb

NEW = Now("n4", loaded=False, written=False)
WRITE, APPLY = Step(Verb.WRITE), Step(Verb.APPLY)


@dataclass
class World:
    """Each step is done at once, or nothing helps."""

    is_now: Now
    works: bool = True
    name: str = "n4"
    here: str = "n1"
    did: list[str] = field(default_factory=list)

    def now(self) -> Now:
        self.did.append("look")
        return self.is_now

    def do(self, step: Step) -> None:
        self.did.append(f"do {step.verb.name}")
        if self.works:
            done = {Verb.WRITE: {"written": True}, Verb.APPLY: {"loaded": True}}[step.verb]
            self.is_now = replace(self.is_now, **done)  # type: ignore[arg-type]


def table(now: Now) -> tuple[Step, ...]:
    return tuple(step for step, done in ((WRITE, now.written), (APPLY, now.loaded)) if not done)


def test_after_each_step_it_is_looked_again() -> None:
    world, begun = World(NEW), list[Step]()
    go(world, table, table(NEW), begun, lambda step: world.did.append(f"before {step.verb.name}"))
    assert world.did == ["before WRITE", "do WRITE", "look", "before APPLY", "do APPLY", "look"]
    assert begun == [WRITE, APPLY]


def test_where_nothing_is_left_nothing_is_done() -> None:
    world = World(NEW)
    go(world, table, (), [], lambda _step: None)
    assert world.did == []


def test_a_step_that_does_not_help_ends() -> None:
    world, begun = World(NEW, works=False), list[Step]()
    with pytest.raises(Findings, match="does not take effect: write n4 into the description"):
        go(world, table, table(NEW), begun, lambda _step: None)
    assert begun == [WRITE] * OFTEN
    assert world.did.count("do WRITE") == OFTEN


def test_a_step_that_is_refused_was_not_begun() -> None:
    def refuse(_step: Step) -> None:
        raise Findings("no")

    world, begun = World(NEW), list[Step]()
    with pytest.raises(Findings, match="no"):
        go(world, table, table(NEW), begun, refuse)
    assert (begun, world.did) == ([], [])
