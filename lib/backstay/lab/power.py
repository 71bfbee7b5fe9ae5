# SPDX-License-Identifier: GPL-2.0-or-later
"""A node's mains power: its container, or its virtual machine.

Decides what a power cut is: no packet leaves any more, every process is dead at once, nothing is flushed by
the node, no address is left. Never asks the node; that is what `shutdown` inside it is for.
"""

from __future__ import annotations

import fcntl
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from backstay.host.clock import Deadline
from backstay.lab import fuse, kinds, network, overlay, processes
from backstay.lab.layout import Layout, NodeLayout

DEATH_SECONDS = 30.0


def is_on(layout: Layout, name: str) -> bool:
    """Whether the node has power (it may still be booting)."""
    return processes.recorded(layout, name) is not None


def boot(layout: Layout, name: str) -> None:
    """Switch a node on; on already is as good. Returns at once: booting takes some seconds more.

    Raises CannotAsk for a node that the lab does not have.
    """
    node = layout.present(name)
    with _switch(node):
        if is_on(layout, name):
            return
        insert_disk(layout, node)
        kinds.body(layout, name).boot()


def cut(layout: Layout, name: str) -> None:
    """Cut a node's power and return when it is dead; off already is as good.

    Raises TimedOut, naming the processes, when the kernel cannot end them; CannotAsk for a node that the lab does
    not have.
    """
    node = layout.present(name)
    with _switch(node):
        dying = kinds.body(layout, name).processes()
        network.cut_cable(node)
        hung = fuse.connections(process.pid for process in dying)
        for process in dying:
            processes.send(process, signal.SIGKILL)
        fuse.abort(hung)  # nobody is left to answer them
        processes.end(dying, Deadline(DEATH_SECONDS))
        network.pull(node)
        processes.forget(layout, name)


def insert_disk(layout: Layout, node: NodeLayout) -> None:
    """Mount the node's root on the machine; it stays mounted while the node is off, so that one can look."""
    lower = [layout.layer / "upper", *kinds.of(layout).lower(layout)]
    overlay.mount(lower, node.upper, node.work, node.root)


@contextmanager
def _switch(node: NodeLayout) -> Iterator[None]:
    """One hand at the switch: a BMC, a test and an admin may all want it at once."""
    node.directory.mkdir(parents=True, exist_ok=True)
    with (node.directory / "power.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
