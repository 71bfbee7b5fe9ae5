# SPDX-License-Identifier: GPL-2.0-or-later
"""A new disk is taken for one that can be promoted; one that is there already is what its agent says."""

from __future__ import annotations

import pytest
from lxml import etree

from backstay.plan.prediction import predict
from backstay.plan.promotion import hoped_for, with_scores
from backstay.plan.transition import PROMOTE, Step, Transition

CLONE = """<clone id="{0}-clone"><meta_attributes id="{0}-m"><nvpair id="{0}-p" name="promotable" value="{1}"/>
</meta_attributes><primitive id="{0}"/></clone>"""
STATUS = """<node_state id="1" uname="n1"/><node_state id="2" uname="n2"><transient_attributes id="2">
<instance_attributes id="status-2"><nvpair id="x" name="shutdown" value="0"/></instance_attributes>
</transient_attributes></node_state>"""


def cib(*clones):
    text = "".join(clones)
    top = f"<cib><configuration><crm_config/><resources>{text}</resources></configuration><status>{STATUS}</status></cib>"
    return etree.fromstring(top)


def scores(of, name):
    wanted = f"master-{name}"  # as LINBIT calls it
    return {
        state.get("uname"): pair.get("value")
        for state in of.iterfind("status/node_state")
        for pair in state.iterfind("transient_attributes/instance_attributes/nvpair")
        if pair.get("name") == wanted
    }


@pytest.mark.parametrize(("given", "wanted"), [("true", ("d",)), ("TRUE", ("d",)), ("false", ())])
def test_only_what_is_promotable_is_hoped_for(given, wanted):
    assert hoped_for(cib(), cib(CLONE.format("d", given))) == wanted


def test_what_is_there_already_is_what_its_agent_says():
    both = (CLONE.format("old", "true"), CLONE.format("new", "true"))
    assert hoped_for(cib(both[0]), cib(*both)) == ("new",)


def test_every_host_has_a_score_then_and_keeps_what_else_it_has():
    before = cib()
    after = with_scores(before, ("d",))
    assert scores(after, "d") == {"n1": "1", "n2": "1"}
    assert after.find(".//nvpair[@name='shutdown']") is not None
    assert scores(before, "d") == {}


def test_the_scheduler_is_asked_with_it_and_the_plan_says_so():
    asked = []

    class Scheduler:
        def transition(self, data):
            asked.append(scores(etree.fromstring(data), "d"))
            return Transition((Step(PROMOTE, "d", "", "n1"),) if asked[-1] else (), {})

    found = predict(cib(), cib(CLONE.format("d", "true")), Scheduler())
    assert sorted(asked, key=len) == [{}, {"n1": "1", "n2": "1"}]  # both at once
    assert (found.hoped, found.stranded) == (("d",), ())
