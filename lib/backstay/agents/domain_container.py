# SPDX-License-Identifier: GPL-2.0-or-later
"""What is different for a container (hypervisor lxc:///system): what it cannot do, and how it is asked to end.

Decides which parameters have no meaning for one. What a container is on the host is host.container's business, how
libvirt creates one that of host.libvirt_lxc.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Protocol

    class Gate(Protocol):
        """What libvirt needs to create a container (host.libvirt_lxc)."""

        def shut(self) -> bool: ...


SCHEME = "lxc:"
# of virsh shutdown --mode that libvirt has for containers; 9.0 takes initctl also where nothing listens to it (seen)
MODES = ("signal", "initctl")
WITHOUT = ("snapshot", "backingfile", "stateless", "limit_disk", "limit_cpu", "limit_memory", "limit_network")
BEGUN = 0.5  # seconds in which a controller that was begun just now can be seen


def is_container(hypervisor: str) -> bool:
    """Whether the domains of that libvirt URI are containers."""
    return hypervisor.startswith(SCHEME)


def contradiction(given: Any) -> str:
    """Say which parameter does not go with a container, in one sentence; empty when all do."""
    for name in WITHOUT:
        if getattr(given, name):
            return f"{name} is for virtual machines, and {given.hypervisor} runs containers: leave it out"
    if given.guard == "lock":
        return (
            f"guard=lock is for virtual machines, and {given.hypervisor} runs containers: set peers or none"
        )
    return ""


def modes(given: Sequence[str]) -> tuple[str, ...]:
    """Give those of the modes in which a container can be asked to shut down; all that there are if none is."""
    return tuple(mode for mode in given if mode in MODES) or MODES


def forbid(gate: Gate, pause: Callable[[float], None], warn: Callable[[str], None]) -> None:
    """Let nothing be created any more, before a stop looks for what there is."""
    try:
        if gate.shut():
            pause(BEGUN)
    except OSError as error:
        warn(f"a start of this container that libvirt still has to carry out cannot be prevented: {error}")
