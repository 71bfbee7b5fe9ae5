# SPDX-License-Identifier: GPL-2.0-or-later
"""A node that is a virtual machine: the same root as a container's, under QEMU with Debian's kernel.

Decides what it needs and how it is started. Its root is exported to it by the machine, so what it wrote is seen there
while it is off, and what it had not written out is lost in a power cut.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from backstay.host.process import ENVIRONMENT, Completed
from backstay.lab import kinds, network, processes, root
from backstay.lab.configuration import VM_TRAITS, Entry, File, Link, Traits
from backstay.lab.layout import PREFIX, Layout, NodeLayout
from backstay.lab.processes import Process
from backstay.lab.progress import Progress
from backstay.lab.vm import acceleration, channel, image, monitor, qemu

MIB = 1 << 20
GIB = 1 << 30
DISK_SIZE = GIB
TOOLS = {qemu.PROGRAM: "qemu-system-x86", "depmod": "kmod"}
AGENT = "/usr/local/lib/backstay-lab/agent.py"
UNITS = "/etc/systemd/system"
AGENT_UNIT = f"""\
[Unit]
Description=Runs commands for the machine that this node is a part of
DefaultDependencies=no

[Service]
ExecStart=/usr/bin/python3 -I -S {AGENT}
KillMode=process
Restart=always
TasksMax=infinity
OOMScoreAdjust=-1000
"""
NETWORK_UNIT = """\
[Unit]
Description=The address of this node
DefaultDependencies=no
Before=network.target shutdown.target
Wants=network.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/ip link set lo up
ExecStart=/usr/sbin/ip address replace {address}/{prefix} dev eth0
ExecStart=/usr/sbin/ip link set eth0 up
"""


class Machines:
    """Nodes with a kernel of their own."""

    name = kinds.VM
    nodes = 2
    forming = 600.0
    pace = 3.0
    traits: Traits = VM_TRAITS

    def needs(self) -> kinds.Needs:
        return kinds.Needs(GIB, (qemu.MEMORY + 384) * MIB, TOOLS, ("/dev/net/tun",))

    def ensure(self, layout: Layout, progress: Progress) -> None:
        root.ensure(layout, progress)
        acceleration.choose(image.ensure(layout, progress), progress)

    def lower(self, layout: Layout) -> tuple[Path, ...]:
        return (image.layer(layout), root.path(layout))

    def own(self, layout: Layout, node: NodeLayout) -> tuple[Entry, ...]:  # noqa: ARG002
        agent = Path(channel.__file__).with_name("agent.py").read_text(encoding="utf-8")
        mounted = "".join(
            f"{tag} {where} 9p trans=virtio,version=9p2000.L,msize=262144,cache=none,access=user 0 0\n"
            for tag, where in qemu.SHARES.items()
            if where != "/"
        )
        units = {
            "backstay-lab-agent.service": AGENT_UNIT,
            "backstay-lab-network.service": NETWORK_UNIT.format(address=node.address, prefix=PREFIX),
        }
        wanted = "sysinit.target.wants"
        return (
            File(AGENT, agent),
            File("/etc/fstab", f"{mounted}tmpfs /tmp tmpfs mode=1777 0 0\n"),
            *(File(f"{UNITS}/{name}", text) for name, text in units.items()),
            *(Link(f"{UNITS}/{wanted}/{name}", f"{UNITS}/{name}") for name in units),
        )

    def body(self, layout: Layout, node: NodeLayout) -> kinds.Body:
        return Machine(layout, node)


@dataclass(frozen=True, slots=True)
class Machine:
    """One virtual machine."""

    layout: Layout
    node: NodeLayout

    def boot(self) -> None:
        for directory in (self.node.channel, self.node.disks):
            directory.mkdir(parents=True, exist_ok=True)
        disk = self.node.disks / f"{qemu.DISK}1"
        with disk.open("ab") as new:
            if new.tell() == 0:
                os.ftruncate(new.fileno(), DISK_SIZE)
        for where in qemu.SHARES.values():
            (self.node.root / where.lstrip("/")).mkdir(parents=True, exist_ok=True)
        network.plug_machine(self.node)
        place = image.path(self.layout)
        accelerator = acceleration.choose(place, Progress())
        argv = qemu.arguments(self.layout, self.node, place, accelerator, [disk])
        processes.spawn(self.layout, self.node.name, argv, self.node.console)

    def processes(self) -> tuple[Process, ...]:
        emulator = processes.recorded(self.layout, self.node.name)
        return (emulator,) if emulator else ()

    def leader(self) -> int | None:
        return None

    def is_ready(self) -> bool:
        return bool(self.processes()) and channel.answers(self.node.channel, self.node.name)

    def run(
        self, words: Sequence[str], timeout: float, environment: Mapping[str, str], stdin: str
    ) -> Completed:
        self._has_power()
        whole = ENVIRONMENT | dict(environment)
        return channel.run(self.node.channel, self.node.name, words, timeout, whole, stdin)

    def become(self, words: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
        self._has_power()
        whole = ENVIRONMENT | dict(environment)
        sys.exit(channel.attend(self.node.channel, self.node.name, words, whole))

    def path(self, path: str) -> Path | None:
        return None if self.processes() else self.node.root / path.lstrip("/")

    def detach(self) -> None:
        """The card loses its carrier, and the bridge its port."""
        monitor.set_link(self.node, up=False)
        network.detach(self.layout, self.node.name)

    def attach(self) -> None:
        network.attach(self.layout, self.node.name)
        monitor.set_link(self.node, up=True)

    def _has_power(self) -> None:
        if not self.processes():
            raise kinds.off(self.node)
