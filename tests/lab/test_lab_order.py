# SPDX-License-Identifier: GPL-2.0-or-later
"""The health check between tests sees each kind of disorder and mends it without a rebuild."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from backstay.host.clock import Deadline, until
from backstay.lab import network, order, power
from backstay.lab.bmc import node as bmc
from backstay.lab.faults import catalogue

NODES = ("n1", "n2", "n3")

DISORDER: dict[str, tuple[Callable[[object], None], str]] = {
    "power": (lambda lab: power.cut(lab.layout, "n2"), "n2 is off"),
    "network": (lambda lab: network.detach(lab.layout, "n3"), "n3 is off the network"),
    "bmc": (lambda lab: bmc.stop(lab.layout, "n1"), "the BMC of n1 does not run"),
    "bmc fault": (lambda lab: bmc.faults(lab.layout, "n1").set("drop"), "fault left: drop on the BMC of n1"),
    "fault of the ledger": (
        lambda lab: catalogue.inject(lab.layout, "hang-libvirtd", "n1"),
        "fault left: hang-libvirtd on n1",
    ),
    "standby": (lambda lab: lab.node("n1").check("crm_standby -v on -N n2 -l forever"), "n2 is standby"),
}


def test_a_fresh_lab_is_in_order(lab) -> None:
    assert order.findings(lab.layout, NODES) == ()
    assert order.blame(lab.layout, datetime.now(UTC) - timedelta(seconds=1)) == ()


@pytest.mark.parametrize("kind", DISORDER)
def test_disorder_is_found_and_mended(lab, kind: str) -> None:
    disturb, finding = DISORDER[kind]
    disturb(lab)
    # After a change of the whole configuration a host is pending for a moment, whatever else it is.
    until(lambda: finding in order.findings(lab.layout, NODES) or None, Deadline(60), what=finding)
    assert order.restore(lab.layout, NODES, lab.wanted) == ()


def test_a_missing_node_cannot_be_mended(lab) -> None:
    assert "instead of n1 n2" in order.findings(lab.layout, ("n1", "n2"))[0]


def test_a_dead_bmc_is_the_labs_own_fault(lab) -> None:
    bmc.stop(lab.layout, "n2")
    assert order.blame(lab.layout, datetime.now(UTC)) == ("the BMC of n2 does not run",)
