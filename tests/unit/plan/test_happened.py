# SPDX-License-Identifier: GPL-2.0-or-later
"""What was done between two looks, and whether it was foreseen."""

from __future__ import annotations

import pytest
from lxml import etree

from backstay.plan.happened import Look, Record, compare, happened, look, present, under_way
from backstay.plan.transition import Step, Transition

N1, N2, NOWHERE = frozenset({"n1"}), frozenset({"n2"}), frozenset()


def moment(runs, last=(), fencings=(), promoted=NOWHERE):
    """A look at web1: where it runs, is promoted, and (host, operation, key, digests) of its last operations."""
    records = {("web1", host): Record(*record) for host, *record in last}
    return Look({"web1": runs}, records, frozenset(fencings), {"web1": promoted})


CASES = [
    (moment(NOWHERE), moment(N1, [("n1", "start", "1")]), (Step("start", "web1", target="n1"),)),
    (moment(N1), moment(NOWHERE), (Step("stop", "web1", source="n1"),)),
    (moment(N1), moment(N2, [("n2", "start", "1")]), (Step("move", "web1", "n1", "n2"),)),
    (moment(N1), moment(N2, [("n2", "migrate_from", "1")]), (Step("migrate", "web1", "n1", "n2"),)),
    (
        moment(N1, [("n1", "start", "1")]),
        moment(N1, [("n1", "start", "2")]),
        (Step("restart", "web1", "n1"),),
    ),
    (moment(N1, [("n1", "start", "1")]), moment(N1, [("n1", "start", "1")]), ()),
    (
        moment(N1, [("n1", "start", "1", "d1", "r")]),
        moment(N1, [("n1", "start", "2", "d2", "r")]),
        (Step("afresh", "web1", "n1"),),
    ),
    (
        moment(N1, [("n1", "start", "1", "d", "r")]),
        moment(N1, [("n1", "start", "2", "d", "r")]),
        (Step("restart", "web1", "n1"),),
    ),
    (
        moment(N1, [("n1", "start", "1", "d1", "r1")]),
        moment(N1, [("n1", "start", "2", "d2", "r2")]),
        (Step("restart", "web1", "n1"),),
    ),
    (moment(N1, [("n1", "start", "1")]), moment(N1, [("n1", "monitor", "2")]), ()),
    (moment(N1), moment(N1, fencings=[("n3", "t")]), (Step("fence", "n3"),)),
    (moment(NOWHERE), moment(N1, promoted=N1), (Step("promote", "web1", target="n1"),)),
    (moment(N1), moment(N1, promoted=N1), (Step("promote", "web1", target="n1"),)),
    (moment(N1, promoted=N1), moment(N1), (Step("demote", "web1", source="n1"),)),
    (moment(N1, promoted=N1), moment(NOWHERE), (Step("stop", "web1", source="n1"),)),
    (
        moment(N1 | N2, promoted=N1),
        moment(N1 | N2, promoted=N2),
        (Step("demote", "web1", source="n1"), Step("promote", "web1", target="n2")),
    ),
]


@pytest.mark.parametrize(("before", "after", "steps"), CASES)
def test_what_was_done(before, after, steps):
    assert happened(before, after) == steps


def test_a_look_reads_the_records():
    cib = etree.fromstring(
        """<cib><status><node_state uname="n1"><lrm><lrm_resources><lrm_resource id="web1">
        <lrm_rsc_op id="web1_last_0" operation="start" transition-key="3:1:0:u"/>
        <lrm_rsc_op id="web1_monitor_10000" operation="monitor" transition-key="4:1:0:u"/>
        </lrm_resource></lrm_resources></lrm></node_state></status></cib>"""
    )
    assert look(cib, Transition((), {"web1": N1}), frozenset()).last == {
        ("web1", "n1"): Record("start", "3:1:0:u")
    }


def test_the_newest_record_counts_and_a_migration_has_its_own():
    cib = etree.fromstring(
        """<cib><status><node_state uname="n1"><lrm><lrm_resources><lrm_resource id="web1">
        <lrm_rsc_op id="web1_last_0" operation="monitor" transition-key="3:1:7:u" call-id="36"/>
        <lrm_rsc_op id="web1_migrate_from_0" operation="migrate_from" transition-key="40:26:0:u" call-id="74"/>
        <lrm_rsc_op id="web1_monitor_10000" operation="monitor" transition-key="4:1:0:u" call-id="75"/>
        </lrm_resource></lrm_resources></lrm></node_state></status></cib>"""
    )
    assert look(cib, Transition((), {"web1": N1}), frozenset()).last == {
        ("web1", "n1"): Record("migrate_from", "40:26:0:u")
    }


def test_what_was_foreseen_and_done_is_no_surprise():
    foreseen = (
        Step("restart", "web1", "n1", reason="x"),
        Step("recover", "db1", "n1", "n2"),
        Step("fence", "n3"),
    )
    real = (Step("fence", "n3"), Step("restart", "web1", "n1"), Step("move", "db1", "n1", "n2"))
    assert compare(foreseen, real) == ((), ())


def test_what_was_missing_and_what_surprised():
    stop, start = Step("stop", "web1", source="n1"), Step("start", "web2", target="n1")
    assert compare((stop,), (start,)) == ((stop,), (start,))


def test_a_blocked_step_is_not_missed():
    assert compare((Step("start", "web2", target="n1", blocked=True),), ()) == ((), ())


@pytest.mark.parametrize("verb", ["reload", "restart"])
def test_new_parameters_may_have_come_either_way(verb):
    assert compare((Step(verb, "web1", "n1"),), (Step("afresh", "web1", "n1"),)) == ((), ())
    assert compare((Step(verb, "web1", "n2"),), (Step("afresh", "web1", "n1"),)) != ((), ())


def test_what_a_fencing_does_by_itself_is_no_surprise():
    foreseen = (Step("fence", "n1"), Step("stop", "libvirtd", source="n1"))
    real = (Step("fence", "n1"), Step("restart", "libvirtd", "n1"))
    assert compare(foreseen, real) == ((), ())
    assert compare(foreseen[1:], real[1:]) == (foreseen[1:], real[1:])


def test_a_host_that_was_away_counts_as_fenced_when_that_was_foreseen():
    real = happened(moment(N1), moment(N2, [("n2", "start", "1")]), frozenset({"n1"}))
    assert real == (Step("left", "n1"), Step("move", "web1", "n1", "n2"))
    assert compare((Step("fence", "n1"), real[1]), real) == ((), ())
    assert compare((real[1],), real) == ((), (Step("left", "n1"),))
    fenced = happened(moment(N1), moment(N1, fencings=[("n1", "t")]), frozenset({"n1"}))
    assert fenced == (Step("fence", "n1"),)


def test_who_is_present():
    """The state of a remote host has no crmd, whether it is there or not."""
    cib = etree.fromstring(
        """<cib><status><node_state uname="n1" crmd="online"/><node_state uname="n2" crmd="offline"/>
        <node_state uname="n3" remote_node="true" in_ccm="true"/></status></cib>"""
    )
    assert present(cib) == {"n1"}


def test_what_has_begun_and_has_no_answer_is_under_way():
    cib = etree.fromstring(
        """<cib><status><node_state uname="n1"><lrm><lrm_resources><lrm_resource id="web1">
        <lrm_rsc_op operation="start" op-status="-1"/></lrm_resource><lrm_resource id="web2">
        <lrm_rsc_op operation="stop" op-status="0"/></lrm_resource></lrm_resources></lrm></node_state></status></cib>"""
    )
    assert under_way(cib) == ("start of web1 on n1",)
