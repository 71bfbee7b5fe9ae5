# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults of a host's storage: a datastore stalls or is full, the share with the definitions is away.

The datastore is a libvirt pool of the host; no guest of the lab has a disk there.
"""

from __future__ import annotations

from backstay.lab import stall
from backstay.lab.faults.fault import Fault
from backstay.lab.node import Node

SMALL = "/srv/datastore"
MEBIBYTES = 16
DEFINITIONS = "/srv/vm/domains"


def _stall(node: Node) -> None:
    stall.start(node)
    stall.stall(node)


def _fill(node: Node) -> None:
    node.check(
        f"mountpoint -q {SMALL} || (mkdir -p {SMALL} && mount -t tmpfs -o size={MEBIBYTES}m datastore {SMALL})"
    )
    node.check(f"dd if=/dev/zero of={SMALL}/fill bs=1M 2>&1 | grep -q 'No space left'")


def _empty(node: Node) -> None:
    node.check(f"rm -f {SMALL}/fill; ! mountpoint -q {SMALL} || umount {SMALL}")


def _unmount(node: Node) -> None:
    """Let the directory be as empty as a mount point is: a node cannot mount the share itself again from inside."""
    node.check(f"mountpoint -q {DEFINITIONS} || mount -t tmpfs -o ro,size=4k unmounted {DEFINITIONS}")


def _mount(node: Node) -> None:
    node.check(f"! mountpoint -q {DEFINITIONS} || umount {DEFINITIONS}")


FAULTS = (
    Fault("stall-datastore", "a datastore stalls, and libvirtd waits for it in D state", _stall, stall.stop),
    Fault("fill-datastore", f"a datastore of {MEBIBYTES} MiB ({SMALL}) is full", _fill, _empty),
    Fault(
        "unmount-share",
        f"the share with the guests' definitions ({DEFINITIONS}) is not mounted",
        _unmount,
        _mount,
    ),
)
