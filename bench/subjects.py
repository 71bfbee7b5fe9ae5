# SPDX-License-Identifier: GPL-2.0-or-later
"""The fence agents that are broken on purpose: what belongs to each, and how it is configured meanwhile.

Decides which modules are on the way of on, off, reboot, status and monitor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Subject:
    """An agent, the modules on its way, and two devices: as `backstay render` configures one (but for its address), and
    one that is configured in every other way, with which the survivors of the first are rehearsed.
    """

    agent: str
    names: tuple[str, ...]
    configured: Mapping[str, str]
    otherwise: Mapping[str, str]

    @property
    def door(self) -> str:
        return f"fencing/{self.agent}"

    @property
    def modules(self) -> tuple[str, ...]:
        return tuple(f"lib/backstay/{name}.py" for name in self.names)


# The modules that both share stand with the first one.
SUBJECTS = {
    "ipmi": Subject(
        "fence_backstay_ipmi",
        (
            "fencing/actions", "fencing/agent", "fencing/inputs", "fencing/ipmi", "fencing/ipmi_parameters",
            "fencing/parameters", "fencing/password", "fencing/power", "fencing/protocol", "fencing/ways",
            "fencing/wording", "host/bmc", "host/clock", "host/ipmitool", "host/process",
        ),
        {"password_file": "/etc/backstay/bmc.password", "privlvl": "operator", "cipher": "17"},
        {"password_script": "/etc/backstay/ask", "hexadecimal_kg": "01", "method": "cycle", "cipher": "3"},
    ),
    "redfish": Subject(
        "fence_backstay_redfish",
        (
            "fencing/redfish", "fencing/redfish_parameters", "fencing/redfish_wording", "host/https", "host/redfish",
            "host/redfish_answers",
        ),
        {"password_file": "/etc/backstay/bmc.password", "systems_uri": "/redfish/v1/Systems/1", "ssl_ca": "/etc/ca"},
        {"password_script": "/etc/backstay/ask", "ssl_fingerprint": "01" * 32, "session": "1"},
    ),
}  # fmt: skip
# Not on the way of on, off, reboot, status or monitor: the command line, list, identity, and what others use.
ELSEWHERE = frozenset(
    {
        "from_options", "long", "list_hosts", "guid", "read_guid", "complaint", "_pacemakers", "__repr__", "until",
        "TimedOut", "part", "at_most",
    }
)  # fmt: skip
