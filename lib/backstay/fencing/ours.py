# SPDX-License-Identifier: GPL-2.0-or-later
"""The fence agents of the house, as whoever proves them has to know them.

Decides nothing: one row for each, so that a new one is proven everywhere as soon as it stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from backstay.fencing import ipmi, ipmi_parameters, redfish, redfish_parameters
from backstay.fencing.ipmi_rehearsal import IPMI
from backstay.fencing.parameters import Parameter, Values
from backstay.fencing.redfish_rehearsal import REDFISH
from backstay.fencing.rehearsal import Script
from backstay.fencing.ways import Falling
from backstay.fencing.wording import Named
from backstay.host.bmc import Power, Trouble


class Proof(Protocol):
    """A BMC that is asked, and never switched; calls take at most `timeout` seconds. To be closed."""

    def power(self, timeout: float) -> Power | Trouble:
        """The state of the chassis."""

    def guid(self, timeout: float) -> bytes | Trouble:
        """The 16 bytes of its machine's GUID, as sent."""

    def hindrance(self, timeout: float) -> Trouble | str:
        """What would keep a power-off from being accepted; as text, what is not known about that."""

    def close(self) -> None:
        """Leave nothing behind."""


class IpmiProof:
    """A BMC with IPMI: a session at the role of a power-off was opened for each answer, and is closed again."""

    def __init__(self, bmc: Falling) -> None:
        self._bmc = bmc

    def power(self, timeout: float) -> Power | Trouble:
        """The state of the chassis."""
        return self._bmc.power(timeout)

    def guid(self, timeout: float) -> bytes | Trouble:
        """The GUID of the machine."""
        return self._bmc.guid(timeout)

    def hindrance(self, timeout: float) -> Trouble | str:  # noqa: ARG002
        """Nothing: the role was granted."""
        return ""

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One agent: what it can be told, what its settings must be, whom they name, and how it is rehearsed.

    `memory` goes before a host's name where its GUID is remembered: by IPMI and by Redfish it may be another one.
    """

    parameters: tuple[Parameter, ...]
    check: Callable[[Values], None]
    device_of: Callable[[Values], Named]
    script: Script
    memory: str = ""


IPMI_AGENT, REDFISH_AGENT = "fence_backstay_ipmi", "fence_backstay_redfish"
OURS: Mapping[str, Kind] = MappingProxyType(
    {
        IPMI_AGENT: Kind(ipmi_parameters.PARAMETERS, ipmi.check, ipmi.device_of, IPMI),
        REDFISH_AGENT: Kind(
            redfish_parameters.PARAMETERS, redfish.check, redfish.device_of, REDFISH, memory="redfish:"
        ),
    }
)
