# SPDX-License-Identifier: GPL-2.0-or-later
"""A node's mains power: its container.

Decides what a power cut is: no packet leaves any more, every process is dead at once, nothing is flushed by
the node, no address is left. Never asks the node; that is what `shutdown` inside it is for.
"""

from __future__ import annotations

import fcntl
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from backstay.host.clock import Deadline
from backstay.lab import cgroups, fuse, network, overlay, processes, root
from backstay.lab.layout import Layout, NodeLayout
from backstay.lab.processes import Process

DEATH_SECONDS = 30.0
INIT = ("systemd", "init")


def leader(layout: Layout, name: str) -> int | None:
    """The pid of the node's PID 1 on the machine; None while the node is off or only about to start."""
    nspawn = processes.recorded(layout, name)
    found = _init(nspawn) if nspawn else None
    return found.pid if found else None


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
        network.plug(node)
        processes.spawn(layout, name, _argv(layout, node), node.console)


def cut(layout: Layout, name: str) -> None:
    """Cut a node's power and return when it is dead; off already is as good.

    Raises TimedOut, naming the processes, when the kernel cannot end them; CannotAsk for a node that the lab does
    not have.
    """
    node = layout.present(name)
    with _switch(node):
        nspawn = processes.recorded(layout, name)
        init = _init(nspawn) if nspawn else None
        network.cut_cable(node)
        dying = [process for process in (init, nspawn) if process]
        hung = fuse.connections([init.pid]) if init else frozenset()
        for process in dying:
            processes.send(process, signal.SIGKILL)
        fuse.abort(hung)  # nobody is left to answer them
        processes.end(dying, Deadline(DEATH_SECONDS))
        network.pull(node)
        processes.forget(layout, name)


def insert_disk(layout: Layout, node: NodeLayout) -> None:
    """Mount the node's root on the machine; it stays mounted while the node is off, so that one can look."""
    lower = [layout.layer / "upper", root.path(layout)]
    overlay.mount(lower, node.upper, node.work, node.root)


def _init(nspawn: Process) -> Process | None:
    with suppress(OSError):
        for pid in Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children").read_text().split():
            if Path(f"/proc/{pid}/comm").read_text().strip() in INIT:
                return processes.look(int(pid))
    return None


def _argv(layout: Layout, node: NodeLayout) -> list[str]:
    """Nspawn with the rights that libvirtd, QEMU and Corosync need; see systemd-nspawn(1)."""
    argv = [
        "systemd-nspawn",
        "--quiet",
        "--boot",
        "--keep-unit",
        "--register=no",
        "--console=pipe",
        f"--directory={node.root}",
        f"--machine={node.namespace}",
        f"--hostname={node.name}",
        f"--network-namespace-path={network.NAMESPACES / node.namespace}",
        "--capability=all",
        "--system-call-filter=@known",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        "--bind=/dev/net/tun",
        "--bind=/dev/fuse",
        f"--bind={layout.shared}:/srv/vm",
        f"--bind={node.witness}:/srv/witness",
    ]
    if not cgroups.unified():
        argv.append("systemd.unified_cgroup_hierarchy=0")
    return argv


@contextmanager
def _switch(node: NodeLayout) -> Iterator[None]:
    """One hand at the switch: a BMC, a test and an admin may all want it at once."""
    node.directory.mkdir(parents=True, exist_ok=True)
    with (node.directory / "power.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
