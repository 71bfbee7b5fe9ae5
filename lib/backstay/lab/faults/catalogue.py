# SPDX-License-Identifier: GPL-2.0-or-later
"""All faults by name, and the two verbs: inject one into a host, heal it there.

A fault is written into the ledger before it is injected: one that was injected half is still healed.
"""

from __future__ import annotations

from types import MappingProxyType

from backstay.errors import BadInput
from backstay.lab import kinds
from backstay.lab.faults import bmc, datastore, guest, kernel, ledger, libvirtd, power
from backstay.lab.faults.fault import Fault
from backstay.lab.layout import Layout
from backstay.lab.node import Node

ALL: tuple[Fault, ...] = (
    *libvirtd.FAULTS, *datastore.FAULTS, *power.FAULTS, *guest.FAULTS, *bmc.FAULTS, *kernel.FAULTS
)  # fmt: skip
FAULTS = MappingProxyType({fault.name: fault for fault in ALL})


POWER = ("cut-power", "reboot", "panic", "starve-watchdog")
"""What has to be over before anything else can be mended."""


def find(name: str) -> Fault:
    """The fault called `name`; BadInput names the others."""
    if name not in FAULTS:
        raise BadInput(f"there is no fault {name!r}", hint="there are " + ", ".join(sorted(FAULTS)))
    return FAULTS[name]


def inject(layout: Layout, name: str, host: str) -> ledger.Entry:
    """Break a host; raises CannotAsk when it is not there or cannot be broken."""
    fault = find(name)
    layout.present(host)  # or the ledger had a fault that nobody can heal
    kind = kinds.of(layout).name
    if fault.kinds and kind not in fault.kinds:
        raise BadInput(
            f"{name} cannot be done to {host}, which is a {kind}: {fault.what}",
            hint=f"backstay lab up --nodes {fault.kinds[0]}",
        )
    entry = ledger.write(layout, ledger.INJECTED, name, host)
    fault.inject(Node(layout, host))
    return entry


def heal(layout: Layout, name: str, host: str) -> ledger.Entry:
    """Mend what `inject` broke; a host that is well is left as it is."""
    layout.present(host)
    find(name).heal(Node(layout, host))
    return ledger.write(layout, ledger.HEALED, name, host)


def heal_all(layout: Layout) -> tuple[tuple[str, str], ...]:
    """Mend everything that the ledger says is broken, power first, and return what that was."""
    broken = ledger.active(ledger.read(layout))
    for name, host in sorted(broken, key=lambda each: each[0] not in POWER):
        heal(layout, name, host)
    return broken
