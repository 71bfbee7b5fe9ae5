# SPDX-License-Identifier: GPL-2.0-or-later
"""What would start a domain, or start it again, behind the cluster's back; and what a start does about each.

Decides only. Autostart starts the guest when its host boots, while the cluster runs it elsewhere; `virsh start`
restores a managed-save image, old memory on a newer disk (both seen with libvirt 9.0); libvirt-guests starts at boot
what ran at shutdown; <on_crash>restart makes libvirt reset a crashed guest, unseen by the cluster;
<on_poweroff>restart lets a guest that was asked to shut down come up again. A guest that reboots is no trap:
<on_reboot> is left alone.

The default clears. Refusing would stop every guest that was under libvirt's care before the cluster's, for a flag
that can be put right without loss; a warning alone would leave two copies of the guest to the next boot of a host.
A managed-save image is removed only when the guest is seen running without it: from then on no one can use it, as
the disk is newer than the memory in it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.agents.domain_features import Features
    from backstay.host.libvirt import Answer

MODES = ("clear", "refuse", "ignore")
NOW, LATER, OVERRIDE, HAND = "now", "later", "override", "hand"  # how a trap is cleared: HAND is the admin's
REFUSE, WARN = "refuse", "warn"
AUTOSTART, SAVED, GUESTS = "autostart", "managed save", "libvirt-guests"


class Trap:
    """One trap: its `kind`, how it can be cleared (`cure`), what it does, and what an admin does against it."""

    __slots__ = ("command", "cure", "does", "kind")

    def __init__(self, kind: str, cure: str, does: str, command: str) -> None:
        self.kind = kind
        self.cure = cure
        self.does = does
        self.command = command

    def __str__(self) -> str:
        return f"{self.does}: {self.command}"


def found(features: Features, known: Answer, guests_at_boot: bool, config: str) -> tuple[Trap, ...]:
    """Give the traps that are set for a domain; `guests_at_boot` is whether libvirt-guests starts guests here."""
    name = known.name
    traps = []
    if known.autostart:
        does = f"libvirt itself starts {name} when this host boots"
        traps.append(Trap(AUTOSTART, NOW, does, f"virsh autostart --disable {name}"))
    if known.saved:
        does = f"{name} has a managed-save image, which virsh start would restore onto a newer disk"
        traps.append(Trap(SAVED, LATER, does, f"virsh managedsave-remove {name}"))
    if known.persistent and guests_at_boot:
        does = f"{name} is defined here, and libvirt-guests starts what ran before when this host boots"
        traps.append(Trap(GUESTS, HAND, does, "set ON_BOOT=ignore in /etc/default/libvirt-guests"))
    for element, value in sorted(features.restarts.items()):
        does = f"<{element}>{value} makes libvirt start the guest again without the cluster"
        traps.append(Trap(element, OVERRIDE, does, f"write <{element}>destroy</{element}> into {config}"))
    return tuple(traps)


def verdict(mode: str, trap: Trap) -> str:
    """Decide what a start does about a trap: REFUSE, WARN, or clear it by NOW, LATER or OVERRIDE."""
    if mode == "refuse":
        return REFUSE
    if mode == "ignore" or trap.cure == HAND:
        return WARN
    return trap.cure
