# SPDX-License-Identifier: GPL-2.0-or-later
"""What an admin does behind the cluster's back doubles no guest."""

from __future__ import annotations

from backstay.host.clock import Deadline, until
from backstay.lab.audit import LOST, RAN_TWICE

SOON = 30.0  # seconds in which the monitor misses the guest, and Pacemaker has found where it may be


def test_a_guest_that_was_migrated_by_hand_is_found_and_not_started_a_second_time(cloud):
    here = cloud.stage.places()["web1"]
    there = next(host for host in cloud.stage.hosts() if host != here)

    def place():
        found = [each for each in cloud.lab.ask().resources if each.name == "web1"]
        return "".join(found[0].nodes) if found and found[0].active and not found[0].failed else ""

    with cloud.watched() as judgements:
        cloud.node(here).check(f"virsh migrate --live --unsafe web1 qemu+tcp://{there}/system", timeout=60)
        until(lambda: place() == there or None, Deadline(SOON), what=f"the cluster to find web1 on {there}")
        why = [
            each.reason for each in cloud.lab.ask().failures if "start" in each.action and each.node == here
        ]
        assert any(f"it runs on {there} already" in reason for reason in why)
        assert any("crm_resource --refresh --resource web1" in reason for reason in why)
        cloud.on_any("crm_resource --refresh --resource web1")
        cloud.settle()
    (judged,) = judgements
    assert judged.boots["web1"] == 1
    assert not {each.kind for each in judged.verdict.findings} & {RAN_TWICE, LOST}
