# SPDX-License-Identifier: GPL-2.0-or-later
"""A plan survives being written to a file, and nothing else is taken for one."""

from __future__ import annotations

import pytest

from backstay.errors import BadInput
from backstay.plan.planned import Plan, is_plan, read, write
from backstay.plan.prediction import Prediction
from backstay.plan.transition import Step

PREDICTION = Prediction(
    steps=(Step("stop", "web1", source="n1", reason="x"),),
    anyway=(Step("start", "web2", target="n2"),),
    stranded=("db1",),
    guests=frozenset({"web1", "web2"}),
    harmless=frozenset({"libvirtd"}),
)
PLAN = Plan("cloud", "<cib/>", "<cib epoch='2'/>", PREDICTION)


def test_a_plan_is_read_as_it_was_written():
    assert read(write(PLAN), "p") == PLAN
    assert write(read(write(PLAN), "p")) == write(PLAN)


def test_a_plan_is_known_from_a_description():
    assert is_plan(write(PLAN))
    assert not is_plan(b"cluster:\n  name: x\n")
    assert not is_plan(b'{"cluster": {"name": "x"}}')


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"{}",
        b"[]",
        write(PLAN).replace(b"plan-1", b"plan-9"),
        write(PLAN).replace(b'"verb"', b'"werb"'),
    ],
)
def test_a_broken_plan_is_one_sentence(data):
    with pytest.raises(BadInput, match=r"^p is "):
        read(data, "p")


def test_a_plan_that_lacks_something_says_what():
    with pytest.raises(BadInput, match="p is not a plan: it has no 'after'"):
        read(write(PLAN).replace(b'"after"', b'"later"'), "p")
