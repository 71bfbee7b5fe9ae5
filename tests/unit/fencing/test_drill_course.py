# SPDX-License-Identifier: GPL-2.0-or-later
"""The course of a drill on a cluster that is as the test says: what is done, and what is undone wherever it ends."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import pytest

from backstay.errors import CannotAsk, Findings, Refused
from backstay.fencing.drill_course import EVERY, Look, Outcome, Patience, drill, take_over
from backstay.fencing.drill_marks import ENDED, FENCING, Open, Record

BEGUN = Open("n2", 1_800_000_000.0, "n1")
FULL = Look(member=True, online=True)
BUSY = Look(member=True, online=True, runs=("db1",), guests=None)
GONE = Look(member=False, online=False)
BOOTING = Look(member=True, online=False)
PATIENCE = Patience(drain=20.0, fence=10.0, back=60.0)


class Fenced:
    """An order that ends after some looks, with what it says then."""

    def __init__(self, after: int, answer: str = "") -> None:
        self.after, self.answer = after, answer

    def ended(self) -> str | None:
        self.after -= 1
        return self.answer if self.after < 0 else None


class FakeWorld:
    """`looks` are used up one by one, the last one stays; one that is an exception is raised. `did` is what was done."""

    def __init__(self, *looks: Any, order: Fenced | None = None, others: tuple[Open, ...] = ()) -> None:
        self.looks = list(looks)
        self.order = order or Fenced(2)
        self.marks = {each.target: each for each in others}
        self.did: list[str] = []
        self.said: list[str] = []
        self.kept: list[Record] = []
        self.time = 0.0
        self.on: dict[str, Callable[[], None]] = {}

    def _do(self, what: str) -> None:
        self.did.append(what)
        self.on.get(what, lambda: None)()

    def look(self, target: str) -> Look:
        found = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(found, BaseException):
            raise found
        assert isinstance(found, Look)
        return found

    def open(self) -> tuple[Open, ...]:
        return tuple(self.marks.values())

    def mark(self, begun: Open) -> None:
        self.marks[begun.target] = begun
        self._do(f"mark {begun.phase}")

    def unmark(self, target: str) -> None:
        self.marks.pop(target, None)
        self._do("unmark")

    def set_aside(self, target: str) -> None:
        self._do("set aside")

    def bring_back(self, target: str) -> None:
        self._do("bring back")

    def keep(self, record: Record) -> None:
        self.kept.append(record)
        self._do("keep")

    def fence(self, target: str) -> Fenced:
        self._do("fence")
        return self.order

    def now(self) -> float:
        return self.time

    def pause(self, seconds: float) -> None:
        self.time += seconds
        self._do("") if "" in self.on else None

    def say(self, text: str) -> None:
        self.said.append(text)

    def calm(self) -> None:
        self._do("calm")

    def undisturbed(self) -> AbstractContextManager[None]:
        return nullcontext()


def run(world: FakeWorld, recheck: Callable[[], None] = lambda: None) -> Outcome:
    return drill(BEGUN, "fence-n2", world, PATIENCE, recheck)


ALL = ["mark draining", "set aside", "mark fencing", "fence", "keep", "keep", "bring back", "unmark"]
UNDONE = ["mark draining", "set aside", "calm", "bring back", "unmark"]


def test_a_good_drill_is_measured_and_kept() -> None:
    world = FakeWorld(BUSY, BUSY, FULL, FULL, FULL, GONE, GONE, BOOTING, FULL)
    found = run(world)
    assert world.did == ALL
    assert found == Outcome(2 * EVERY, off=2 * EVERY, lost=2 * EVERY, back=5 * EVERY)
    assert [(record.device, record.off, record.back, record.at) for record in world.kept] == [
        ("fence-n2", 1.0, None, BEGUN.since),
        ("fence-n2", 1.0, 2.5, BEGUN.since),
    ]


@pytest.mark.parametrize(
    ("looks", "why"),
    [
        ((BUSY,), "n2 is not empty after 20 s: db1 on n2"),
        ((Look(True, True, guests=None),), "n2 to say that no guest is left"),
        ((Look(True, True, guests=2),), "2 guests on n2 that the cluster does not know"),
        ((Look(True, True, down=("db1",)),), "db1 to run elsewhere"),
        ((Look(True, True, trouble=("n3 became offline",)),), "n2 is not fenced: n3 became offline"),
        ((BUSY, GONE), "n2 left the cluster while it was drained"),
    ],
)
def test_a_drain_that_does_not_end_is_undone(looks: tuple[Look, ...], why: str) -> None:
    world = FakeWorld(*looks)
    with pytest.raises(Findings, match=why.replace("(", r"\(")):
        run(world)
    assert world.did == UNDONE


@pytest.mark.parametrize("trouble", [KeyboardInterrupt(), CannotAsk("crm_mon: no answer"), SystemExit(1)])
def test_whatever_interrupts_a_drain_is_followed_by_its_undoing(trouble: BaseException) -> None:
    world = FakeWorld(BUSY, trouble)
    with pytest.raises(type(trouble)):
        run(world)
    assert world.did == UNDONE


def test_what_is_found_at_the_last_moment_counts() -> None:
    def recheck() -> None:
        raise Findings("n2 is not fenced: no device is ready")

    world = FakeWorld(FULL)
    with pytest.raises(Findings, match="no device is ready"):
        run(world, recheck)
    assert world.did == UNDONE


def test_of_two_that_begin_at_once_nobody_goes_on() -> None:
    world = FakeWorld(FULL, others=(Open("n3", 1.0, "n1"),))
    with pytest.raises(Refused, match="a drill of n3 has begun at the same moment"):
        run(world)
    assert world.did == ["mark draining", "unmark"]


def test_a_mark_that_another_host_wrote_over_is_left_to_it() -> None:
    world = FakeWorld(FULL)
    world.on["mark draining"] = lambda: world.marks.update(n2=Open("n2", 1.0, "n3"))
    with pytest.raises(Refused, match="from n3"):
        run(world)
    assert world.did == ["mark draining"]
    world = FakeWorld(FULL)
    world.on["set aside"] = lambda: world.marks.update(n2=Open("n2", 1.0, "n3"))
    with pytest.raises(Findings, match="somebody ended the drill of n2"):
        run(world)
    assert world.did == ["mark draining", "set aside", "calm"]


def test_a_drill_that_somebody_ended_does_not_fence() -> None:
    world = FakeWorld(BUSY, FULL)
    world.on[""] = lambda: take_over(BEGUN, world, alive=False)
    with pytest.raises(Findings, match="somebody ended"):
        run(world)
    assert "fence" not in world.did


def test_a_mark_that_says_ended_is_an_end() -> None:
    world = FakeWorld(FULL)
    world.on["set aside"] = lambda: world.marks.update(n2=replace(BEGUN, phase=ENDED))
    with pytest.raises(Findings, match="somebody ended"):
        run(world)
    assert "fence" not in world.did


def test_one_that_may_be_alive_sees_its_end_before_anything_is_undone() -> None:
    world = FakeWorld(FULL)
    take_over(BEGUN, world, alive=True)
    assert (world.did, world.time) == ([f"mark {ENDED}", "calm", "bring back", "unmark"], 6.0)
    assert not world.marks


@pytest.mark.parametrize(
    ("looks", "order", "problem", "kept"),
    [
        ((FULL,), Fenced(1, "No route to host"), "the cluster could not fence n2: No route to host", False),
        ((FULL,), Fenced(9999), "the cluster has not fenced n2 within 10 s", False),
        ((FULL,), Fenced(1), "never left the membership: its BMC does not tell the truth", True),
        ((FULL, GONE), Fenced(1), "n2 is not back within 60 s", True),
        ((FULL, GONE, BOOTING, FULL), Fenced(1, "Timed out"), "could not fence n2: Timed out", False),
    ],
)
def test_what_goes_wrong_with_the_fencing_is_said_and_nothing_is_left(
    looks: tuple[Look, ...], order: Fenced, problem: str, kept: bool
) -> None:
    world = FakeWorld(*looks, order=order)
    found = run(world)
    assert [problem in text for text in found.problems] == [True]
    assert bool(world.kept) is kept
    assert world.did[-2:] == ["bring back", "unmark"]


def test_a_cluster_that_forms_anew_may_be_silent_for_a_moment() -> None:
    world = FakeWorld(FULL, FULL, CannotAsk("crm_mon: Transport endpoint"), GONE, CannotAsk("again"), FULL)
    found = run(world)
    assert (found.problems, found.back is not None) == ((), True)


def test_a_fencing_that_cannot_be_written_down_at_once_is_written_down_later() -> None:
    def once() -> None:
        del world.on["keep"]
        raise CannotAsk("crm_attribute: no quorum")

    world = FakeWorld(FULL, FULL, FULL, GONE, FULL)
    world.on["keep"] = once
    assert run(world).problems == ()
    assert world.did == ALL


def test_an_interrupted_fencing_keeps_its_mark_and_says_how_to_go_on() -> None:
    world = FakeWorld(FULL, FULL, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run(world)
    assert world.marks["n2"].phase == FENCING
    assert "backstay fence drill --abort" in world.said[-1]
    assert "bring back" not in world.did


def test_whoever_does_not_wait_for_the_guests_is_told_what_is_left() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    world = FakeWorld(BUSY, CannotAsk("crm_mon: no answer"))
    world.on["calm"] = interrupt
    with pytest.raises(KeyboardInterrupt):
        run(world)
    assert world.said[-1] == "n2 is still in standby; undo it with backstay fence drill --abort"
    assert "bring back" not in world.did
    assert "n2" in world.marks


def test_what_cannot_be_undone_is_said() -> None:
    def fail() -> None:
        raise CannotAsk("attrd_updater: Connection refused")

    world = FakeWorld(BUSY)
    world.on["bring back"] = fail
    with pytest.raises(Findings):
        run(world)
    assert world.said[-1] == (
        "n2 may still be in standby: attrd_updater: Connection refused; undo it with backstay fence drill --abort"
    )


def test_who_waits_is_told_what_for() -> None:
    world = FakeWorld(*[BUSY] * 9, *[FULL] * 9, *[GONE] * 9, FULL, order=Fenced(8))
    run(world)
    told = [text.split("s  ")[1] for text in world.said if "waiting" in text]
    assert told[0] == "waiting for: db1 on n2"
    assert {"waiting for: the cluster to fence n2", "waiting for: n2 to come back"} & set(told[1:])
