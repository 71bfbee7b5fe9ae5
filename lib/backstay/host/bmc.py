# SPDX-License-Identifier: GPL-2.0-or-later
"""What a BMC answers, whatever language it speaks: a power state, or the trouble that kept it from answering.

Decides nothing; ipmitool.py and redfish.py fill it in, power.py of backstay.fencing reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

# What ipmitool says when connect(2) fails before a packet was sent: no route to the BMC, this host's interface is down.
NO_WAY = "Could not open socket"


class Power(Enum):
    """The state of a chassis, and the wish for one (on or off)."""

    OFF = "off"
    ON = "on"
    CHANGING = "changing"  # on its way between the two: neither on nor off yet


class Kind(Enum):
    """What kept a BMC from doing what it was asked. The values are for logs."""

    SILENT = "no answer"
    SLOW = "answers too late"
    CUT = "no complete answer in the time given"
    UNANSWERED = "session opened, command not answered"
    DROPPED = "connection closed without an answer"
    NAME = "address not resolved"
    CERTIFICATE = "certificate not accepted"
    PASSWORD = "password not accepted"
    USER = "user not known"
    ROLE = "role not granted"
    SUITE = "cipher suite not offered"
    KEY = "Kg key not accepted"
    SESSIONS = "no session slot free"
    SESSION = "session refused without a reason"
    REFUSED = "completion code"
    NOT_NOW = "not in the present state"
    TASK = "accepted, and failed afterwards"
    OFFER = "does not offer what is needed"
    BLANK = "names no power state at the moment"
    TOOL = "ipmitool cannot be run"
    UNCLEAR = "answer not understood"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a call had no result: its kind, a code if there is one, and what the BMC or its tool said.

    `code` is an IPMI completion code (at most 0xff) or an HTTP status (from 300). `after` is how many seconds the BMC
    asked to be left alone.
    """

    kind: Kind
    code: int | None = None
    said: str = ""
    after: float = 0.0
