# SPDX-License-Identifier: GPL-2.0-or-later
"""A noisy guest is throttled by one command, live; and what cannot be set costs nobody a restart."""

from __future__ import annotations

import pytest

from backstay.host.clock import Deadline, NotYet, until
from backstay.lab.audit import NOTHING

PATIENCE = 40.0
RATE = "50MiB/s,300iops"
SET = {"total_bytes_sec": str(50 << 20), "total_iops_sec": "300"}


@pytest.fixture
def noisy(cloud):
    """A guest and its host; its limit is lifted afterwards, and the failed action forgotten."""
    host = cloud.stage.busiest()
    guest = cloud.stage.guests_on(host)[0]
    yield guest, host
    cloud.on_any(
        f"crm_resource --resource {guest} --delete-parameter limit_disk; crm_resource --wait", timeout=90
    )
    cloud.on_any(f"crm_resource --resource {guest} --cleanup")


def limits(cloud, guest, host):
    """What libvirt says about the guest's disk, without what is 0."""
    lines = cloud.node(host).check(f"virsh --connect qemu:///system blkdeviotune {guest} vda").splitlines()
    pairs = [[part.strip() for part in line.split(":")] for line in lines if line.count(":") == 1]
    return {name: value for name, value in pairs if value.isdecimal() and value != "0"}


def throttle(cloud, guest, rate):
    cloud.on_any(f"crm_resource --resource {guest} --set-parameter limit_disk --parameter-value {rate}")


def has(cloud, guest, host, wanted):
    def look():
        found = limits(cloud, guest, host)
        if found != wanted:
            raise NotYet(str(found))
        return found

    until(look, Deadline(PATIENCE), what=f"the limits of {guest} on {host} to be {wanted}")


def test_a_noisy_guest_is_throttled_by_one_command_and_goes_on(cloud, noisy):
    guest, host = noisy
    with cloud.watched(NOTHING.reloading(guest, host, most=2)) as judged:
        throttle(cloud, guest, RATE)
        has(cloud, guest, host, SET)
        cloud.on_any(f"crm_resource --resource {guest} --delete-parameter limit_disk")
        has(cloud, guest, host, {})
    assert judged[0].findings == []
    assert judged[0].boots[guest] == 1
    assert judged[0].deeds == [("reload-agent", guest, host)] * 2


@pytest.mark.parametrize("rate", ["vdz=1MB/s", "vda=quick"])
def test_a_limit_that_cannot_be_set_restarts_nobody(cloud, noisy, rate):
    guest, host = noisy

    def shown():
        return "degraded" in cloud.on_any("crm_mon --one-shot --inactive").lower() or None

    with cloud.watched(NOTHING.reloading(guest, host)) as judged:
        throttle(cloud, guest, rate)
        until(shown, Deadline(PATIENCE), what=f"{guest} to be shown as degraded")
    assert judged[0].findings == []
    assert judged[0].silences == ()
    assert judged[0].boots[guest] == 1
    assert limits(cloud, guest, host) == {}


def test_a_limit_moves_along_with_its_guest(cloud, noisy):
    guest, host = noisy
    throttle(cloud, guest, RATE)
    has(cloud, guest, host, SET)
    cloud.on_any(f"crm_resource --resource {guest} --move && crm_resource --wait", timeout=120)
    try:
        there = next(each for each in cloud.stage.hosts() if guest in cloud.stage.guests_on(each))
        assert there != host
        has(cloud, guest, there, SET)
        cloud.on_any(f"crm_resource --resource {guest} --delete-parameter limit_disk")
        has(cloud, guest, there, {})
    finally:
        cloud.on_any(f"crm_resource --resource {guest} --clear && crm_resource --wait", timeout=120)
