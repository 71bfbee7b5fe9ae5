# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults of a whole node: its power, its network cable, one of its guests.

A node that is cut off from the network lives on, and so do its guests: its console server (the witness) and its
BMC are still reached, as on a machine with a separate management network.
"""

from __future__ import annotations

from backstay.host.clock import Deadline, TimedOut, until
from backstay.lab import network, power
from backstay.lab.bmc.chassis import FIRMWARE
from backstay.lab.faults.fault import Fault
from backstay.lab.node import Node


def _cut(node: Node) -> None:
    power.cut(node.layout, node.name)


def _boot(node: Node) -> None:
    """Switch on a host that nobody fenced; a fenced one is left to its BMC, which takes its time for a reason."""
    try:
        until(lambda: power.is_on(node.layout, node.name) or None, Deadline(FIRMWARE + 3.0))
    except TimedOut:
        power.boot(node.layout, node.name)


def _detach(node: Node) -> None:
    network.detach(node.layout, node.name)


def _attach(node: Node) -> None:
    """A host that was fenced meanwhile has no cable to plug in; it gets one with its power."""
    if power.is_on(node.layout, node.name):
        network.attach(node.layout, node.name)


def _kill_guest(node: Node) -> None:
    node.check("set -- /run/libvirt/qemu/*.pid && kill -KILL $(cat $1)")


def _nothing(node: Node) -> None:
    """A killed guest is the cluster's to start again."""


FAULTS = (
    Fault("cut-power", "the host loses its power", _cut, _boot),
    Fault("cut-network", "the host is cut off from the network and lives on", _detach, _attach),
    Fault("kill-guest", "the emulator of one guest is killed", _kill_guest, _nothing),
)
