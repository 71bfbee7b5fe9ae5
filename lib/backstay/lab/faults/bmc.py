# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults of a node's BMC, so that fencing itself can be seen to fail: dead, refusing, slow, lying."""

from __future__ import annotations

from functools import partial

from backstay.lab.bmc import node as bmc
from backstay.lab.faults.fault import Fault
from backstay.lab.node import Node

INSUFFICIENT_PRIVILEGE = "d4"
SLOW = "8"
"""Seconds that a slow chassis takes; fence agents that do not look believe that it is off."""


def _set(node: Node, fault: str, value: str) -> None:
    bmc.faults(node.layout, node.name).set(fault, value)


def _clear(node: Node, fault: str) -> None:
    bmc.faults(node.layout, node.name).clear(fault)


def _fault(name: str, what: str, fault: str, value: str = "") -> Fault:
    return Fault(name, what, partial(_set, fault=fault, value=value), partial(_clear, fault=fault))


FAULTS = (
    _fault("drop-bmc", "the host's BMC answers nothing", "drop"),
    _fault(
        "refuse-power-off",
        "the BMC refuses chassis control to its account",
        "fail-set",
        INSUFFICIENT_PRIVILEGE,
    ),
    _fault("delay-power-off", f"the BMC switches power off {SLOW} s after it said yes", "delay-off", SLOW),
    _fault("ignore-power-off", "the BMC says yes to a power-off and does nothing", "ignore-set"),
)
