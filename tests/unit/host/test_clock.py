# SPDX-License-Identifier: GPL-2.0-or-later
"""Deadlines and waits, on a clock of the test's own."""

from __future__ import annotations

import pytest

from backstay.host import clock
from backstay.host.clock import Deadline, NotYet, TimedOut, until


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """A clock that only pauses advance."""
    fake = Time()
    monkeypatch.setattr(clock.time, "sleep", fake.sleep)
    return fake


def test_what_is_left(time: Time) -> None:
    deadline = Deadline(10, time)
    time.now += 4
    assert deadline.left() == 6
    assert not deadline.expired
    time.now += 6
    assert deadline.left() == 0
    assert deadline.expired
    time.now += 1
    assert deadline.left() == 0


def test_parts_of_a_deadline(time: Time) -> None:
    deadline = Deadline(10, time)
    half = deadline.part(0.5)
    time.now += 2
    assert half.left() == 3
    assert deadline.at_most(5).left() == 5
    assert deadline.at_most(50).left() == 8
    time.now += 20
    assert deadline.part(0.5).expired
    assert deadline.at_most(3).expired


def test_until_gives_what_is_seen_and_looks_at_the_deadline_once_more(time: Time) -> None:
    looks = iter([None, None, "there"])
    assert until(lambda: next(looks), Deadline(0.4, time), every=0.2) == "there"
    assert time.now == pytest.approx(100.4)


def test_until_takes_false_values_for_an_answer(time: Time) -> None:
    assert until(lambda: 0, Deadline(1, time)) == 0


def test_until_says_what_it_waited_for_and_what_it_saw_last(time: Time) -> None:
    def look() -> None:
        raise NotYet(f"state at {time.now:.0f}")

    with pytest.raises(TimedOut) as caught:
        until(look, Deadline(3, time), every=1, what="node n1")
    assert str(caught.value) == "waited in vain for node n1, last seen: state at 103"
    assert (caught.value.what, caught.value.seen) == ("node n1", "state at 103")


def test_until_looks_at_least_once(time: Time) -> None:
    assert until(lambda: "there", Deadline(0, time)) == "there"
    with pytest.raises(TimedOut, match=r"^waited in vain$"):
        until(lambda: None, Deadline(0, time))


def test_the_age_of_this_process_is_positive_and_not_absurd() -> None:
    assert 0.0 < clock.age_of_this_process() < 7 * 86400
