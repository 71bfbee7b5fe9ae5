# SPDX-License-Identifier: GPL-2.0-or-later
"""How `backstay host` loads a description: what else goes from it is not its business, and its words are its own."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import pytest

from backstay.cib.difference import Difference
from backstay.cli import hosts_world, loading
from backstay.errors import Findings, Refused
from backstay.host import crm_mon
from backstay.host.process import Completed
from backstay.plan.outcome import Outcome

FENCE = Difference("removed", "fence device", "fence-n4", (), ours=True)
CONNECTION = Difference("removed", "resource", "n4", (), ours=True)
GUEST = Difference("removed", "domain", "web1", (), ours=True)


@pytest.fixture
def load(monkeypatch):
    """`load(leaving, *different, **said)` carries the step out; what was permitted is given."""

    def run(leaving, *different, loaded=True, settled=True, unfenced=()):
        permitted = []
        world = SimpleNamespace(
            description=SimpleNamespace(wanted=[], path="cloud.yaml"), leaving=leaving, name="n4", allow_stop=False, seconds=60.0,
        )  # fmt: skip
        for name, does in {
            "make": lambda *_: None,
            "start_from": lambda *_: (b"", ""),
            "changed": lambda _made: different,
            "show": lambda *_: "",
            "unfenced": lambda _made: unfenced,
        }.items():
            monkeypatch.setattr(loading.plan, name, does)
        monkeypatch.setattr(
            loading.apply, "permit", lambda *_, remove, **__: permitted.append(("remove", remove))
        )
        monkeypatch.setattr(loading.apply, "carry_out", lambda *_: Outcome("c", loaded, settled))
        hosts_world.World.apply(world, None)
        return permitted

    return run


def test_a_host_that_leaves_takes_its_own_connection_along(load):
    assert load(True, FENCE, CONNECTION) == [("remove", True)]
    assert load(False, FENCE) == [("remove", False)]


@pytest.mark.parametrize(("leaving", "gone"), [(True, GUEST), (False, GUEST), (False, CONNECTION)])
def test_what_else_is_no_longer_described_is_not_stopped_by_the_way(load, leaving, gone):
    """`backstay host` has no --remove to insist with."""
    with pytest.raises(Refused, match=f"no longer has {gone.name}, {gone.name}, which run$"):
        load(leaving, gone, gone)
    with pytest.raises(Refused, match=f"no longer has {gone.name}, which runs$") as raised:
        load(leaving, gone)
    assert raised.value.hint.endswith("backstay apply cloud.yaml --remove")


def test_no_other_host_loses_its_last_fence_device_by_the_way(load):
    assert load(True, FENCE, unfenced=("n4",)) == [("remove", True)]
    for leaving, unfenced in ((True, ("n2", "n4")), (False, ("n4",))):
        with pytest.raises(Refused, match="after this nothing could fence it"):
            load(leaving, FENCE, unfenced=unfenced)


def test_a_cluster_that_does_not_settle_is_told_and_nothing_to_load_is_not(load):
    with pytest.raises(Findings, match="has not settled"):
        load(False, settled=False)
    assert load(False, loaded=False, settled=False) == [("remove", False)]


def cell(target, **facts):
    """What n1 says of one device of a host."""
    good = {
        "from": "n1",
        "target": target,
        "device": f"fence-{target}",
        "good": True,
        "reason": "",
        "state": "ready",
    }
    return {**good, **facts}


@pytest.fixture
def prove(monkeypatch):
    """`prove(*answers, ...)` lets n1 prove that it could fence n4; each answer is a list of cells. Who has proven it."""

    def run(*answers, leaving=False):
        asked = []

        def answer(_host, accept, _seconds):
            asked.append(accept)
            return Completed(
                ["fence"], 0, json.dumps({"cells": answers[min(len(asked), len(answers)) - 1]}), ""
            )

        monkeypatch.setattr(hosts_world.far, "prove", answer)
        monkeypatch.setattr(hosts_world, "pause", lambda _seconds: None)
        world = object.__new__(hosts_world.World)
        world.name, world.here, world.leaving = "n4", "n1", leaving
        world.machines, world.proven = {"n1": None}, set()
        run.world, run.asked = world, asked
        world.prove(None)
        return world.proven

    return run


def test_a_host_is_proven_by_its_own_cells_alone(prove):
    assert prove([cell("n4"), cell("n2", good=False, reason="dark")]) == {"n1"}
    assert prove.asked == [["n4"]]


@pytest.mark.parametrize("cells", [[], [cell("n2")], [cell("n4", **{"from": "n2"})]])
def test_who_says_nothing_about_it_has_proven_nothing(prove, cells):
    with pytest.raises(Findings, match="n1 could not fence n4: nothing was proven"):
        prove(cells)
    assert (prove.world.proven, len(prove.asked)) == (set(), 1)


def test_one_bad_device_of_several_is_no_proof(prove):
    with pytest.raises(Findings, match="fence-n4: refuses"):
        prove([cell("n4"), cell("n4", good=False, reason="refuses", state="failed")])
    assert prove.world.proven == set()


def test_what_was_busy_is_asked_again(prove):
    busy = cell("n4", good=False, state="unproven")
    assert prove([busy], [cell("n4")]) == {"n1"}
    with pytest.raises(Findings, match="fence-n4: unproven"):
        prove([busy])
    assert len(prove.asked) == hosts_world.TRIALS


@pytest.fixture
def off(monkeypatch):
    """`off(...)` switches the old n4 off, as far as the cluster lets it; what was done is given."""

    def run(*, seen=False, unclean=False, switched=True, leaves=True):
        done = run.done = []
        node = crm_mon.Node(
            "n4", "4", online=False, standby=True, maintenance=False, pending=False, unclean=unclean
        )
        there = crm_mon.Cluster((node if leaves else dataclasses.replace(node, online=True),), {}, ())
        code = 0 if switched else 1
        for name, does in {
            "confirm_off": lambda name: done.append(f"confirm {name}"),
            "switch_off": lambda name: done.append(f"off {name}") or Completed(["x"], code, "no answer", ""),
        }.items():
            monkeypatch.setattr(hosts_world.membership, name, does)
        monkeypatch.setattr(hosts_world.crm_mon, "cluster", lambda _time: there)
        monkeypatch.setattr(hosts_world, "pause", lambda _seconds: None)
        world = object.__new__(hosts_world.World)
        world.name, world.remote, world.old_is_off, world.seconds = "n4", False, seen, 0.0
        monkeypatch.setattr(hosts_world.World, "_mark", lambda _self, phase: done.append(phase.value))
        world.off(None)
        return done

    return run


def test_the_old_machine_is_switched_off_before_it_counts_as_replaced(off):
    assert off() == ["off n4", "replaced"]


def test_an_off_that_failed_leaves_no_mark(off):
    with pytest.raises(Refused, match="the old n4 could not be switched off: no answer") as raised:
        off(switched=False)
    assert "--old-is-off" in raised.value.hint
    assert off.done == ["off n4"]


def test_who_has_seen_it_off_confirms_it_only_where_the_cluster_does_not_know(off):
    assert off(seen=True) == ["replaced"]
    assert off(seen=True, unclean=True) == ["confirm n4", "replaced"]


@pytest.mark.parametrize("seen", [True, False])
def test_a_machine_that_is_still_there_is_not_replaced(off, seen):
    with pytest.raises(Findings, match="n4 is still there"):
        off(seen=seen, leaves=False)
    assert "replaced" not in off.done
