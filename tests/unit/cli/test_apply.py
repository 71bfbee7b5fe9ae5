# SPDX-License-Identifier: GPL-2.0-or-later
"""When a plan is applied, asked about or refused."""

from __future__ import annotations

import io

import pytest

from backstay.cib.difference import Difference
from backstay.cli import apply
from backstay.errors import BadInput, Refused
from backstay.host.checkpoints import Checkpoints
from backstay.plan.planned import Plan
from backstay.plan.prediction import Prediction
from backstay.plan.transition import Step

STOPS = Step("stop", "web1", "n1")
STARTS = Step("start", "web2", target="n1")


def plan(*steps, stranded=()):
    """A plan with these consequences."""
    return Plan("c", "", "", Prediction(steps, (), stranded, frozenset({"web1", "web2"})))


class Terminal(io.StringIO):
    """A terminal on which somebody sits."""

    def isatty(self):
        """It is one."""
        return True


@pytest.fixture
def permit(monkeypatch):
    """`permit(plan, ...)` lets the plan be judged, with an answer typed or nobody there; what was asked is given."""

    def call(made, different=(), *, answer=None, stop=False, remove=False, yes=False):
        asked = []
        monkeypatch.setattr("sys.stdin", io.StringIO() if answer is None else Terminal())
        monkeypatch.setattr("click.confirm", lambda text, err: asked.append(text) or answer)
        apply.permit(made, different, stop=stop, remove=remove, yes=yes)
        return asked

    return call


def test_what_hurts_nobody_needs_a_yes(permit):
    assert permit(plan(STARTS), yes=True) == []
    assert permit(plan(STARTS), answer=True) == ["Apply it?"]
    with pytest.raises(Refused, match="as you wish"):
        permit(plan(STARTS), answer=False)
    with pytest.raises(Refused, match="nobody is there"):
        permit(plan(STARTS))


def test_who_stops_something_is_asked_about_it(permit):
    (question,) = permit(plan(STOPS), answer=True)
    assert question == "applying it would hurt: web1 stops on n1. Apply it all the same?"
    with pytest.raises(Refused):
        permit(plan(STOPS), answer=False)
    (question,) = permit(plan(STARTS, stranded=("web2",)), answer=True)
    assert "web2 finds no place" in question


@pytest.mark.parametrize("yes", [True, False])
def test_a_script_has_to_allow_a_stop(permit, yes):
    with pytest.raises(Refused, match="web1 stops on n1") as caught:
        permit(plan(STOPS), yes=yes)
    assert "--allow-stop" in caught.value.hint
    assert permit(plan(STOPS), yes=True, stop=True) == []


def test_yes_on_a_terminal_allows_no_stop(permit):
    with pytest.raises(Refused, match="web1 stops on n1"):
        permit(plan(STOPS), answer=True, yes=True)


@pytest.mark.parametrize("kind", ["domain", "resource", "clone", "group", "bundle"])
def test_what_is_gone_from_the_description_is_stopped_only_on_request(permit, kind):
    gone = (Difference("removed", kind, "web1", (), ours=True),)
    for more in ({"yes": True, "stop": True}, {"answer": True}, {"answer": True, "stop": True}):
        with pytest.raises(Refused, match="no longer has web1") as caught:
            permit(plan(STOPS), gone, **more)
        assert "--remove" in caught.value.hint
    assert permit(plan(STOPS), gone, yes=True, remove=True) == []


def test_a_rollback_takes_out_what_is_down_and_has_to_be_allowed_what_runs(permit):
    gone = (Difference("removed", "domain", "web1", (), ours=False),)
    assert permit(plan(STARTS), gone, yes=True, remove=None) == []
    with pytest.raises(Refused, match="web1 stops on n1"):
        permit(plan(STOPS), gone, yes=True, remove=None)
    assert permit(plan(STOPS), gone, yes=True, remove=None, stop=True) == []


def test_a_constraint_that_goes_stops_nothing(permit):
    gone = (Difference("removed", "location", "backstay-prefers-1-web1", (), ours=True),)
    assert permit(plan(STARTS), gone, yes=True) == []


def test_without_a_checkpoint_there_is_no_way_back(monkeypatch, tmp_path):
    monkeypatch.setattr(apply, "Checkpoints", lambda: Checkpoints(tmp_path))
    with pytest.raises(BadInput, match="no checkpoint on this host"):
        apply.rollback.callback(checkpoint=None, yes=True, allow_stop=False, seconds=1.0, output="text")
