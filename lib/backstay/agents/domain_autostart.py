# SPDX-License-Identifier: GPL-2.0-or-later
"""What a probe does about autostart: the start clears it on the host of the guest only, and a probe runs on every host.

A host that boots asks nobody: its libvirt starts the guest seconds before the cluster is joined, while it runs
elsewhere. So what is found at a probe is put right then, for the next boot. The probe's answer does not depend on it.
"""

from __future__ import annotations

from backstay.agents.domain_container import is_container
from backstay.host import libvirt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from backstay.agents.domain_state import Seen
    from backstay.host.clock import Deadline
    from backstay.host.libvirt import Answer
    from backstay.ocf.context import Context

    class Boot(Protocol):
        """What this host starts when it boots (host.traps)."""

        def starts_at_boot(self, name: str) -> bool: ...
        def disable_autostart(self, uuid: str, timeout: float) -> Answer: ...


ASKING = 5.0  # seconds for libvirt to switch it off


def for_the_next_boot(context: Context[Any], seen: Seen) -> None:
    """Do that with libvirt of this host, if it is one that starts anything at boot."""
    from backstay.host.libvirt import Libvirt
    from backstay.host.traps import AUTOSTART, AUTOSTART_OF_CONTAINERS, Traps

    given = context.parameters
    container = is_container(given.hypervisor)
    if container or given.hypervisor.partition("?")[0] == "qemu:///system":
        place = AUTOSTART_OF_CONTAINERS if container else AUTOSTART
        boot = Traps(Libvirt(given.hypervisor), autostart=place)
        disarm(given.traps, seen, boot, context.deadline, context.warn)


def disarm(mode: str, seen: Seen, boot: Boot, deadline: Deadline, warn: Callable[[str], None]) -> None:
    """Switch autostart of the domain off on this host (mode "clear"), or say that it is on; fails nothing."""
    name, uuid = seen.identity.name, seen.identity.uuid
    if not name or not boot.starts_at_boot(name):
        return
    found = f"libvirt starts {name} when {seen.host} boots, beside the cluster"
    advice = f"virsh autostart --disable {name}"
    if mode != "clear" or not uuid:
        warn(f"{found}: {advice}")
        return
    answer = boot.disable_autostart(uuid, deadline.at_most(ASKING).left())
    if answer.kind == libvirt.KNOWN and not answer.autostart:
        warn(f"{found}; autostart was switched off")
    else:
        warn(f"{found}, and it could not be switched off ({answer.kind} {answer.text}): {advice}")
