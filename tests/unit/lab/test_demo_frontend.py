# SPDX-License-Identifier: GPL-2.0-or-later
"""The last page of the frontend's demo: a row for each act, and whether all of it held."""

from __future__ import annotations

from backstay.lab.demo_frontend import Act, Result

GOOD = Act("with Backstay", 0, 0, 8.4, "healed before anybody missed a machine")
BAD = Act("a host is lost", 3, 1, 31.0, "fenced", "one-2 ran twice")


def test_each_act_has_a_row_and_a_sentence():
    text = Result((GOOD,)).text
    assert [line.split() for line in text.splitlines()[:2]] == [
        ["started", "ran", "twice", "after"],
        ["with", "Backstay", "0", "0", "8", "s"],
    ]
    assert "- with Backstay: healed before anybody missed a machine" in text
    assert text.endswith("\nAll of it held.")


def test_a_problem_is_said_instead_of_the_good_end():
    result = Result((GOOD, BAD))
    assert not result.held
    assert "- a host is lost: one-2 ran twice" in result.text
    assert "fenced" not in result.text
    assert result.text.endswith("\nNot all of it held.")
