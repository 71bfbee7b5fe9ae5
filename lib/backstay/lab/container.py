# SPDX-License-Identifier: GPL-2.0-or-later
"""A node that is a container of systemd-nspawn, in a network namespace of its own.

Decides which rights it has. It shares the machine's kernel, so it is quick, and has no kernel of its own to break.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from backstay.host.process import ENVIRONMENT, Completed, run
from backstay.lab import cgroups, kinds, network, processes, root
from backstay.lab.configuration import CONTAINER_TRAITS, Entry, Traits
from backstay.lab.layout import Layout, NodeLayout
from backstay.lab.processes import Process
from backstay.lab.progress import Progress

GIB = 1 << 30
INIT = ("systemd", "init")
TOOLS = {"systemd-nspawn": "systemd-container", "nsenter": "util-linux"}


class Containers:
    """The usual kind of node."""

    name = kinds.CONTAINER
    nodes = 3
    forming = 180.0
    pace = 0.3
    traits: Traits = CONTAINER_TRAITS

    def needs(self) -> kinds.Needs:
        return kinds.Needs(4 * GIB, 0, TOOLS, ("/dev/fuse", "/dev/net/tun"))

    def ensure(self, layout: Layout, progress: Progress) -> None:
        root.ensure(layout, progress)

    def lower(self, layout: Layout) -> tuple[Path, ...]:
        return (root.path(layout),)

    def own(self, layout: Layout, node: NodeLayout) -> tuple[Entry, ...]:  # noqa: ARG002
        return ()

    def body(self, layout: Layout, node: NodeLayout) -> kinds.Body:
        return Container(layout, node)


@dataclass(frozen=True, slots=True)
class Container:
    """One container."""

    layout: Layout
    node: NodeLayout

    def boot(self) -> None:
        network.plug(self.node)
        processes.spawn(self.layout, self.node.name, _argv(self.layout, self.node), self.node.console)

    def processes(self) -> tuple[Process, ...]:
        nspawn = processes.recorded(self.layout, self.node.name)
        return tuple(each for each in (_init(nspawn), nspawn) if each) if nspawn else ()

    def leader(self) -> int | None:
        nspawn = processes.recorded(self.layout, self.node.name)
        found = _init(nspawn) if nspawn else None
        return found.pid if found else None

    def is_ready(self) -> bool:
        return self.leader() is not None

    def run(
        self, words: Sequence[str], timeout: float, environment: Mapping[str, str], stdin: str
    ) -> Completed:
        return run(self._entering(words), timeout=timeout, environment=environment, stdin=stdin)

    def become(self, words: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
        argv = self._entering(words)
        os.execvpe(argv[0], argv, dict(environment) | {"PATH": ENVIRONMENT["PATH"]})

    def path(self, path: str) -> Path | None:
        """Through the leader's own root while it is on: the only view that has its temporary file systems."""
        leader = self.leader()
        base = Path(f"/proc/{leader}/root") if leader else self.node.root
        return base / path.lstrip("/")

    def detach(self) -> None:
        network.detach(self.layout, self.node.name)

    def attach(self) -> None:
        network.attach(self.layout, self.node.name)

    def _entering(self, words: Sequence[str]) -> list[str]:
        leader = self.leader()
        if leader is None:
            raise kinds.off(self.node)
        return ["nsenter", f"--target={leader}", "--all", "--", *words]


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
