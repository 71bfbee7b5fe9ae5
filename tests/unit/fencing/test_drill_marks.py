# SPDX-License-Identifier: GPL-2.0-or-later
"""What a drill writes down is read again, and whoever finds an open one knows what it is."""

from __future__ import annotations

import pytest

from backstay.fencing.drill_marks import FENCING, Left, Open, Record, left, opened, records

BEGUN = Open("n2", 1_800_000_000.0, "n1", FENCING)


def test_a_mark_is_read_again() -> None:
    assert BEGUN.text() == "2027-01-15T08:00:00Z from n1, fencing"
    assert opened({"n2": BEGUN.text()}) == (BEGUN,)


@pytest.mark.parametrize("text", ["", "n1", "2027-99-99T08:00:00Z from n1, fencing", "yes from n1, draining"])
def test_a_mark_that_nobody_can_read_is_one_all_the_same(text: str) -> None:
    (found,) = opened({"n2": text})
    assert (found.target, found.since) == ("n2", 0.0)


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (Record("n2", 1.8e9, "n1", "fence-n2", 2.44, 41.0), "by fence-n2: off 2.4 s, back 41.0 s"),
        (Record("n2", 1.8e9, "n1", "a,b", None, None), "by a,b: off ? s, back ? s"),
    ],
)
def test_a_record_is_read_again(record: Record, text: str) -> None:
    assert record.text() == f"2027-01-15T08:00:00Z from n1 {text}"
    (again,) = records({"n2": record.text()})
    assert again.text() == record.text()


def test_a_record_that_nobody_can_read_is_none() -> None:
    assert (
        records({"n1": "", "n2": "some time ago", "n3": "2027-01-15T08:00:00Z from n1 by x: off s, back s"})
        == ()
    )
    assert Record("n2", 1.8e9, "n1", "two words").text().count("two_words") == 1


@pytest.mark.parametrize(
    ("here", "online", "locked", "what"),
    [
        ("n1", {"n1", "n2"}, True, Left.RUNNING),
        ("n1", {"n1", "n2"}, False, Left.ABANDONED),
        ("n3", {"n1", "n3"}, False, Left.ELSEWHERE),
        ("n3", {"n1", "n3"}, True, Left.ELSEWHERE),
        ("n3", {"n3"}, False, Left.ABANDONED),
    ],
)
def test_whose_an_open_drill_is(here: str, online: set[str], locked: bool, what: Left) -> None:
    assert left(BEGUN, here, online, locked) is what
