# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests leave a host that is rebooted or drained: alive, all of them, and nobody is restarted for it."""

from __future__ import annotations

import pytest

from backstay.lab.performance import perform
from tests.lab.cloud import further, tell

MASK = "/etc/systemd/system/libvirt-guests.service"
LIST = "/var/lib/libvirt/libvirt-guests"


@pytest.fixture(params=["on", "off"])
def libvirt_guests(request, cloud):
    """As Debian enables it (it suspends what runs at a shutdown), and masked, as the lab's nodes have it."""
    if request.param == "off":
        yield
        return
    hosts = cloud.stage.hosts()
    for host in hosts:
        cloud.node(host).check(
            f"rm -f {MASK} && systemctl daemon-reload && systemctl start libvirt-guests.service"
        )
    yield
    for host in hosts:
        # with a list of what it suspended it believes that it is through already
        cloud.node(host).check(
            f"touch {LIST} && systemctl stop libvirt-guests.service; rm -f {LIST};"
            f" ln -sf /dev/null {MASK} && systemctl daemon-reload"
        )


def left(cloud, name, host=""):
    """The guests that left a host in order: moved alive, not missed by the witness, and none booted."""
    act = perform(cloud.stage, further(name), tell, host)
    judged = cloud.judge_act(act)
    assert act.problem == ""
    assert judged.findings == []
    assert judged.silences == ()
    assert set(judged.boots.values()) == {1}
    return act.scene.guests


@pytest.mark.long
def test_a_reboot_moves_every_guest_away_and_restarts_none(cloud, libvirt_guests):
    assert left(cloud, "reboot")


@pytest.mark.long
def test_every_host_is_drained_in_turn_and_no_guest_is_restarted(cloud):
    moved = [guest for host in cloud.stage.hosts() for guest in left(cloud, "drain", host)]
    assert set(moved) == set(cloud.stage.guests.values())
