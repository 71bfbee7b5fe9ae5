# SPDX-License-Identifier: GPL-2.0-or-later
"""What starts a guest behind the cluster's back: a host that boots with autostart on, and a managed-save image."""

from __future__ import annotations

import pytest

from backstay.host.clock import pause
from backstay.lab import cluster
from backstay.lab.audit import NOTHING
from backstay.lab.faults import catalogue
from backstay.lab.stage import all_well, both, wait
from tests.lab.cloud import tell

VIRSH = "virsh --connect qemu:///system"
PATIENCE = 120.0
BOOTED = 15.0
"""Seconds after a host is back in the cluster in which a guest that its libvirt started would have spoken."""


def definition(guest):
    return f"/srv/vm/domains/{guest}.xml"


def speaks_from(guest, host):
    return lambda stage: "" if stage.places().get(guest) == host else f"{guest} does not speak from {host}"


def target_role(cloud, guest, role=""):
    change = (
        f"--set-parameter=target-role --parameter-value={role}" if role else "--delete-parameter=target-role"
    )
    cloud.on_any(f"crm_resource --resource={guest} --meta {change}")
    cloud.rest()


@pytest.mark.long
def test_a_host_with_autostart_on_starts_no_second_copy_when_it_boots(cloud):
    """Set by hand on a host that does not run the guest; Pacemaker's next probe there finds it before the boot does."""
    (guest, place) = next(iter(sorted(cloud.stage.places().items())))
    host = next(other for other in reversed(cloud.stage.hosts()) if other != place)
    node = cloud.node(host)
    node.check(f"{VIRSH} define {definition(guest)} && {VIRSH} autostart {guest}")
    others = cloud.stage.guests_on(host)
    leaving = NOTHING.migrating(others, host).restarting("libvirtd", [host]).watching_elsewhere()
    try:
        with cloud.watched(leaving) as told:
            cloud.on_any(f"crm_resource --refresh --resource={guest} --node={host}")
            cloud.rest()
            assert "disable" in node.check(f"{VIRSH} dominfo {guest} | grep Autostart")
            catalogue.inject(cloud.lab.layout, "reboot", host)
            catalogue.heal(cloud.lab.layout, "reboot", host)
            assert wait(cloud.stage, all_well, 2 * PATIENCE, f"{host} to be back", tell) == ""
            pause(BOOTED)
            assert f" {guest} " not in node.check(f"{VIRSH} list")
    finally:
        cloud.settle()
        node.run(f"{VIRSH} undefine {guest}")
    (judged,) = told
    assert judged.findings == []
    assert set(judged.boots.values()) == {1}


@pytest.mark.long
def test_memory_that_somebody_saved_is_not_restored_onto_a_newer_disk(cloud):
    """libvirt-guests saves like that at a shutdown, and an admin may; virsh start would go back to the old memory.

    The image outlives the reboot of its host; until the guest comes back there, it has run and written elsewhere.
    """
    (guest, host) = next(iter(sorted(cloud.stage.places().items())))
    node = cloud.node(host)
    elsewhere = next(other for other in cloud.stage.hosts() if other != host)
    target_role(cloud, guest, "Stopped")
    cloud.lab.wait_for(lambda s: f"{guest} runs" if s.running_on(guest) else "", PATIENCE, f"{guest} to stop")
    node.check(f"{VIRSH} define {definition(guest)} && {VIRSH} start {guest}")
    assert wait(cloud.stage, speaks_from(guest, host), PATIENCE, f"{guest} to run by hand", tell) == ""
    node.check(f"{VIRSH} managedsave {guest}", timeout=90)
    pause(5.0)
    bans = [f"crm_resource --ban --resource={guest} --node={other}" for other in cloud.stage.hosts()]
    others = cloud.stage.guests_on(host)
    leaving = NOTHING.migrating(others, host).restarting("libvirtd", [host]).watching_elsewhere()
    with cloud.watched(leaving.restarting(guest, [host, elsewhere])) as told:
        catalogue.inject(cloud.lab.layout, "reboot", host)
        catalogue.heal(cloud.lab.layout, "reboot", host)
        cloud.lab.wait_for(cluster.all_online(cloud.stage.hosts()), 2 * PATIENCE, f"{host} to be back")
        cloud.rest()
        assert node.run(f"{VIRSH} dominfo {guest} | grep -q 'Managed save:.*yes'").ok
        # it runs elsewhere and writes on, then comes back to where the image is
        for other, ban in zip(cloud.stage.hosts(), bans, strict=True):
            if other != elsewhere:
                cloud.on_any(ban)
        target_role(cloud, guest)
        assert wait(cloud.stage, speaks_from(guest, elsewhere), PATIENCE, f"{guest} to start", tell) == ""
        target_role(cloud, guest, "Stopped")
        cloud.lab.wait_for(
            lambda s: f"{guest} runs" if s.running_on(guest) else "", PATIENCE, f"{guest} to stop"
        )
        cloud.on_any(f"crm_resource --clear --resource={guest}")
        for other, ban in zip(cloud.stage.hosts(), bans, strict=True):
            if other != host:
                cloud.on_any(ban)
        target_role(cloud, guest)
        back = both(speaks_from(guest, host), all_well)
        assert wait(cloud.stage, back, PATIENCE, f"{guest} to come back", tell) == ""
        cloud.on_any(f"crm_resource --clear --resource={guest}")
    node.run(f"{VIRSH} undefine {guest}")
    (judged,) = told
    assert judged.findings == [], "an old memory would have said numbers that were said already"
    assert judged.boots[guest] == 2
    assert node.run(f"{VIRSH} dominfo {guest} | grep -q 'Managed save:.*yes'").returncode != 0
