# SPDX-License-Identifier: GPL-2.0-or-later
"""What the record of a role means: tenures that overlap, lines that make no sense."""

from __future__ import annotations

import pytest

from backstay.agents.frontend_lease import Tenure, hold, holder, leave, overlaps, parse, take

TODAY = 1_795_996_097.327  # seconds since the epoch, in 2026


@pytest.mark.parametrize(
    ("tenures", "count"),
    [
        ([Tenure("n1", "a", 1, 5, 5), Tenure("n2", "b", 6, 9)], 0),
        ([Tenure("n1", "a", 1, 5), Tenure("n2", "b", 6, 9)], 0),
        ([Tenure("n1", "a", 1, 7), Tenure("n2", "b", 6, 9)], 1),
        ([Tenure("n1", "a", 1, 20, 20), Tenure("n2", "b", 6, 9), Tenure("n3", "c", 10, 11)], 2),
        ([Tenure("n1", "a", 1, 7), Tenure("n1", "b", 6, 9)], 0),
    ],
)
def test_tenures_that_overlap_are_found(tenures: list[Tenure], count: int) -> None:
    assert len(overlaps(list(reversed(tenures)))) == count


@pytest.mark.parametrize(
    "text", ["", "nonsense\n", "n1 b1 x y z\n", "n1 b1 1 2\n", "n1 b1 nan 2 3\n", "n1 b1 1e99 2 3\n"]
)
def test_a_line_that_makes_no_sense_is_none(text: str) -> None:
    assert parse(text) == []


def test_who_holds_it_today_is_seen_by_the_next_one() -> None:
    """With times as a clock gives them: they are beyond what Pacemaker ever writes into an environment."""
    text, _ = take("", "n1", "b1", TODAY)
    held = holder(parse(text))
    assert held is not None
    assert (held.host, held.held) == ("n1", TODAY)
    assert hold(text, "n2", "b2", TODAY + 5) == (text, "n1")
    text, _ = hold(text, "n1", "b1", TODAY + 10)
    text, _ = leave(text, "n1", "b1", TODAY + 20)
    assert holder(parse(text)) is None
    text, _ = take(text, "n2", "b2", TODAY + 21)
    assert [each.host for each in parse(text)] == ["n1", "n2"]
    assert overlaps(parse(text)) == []
