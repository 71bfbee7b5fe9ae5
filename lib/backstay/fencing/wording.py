# SPDX-License-Identifier: GPL-2.0-or-later
"""Why a BMC did not do it, in one sentence for the admin: what happened, to which host, what to do next.

Decides words only. "Timed out" is said only when a wait really ended without its event, because Pacemaker takes
the words for the kind of failure. Cause before advice, and short: Pacemaker's log keeps some 200 characters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from backstay.fencing.power import GiveUp
from backstay.host.bmc import NO_WAY, Kind, Power, Trouble

# Completion codes (IPMI 2.0, table 5-2) in words that nobody mistakes for a time limit of ours.
CODE_WORDS: Mapping[int, str] = MappingProxyType(
    {
        0xC0: "node busy",
        0xC1: "invalid command",
        0xC2: "invalid command for this unit",
        0xC3: "the BMC took too long inside",
        0xC4: "out of space",
        0xC5: "reservation cancelled",
        0xC6: "request data truncated",
        0xC7: "request data length invalid",
        0xC8: "request data too long",
        0xC9: "parameter out of range",
        0xCA: "too much data asked for",
        0xCB: "sensor, data or record not found",
        0xCC: "invalid data field in request",
        0xCD: "command illegal for this sensor or record",
        0xCE: "no response could be provided",
        0xCF: "duplicated request",
        0xD0: "sensor data repository is being updated",
        0xD1: "firmware is being updated",
        0xD2: "BMC is initializing",
        0xD3: "destination unavailable",
        0xD4: "insufficient privilege",
        0xD5: "not supported in present state",
        0xD6: "command disabled",
        0xFF: "unspecified error",
    }
)
ADVICE: Mapping[int, str] = MappingProxyType(
    {
        0xC0: "if it stays busy, restart the BMC",
        0xD4: "give it the role operator there",
        0xD6: "enable chassis control in the BMC's firmware firewall",
    }
)


class Named(Protocol):
    """A BMC as sentences call it, and in the words of its own language why it did not do something."""

    @property
    def bmc(self) -> str:
        """The BMC in a sentence that has named its machine."""

    @property
    def machine(self) -> str:
        """The machine itself."""

    def cause(self, trouble: Trouble, deed: str) -> str:
        """The trouble, and what to do next."""


@dataclass(frozen=True, slots=True)
class Device:
    """The BMC as messages call it. `host` is the cluster's name for the machine, or empty."""

    address: str
    port: int
    user: str
    role: str
    suite: int
    host: str = ""
    fallback: int = 0  # the cipher suite that may be taken instead; 0: none

    @property
    def bmc(self) -> str:
        """The BMC in a sentence that has named its machine: `its BMC (10.0.0.2)`."""
        return f"its BMC ({self.address})"

    @property
    def suites(self) -> str:
        """The cipher suites that it may be asked for."""
        return f"cipher suite {self.suite}" + (f" or {self.fallback}" if self.fallback else "")

    @property
    def machine(self) -> str:
        """The machine itself."""
        return self.host or f"the host behind {self.address}"

    def cause(self, trouble: Trouble, deed: str) -> str:
        """The trouble, and what to do next."""
        return cause(trouble, self, deed)


def completion(code: int | None) -> str:
    """`IPMI completion code 0xd4: insufficient privilege`."""
    if code is None:
        return "an unknown IPMI completion code"
    return f"IPMI completion code 0x{code:02x}: {CODE_WORDS.get(code, 'defined by its maker')}"


def not_reached(goal: Power, end: GiveUp, device: Named, waited: float) -> str:
    """Why a power off or on did not come about. `waited` is in seconds."""
    trouble = end.trouble
    if trouble is None:
        return (
            f"timed out waiting for {device.machine} to be powered {goal.value}: {device.bmc} accepted the command, "
            f"but {waited:.0f} s later the power is still {'on' if goal is Power.OFF else 'off'}; "
            "look at the machine, and restart its BMC"
        )
    if end.accepted and trouble.kind is not Kind.TASK:
        return (
            f"whether {device.machine} is powered {goal.value} is not known: {device.bmc} accepted the command, "
            f"but since then {device.cause(trouble, 'read the power state')}"
        )
    return f"{device.machine} was not powered {goal.value}: {device.cause(trouble, f'power {goal.value}')}"


def not_known(trouble: Trouble, device: Named) -> str:
    """Why the power state could not be had."""
    return (
        f"the power state of {device.machine} is not known: {device.cause(trouble, 'read the power state')}"
    )


def fell_back(device: Device) -> str:
    """What an admin should know after the second cipher suite was taken."""
    bmc, first, second = f"the BMC {device.address} of {device.machine}", device.suite, device.fallback
    return (
        f"{bmc} does not offer cipher suite {first}, so {second} is used; "
        f"set cipher={second}, or enable {first} there"
    )


def cause(trouble: Trouble, device: Device, deed: str) -> str:
    """The trouble, and what to do next."""
    if trouble.kind is Kind.REFUSED:
        return _refused(trouble, device, deed)
    bmc, user = device.bmc, device.user
    if trouble.kind is Kind.SILENT and trouble.said == NO_WAY:
        return f"this host has no route to {bmc}; check its own network (ip route get {device.address})"
    what, then = {
        Kind.SILENT: (
            f"{bmc} does not answer on UDP port {device.port}",
            "check its power, its cable and every firewall on the way",
        ),
        Kind.SLOW: (
            f"{bmc} begins a session and then does not answer in time",
            f"check the network on the way, and that it has the account {user}",
        ),
        Kind.CUT: (
            f"{bmc} gave no complete answer in the time that it has",
            "check the network on the way, or give it longer",
        ),
        Kind.UNANSWERED: (
            f"{bmc} opens a session but leaves the request to {deed} unanswered",
            "restart the BMC",
        ),
        Kind.NAME: (f"the name {device.address} has no address", "use an address that needs no name service"),
        Kind.PASSWORD: (f"{bmc} does not accept the password of the account {user}", "correct the password"),
        Kind.USER: (f"{bmc} has no account {user}, or it is disabled", "create or enable it"),
        Kind.ROLE: (
            f"{bmc} does not grant the role {device.role} to the account {user}",
            f"give it the role {device.role}",
        ),
        Kind.SUITE: (
            f"{bmc} does not offer {device.suites}",
            "enable it there, or set cipher to one that it has",
        ),
        Kind.KEY: (f"{bmc} has another Kg key", "correct hexadecimal_kg"),
        Kind.SESSIONS: (f"{bmc} has no session slot free", "end other sessions, or restart the BMC"),
        Kind.SESSION: (
            f"{bmc} refused a session and ipmitool does not say why ({trouble.said})",
            "check account, password, role and cipher suite",
        ),
        Kind.TOOL: (trouble.said, "install ipmitool, or correct ipmitool_path"),
    }.get(trouble.kind, (f"ipmitool said about {bmc}: {trouble.said}", "try that by hand"))
    return f"{what}; {then}"


def _refused(trouble: Trouble, device: Device, deed: str) -> str:
    why = completion(trouble.code) if trouble.code is not None else trouble.said
    then = ADVICE.get(trouble.code or 0, "see the BMC's own log")
    if trouble.code == 0xD4:
        return f"the account {device.user} may not {deed} ({why}) at {device.bmc}; {then}"
    return f"{device.bmc} refused to {deed} ({why}); {then}"
