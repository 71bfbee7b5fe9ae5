# SPDX-License-Identifier: GPL-2.0-or-later
"""What the record of a role means: tenures that overlap, lines that make no sense."""

from __future__ import annotations

import pytest

from backstay.agents.frontend_lease import Tenure, overlaps, parse


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
