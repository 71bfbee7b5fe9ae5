# SPDX-License-Identifier: GPL-2.0-or-later
"""The stories of the demo as tests, on one furnished cloud: each ends well, and its own audit is clean."""

from __future__ import annotations

import time

import pytest

from backstay.host.clock import pause
from backstay.lab import chronicle
from backstay.lab.bmc import journal
from backstay.lab.faults import catalogue, ledger
from backstay.lab.performance import perform, settle
from backstay.lab.stage import everybody_speaks, nobody_speaks_from, wait
from backstay.lab.stories import STORIES
from tests.lab.cloud import tell

PATIENCE = 300.0
FENCING_TRIED = 45.0
"""Seconds after a cut cable in which the cluster has lost the host (about 7) and tried to fence it more than once."""


def alarms(cloud, host):
    """What an admin is woken by: the journal's entries of priority alert on a host."""
    return cloud.lab.node(host).check("journalctl --priority=alert --output=cat --grep=libvirtd").splitlines()


def power_gone(cloud, host, since):
    """When the host's BMC had switched its power off (monotonic seconds)."""
    events = journal.read(cloud.lab.layout.node(host).bmc / chronicle.BMC_JOURNAL)
    return min(
        e["monotonic"]
        for e in events
        if e["event"] == "chassis" and e["command"] == "off" and e["monotonic"] >= since
    )


def asked_of_bmc(cloud, host, since):
    """The chassis commands that the host's BMC was given since then."""
    events = journal.read(cloud.lab.layout.node(host).bmc / chronicle.BMC_JOURNAL)
    return [e["command"] for e in events if e["event"] == "chassis-control" and e["monotonic"] >= since]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_a_story_ends_well_and_its_audit_is_clean(cloud, story):
    act = perform(cloud.stage, story, tell)
    judged = cloud.judge_act(act)
    assert act.problem == ""
    assert judged.findings == []
    assert act.scene.guests, "a story without guests on the broken host proves nothing"
    if story.chapter == 2:
        assert judged.silences == ()
    if story.everywhere:
        assert [host for host in act.scene.hosts if not alarms(cloud, host)] == []
    if story.name == "cut-off":
        starts = [
            deed.at
            for deed in judged.found.deeds
            if deed.at >= act.begin and getattr(deed, "resource", "") in act.scene.guests
        ]
        assert power_gone(cloud, act.scene.hosts[0], act.begin) < min(starts)


def test_no_guest_starts_elsewhere_while_its_host_is_not_proven_dead(cloud):
    """A host that is cut off and whose BMC only says yes keeps its guests; they move when its power really goes."""
    host = cloud.stage.busiest()
    guests = cloud.stage.guests_on(host)
    begin = time.monotonic()
    catalogue.inject(cloud.lab.layout, "ignore-power-off", host)
    catalogue.inject(cloud.lab.layout, "cut-network", host)
    pause(FENCING_TRIED)
    assert "off" in asked_of_bmc(cloud, host, begin), "nobody has tried to fence it, so nothing is proven"
    assert cloud.stage.guests_on(host) == guests
    catalogue.heal(cloud.lab.layout, "ignore-power-off", host)
    assert wait(cloud.stage, nobody_speaks_from(host), PATIENCE, "the guests to leave", tell) == ""
    assert wait(cloud.stage, everybody_speaks, PATIENCE, "the guests to run elsewhere", tell) == ""
    catalogue.heal(cloud.lab.layout, "cut-network", host)
    assert settle(cloud.stage, tell) == ""


SEEN_BY = {
    "fill-datastore": "df --output=avail /srv/datastore | tail -1 | grep -qx ' *0'",
    "drop-bmc": "! timeout 20 fence_backstay_ipmi {bmc} -o status",
    "refuse-power-off": "timeout 60 fence_backstay_ipmi {bmc} -o off 2>&1 | grep -q 0xd4",
}


@pytest.mark.parametrize("name", SEEN_BY)
def test_a_fault_is_seen_while_it_is_in_force_and_gone_when_it_was_healed(cloud, name):
    host = cloud.stage.hosts()[-1]
    bmc = f"-a {cloud.lab.layout.node(host).bmc_address} -l fencer --password-file /etc/backstay/bmc.password"
    look = SEEN_BY[name].format(bmc=bmc)
    where = cloud.lab.node(host)
    catalogue.inject(cloud.lab.layout, name, host)
    catalogue.inject(cloud.lab.layout, name, host)
    assert where.run(look, timeout=90).ok
    assert (name, host) in ledger.active(ledger.read(cloud.lab.layout))
    catalogue.heal(cloud.lab.layout, name, host)
    catalogue.heal(cloud.lab.layout, name, host)
    if name != "refuse-power-off":  # to look again would now power the host off
        assert not where.run(look, timeout=90).ok
    assert ledger.active(ledger.read(cloud.lab.layout)) == ()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("crm_resource --show-metadata ocf:backstay:domain", '<resource-agent name="domain"'),
        ("crm_resource --show-metadata ocf:backstay:libvirtd", '<resource-agent name="libvirtd"'),
        (
            "stonith_admin --metadata --agent fence_backstay_ipmi",
            '<resource-agent name="fence_backstay_ipmi"',
        ),
        (
            "stonith_admin --metadata --agent fence_backstay_redfish",
            '<resource-agent name="fence_backstay_redfish"',
        ),
        ("stonith_admin --list-installed", "fence_backstay_ipmi"),
    ],
)
def test_pacemaker_finds_the_agents(cloud, command, words):
    assert words in cloud.lab.node("n1").check(command)
