# SPDX-License-Identifier: GPL-2.0-or-later
"""Where everything of a lab lies: its paths, names and addresses.

Decides nothing else and touches nothing: two processes with the same `Layout` agree without talking.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backstay.errors import BadInput, CannotAsk

DIRECTORY = Path("/var/lib/backstay-lab")
CACHE = Path("/var/cache/backstay")
BRIDGE = "bklab"
SUBNET = "10.77.0"
SECOND_BRIDGE = "bklab-2"
SECOND_SUBNET = "10.77.1"
GATEWAY = f"{SUBNET}.1"
PREFIX = 24
BMC_PORT = 623
MOST_NODES = 9
LOST_AND_FOUND = "lost+found"  # of a file system that is the lab's directory


@dataclass(frozen=True, slots=True)
class NodeLayout:
    """The places and names of one node, which exist whether the node is on or off."""

    name: str
    lab: Path

    @property
    def number(self) -> int:
        """The node's number in the cluster, from 1: Corosync's node id too."""
        return int(self.name[1:])

    @property
    def directory(self) -> Path:
        """What belongs to this node alone."""
        return self.lab / "nodes" / self.name

    @property
    def upper(self) -> Path:
        """What the node wrote: its disk, which survives a power cut."""
        return self.directory / "upper"

    @property
    def work(self) -> Path:
        """The overlay's own directory."""
        return self.directory / "work"

    @property
    def root(self) -> Path:
        """The node's root as the machine sees it (a mount point)."""
        return self.directory / "root"

    @property
    def console(self) -> Path:
        """What the node printed on its console since the lab is up."""
        return self.directory / "console.log"

    @property
    def spare(self) -> Path:
        """A mark: the node was made without a cluster."""
        return self.directory / "spare"

    @property
    def bmc(self) -> Path:
        """State, configuration and log of the node's BMC."""
        return self.directory / "bmc"

    @property
    def channel(self) -> Path:
        """Of a VM node: the sockets of its agent's ports, and their locks."""
        return self.directory / "channel"

    @property
    def monitor(self) -> Path:
        """Of a VM node: the control socket of its emulator (QMP)."""
        return self.directory / "qmp"

    @property
    def disks(self) -> Path:
        """Of a VM node: its disks besides its root, one file each."""
        return self.directory / "disks"

    @property
    def witness(self) -> Path:
        """/srv/witness inside the node: only this node's guests reach the witness through it."""
        return self.lab / "witness" / self.name

    @property
    def namespace(self) -> str:
        """The node's network namespace."""
        return f"bk-{self.name}"

    @property
    def interface(self) -> str:
        """The machine's end of the node's network cable."""
        return f"bkn{self.number}"

    @property
    def card(self) -> str:
        """The hardware address of the node's network card: always the same one."""
        return f"02:77:10:77:00:{self.number:02x}"

    @property
    def address(self) -> str:
        """The node's address on the bridge."""
        return f"{SUBNET}.{10 + self.number}"

    @property
    def second_interface(self) -> str:
        """The machine's end of the node's cable to the second network, where a lab has one."""
        return f"{self.interface}-2"

    @property
    def second_address(self) -> str:
        """The node's address in the second network."""
        return f"{SECOND_SUBNET}.{10 + self.number}"

    @property
    def bmc_address(self) -> str:
        """Where the node's BMC answers (UDP port `BMC_PORT`)."""
        return f"{SUBNET}.{200 + self.number}"


@dataclass(frozen=True, slots=True)
class Layout:
    """The places and names of one lab."""

    directory: Path = DIRECTORY
    cache: Path = CACHE

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Layout:
        """The lab that BACKSTAY_LAB and BACKSTAY_CACHE name, else the usual one.

        Symbolic links are followed, because the kernel's table of mounts has no links in it.
        """
        return cls(
            Path(environment.get("BACKSTAY_LAB") or DIRECTORY).resolve(),
            Path(environment.get("BACKSTAY_CACHE") or CACHE).resolve(),
        )

    def node(self, name: str) -> NodeLayout:
        """The node called `name`; BadInput when no node can be called so."""
        if not (len(name) == 2 and name[0] == "n" and name[1] in "123456789"):
            raise BadInput(
                f"{name} is not the name of a lab node", hint=f"nodes are called n1 to n{MOST_NODES}"
            )
        return NodeLayout(name, self.directory)

    def present(self, name: str) -> NodeLayout:
        """The node called `name` of the lab that is there; CannotAsk when it has none, BadInput for no node's name."""
        node = self.node(name)
        names = self.names()
        if not names:
            raise CannotAsk(f"there is no lab in {self.directory}", hint="backstay lab up")
        if name not in names:
            raise CannotAsk(
                f"the lab in {self.directory} has no node {name}", hint=f"it has {', '.join(names)}"
            )
        return node

    def names(self) -> tuple[str, ...]:
        """The nodes that this lab has, on or off, in order; none when there is no lab."""
        nodes = self.directory / "nodes"
        return tuple(sorted(p.name for p in nodes.iterdir() if p.is_dir())) if nodes.is_dir() else ()

    def members(self) -> tuple[str, ...]:
        """The nodes that were made as members of the cluster."""
        return tuple(name for name in self.names() if not self.node(name).spare.exists())

    @property
    def processes(self) -> Path:
        """One file for each process that the lab started: pid and start time.

        The first thing in a lab's directory and the last to go: without it a directory is no lab's.
        """
        return self.directory / "processes"

    def foreign(self) -> tuple[str, ...]:
        """What the directory holds (sorted) although it is no lab's; nothing when it may be filled and deleted."""
        if self.processes.is_dir() or not self.directory.exists():
            return ()
        if not self.directory.is_dir():
            return (self.directory.name,)
        return tuple(sorted(p.name for p in self.directory.iterdir() if p.name != LOST_AND_FOUND))

    @property
    def layer(self) -> Path:
        """What all nodes have above the Debian root: Backstay and the lab's configuration."""
        return self.directory / "layer"

    @property
    def shared(self) -> Path:
        """/srv/vm inside every node: domain descriptions, disks, the guest's kernel."""
        return self.directory / "shared"

    @property
    def witness(self) -> Path:
        """The witness's own place, a folder for each node below it."""
        return self.directory / "witness"

    @property
    def password(self) -> Path:
        """The password of the BMC user `fencer` (0600, no newline); the nodes have a copy."""
        return self.directory / "bmc.password"

    @property
    def kind(self) -> Path:
        """What its nodes are made of, in one word (lab/kinds.py)."""
        return self.directory / "kind"

    @property
    def facts(self) -> Path:
        """What the lab was built from (JSON), written last: a lab without it is not complete."""
        return self.directory / "lab.json"


def node_names(count: int) -> tuple[str, ...]:
    """The names of a lab of `count` nodes."""
    if not 1 <= count <= MOST_NODES:
        raise BadInput(f"a lab has 1 to {MOST_NODES} nodes, not {count}")
    return tuple(f"n{number}" for number in range(1, count + 1))
