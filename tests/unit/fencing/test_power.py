# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of off and on, row by row, and whole stories against switches that misbehave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.fencing.power import Ask, Done, GiveUp, Limits, Look, State, decide, passing, reach
from backstay.host.bmc import Kind, Power, Trouble

LIMITS = Limits(total=30, patience=10, power=20, call=10)
SILENT, SLOW, LOST = Trouble(Kind.SILENT), Trouble(Kind.SLOW), Trouble(Kind.UNANSWERED)
BUSY, DENIED = Trouble(Kind.REFUSED, 0xC0), Trouble(Kind.REFUSED, 0xD4)
NOT_NOW, ODD = Trouble(Kind.REFUSED, 0xD5), Trouble(Kind.REFUSED, 0xFF)
LATER, CONFLICT = Trouble(Kind.REFUSED, 503, after=4), Trouble(Kind.NOT_NOW, 409)
BLANK, TASK = Trouble(Kind.BLANK), Trouble(Kind.TASK)
PASSWORD, FULL, CUT = Trouble(Kind.PASSWORD), Trouble(Kind.SESSIONS), Trouble(Kind.CUT)


def off(**seen) -> State:
    return State(Power.OFF, **seen)


def asked(trouble: Trouble | None = None, at: float = 1.0, **seen) -> State:
    """A command was sent at `at` seconds, and then something was seen."""
    state = off().switched(trouble, at, at)
    return state.looked(Power.ON, at, seen["now"]) if "now" in seen else state


@pytest.mark.parametrize(
    ("state", "step"),
    [
        (off(), Look()),
        (off(seen=Power.OFF), Done()),
        (off(seen=Power.ON), Ask()),
        (State(Power.ON, seen=Power.OFF), Ask()),
        (State(Power.ON, seen=Power.ON), Done()),
        (off().looked(SILENT, 0, 6), Look(1)),
        (off().looked(SILENT, 0, 6).looked(SILENT, 7, 13), GiveUp(SILENT)),
        (off().looked(SILENT, 0, 6).looked(Power.ON, 7, 8), Ask()),
        (off().looked(CUT, 0, 10), GiveUp(CUT)),
        (off().looked(LOST, 0, 6).looked(CUT, 7, 10), GiveUp(LOST)),
        (off().looked(PASSWORD, 0, 0.1), GiveUp(PASSWORD)),
        (off().looked(FULL, 0, 0.1), Look(1)),
        (off().looked(BUSY, 0, 0.1), Look(1)),
        (off().looked(DENIED, 0, 0.1), GiveUp(DENIED)),
        (asked(), Look()),
        (asked(DENIED), GiveUp(DENIED)),
        (off().looked(Power.CHANGING, 0, 0.1), Ask()),
        (State(Power.ON).looked(Power.CHANGING, 0, 0.1), Ask()),
        (asked().looked(Power.CHANGING, 1, 1.1), Look(0.5)),
        (asked(LATER), Ask(4)),
        (asked(CONFLICT), Look()),
        (asked(CONFLICT, now=1.1), GiveUp(CONFLICT)),
        (off().looked(BLANK, 0, 0.1), Look(1)),
        (asked().looked(TASK, 1, 2), GiveUp(TASK, accepted=True)),
        (asked(ODD), GiveUp(ODD)),
        (asked(BUSY), Ask(1)),
        (asked(LOST), Look()),
        (asked(SILENT), Look()),
        (asked(NOT_NOW), Look()),
        (asked(NOT_NOW, now=1.1), GiveUp(NOT_NOW)),
        (asked(NOT_NOW).looked(Power.OFF, 1, 1.1), Done()),
        (asked(LOST, now=4.1), Ask(1)),
        (asked(now=1.1), Look(0.5)),
        (asked(now=11.1), Ask()),
        (asked(now=21.1), GiveUp(None, accepted=True)),
        (asked().switched(None, 11, 11).looked(Power.ON, 11, 12), Look(0.5)),
        (asked().looked(SILENT, 1, 25), Look(1)),
        (asked().looked(SILENT, 1, 30), GiveUp(SILENT, accepted=True)),
        (asked().looked(PASSWORD, 1, 2), GiveUp(PASSWORD, accepted=True)),
        (asked(BUSY, at=1).switched(BUSY, 12, 12), GiveUp(BUSY)),
    ],
)
def test_the_next_step(state, step):
    assert decide(state, LIMITS) == step


def test_on_is_asked_again_after_a_chassis_that_was_not_ready():
    state = State(Power.ON).switched(NOT_NOW, 1, 1).looked(Power.OFF, 1, 1.1)
    assert decide(state, LIMITS) == Ask(1)


def test_commands_that_nobody_answers_end_after_three():
    state = off()
    for begun in (1, 5, 9):
        state = state.switched(LOST, begun, begun + 3).looked(Power.ON, begun + 3, begun + 3.1)
    assert decide(state, LIMITS) == GiveUp(LOST)


@pytest.mark.parametrize(
    "kind", [Kind.PASSWORD, Kind.USER, Kind.ROLE, Kind.SUITE, Kind.SESSION, Kind.TOOL, Kind.UNCLEAR]
)
def test_what_does_not_mend_itself_is_not_asked_again(kind):
    assert not passing(Trouble(kind))


@pytest.mark.parametrize("code", range(0x80, 0x100))
def test_codes_that_pass_by_themselves(code):
    assert passing(Trouble(Kind.REFUSED, code)) == (code in (0xC0, 0xC3, 0xCE, 0xD1, 0xD2))


@dataclass
class World:
    """A clock and a switch; each call costs `cost` seconds."""

    looks: Callable[[World], Power | Trouble]
    commands: Callable[[World], Trouble | None]
    cost: float = 0.05
    now: float = 100.0
    begun: float = 100.0
    looked: int = 0
    sent: list[float] = field(default_factory=list)
    accepted: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds

    def check(self, timeout: float) -> None:
        """A call may take what is left, a second at least and `call` at most."""
        left = LIMITS.total - (self.now - self.begun)
        assert timeout == pytest.approx(max(1.0, min(LIMITS.call, left)))

    def power(self, timeout: float) -> Power | Trouble:
        self.check(timeout)
        self.looked += 1
        self.now += min(timeout, self.cost)
        return self.looks(self)

    def switch(self, wanted: Power, timeout: float) -> Trouble | None:
        self.check(timeout)
        self.sent.append(self.now)
        self.now += min(timeout, self.cost)
        answer = self.commands(self)
        if answer is None:
            self.accepted.append(self.now)
        return answer

    def run(self, goal: Power = Power.OFF) -> tuple[Done | GiveUp, float]:
        begin = self.now
        return reach(goal, self, LIMITS, self.clock, self.pause), self.now - begin


def on_for(seconds: float) -> Callable[[World], Power]:
    """On until so many seconds after the first accepted command."""
    return lambda w: Power.OFF if w.accepted and w.now >= w.accepted[0] + seconds else Power.ON


@pytest.mark.parametrize(
    ("world", "end", "at_most"),
    [
        (World(lambda w: Power.OFF, lambda w: DENIED), Done(), 0.1),
        (World(on_for(0), lambda w: None), Done(), 0.2),
        (World(on_for(4), lambda w: None), Done(), 4.7),
        (World(lambda w: Power.ON, lambda w: DENIED), GiveUp(DENIED), 0.2),
        (World(lambda w: Power.ON, lambda w: None), GiveUp(None, accepted=True), 21.0),
        (World(lambda w: SILENT, lambda w: SILENT, cost=6), GiveUp(SILENT), 13.5),
        (World(lambda w: Power.ON, lambda w: LOST, cost=3), GiveUp(LOST), 24.0),
        (World(lambda w: Power.ON, lambda w: BUSY), GiveUp(BUSY), 11.0),
        (World(on_for(0), lambda w: BUSY if len(w.sent) < 4 else None), Done(), 4.0),
        (World(lambda w: SILENT if w.accepted else Power.ON, lambda w: None, cost=6), GiveUp(SILENT, accepted=True), 32.0),
        (World(on_for(0), lambda w: None, cost=9), Done(), 28.0),
    ],
)  # fmt: skip
def test_a_story_ends_in_time(world, end, at_most):
    found, took = world.run()
    assert found == end
    assert took <= at_most


def test_a_switch_that_lost_the_command_gets_it_again():
    world = World(lambda w: Power.OFF if len(w.accepted) == 2 else Power.ON, lambda w: None)
    assert world.run()[0] == Done()
    assert len(world.sent) == 2


def test_a_command_is_not_repeated_when_nobody_could_see_what_came_of_it():
    costs = iter([8.6, 0.05, 0.05, 10.0, 10.0, 10.0, 10.0])

    def slowly(world: World) -> Power:
        world.cost = next(costs)
        return Power.ON

    def accepted(world: World) -> None:
        slowly(world)

    end, took = World(slowly, accepted, cost=10.0).run()
    assert end == GiveUp(None, accepted=True)
    assert took <= LIMITS.total + 1.0


def test_a_bmc_is_not_hammered():
    world = World(lambda w: Power.ON, lambda w: None, cost=0)
    world.run()
    assert 35 <= world.looked <= 45  # every 0.5 s for 20 s
    assert [sent - world.begun for sent in world.sent] == pytest.approx([0.0, 10.0])
    busy = World(lambda w: Power.ON, lambda w: BUSY, cost=0)
    busy.run()
    assert 10 <= len(busy.sent) <= 12  # every second for 10 s


def test_an_off_machine_gets_no_command():
    world = World(lambda w: Power.OFF, lambda w: None)
    world.run()
    assert world.sent == []


TROUBLES = st.sampled_from(
    [SILENT, SLOW, LOST, BUSY, DENIED, NOT_NOW, ODD, LATER, CONFLICT, BLANK, TASK, PASSWORD, FULL, CUT]
)


@given(
    goal=st.sampled_from([Power.OFF, Power.ON]),
    looks=st.lists(st.one_of(st.sampled_from(list(Power)), TROUBLES), min_size=1),
    commands=st.lists(st.one_of(st.none(), TROUBLES), min_size=1),
    costs=st.lists(st.floats(0.01, 40), min_size=1),
)
def test_whatever_a_switch_does_done_was_seen_and_the_end_comes(goal, looks, commands, costs):
    seen: list[Power | Trouble] = []

    def next_look(world: World) -> Power | Trouble:
        world.cost = costs[len(seen) % len(costs)]
        seen.append(looks[len(seen) % len(looks)])
        return seen[-1]

    world = World(next_look, lambda w: commands[len(w.sent) % len(commands)], cost=costs[0])
    end, took = world.run(goal)
    assert took <= LIMITS.total + 1.0 + 1e-6
    assert (end == Done()) == (seen[-1] is goal)
