# SPDX-License-Identifier: GPL-2.0-or-later
"""How `backstay host` loads a description: what else goes from it is not its business, and its words are its own."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from backstay.cib.difference import Difference
from backstay.cli import hosts_world
from backstay.errors import Findings, Refused

FENCE = Difference("removed", "fence device", "fence-n4", (), ours=True)
CONNECTION = Difference("removed", "resource", "n4", (), ours=True)
GUEST = Difference("removed", "domain", "web1", (), ours=True)


@pytest.fixture
def load(monkeypatch):
    """`load(leaving, *different, **said)` carries the step out; what was permitted is given."""

    def run(leaving, *different, loaded=True, settled=True):
        permitted = []
        world = SimpleNamespace(
            description=SimpleNamespace(wanted=[], path="cloud.yaml"), leaving=leaving, name="n4", allow_stop=False, seconds=60.0,
        )  # fmt: skip
        for name, does in {
            "make": lambda *_: None,
            "start_from": lambda *_: (b"", ""),
            "changed": lambda _made: different,
            "show": lambda *_: "",
        }.items():
            monkeypatch.setattr(hosts_world.plan, name, does)
        monkeypatch.setattr(
            hosts_world.apply, "permit", lambda *_, remove, **__: permitted.append(("remove", remove))
        )
        monkeypatch.setattr(
            hosts_world.apply, "carry_out", lambda *_: {"loaded": loaded, "settled": settled, "left": []}
        )
        hosts_world.World.apply(world, None)
        return permitted

    return run


def test_a_host_that_leaves_takes_its_own_connection_along(load):
    assert load(True, FENCE, CONNECTION) == [("remove", True)]
    assert load(False, FENCE) == [("remove", False)]


@pytest.mark.parametrize(("leaving", "gone"), [(True, GUEST), (False, GUEST), (False, CONNECTION)])
def test_what_else_is_no_longer_described_is_not_stopped_by_the_way(load, leaving, gone):
    """`backstay host` has no --remove to insist with."""
    with pytest.raises(Refused, match=f"no longer has {gone.name}") as raised:
        load(leaving, gone)
    assert raised.value.hint.endswith("backstay apply cloud.yaml --remove")


def test_a_cluster_that_does_not_settle_is_told_and_nothing_to_load_is_not(load):
    with pytest.raises(Findings, match="has not settled"):
        load(False, settled=False)
    assert load(False, loaded=False, settled=False) == [("remove", False)]
