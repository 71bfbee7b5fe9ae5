# SPDX-License-Identifier: GPL-2.0-or-later
"""What follows from how a migration gets on: go on, switch, cancel; and what is said about it."""

from __future__ import annotations

import pytest

from backstay.agents.domain_migration_course import (
    CANCEL,
    GO_ON,
    STALLED_AFTER,
    SWITCH,
    Course,
    next_step,
    progress,
)
from backstay.host import libvirt
from backstay.host.libvirt import Answer
from backstay.host.libvirt_migration import NO_JOB, OUTGOING, Standing

MIB = 1 << 20
BEGAN, ENDS = 1000.0, 1100.0


def sending(remaining: int = 100, rate: int = 10, dirty: int = 0, passes: int = 1, **more: int) -> Standing:
    return Standing(
        Answer(libvirt.KNOWN, state="running"),
        OUTGOING,
        total=1000 * MIB,
        remaining=remaining * MIB,
        rate=rate * MIB,
        dirty=dirty * MIB,
        passes=passes,
        **more,
    )


def postcopy() -> Standing:
    return Standing(Answer(libvirt.KNOWN, state="paused", reason="postcopy"), OUTGOING, remaining=MIB)


def course(*seen: Standing, at: float = BEGAN) -> Course:
    course = Course(BEGAN, ENDS)
    for standing in seen:
        course.saw(standing, at)
    return course


@pytest.mark.parametrize(
    ("seen", "allowed", "now", "what"),
    [
        ((), False, 1001, GO_ON),
        ((), True, 1099, GO_ON),
        ((), True, 1100, CANCEL),
        ((sending(),), False, 1099, GO_ON),
        ((sending(),), False, 1100, CANCEL),
        ((sending(dirty=20, passes=9),), False, 1060, GO_ON),
        # post-copy: not in the first pass, not when the rest will be there in time, else yes
        ((sending(remaining=5000),), True, 1060, GO_ON),
        ((sending(remaining=100, passes=2),), True, 1010, GO_ON),
        ((sending(remaining=1000, passes=2),), True, 1010, SWITCH),
        ((sending(remaining=100, dirty=10, passes=2),), True, 1010, SWITCH),
        ((sending(remaining=1, passes=2),), True, 1051, SWITCH),
        ((sending(remaining=1, passes=2),), True, 1100, CANCEL),
        # what runs at the target already cannot be cancelled
        ((postcopy(),), True, 1200, GO_ON),
        ((sending(), postcopy()), False, 1100, GO_ON),
    ],
)
def test_next_step(seen: tuple[Standing, ...], allowed: bool, now: float, what: str) -> None:
    assert next_step(course(*seen), allowed, now) == what


def test_post_copy_is_tried_once() -> None:
    tried = course(sending(dirty=20, passes=2))
    tried.switched = True
    assert next_step(tried, True, 1060) == GO_ON
    assert next_step(tried, True, 1100) == CANCEL


def test_what_stands_still_is_told_from_what_gets_on() -> None:
    stalled = course(sending(remaining=70, passes=3))
    stalled.saw(sending(remaining=70, passes=3), 1020)
    assert "stood still for 20 s with 70 MiB left" in progress(stalled, 1020)
    moving = course(sending(remaining=70))
    moving.saw(sending(remaining=69), 1020)
    assert "69 MiB of 1000 MiB left, sent at 10 MiB/s" in progress(moving, 1020 + STALLED_AFTER - 1)


def test_a_guest_that_writes_faster_than_can_be_sent_is_said() -> None:
    said = progress(course(sending(dirty=30, passes=4, throttle=40)), 1001)
    assert "pass 4" in said
    assert "the guest writes 30 MiB/s and is slowed down by 40%" in said


def test_a_libvirt_that_does_not_tell_changes_nothing() -> None:
    seen = course(sending(remaining=70))
    for unclear in (
        Standing(Answer(libvirt.HUNG)),
        Standing(Answer(libvirt.KNOWN, state="running"), NO_JOB),
    ):
        seen.saw(unclear, 1005)
    assert "70 MiB" in progress(seen, 1006)
    assert "nothing of it was seen in 9 s" in progress(course(), 1009)


def test_progress_is_told_now_and_then() -> None:
    seen = course()
    assert [seen.worth_telling(BEGAN + second) for second in (2, 9, 10, 12, 19, 20)] == [
        False, False, True, False, False, True,
    ]  # fmt: skip
