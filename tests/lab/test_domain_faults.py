# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults of guests and of what they live on, each with the audit: what has to be done is done, and nothing else."""

from __future__ import annotations

import json
import shlex
import time

import pytest

from backstay.host.clock import pause
from backstay.lab.audit import NOTHING
from backstay.lab.faults import catalogue
from backstay.lab.faults.guest import DEVICE, DISK, ENOSPC, FILTER
from backstay.lab.performance import perform
from backstay.lab.stage import (
    DEGRADED,
    FRESH,
    all_well,
    both,
    everybody_speaks,
    libvirtd_answers,
    libvirtd_is,
    monitor_says,
    wait,
)
from tests.lab.cloud import further, tell

PATIENCE = 120.0
INTERVAL = 10.0
"""Seconds between two monitors of a guest."""
SLACK = 4.0
"""Seconds until a guest writes the next time, a monitor has answered and the cluster was asked."""


def performed(cloud, name):
    """A story that ended well: the first guest of its host, and what the audit says."""
    act = perform(cloud.stage, further(name), tell)
    judged = cloud.judge_act(act)
    assert act.scene.guests
    assert act.problem == ""
    assert judged.findings == []
    return act.scene.guests[0], judged


def test_a_killed_emulator_is_replaced_once_and_nothing_else_happens(cloud):
    guest, judged = performed(cloud, "killed")
    assert [deed[:2] for deed in judged.deeds] == [("stop", guest), ("start", guest)]
    assert {silence.guest for silence in judged.silences} == {guest}
    assert {name for name, boots in judged.boots.items() if boots != 1} == {guest}


def test_a_stopped_emulator_is_reported_and_not_restarted(cloud):
    guest, judged = performed(cloud, "stopped")
    assert judged.deeds == []
    assert {silence.guest for silence in judged.silences} == {guest}
    assert set(judged.boots.values()) == {1}


@pytest.mark.long
def test_a_guest_that_an_io_error_paused_is_reported_and_not_restarted(cloud):
    guest, judged = performed(cloud, "io-error")
    assert judged.deeds == []
    assert {silence.guest for silence in judged.silences} == {guest}
    assert set(judged.boots.values()) == {1}


TALK = """
import json, sys
from backstay.host.qmp import Qmp
with Qmp(sys.argv[1], 10) as qmp:
    for words in json.loads(sys.argv[2]):
        qmp.execute(words["execute"], words.get("arguments"))
"""
INHIBIT = "/run/backstay/inhibit"


def told(cloud, host, guest, *commands):
    """Give an emulator commands through its own socket, which is free while no libvirtd lives."""
    words = json.dumps([{"execute": name, "arguments": arguments} for name, arguments in commands])
    socket = f"$(echo /var/lib/libvirt/qemu/domain-*-{guest}/monitor.sock)"
    cloud.node(host).check(f"/usr/bin/python3 -I -c {shlex.quote(TALK)} {socket} {shlex.quote(words)}")


@pytest.mark.long
def test_a_guest_that_an_io_error_pauses_while_libvirtd_is_dead_is_reported_within_one_interval(cloud):
    host = cloud.stage.busiest()
    guest = min(cloud.stage.guests_on(host))
    error = {"event": "none", "iotype": "write", "errno": ENOSPC, "once": False, "immediately": False}
    bad = {"driver": "blkdebug", "node-name": FILTER, "image": DISK, "inject-error": [error]}
    with cloud.watched(NOTHING.silencing([guest])) as audits:
        cloud.node(host).check(f"touch {INHIBIT}")  # nobody heals libvirtd
        catalogue.inject(cloud.lab.layout, "crash-libvirtd", host)
        assert (
            wait(cloud.stage, libvirtd_is([host], "degraded"), PATIENCE, "libvirtd to be missed", tell) == ""
        )
        pause(INTERVAL)  # each guest was found well without a libvirtd
        assert everybody_speaks(cloud.stage) == ""
        begin = time.monotonic()
        told(
            cloud,
            host,
            guest,
            ("blockdev-add", bad),
            ("qom-set", {"path": DEVICE, "property": "drive", "value": FILTER}),
        )
        said = monitor_says(guest, DEGRADED, "is paused (ioerror) for its emulator")
        assert wait(cloud.stage, said, 3 * INTERVAL, "the monitor to see it", tell) == ""
        seen_after = time.monotonic() - begin
        told(
            cloud,
            host,
            guest,
            ("qom-set", {"path": DEVICE, "property": "drive", "value": DISK}),
            ("blockdev-del", {"node-name": FILTER}),
            ("cont", {}),
        )
        assert wait(cloud.stage, everybody_speaks, PATIENCE, "the guest to go on", tell) == ""
        cloud.node(host).check(f"rm {INHIBIT}")
        catalogue.heal(cloud.lab.layout, "crash-libvirtd", host)
        assert wait(cloud.stage, libvirtd_is([host], "healthy"), PATIENCE, "libvirtd to be well", tell) == ""
    cloud.settle()
    (judged,) = audits
    assert judged.findings == []
    assert judged.deeds == []
    assert {silence.guest for silence in judged.silences} == {guest}
    assert set(judged.boots.values()) == {1}
    assert seen_after < INTERVAL + SLACK


@pytest.mark.long
def test_guests_do_not_need_their_definitions_to_run_nor_to_stop(cloud):
    hosts = cloud.stage.hosts()
    host = cloud.stage.busiest()
    guest = cloud.stage.guests_on(host)[0]
    role = f"crm_resource --resource={guest} --meta --set-parameter=target-role --parameter-value"
    with cloud.watched(NOTHING.stopping([guest], [host]).starting([guest])) as told:
        for each in hosts:
            catalogue.inject(cloud.lab.layout, "unmount-share", each)
        pause(2 * INTERVAL + 2)
        assert everybody_speaks(cloud.stage) == ""
        cloud.on_any(f"{role}=Stopped")
        cloud.lab.wait_for(
            lambda s: f"{guest} runs" if s.running_on(guest) else "", PATIENCE, f"{guest} to stop"
        )
        for each in hosts:
            catalogue.heal(cloud.lab.layout, "unmount-share", each)
        cloud.on_any(f"crm_resource --resource={guest} --meta --delete-parameter=target-role")
        cloud.rest()
        pause(FRESH)  # its last words count no more
        assert wait(cloud.stage, all_well, PATIENCE, "the guest to run again", tell) == ""
    (judged,) = told
    assert judged.findings == []
    assert {silence.guest for silence in judged.silences} == {guest}
    assert [deed[:2] for deed in judged.deeds] == [("stop", guest), ("start", guest)]
    last_words = [
        each.record.word
        for each in judged.found.testimony.heard
        if judged.told.holds(each.at) and judged.found.guests.get(each.record.uuid) == guest
    ]
    assert "bye" in last_words, "it was asked to shut down, and did"


def test_a_probe_where_libvirtd_is_down_changes_nothing(cloud):
    """A probe that failed there would make Pacemaker stop the guest where it runs well, and start it again."""
    host = cloud.stage.busiest()
    strangers = [guest for guest, place in cloud.stage.places().items() if place != host]
    assert strangers
    with cloud.watched() as told:
        catalogue.inject(cloud.lab.layout, "break-libvirtd", host)
        assert (
            wait(cloud.stage, libvirtd_is([host], "degraded"), PATIENCE, "libvirtd to be missed", tell) == ""
        )
        for guest in strangers:
            cloud.on_any(f"crm_resource --refresh --resource={guest} --node={host}")
        pause(4.0)
        catalogue.heal(cloud.lab.layout, "break-libvirtd", host)
        assert wait(cloud.stage, libvirtd_is([host], "healthy"), PATIENCE, "libvirtd to be well", tell) == ""
    cloud.settle()
    (judged,) = told
    assert judged.findings == []
    assert judged.deeds == []
    assert judged.silences == ()


@pytest.mark.long
def test_a_libvirtd_that_crashes_in_a_loop_is_started_again_and_nobody_notices(cloud):
    """systemd gives it up; who mends the fault here only ends the loop."""
    act = perform(cloud.stage, further("crash-loop"), tell)
    (host,) = act.scene.hosts
    answers = both(libvirtd_answers([host]), libvirtd_is([host], "healthy"))
    assert wait(cloud.stage, answers, PATIENCE, "libvirtd to be well", tell) == ""
    judged = cloud.judge_act(act)
    assert (act.problem, judged.findings, judged.deeds, judged.silences) == ("", [], [], ())
    assert act.scene.guests
    said = cloud.node(host).check("journalctl --output=cat --identifier=backstay-heal-libvirtd")
    assert "starting libvirtd (" in said


@pytest.mark.long
def test_guests_leave_a_host_whose_libvirtd_was_uninstalled(cloud):
    act = perform(cloud.stage, further("uninstalled"), tell)
    judged = cloud.judge_act(act)
    assert (act.problem, judged.findings) == ("", [])
    assert act.scene.guests
    assert {silence.guest for silence in judged.silences} == set(act.scene.guests)


@pytest.mark.long
def test_a_migration_is_waited_for_while_libvirtd_is_slow(cloud):
    """libvirtd on both sides works for a fifth of the time; it is not aborted, and the guest arrives alive."""
    source = cloud.stage.busiest()
    guest = cloud.stage.guests_on(source)[0]
    target = min(cloud.stage.hosts(), key=lambda host: len(cloud.stage.guests_on(host)))
    pids = {host: daemon(cloud, host) for host in (source, target)}
    with cloud.watched(NOTHING.migrating([guest], source)) as told:
        for host in (source, target):
            catalogue.inject(cloud.lab.layout, "slow-libvirtd", host)
        cloud.on_any(f"crm_resource --move --resource={guest} --node={target}")
        arrived = both(
            lambda stage: "" if stage.places().get(guest) == target else f"{guest} is not on {target}",
            everybody_speaks,
        )
        assert wait(cloud.stage, arrived, 300.0, f"{guest} to arrive", tell) == ""
        cloud.rest()
        for host in (source, target):
            catalogue.heal(cloud.lab.layout, "slow-libvirtd", host)
        cloud.on_any(f"crm_resource --clear --resource={guest}")
    cloud.settle()
    (judged,) = told
    assert judged.findings == []
    assert set(judged.boots.values()) == {1}
    assert {host: daemon(cloud, host) for host in (source, target)} == pids


def daemon(cloud, host):
    """The pid of a host's libvirtd."""
    return cloud.node(host).check("systemctl show --property=MainPID --value libvirtd.service").strip()
