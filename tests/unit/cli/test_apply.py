# SPDX-License-Identifier: GPL-2.0-or-later
"""When a plan is applied, asked about or refused."""

from __future__ import annotations

import io
import os
from dataclasses import replace

import pytest

from backstay.cib.difference import Difference
from backstay.cli import apply
from backstay.errors import BadInput, Refused
from backstay.host.checkpoints import Checkpoints
from backstay.plan import consent
from backstay.plan.outcome import Outcome
from backstay.plan.planned import Plan
from backstay.plan.prediction import Prediction
from backstay.plan.transition import Step

STOPS = Step("stop", "web1", "n1")
STARTS = Step("start", "web2", target="n1")


def fenced(*hosts):
    """The CIB of n1 and n2, with a fence device for each of these."""
    devices = "".join(
        f'''<primitive id="fence-{host}" class="stonith" type="fence_backstay_ipmi"><instance_attributes id="a-{host}">
        <nvpair id="l-{host}" name="pcmk_host_list" value="{host}"/></instance_attributes></primitive>'''
        for host in hosts
    )
    return (
        f"<cib><configuration><nodes><node id='1' uname='n1'/><node id='2' uname='n2'/></nodes><resources>{devices}"
        "</resources></configuration><status/></cib>"
    )


def plan(*steps, stranded=()):
    """A plan with these consequences."""
    both = fenced("n1", "n2")
    return Plan("c", both, both, Prediction(steps, (), stranded, frozenset({"web1", "web2"})))


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
        assert caught.value.hint == "describe it again, or insist with --remove: Pacemaker stops it"
    assert permit(plan(STOPS), gone, yes=True, remove=True) == []
    with pytest.raises(Refused, match="no longer has web1, web1: applying it would stop them"):
        permit(plan(STOPS), gone * 2, yes=True)


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


@pytest.mark.parametrize("allowed", [True, False])
def test_a_host_loses_its_last_fence_device_only_on_request(allowed):
    consent.keep_fenced((), allowed=False)
    if allowed:
        consent.keep_fenced(("n3",), allowed=True)
        return
    with pytest.raises(Refused, match="n3 is in the cluster") as caught:
        consent.keep_fenced(("n3",), allowed=False)
    assert "backstay host remove n3" in caught.value.hint


def test_a_plan_that_hurts_more_than_what_was_agreed_to_is_refused():
    agreed = plan(STOPS, stranded=("web3",))
    assert apply._still(agreed, agreed) is agreed
    for now, said in (
        (plan(STOPS, Step("stop", "web2", "n1"), stranded=("web3",)), "web2 stops on n1$"),
        (plan(STOPS, stranded=("web3", "web4")), "web4 finds no place on any host$"),
        (plan(STOPS, stranded=("web4",)), "web4 finds no place on any host$"),
        (replace(agreed, after=fenced("n1")), "nothing could fence n2 any more$"),
    ):
        with pytest.raises(Refused, match=f"while you were asked something changed: .*{said}"):
            apply._still(agreed, now)
    less = plan(STARTS)
    assert apply._still(agreed, less) is less


def test_the_last_fence_device_that_goes_is_agreed_to_once():
    agreed = replace(plan(), after=fenced("n1"))
    assert apply.plan.unfenced(agreed) == ("n2",)
    assert apply._still(agreed, agreed) is agreed


DONE = Outcome("20261130T100000Z", loaded=True, settled=True)


@pytest.fixture
def decide(monkeypatch):
    """`decide(**facts)` applies a plan of which this came; the exit code."""

    def call(**facts):
        monkeypatch.setattr(
            apply.plan, "changed", lambda _made: (Difference("added", "domain", "web2", (), ours=True),)
        )
        monkeypatch.setattr(apply.plan, "show", lambda *_: "")
        monkeypatch.setattr(apply, "carry_out", lambda *_: replace(DONE, **facts))
        return apply.decide(plan(STARTS), None, "text", 60.0, stop=False, remove=False, yes=True)

    return call


def test_what_went_as_foreseen_ends_with_0(decide, capsys):
    assert decide() == 0
    assert "nothing had to be done" in capsys.readouterr().out
    assert decide(happened=(STOPS,)) == 0


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"missing": (STOPS,)}, "! foreseen, did not happen: web1 stops on n1"),
        ({"surprising": (STOPS,)}, "! happened, not foreseen: web1 stops on n1"),
        ({"left": ("web1",)}, "not taken out yet: web1"),
        ({"settled": False}, "has not settled within 60 s"),
        ({"loaded": False}, "Nothing was loaded: all of it is live already."),
    ],
)
def test_what_went_otherwise_ends_with_1_and_is_told(decide, capsys, facts, said):
    assert decide(**facts) == apply.SURPRISED == 1
    assert said in capsys.readouterr().out


WHOLE = b"<cib crm_feature_set='live'><configuration/></cib>"


@pytest.fixture
def roll_back(monkeypatch, tmp_path):
    """`roll_back(name)` returns to a checkpoint of two; the configuration that is wanted then, and from what."""
    for name, mark in (("20261129T100000Z", "old"), ("20261130T100000Z", "new")):
        (tmp_path / f"{name}.xml").write_text(f"<cib crm_feature_set='{mark}'><configuration/></cib>")

    def call(name=None):
        seen = []
        monkeypatch.setattr(apply, "Checkpoints", lambda: Checkpoints(tmp_path))
        monkeypatch.setattr(apply.plan, "start_from", lambda *_: (WHOLE, "live"))
        monkeypatch.setattr(
            apply.plan, "replacing", lambda live, kept, _: seen.append((live, kept)) or plan()
        )
        monkeypatch.setattr(apply, "decide", lambda *_, **words: seen.append(words) or 0)
        words = {"yes": True, "allow_stop": False, "seconds": 1.0, "output": "text"}
        assert apply.rollback.callback(checkpoint=name, **words) == 0
        (live, kept), insisted = seen
        assert (live.get("crm_feature_set"), insisted["remove"]) == ("live", None)
        return kept.get("crm_feature_set")

    return call


def test_a_rollback_returns_to_the_newest_checkpoint_or_the_named_one(roll_back):
    assert roll_back() == "new"
    assert roll_back("20261129T100000Z") == "old"
    with pytest.raises(BadInput, match="no checkpoint 20261128T100000Z"):
        roll_back("20261128T100000Z")


def test_a_checkpoint_is_read_by_root_alone(tmp_path):
    """A hand-made fence device may have its password in it."""
    before = os.umask(0o022)
    try:
        Checkpoints(tmp_path / "kept").take(b"<cib/>")
    finally:
        os.umask(before)
    (file,) = (tmp_path / "kept").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_checkpoint_that_is_no_cib_is_one_sentence(monkeypatch, tmp_path):
    (tmp_path / "20261130T100000Z.xml").write_text("<cib/>")
    monkeypatch.setattr(apply, "Checkpoints", lambda: Checkpoints(tmp_path))
    with pytest.raises(BadInput, match="checkpoint 20261130T100000Z has no <configuration>"):
        apply.rollback.callback(checkpoint=None, yes=True, allow_stop=False, seconds=1.0, output="text")
