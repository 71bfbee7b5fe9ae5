# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults of one guest: the first of a host, by its name, is killed, stopped, or loses its disk.

Libvirt's files below /run say which emulators there are. A fault that was healed leaves the guest to the cluster.
"""

from __future__ import annotations

import json
import shlex
from typing import Any

from backstay.errors import CannotAsk
from backstay.lab.faults.fault import Fault
from backstay.lab.node import Node

VIRSH = "timeout --signal=KILL 10 virsh --connect qemu:///system"
DEVICE = "/machine/peripheral/virtio-disk0/virtio-backend"
DISK = "libvirt-1-format"
"""libvirt's names for the first virtio disk and for what lies below it (libvirt 9.0, QEMU 7.2)."""

FILTER = "backstay-fault"
ENOSPC = 28
FIRST = "set -- /run/libvirt/qemu/*.xml && [ -e $1 ] && name=$(basename $1 .xml) && pid=$(cat ${1%.xml}.pid)"
"""A guest that runs has both files there; a pid file alone may be libvirtd's own (driver.pid)."""


def _kill(node: Node) -> None:
    node.check(f"{FIRST} && kill -KILL $pid")


def _stop(node: Node) -> None:
    node.check(f"{FIRST} && kill -STOP $pid")


def _continue(node: Node) -> None:
    """All of them: which one was stopped is not written down, and to continue one that runs does nothing."""
    node.check(
        "for file in /run/libvirt/qemu/*.xml; do [ ! -e $file ] || kill -CONT $(cat ${file%.xml}.pid); done"
    )


def _fail_writes(node: Node) -> None:
    """Let QEMU itself find no space for what the guest writes, by a filter below its first disk.

    That is an error which QEMU pauses a guest for (werror=enospc), and only QEMU sees it: the storage is whole.
    """
    name = node.check(f"{FIRST} && echo $name").strip()
    if FILTER in _qemu(node, name, "query-named-block-nodes"):
        return
    error = {"event": "none", "iotype": "write", "errno": ENOSPC, "once": False, "immediately": False}
    added = {"driver": "blkdebug", "node-name": FILTER, "image": DISK, "inject-error": [error]}
    _qemu(node, name, "blockdev-add", added)
    _qemu(node, name, "qom-set", {"path": DEVICE, "property": "drive", "value": FILTER})


def _let_write(node: Node) -> None:
    """Take the filter away and let the guest go on, whichever has one; libvirt resumes what an I/O error paused."""
    for name in node.check(f"{VIRSH} list --name").split():
        if FILTER not in _qemu(node, name, "query-named-block-nodes"):
            continue
        _qemu(node, name, "qom-set", {"path": DEVICE, "property": "drive", "value": DISK})
        _qemu(node, name, "blockdev-del", {"node-name": FILTER})
        node.run(f"{VIRSH} resume {name}")


def _qemu(node: Node, name: str, command: str, arguments: dict[str, Any] | None = None) -> str:
    """Give a guest's QEMU a command through libvirt; CannotAsk with QEMU's own words when it refuses."""
    words = json.dumps({"execute": command, **({"arguments": arguments} if arguments else {})})
    answer = node.check(f"{VIRSH} qemu-monitor-command {name} {shlex.quote(words)}")
    if "error" in json.loads(answer):
        raise CannotAsk(f"QEMU of {name} on {node.name} refuses {command}: {answer.strip()}")
    return answer


def _nothing(node: Node) -> None:
    """A killed guest is the cluster's to start again."""


FAULTS = (
    Fault("kill-guest", "the emulator of one guest is killed", _kill, _nothing),
    Fault("stop-guest", "the emulator of one guest is stopped (SIGSTOP)", _stop, _continue),
    Fault("io-error", "the disk of one guest takes no writes any more (ENOSPC)", _fail_writes, _let_write),
)
