# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults of a whole node: its power, its network cable; and its reboot in order, which should be none.

A node that is cut off from the network lives on, and so do its guests: its console server (the witness) and its
BMC are still reached, as on a machine with a separate management network.
"""

from __future__ import annotations

from backstay.errors import CannotAsk
from backstay.host.clock import Deadline, TimedOut, pause, until
from backstay.lab import power
from backstay.lab.bmc.chassis import FIRMWARE
from backstay.lab.faults.fault import Fault
from backstay.lab.node import Node

DELAYED = 30.0
SETTLED = 60.0
SHUTDOWN = 300.0
"""Seconds in which a host is through with its shutdown: six guests are moved in about 30 s."""


def _cut(node: Node) -> None:
    power.cut(node.layout, node.name)


def _boot(node: Node) -> None:
    """Switch on a host that nobody fenced; a fenced one is left to its BMC, which takes its time for a reason."""
    try:
        until(lambda: power.is_on(node.layout, node.name) or None, Deadline(FIRMWARE + 3.0))
    except TimedOut:
        power.boot(node.layout, node.name)


def _detach(node: Node) -> None:
    node.pull_cable()


def _attach(node: Node) -> None:
    """A host that was fenced meanwhile has no cable to plug in; it gets one with its power."""
    if power.is_on(node.layout, node.name):
        node.plug_cable()


def _reboot(node: Node) -> None:
    """Return when the shutdown has begun: libvirtd delays it for some seconds (an inhibitor of logind)."""
    node.check(["systemctl", "reboot", "--no-block"])
    until(lambda: _is_stopping(node) or None, Deadline(DELAYED), what=f"{node.name} to shut down")


def _come_back(node: Node) -> None:
    """Switch on a host that is shutting down, when it is through with that and its firmware has had its time."""
    if power.is_on(node.layout, node.name):
        if not _is_stopping(node):
            return
        until(lambda: None if power.is_on(node.layout, node.name) else True, Deadline(SHUTDOWN))
    pause(FIRMWARE)
    if not power.is_on(node.layout, node.name):
        power.cut(node.layout, node.name)  # what is left of it outside: its address and its cable
        power.boot(node.layout, node.name)


def _drain(node: Node) -> None:
    node.check(["crm_standby", f"--node={node.name}", "--update=on"])


def _let_in(node: Node) -> None:
    """Return when the cluster has done what follows from it."""
    node.check(["crm_standby", f"--node={node.name}", "--delete"])
    node.run(["crm_resource", "--wait", f"--timeout={SETTLED:.0f}"], timeout=2 * SETTLED)


def _is_stopping(node: Node) -> bool:
    try:
        return node.run(["systemctl", "is-system-running"]).stdout.strip() in ("stopping", "offline", "")
    except CannotAsk:
        return True


FAULTS = (
    Fault("cut-power", "the host loses its power", _cut, _boot),
    Fault("cut-network", "the host is cut off from the network and lives on", _detach, _attach),
    Fault("reboot", "the host is rebooted in order (systemctl reboot)", _reboot, _come_back),
    Fault("drain", "the host is in standby: everything leaves it", _drain, _let_in),
)
