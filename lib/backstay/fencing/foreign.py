# SPDX-License-Identifier: GPL-2.0-or-later
"""What proves a fence agent of somebody else: a rehearsal where its parameters are known, or a drill that was seen.

Decides the steps that one of the known agents has to pass, and which record of a drill counts for a device. A known
agent is rehearsed as ours is (rehearsal.py), with fewer steps: it has to switch what it is told to, and must never say
that it is done while a BMC refuses, or accepts and does nothing. It may fail without a reason, and late: from Pacemaker
it has no time limit of its own (fencing.py of fence-agents 4.12.1), so it gets one for the rehearsal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from backstay.fencing import ipmi_rehearsal, redfish_rehearsal
from backstay.fencing.drill_marks import Record
from backstay.fencing.ours import OURS
from backstay.fencing.rehearsal import FAILED, OFF, ON, Script, Step

# fence_ipmilan and the names under which Debian and Red Hat install it, with other defaults.
IPMILAN = (
    "fence_ipmilan",
    "fence_ipmilanplus",
    "fence_idrac",
    "fence_ilo3",
    "fence_ilo4",
    "fence_ilo5",
    "fence_imm",
)
REDFISH = ("fence_redfish",)
BOUNDED = (("disable_timeout", "0"), ("power_timeout", "3"))
PATIENT = (("disable_timeout", "0"), ("power_timeout", "10"))
UNHURRIED = {"power_wait": "0"}  # the wait after a command proves nothing


def _steps(refusal: str) -> tuple[Step, ...]:
    """What is played; `refusal` is what the simulated BMC answers to one without the right."""
    return (
        Step("metadata", "on", ON, "on", says='<action name="off"'),
        Step("monitor", "on", ON, "on"),
        Step("status", "on", ON, "on"),
        Step("off", "on", ON, "off", settings=PATIENT),
        Step("status", "off", OFF, "off"),
        Step("off", "off", ON, "off", settings=PATIENT),
        Step("on", "off", ON, "on", settings=PATIENT),
        # Before a good reboot: with method=cycle the older agents say "done" to this one (fence-agents issue 596).
        Step("reboot", "on", FAILED, "on", "ignore-set", "", BOUNDED),
        Step("reboot", "on", ON, "on", settings=PATIENT),
        Step("off", "on", ON, "off", "delay-off", "1.5", PATIENT),
        Step("status", "on", FAILED, "on", "fail-get", refusal),
        Step("off", "on", FAILED, "on", "fail-set", refusal, BOUNDED),
        Step("reboot", "on", FAILED, "on", "fail-set", refusal, BOUNDED),
        Step("off", "on", FAILED, "on", "ignore-set", "", BOUNDED),
    )


IPMI_STEPS, REDFISH_STEPS = _steps("d4"), _steps("403")


def _ipmi_parameters(configured: Mapping[str, str], bmc: Any) -> dict[str, str]:
    """As for our own agent; the simulated BMC speaks IPMI 2.0 alone, which is lanplus."""
    return {**ipmi_rehearsal.parameters(configured, bmc), **UNHURRIED, "lanplus": "1"}


def _redfish_parameters(configured: Mapping[str, str], bmc: Any) -> dict[str, str]:
    """As for our own agent, but for the certificate: that of the simulated BMC is signed by nobody whom it knows."""
    return {**redfish_rehearsal.parameters(configured, bmc), **UNHURRIED, "ssl_insecure": "1"}


_IPMI = Script(lambda _: IPMI_STEPS, _ipmi_parameters, ipmi_rehearsal.signature)
_REDFISH = Script(lambda _: REDFISH_STEPS, _redfish_parameters, redfish_rehearsal.signature)
KNOWN: Mapping[str, Script] = MappingProxyType(
    dict.fromkeys(IPMILAN, _IPMI) | dict.fromkeys(REDFISH, _REDFISH)
)


def script_of(agent: str) -> Script | None:
    """How an agent is rehearsed, ours or not; None for one whose parameters nobody knows here."""
    return OURS[agent].script if agent in OURS else KNOWN.get(agent)


def proof(device: str, target: str, records: Iterable[Record], changed: float) -> Record | None:
    """The drill that proves a device for a host, None without one.

    It counts when the device alone can have done it, the host was seen to leave and to come back, and the agent has not
    been `changed` (seconds since the epoch) since.
    """
    return next(
        (
            record
            for record in records
            if record.target == target
            and device in record.device.split(",")
            and record.back is not None
            and record.at > changed
        ),
        None,
    )
