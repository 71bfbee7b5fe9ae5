# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay drbd` around its tables: what is said, asked and refused, and that what was interrupted can go on."""

from __future__ import annotations

import json
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from backstay.cli import drbd
from backstay.cli.hosts_words import GO_ON
from backstay.errors import BadInput, CannotAsk, Findings, Refused
from backstay.mirror.repair import WAITS, Step, Verb

WRITE, SYNC = Step(Verb.WRITE, "n2"), Step(Verb.SYNC)


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """Nobody else is at work."""
    monkeypatch.setattr(drbd, "drills", SimpleNamespace(alone=lambda _path: nullcontext(True)))


class World:
    """A world in which each step is done at once, or never, or fails."""

    def __init__(self, *steps, against=(), later=(), works=True):
        self.left, self.against, self.later, self.works, self.done = list(steps), against, later, works, []

    def look(self):
        return tuple(self.left), self.later if self.done else self.against

    def do(self, step):
        self.done.append(step)
        if isinstance(self.works, BaseException):
            raise self.works
        if self.works:
            self.left.remove(step)


def run(world, capsys, *, yes=True, only_plan=False):
    capsys.readouterr()
    course = drbd.Course("repair", "web1", world.look, world.do, WAITS)
    code = drbd.carry_out(course, "json", yes=yes, only_plan=only_plan)
    return code, json.loads(capsys.readouterr().out)


def test_each_step_is_done_once_and_in_order(capsys):
    world = World(WRITE, SYNC)
    code, said = run(world, capsys)
    assert (code, said["changed"], said["done"], world.done) == (0, True, True, [WRITE, SYNC])
    assert said["steps"][0] == {"step": "write", "where": "n2", "text": "write web1.res on n2"}


def test_a_second_time_changes_nothing_and_asks_nobody(capsys):
    code, said = run(World(), capsys, yes=False)
    assert (code, said["changed"], said["done"], said["steps"]) == (0, False, True, [])


def test_to_watch_is_no_change_and_nobody_is_asked(capsys):
    world = World(SYNC)
    code, said = run(world, capsys, yes=False)
    assert (code, said["changed"], world.done) == (0, False, [SYNC])


def test_nobody_there_to_be_asked_is_a_refusal(capsys):
    world = World(WRITE)
    with pytest.raises(Refused, match="nobody is there to be asked"):
        run(world, capsys, yes=False)
    assert world.done == []


def test_a_plan_changes_nothing_and_says_what_speaks_against_it(capsys):
    world = World(WRITE, against=("n2 has no disk",))
    code, said = run(world, capsys, only_plan=True)
    assert (code, said["refusals"], said["done"], world.done) == (1, ["n2 has no disk"], False, [])
    assert run(World(WRITE), capsys, only_plan=True)[0] == 0


def test_what_speaks_against_it_stops_it_before_the_first_step_and_on_the_way(capsys):
    world = World(WRITE, against=("n2 has no disk", "n3 is away"))
    with pytest.raises(Refused, match=r"nothing was done: n2 has no disk \(and 1 more\)"):
        run(world, capsys)
    assert world.done == []
    world = World(WRITE, SYNC, later=("nobody has the data",))
    with pytest.raises(Refused, match="not gone on with: nobody has the data") as refused:
        run(world, capsys)
    assert world.done == [WRITE]
    assert refused.value.hint == GO_ON


def test_a_step_that_does_not_take_effect_is_not_done_for_ever(capsys):
    world = World(WRITE, works=False)
    with pytest.raises(Findings, match=r"this does not take effect: write web1\.res on n2"):
        run(world, capsys)
    assert world.done == [WRITE] * drbd.OFTEN


def test_whoever_is_interrupted_is_told_to_run_it_again(capsys):
    world = World(WRITE, works=CannotAsk("n2 cannot be reached", hint="look at its cable"))
    with pytest.raises(CannotAsk) as error:
        run(world, capsys)
    assert error.value.hint == f"look at its cable; then {GO_ON}"


def test_two_at_once_are_one_too_many(monkeypatch, capsys):
    monkeypatch.setattr(drbd, "drills", SimpleNamespace(alone=lambda _path: nullcontext(False)))
    with pytest.raises(Refused, match="is at work on this host"):
        run(World(WRITE), capsys)


@pytest.mark.parametrize("size", ["20", "+4GiB", "much", "20 GiB more"])
def test_a_size_is_absolute_and_has_a_unit(size):
    with pytest.raises(BadInput, match="is no size"):
        drbd.grow_.callback("web1", size, None, "none.yaml", 1.0, "text", yes=True, only_plan=False)


def test_of_several_volumes_one_is_named(monkeypatch):
    volumes = (SimpleNamespace(number=0), SimpleNamespace(number=1))
    world = SimpleNamespace(volume=0, drbd=SimpleNamespace(volumes=volumes))
    monkeypatch.setattr(drbd, "Grow", lambda *_: world)
    with pytest.raises(BadInput, match="web1 has the volumes 0, 1"):
        drbd.grow_.callback("web1", "20GiB", None, "none.yaml", 1.0, "text", yes=True, only_plan=False)
