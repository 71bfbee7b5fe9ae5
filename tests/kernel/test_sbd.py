# SPDX-License-Identifier: GPL-2.0-or-later
"""A poison pill on a shared disk (SBD) fences a host whose BMC is dead: the second level, from the templates.

The disk is an iSCSI target of n1; sbd of both hosts watches it and feeds the watchdog of its machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from backstay.errors import BackstayError
from backstay.host.clock import Deadline, until
from backstay.lab import cluster, power
from backstay.lab.faults import catalogue
from tests.kernel.shared_disk import (
    DEVICE,
    LOGOUT,
    NAMES,
    SEEN,
    SERVE_NO_MORE,
    TOOL,
    SharedDisk,
)
from tests.kernel.test_fencing import boot_id, fencings

pytestmark = pytest.mark.long

WATCHDOG, READ_AFTER = 30, 60
"""Seconds: after the first a host that cannot read the disk is dead, after the second a pill counts as taken."""

UNIT = "backstay-test-sbd.service"
WATCH = f"""\
modprobe i6300esb
systemd-run --quiet --collect --unit={UNIT} --property=Type=forking sbd -d {DEVICE} -w /dev/watchdog -W watch
"""
LEVELS = {
    "device": "--set name=pill --set agent=fence_sbd --set 'plugs=n1:n1;n2:n2'",
    "fencing-levels": "--set host=n2 --set devices=fence-n2,fence-pill",
}
SETTINGS = {"devices": DEVICE, "power_timeout": str(2 * READ_AFTER), "pcmk_reboot_timeout": "400s"}


@pytest.fixture
def disk(machines) -> Iterator[SharedDisk]:
    """The disk, seen and watched by both."""
    made = SharedDisk(machines)
    first = made.node("n1")
    try:
        made.serve()
        first.check(f"sbd -d {DEVICE} -1 {WATCHDOG} -4 {READ_AFTER} create", timeout=TOOL)
        for name in NAMES:
            made.node(name).check(WATCH, timeout=TOOL)
            until(
                lambda name=name: made.node(name).run(f"sbd -d {DEVICE} list | grep -w {name}").ok or None,
                Deadline(SEEN),
                every=3.0,
                what=f"the slot of {name}",
            )
        yield made
    finally:
        for node in machines.nodes:
            with suppress(BackstayError):
                node.run(f"systemctl stop {UNIT}; {LOGOUT}", timeout=TOOL)
        with suppress(BackstayError):
            first.run(SERVE_NO_MORE, timeout=TOOL)


def load(disk: SharedDisk) -> None:
    """The pill, and the order of the two."""
    first = disk.node("n1")
    for template, words in LEVELS.items():
        first.check(f"backstay render --template {template} {words} -o /root/part.xml", timeout=TOOL)
        first.check("cibadmin --modify --allow-create --xml-file /root/part.xml", timeout=TOOL)
    for name, value in SETTINGS.items():
        first.check(f"crm_resource --resource fence-pill --set-parameter {name} --parameter-value {value}")
    first.check("crm_attribute --type crm_config --name stonith-timeout --update 500s")
    disk.machines.wait_for(cluster.running(["fence-pill"]), SEEN, "the second level to be ready")


def test_a_host_whose_bmc_is_dead_takes_the_pill(disk: SharedDisk) -> None:
    load(disk)
    before, boot = fencings(disk.machines.ask(), "n2"), boot_id(disk.node("n2"))
    catalogue.inject(disk.machines.layout, "drop-bmc", "n2")
    try:
        disk.node("n1").check("stonith_admin --reboot n2 --timeout 500", timeout=600)
        # The machine that is emulated ends when it would start again.
        assert not power.is_on(disk.machines.layout, "n2")
        assert fencings(disk.machines.ask(), "n2") - before
    finally:
        catalogue.heal(disk.machines.layout, "drop-bmc", "n2")
        power.boot(disk.machines.layout, "n2")
    disk.machines.wait_for(cluster.all_online(NAMES), SEEN, "n2 to come back")
    assert boot_id(disk.node("n2")) != boot
