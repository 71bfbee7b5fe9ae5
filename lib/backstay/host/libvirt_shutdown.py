# SPDX-License-Identifier: GPL-2.0-or-later
"""How libvirt asks a guest to shut down, one way at a time; runs in the child that asks libvirt.

Decides when the guest's agent counts as asked. libvirt's own shutdown by agent waits for the end of the guest, for as
long as a minute, and keeps one of libvirtd's twenty workers for that time: a host that stops thirty guests at once
would find nobody left to answer, and end the rest the hard way. So the agent is pinged, which an agent that is not
connected or hangs fails within five seconds, and is then told to shut down without waiting for what comes of it.
Source: libvirt 9.0, qemu_agent.c (guest-sync before each command, 5 s; 60 s for a shutdown); virDomainShutdownFlags.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

AGENT = "agent"
FLAGS = {
    "acpi": "VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN",
    "initctl": "VIR_DOMAIN_SHUTDOWN_INITCTL",
    "signal": "VIR_DOMAIN_SHUTDOWN_SIGNAL",
    "paravirt": "VIR_DOMAIN_SHUTDOWN_PARAVIRT",
}
PING, PING_FOR = '{"execute":"guest-ping"}', 3  # seconds
# guest-shutdown has no answer when it succeeds (QEMU's guest agent protocol), so silence after a ping is a yes
POWER_DOWN, POWER_DOWN_FOR = '{"execute":"guest-shutdown","arguments":{"mode":"powerdown"}}', 1  # seconds


def request(module: Any, domain: Any, mode: str) -> None:
    """Ask by one of virsh's modes; raises libvirtError when this way is not open."""
    if mode == AGENT:
        _by_agent(module, domain)
    else:
        domain.shutdownFlags(getattr(module, FLAGS[mode]))


def _by_agent(module: Any, domain: Any) -> None:
    import libvirt_qemu

    libvirt_qemu.qemuAgentCommand(domain, PING, PING_FOR, 0)
    try:
        libvirt_qemu.qemuAgentCommand(domain, POWER_DOWN, POWER_DOWN_FOR, 0)
    except module.libvirtError as error:
        if error.get_error_code() != module.VIR_ERR_AGENT_UNRESPONSIVE:
            raise
