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
        write(PLAN).replace(b"plan-2", b"plan-9"),
        write(PLAN).replace(b'"verb"', b'"werb"'),
    ],
)
def test_a_broken_plan_is_one_sentence(data):
    with pytest.raises(BadInput, match=r"^p is "):
        read(data, "p")


def test_a_plan_that_lacks_something_says_what():
    with pytest.raises(BadInput, match="p is not a plan: it has no 'after'"):
        read(write(PLAN).replace(b'"after"', b'"later"'), "p")


@pytest.mark.parametrize(
    ("was", "is_"),
    [
        (b"<cib epoch='2'/>", b"<cib epoch='3'/>"),
        (b'"before": "<cib/>"', b'"before": "<cib />"'),
        (b'"verb": "stop"', b'"verb": "start"'),
        (b'"cluster": "cloud"', b'"cluster": "other"'),
        (b'"libvirtd"', b'"web1"'),
        (b'"sum": "', b'"sum": "0'),
    ],
)
def test_a_plan_that_was_edited_is_none(was, is_):
    """It would be carried out with what was foreseen for another."""
    assert was in write(PLAN)
    with pytest.raises(BadInput, match="p was edited after"):
        read(write(PLAN).replace(was, is_), "p")


def test_a_plan_of_another_format_is_one_of_another_format():
    old = write(PLAN).replace(b"plan-2", b"plan-1")
    assert is_plan(old)
    with pytest.raises(BadInput, match="of the format backstay-plan-1, this Backstay reads backstay-plan-2"):
        read(old, "p")
