# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults of a datastore, a libvirt pool of the host: it stalls, or it is full. No guest of the lab has a disk there."""

from __future__ import annotations

from backstay.lab import stall
from backstay.lab.faults.fault import Fault
from backstay.lab.node import Node

SMALL = "/srv/datastore"
MEBIBYTES = 16


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


FAULTS = (
    Fault("stall-datastore", "a datastore stalls, and libvirtd waits for it in D state", _stall, stall.stop),
    Fault("fill-datastore", f"a datastore of {MEBIBYTES} MiB ({SMALL}) is full", _fill, _empty),
)
