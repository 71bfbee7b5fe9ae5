# SPDX-License-Identifier: GPL-2.0-or-later
"""What crm_mon said on a real lab is read right (data/: recorded with Pacemaker 2.1.5)."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.lab import cluster
from backstay.lab.cluster import State

DATA = Path(__file__).parent / "data"
NODES = ("n1", "n2", "n3")


def state(name: str) -> State:
    return cluster.parse((DATA / f"crm_mon-{name}.xml").read_text(), "n1")


def test_a_fresh_cluster() -> None:
    fresh = state("fresh")
    assert fresh.online() == set(NODES)
    assert fresh.quorate
    assert fresh.seen_from == "n1"
    assert (fresh.resources, fresh.failures, fresh.fencing) == ((), (), ())
    assert fresh.summary() == "n1:online n2:online n3:online"
    assert cluster.all_online(NODES)(fresh) == ""


def test_a_failed_action_and_who_runs_what() -> None:
    failed = state("failed")
    assert [(f.action, f.node, f.code) for f in failed.failures] == [("d1_monitor_5000", "n2", 7)]
    assert failed.running_on("d1") == ("n2",)
    assert failed.running_on("d3") == NODES
    assert failed.running_on("off") == failed.running_on("unknown") == ()
    assert [r.agent for r in failed.resource("fence-n3")] == ["stonith:fence_ipmilan"]
    assert failed.attributes["n1"] == {"backstay-libvirtd": "healthy"}
    assert "d1_monitor_5000 on n2 failed (7)" in failed.summary()


def test_a_stopped_resource_is_missing_unless_an_admin_wants_it_so() -> None:
    (off,) = state("failed").resource("off")
    assert not off.active
    assert not off.missing()
    text = (DATA / "crm_mon-failed.xml").read_text().replace('target_role="Stopped"', "")
    (off,) = cluster.parse(text, "n1").resource("off")
    assert off.missing()


def test_a_fenced_node() -> None:
    fenced = state("fenced")
    assert fenced.unclean() == {"n3"}
    assert [cluster.condition(m) for m in fenced.members] == ["online", "online", "UNCLEAN"]
    assert [(e.action, e.target, e.status) for e in fenced.fencing] == [("reboot", "n3", "success")]


@pytest.mark.parametrize(
    ("names", "missing"),
    [(NODES, ""), (("n1",), ""), ((*NODES, "n4"), "not online: n4")],
)
def test_who_is_missing_is_named(names: tuple[str, ...], missing: str) -> None:
    assert cluster.all_online(names)(state("fresh")) == missing


def test_without_quorum_nobody_is_content() -> None:
    text = (DATA / "crm_mon-fresh.xml").read_text().replace('with_quorum="true"', 'with_quorum="false"')
    assert cluster.all_online(NODES)(cluster.parse(text, "n1")) == "no quorum"


def test_a_resource_that_runs_twice_or_not_is_named() -> None:
    look = cluster.running(["d1", "d3", "off"])
    assert look(state("failed")) == "not running on exactly one node: d3 off"
    assert cluster.running(["d1", "d2"])(state("failed")) == ""


@pytest.mark.parametrize("text", ["", "crm_mon: not there", "<cut"])
def test_what_is_not_xml_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        cluster.parse(text, "n1")
