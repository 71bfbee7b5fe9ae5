# SPDX-License-Identifier: GPL-2.0-or-later
"""The hardware of a VM node while it runs, changed through its emulator's control socket: cable and disks.

Decides nothing; each function is one change, as a hand at the machine would make it. Raises QmpTrouble.
"""

from __future__ import annotations

import errno
import os

from backstay.host.qmp import Qmp
from backstay.lab.layout import NodeLayout
from backstay.lab.vm import qemu

SECONDS = 20.0
FAILS = ("read", "write", "write-zeroes", "discard")
"""A flush is none of them: the emulator flushes a disk that was written to before it can be mended."""


def set_link(node: NodeLayout, *, up: bool) -> None:
    """Plug the card's cable in or pull it; the node sees the carrier come and go."""
    with Qmp(str(node.monitor), SECONDS) as qmp:
        qmp.execute("set_link", {"name": qemu.CARD, "up": up})


def fail_disk(node: NodeLayout, number: int = 1) -> None:
    """Let a disk answer every read and write with an I/O error from now on; doing it again changes nothing."""
    broken = {
        "driver": "blkdebug",
        "node-name": _broken(number),
        "image": f"file{number}",
        "inject-error": [
            {"event": "none", "iotype": kind, "errno": errno.EIO, "once": False} for kind in FAILS
        ],
    }
    with Qmp(str(node.monitor), SECONDS) as qmp:
        if not _has(qmp, _broken(number)):
            qmp.execute("blockdev-add", broken)
            _put_on(qmp, number, _broken(number))


def mend_disk(node: NodeLayout, number: int = 1) -> None:
    """Let a disk that `fail_disk` broke work again, with what is on it; a good one is left as it is."""
    with Qmp(str(node.monitor), SECONDS) as qmp:
        if _has(qmp, _broken(number)):
            _put_on(qmp, number, f"file{number}")
            qmp.execute("blockdev-del", {"node-name": _broken(number)})


def add_disk(node: NodeLayout, number: int, size: int) -> str:
    """Plug in another empty disk of `size` bytes while the node runs; gives its path in the node.

    It is there until the power goes: only disk 1 is part of the machine.
    """
    file = node.disks / f"{qemu.DISK}{number}"
    with file.open("wb") as new:
        os.ftruncate(new.fileno(), size)
    with Qmp(str(node.monitor), SECONDS) as qmp:
        for options in qemu.disk_nodes(number, file):
            qmp.execute("blockdev-add", options)
        qmp.execute("device_add", qemu.disk_device(number))
    return qemu.disk_path(number)


def _broken(number: int) -> str:
    return f"broken{number}"


def _has(qmp: Qmp, name: str) -> bool:
    return any(each.get("node-name") == name for each in qmp.execute("query-named-block-nodes"))


def _put_on(qmp: Qmp, number: int, file: str) -> None:
    """Change what lies under a disk while it is in use."""
    qmp.execute("blockdev-reopen", {"options": [qemu.disk_node(number, file)]})
