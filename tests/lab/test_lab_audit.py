# SPDX-License-Identifier: GPL-2.0-or-later
"""The audit on a running cloud: it finds what was planted, and nothing where all was well."""

from __future__ import annotations

import os
import time

import pytest

from backstay.host.clock import Deadline, until
from backstay.lab import chronicle, evidence, guest, stall, timeline
from backstay.lab.audit import LOST, NEEDLESS, NOTHING, RAN_TWICE, SILENT, Expected, Period, Verdict, audit
from backstay.lab.furnish import furnish
from backstay.lab.performance import settle
from backstay.lab.progress import Progress
from backstay.lab.records import SECTOR

CALM_SECONDS = 8.0
SPEAKS = 120.0


class Run:
    """A furnished lab, and the audit of what happened in it since the test began."""

    def __init__(self, lab, stage):
        self.lab, self.stage = lab, stage
        begin = time.monotonic()
        time.sleep(CALM_SECONDS)
        self.calm = (begin, time.monotonic())

    def settle(self):
        assert settle(self.stage, lambda _: None) == ""
        time.sleep(2)  # every guest has said something after the last deed

    def judge(self, expected: Expected = NOTHING) -> Verdict:
        end = time.monotonic()
        self.found = evidence.collect(self.lab.layout, self.stage.guests, self.calm[0], end)
        return audit(self.found, [Period("test", self.calm[1], end, expected)], self.calm)

    def story(self, verdict: Verdict) -> str:
        events = chronicle.collect(self.lab.layout, self.found, verdict.silences)
        return timeline.render(events, self.found.testimony.offset)

    def place(self, name: str) -> str:
        return self.stage.places()[name]

    def elsewhere(self, name: str) -> str:
        return next(host for host in self.stage.hosts() if host != self.place(name))


@pytest.fixture
def cloud(lab):
    """Six guests that run, and a calm time."""
    stage = furnish(lab.layout, Progress())
    return Run(lab, stage)


def found(verdict):
    return {(finding.kind, finding.subject) for finding in verdict.findings}


def texts(verdict):
    return [finding.text for finding in verdict.findings]


def test_a_live_migration_is_no_finding(cloud):
    source = cloud.place("web1")
    target = cloud.elsewhere("web1")
    cloud.lab.node(source).check(["crm_resource", "--move", "--resource=web1", f"--node={target}"])
    until(lambda: cloud.place("web1") == target or None, Deadline(SPEAKS), what="web1 to move")
    cloud.settle()  # to clear the constraint while it moves makes Pacemaker stop and start it
    cloud.lab.node(source).check(["crm_resource", "--clear", "--resource=web1"])
    cloud.settle()
    verdict = cloud.judge(NOTHING.migrating(["web1"], source))
    assert texts(verdict) == []
    assert f"web1 goes on here, moved live from {source}" in cloud.story(verdict)


def test_a_needless_restart_is_found(cloud):
    cloud.lab.node("n1").check(["crm_resource", "--restart", "--resource=web2"], timeout=120)
    cloud.settle()
    verdict = cloud.judge()
    assert found(verdict) == {(NEEDLESS, "cluster"), (SILENT, "web2")}
    story = cloud.story(verdict)
    assert "web2 shut down in order" in story
    assert "stop web2" in story


def test_a_dropped_record_is_found(cloud):
    disk = cloud.lab.layout.shared / "disks" / "mail1.raw"
    number = max(guest.read_disk(disk)) - 12  # not in the page that the guest is writing
    with disk.open("r+b", buffering=0) as writer:
        record = os.pread(writer.fileno(), SECTOR, number * SECTOR)
        os.pwrite(writer.fileno(), bytes(SECTOR), number * SECTOR)
        verdict = cloud.judge()
        os.pwrite(writer.fileno(), record, number * SECTOR)
    assert found(verdict) == {(LOST, "mail1")}
    assert f"an acknowledged record: number {number} of boot" in verdict.findings[0].text
    assert texts(cloud.judge()) == []


def test_a_guest_started_by_hand_on_a_second_host_is_found(cloud):
    second = cloud.lab.node(cloud.elsewhere("db1"))
    before = cloud.place("db1")
    second.check("virsh --connect qemu:///system create /srv/vm/domains/db1.xml")
    try:
        until(
            lambda: (RAN_TWICE, "db1") in found(cloud.judge()) or None,
            Deadline(SPEAKS),
            what="two copies to speak",
        )
    finally:
        second.check("virsh --connect qemu:///system destroy db1")
    cloud.settle()
    verdict = cloud.judge()
    (twice,) = [finding.text for finding in verdict.findings if finding.kind == RAN_TWICE]
    assert second.name in twice
    assert before in twice
    assert (LOST, "db1") in found(verdict)


def test_a_hang_in_d_state_touches_no_guest(cloud):
    node = cloud.lab.node(cloud.place("web1"))
    stall.start(node)
    try:
        stall.stall(node)
        waits = ("request_wait_answer",)  # another thread may be in D state for a moment
        until(
            lambda: stall.waiting(node) == waits or None,
            Deadline(SPEAKS),
            what="libvirtd to wait in FUSE alone",
        )
        assert not node.run("timeout --signal=KILL 5 virsh --connect qemu:///system version").ok
        time.sleep(10)
    finally:
        stall.stop(node)
    node.check("timeout --signal=KILL 10 virsh --connect qemu:///system version")
    assert stall.waiting(node) == ()
    cloud.settle()
    assert texts(cloud.judge()) == []
