# SPDX-License-Identifier: GPL-2.0-or-later
"""The simulated and the real BMCs of this host's fence agents, made for whoever proves them.

Decides which simulator and which way belong to which agent. Switches nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager

from backstay.fencing import foreign, ipmi, ipmi_rehearsal, redfish, redfish_wording, rehearsal, wording
from backstay.fencing.ours import REDFISH_AGENT, IpmiProof, Proof
from backstay.fencing.parameters import Values
from backstay.fencing.wording import Named
from backstay.host import loopback_bmc, loopback_redfish
from backstay.host.redfish_proof import RedfishProof


def simulator(agent: str, configured: Mapping[str, str]) -> AbstractContextManager[rehearsal.Bmc]:
    """A BMC on loopback that an agent with these parameters can be rehearsed with."""
    if agent == REDFISH_AGENT or agent in foreign.REDFISH:
        return loopback_redfish.simulator()
    usual = "administrator" if agent in foreign.IPMILAN else "operator"
    role = configured.get("privlvl", usual).strip().lower()
    return loopback_bmc.simulator(role, ipmi_rehearsal.key_of(configured))


def reach(agent: str, values: Values, device: Named, notes: list[str]) -> Proof:
    """The way to a real BMC; what an admin should know besides is added to the notes."""

    def quiet(_text: str) -> None:
        """Nothing of a call is shown: its arguments are the configuration's, its end is in the cell."""

    if isinstance(device, redfish_wording.Device):
        return RedfishProof(redfish.way_to(values, device, quiet, quiet))
    if not isinstance(device, wording.Device):
        raise TypeError(agent)
    fell_back = wording.fell_back(device)
    return IpmiProof(ipmi.way_to(values, device, quiet, quiet, lambda: notes.append(fell_back)))
