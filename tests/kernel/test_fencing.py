# SPDX-License-Identifier: GPL-2.0-or-later
"""What takes a VM node down is answered by a fencing through its BMC, and the node comes back into the cluster."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backstay.errors import CannotAsk
from backstay.lab import cluster
from backstay.lab.faults import catalogue
from backstay.lab.node import Node

NAMES = ("n1", "n2")
SEEN = 300.0
BACK = 600.0
"""A node is back about a minute after its power, emulated in software on a machine with nothing else to do."""

KEPT = "/var/lib/kept"
CARRIER = "cat /sys/class/net/eth0/carrier"


def fencings(state: cluster.State, host: str) -> set[str]:
    """When the fencings of a host that succeeded were completed."""
    return {f.completed for f in state.fencing if f.target == host and f.status == "success"}


def boot_id(node: Node) -> str:
    return node.check("cat /proc/sys/kernel/random/boot_id")


def is_fenced_after(machines, fault: str, look: Callable[[Node], None] = lambda _: None) -> None:
    """Break n2; it has to be fenced, and to come back by that alone. `look` is called when it is broken."""
    node = machines.node("n2")
    before, boot = fencings(machines.ask(), "n2"), boot_id(node)
    catalogue.inject(machines.layout, fault, "n2")
    try:
        look(node)
        machines.wait_for(
            lambda state: "" if fencings(state, "n2") - before else "n2 is not fenced yet",
            SEEN,
            "n2 to be fenced",
        )
        machines.wait_for(cluster.all_online(NAMES), BACK, "n2 to come back")
    finally:
        catalogue.heal(machines.layout, fault, "n2")
    assert boot_id(node) != boot


def test_a_machine_whose_power_is_cut_is_fenced_and_keeps_what_it_wrote(machines) -> None:
    def dead(node: Node) -> None:
        assert node.read(KEPT) == "kept\n"  # from its disk
        with pytest.raises(CannotAsk, match="n2 is off"):
            node.run("true")

    machines.node("n2").check(f"echo kept >{KEPT}; sync {KEPT}")
    is_fenced_after(machines, "cut-power", dead)
    assert machines.node("n2").read(KEPT) == "kept\n"


def test_a_machine_that_panics_is_fenced(machines) -> None:
    def says_why(node: Node) -> None:
        assert "Kernel panic - not syncing: sysrq" in node.places.console.read_text(errors="replace")

    is_fenced_after(machines, "panic", says_why)


def test_a_machine_whose_cable_is_pulled_lives_on_until_it_is_fenced(machines) -> None:
    def has_no_carrier(node: Node) -> None:
        assert node.check(CARRIER) == "0\n"

    assert machines.node("n2").check(CARRIER) == "1\n"
    is_fenced_after(machines, "cut-network", has_no_carrier)
    assert machines.node("n2").check(CARRIER) == "1\n"


@pytest.mark.long
def test_a_machine_whose_watchdog_bites_is_fenced(machines) -> None:
    is_fenced_after(machines, "starve-watchdog")


def test_a_disk_that_fails_gives_errors_until_it_is_mended(machines) -> None:
    node = machines.node("n1")
    read = "dd if=/dev/disk/by-id/virtio-disk1 of=/dev/null bs=4k count=1 iflag=direct"
    write = "dd if=/dev/zero of=/dev/disk/by-id/virtio-disk1 bs=4k count=1 oflag=direct"
    node.check(write)
    catalogue.inject(machines.layout, "fail-disk", "n1")
    try:
        assert "Input/output error" in node.run(read).stderr
        assert "Input/output error" in node.run(write).stderr
    finally:
        catalogue.heal(machines.layout, "fail-disk", "n1")
    node.check(read)
    node.check(write)
    assert machines.node("n2").run(read).ok
