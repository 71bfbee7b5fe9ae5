# SPDX-License-Identifier: GPL-2.0-or-later
"""A check of devices whose agent is somebody else's: what answers is not yet ready."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backstay.fencing.check import check
from backstay.fencing.drill_marks import Record
from backstay.fencing.finding import ERROR
from backstay.fencing.readiness import State, word
from tests.unit.fencing.test_check import FENCING, Agents, device, states, world
from tests.unit.fencing.test_rehearsal import Bmc, Said


class Others(Agents):
    """Somebody else's agent: answers as it is told."""

    def __init__(self, **codes: int) -> None:
        super().__init__(Bmc())
        self.codes = codes

    def run(self, agent, action, given, timeout) -> Said:
        out = {"metadata": "<resource-agent/>", "list": "n1,one\nn9,nine\n"}.get(action, "")
        return Said(self.codes.get(action, 0), out, "its reason")


@pytest.mark.parametrize(
    ("codes", "state"),
    [
        ({}, State.UNTESTED),
        ({"status": 2}, State.UNTESTED),
        ({"metadata": 1}, State.AGENT),
        ({"monitor": 1}, State.REFUSED),
        ({"status": 1}, State.REFUSED),
    ],
)
def test_somebody_elses_agent(codes, state):
    other = replace(device("n1"), agent="fence_other")
    report = check(replace(FENCING, devices=(other,)), "n2", replace(world(), agents=Others(**codes)))
    assert (states(report), report.ready, word(report.cells)) == ({"n1": state}, False, "not-ready:fence-n1")
    assert report.rehearsals == {}
    assert any("the off of fence_other cannot be rehearsed" in finding.text for finding in report.findings)
    assert ("backstay fence drill n1 --untested" in report.cells[0].reason) == (state is State.UNTESTED)


def drilled(**more) -> Record:
    return replace(Record("n1", 900.0, "n3", "fence-n1", 2.0, 60.0), **more)


@pytest.mark.parametrize(
    ("record", "state"),
    [
        (drilled(), State.READY),
        (drilled(device="pdu,fence-n1"), State.READY),
        (drilled(device="fence-n1|pdu"), State.UNTESTED),
        (drilled(device="fence-n11"), State.UNTESTED),
        (drilled(device="?"), State.UNTESTED),
        (drilled(target="n2"), State.UNTESTED),
        (drilled(back=None), State.UNTESTED),
        (drilled(at=500.0), State.UNTESTED),
    ],
    ids=["alone", "with-another", "it-or-another", "another", "nobody-knows", "another-host", "not-seen-to-go", "changed"],
)  # fmt: skip
def test_a_drill_proves_somebody_elses_agent_until_it_changes(record, state):
    fencing = replace(FENCING, devices=(replace(device("n1"), agent="fence_other"),))
    report = check(fencing, "n2", replace(world(drilled=(record,)), agents=Others()))
    assert states(report) == {"n1": state}
    assert ("a drill 0 days ago proved" in report.cells[0].note) == (state is State.READY)
    broken = check(fencing, "n2", replace(world(drilled=(record,)), agents=Others(monitor=1)))
    assert states(broken) == {"n1": State.REFUSED}


def test_a_drill_is_no_proof_for_an_agent_that_fails_its_rehearsal():
    report = check(FENCING, "n1", world(broken="name", drilled=(drilled(),)))
    assert set(states(report).values()) == {State.AGENT}


def test_a_device_that_lists_its_hosts_itself():
    other = replace(device("n1"), agent="fence_other", targets=None)
    report = check(replace(FENCING, devices=(other,)), "n2", replace(world(), agents=Others()))
    assert list(states(report)) == ["n1"]
    unfenced = {finding.text for finding in report.findings if finding.severity == ERROR}
    assert {"no device can fence n2", "no device can fence n3"} <= unfenced, "it has said that it fences n1"
    silent = check(replace(FENCING, devices=(other,)), "n2", replace(world(), agents=Others(list=1)))
    assert any(f.severity == ERROR and "does not say whom it can fence" in f.text for f in silent.findings)
