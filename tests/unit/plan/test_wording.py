# SPDX-License-Identifier: GPL-2.0-or-later
"""A plan in the admin's words."""

from __future__ import annotations

import pytest

from backstay.cib.difference import Detail, Difference
from backstay.plan.prediction import Prediction
from backstay.plan.transition import Step
from backstay.plan.wording import called, changes, consequences, sentence

SENTENCES = [
    (Step("start", "web1", target="n1"), "web1 starts on n1"),
    (
        Step("stop", "web1", source="n1", reason="node availability"),
        "web1 stops on n1 (no host may or can run it)",
    ),
    (Step("restart", "web1", "n1"), "web1 stops and starts again on n1"),
    (Step("recover", "web1", "n1"), "web1 is recovered: it stops and starts again on n1"),
    (Step("recover", "web1", "n1", "n2"), "web1 is recovered: it stops on n1 and starts on n2"),
    (Step("move", "web1", "n1", "n2"), "web1 stops on n1 and starts on n2"),
    (Step("migrate", "web1", "n1", "n2"), "web1 moves live from n1 to n2"),
    (Step("reload", "web1", "n1"), "web1 takes its new parameters on n1, without a stop"),
    (Step("promote", "d", target="n1"), "d is promoted on n1"),
    (Step("fence", "n1", reason="odd"), "n1 IS FENCED (odd)"),
    (Step("start", "web1", target="n1", blocked=True), "web1 starts on n1: wanted, but blocked"),
    (Step("re-elect", "web1", "n1", "n2"), "web1: re-elect n1 n2"),
]


@pytest.mark.parametrize(("step", "said"), SENTENCES)
def test_a_step_is_a_sentence(step, said):
    assert sentence(step) == said


def test_a_change_has_a_line_for_each_fact():
    changed = Difference(
        "changed", "domain", "web1", (Detail("parameter a", "", "1"), Detail("b", "2", "3")), True
    )
    added = Difference("added", "domain", "web2", (Detail("agent", "", "x"),), True)
    assert list(changes((changed, added))) == [
        "  ~ domain web1",
        "      parameter a: not set -> 1",
        "      b: 2 -> 3",
        "  + domain web2",
    ]


def test_what_hurts_comes_first_and_is_marked():
    start, stop, move = (
        Step("start", "a", target="n1"),
        Step("stop", "b", source="n1"),
        Step("move", "c", "n1", "n2"),
    )
    said = list(consequences(Prediction((start, stop), (move,), ("d",), frozenset())))
    assert said == [
        "  ! b stops on n1",
        "    a starts on n1",
        "  ! d finds no place on any host",
        "    c stops on n1 and starts on n2: also without this change",
    ]


def test_nothing_is_said_in_words():
    assert list(consequences(Prediction((), (), (), frozenset()))) == ["    nothing starts, stops or moves"]


def test_a_cluster_without_a_name_is_called_one():
    assert [called(name) for name in ("demo", "")] == ["cluster demo", "a cluster without a name"]
