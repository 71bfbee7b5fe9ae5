# SPDX-License-Identifier: GPL-2.0-or-later
"""What a node of the lab is made of, behind one small protocol: a container, or a virtual machine.

Decides which kind a node is. Everything else in the lab (layout, power, BMCs, cluster, faults, order) is the same for
both and asks here where it is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

from backstay.errors import BadInput, CannotAsk
from backstay.host.process import Completed
from backstay.lab.configuration import Entry, Traits
from backstay.lab.layout import Layout, NodeLayout
from backstay.lab.processes import Process
from backstay.lab.progress import Progress

CONTAINER, VM = "container", "vm"
NAMES = (CONTAINER, VM)


@dataclass(frozen=True, slots=True)
class Needs:
    """What a machine has to have for a lab of this kind. Memory in bytes; `tools` maps a program to its package."""

    memory: int
    memory_each: int
    tools: Mapping[str, str]
    devices: tuple[str, ...] = ()


class Kind(Protocol):
    """One kind of node. Nothing here changes anything but `ensure`, which fills the cache."""

    name: str
    nodes: int
    """How many a lab has when nobody says."""
    forming: float
    """Seconds in which they have to be a cluster."""
    pace: float
    """Seconds between two questions to the cluster; each costs a node something."""
    traits: Traits

    def needs(self) -> Needs:
        """What the machine has to have."""

    def ensure(self, layout: Layout, progress: Progress) -> None:
        """Build what is built once. Raises CannotAsk with the reason."""

    def lower(self, layout: Layout) -> tuple[Path, ...]:
        """The layers that its nodes stand on, the topmost first."""

    def own(self, layout: Layout, node: NodeLayout) -> tuple[Entry, ...]:
        """What a node of this kind has in its files beyond what every node has."""

    def body(self, layout: Layout, node: NodeLayout) -> Body:
        """One node of this kind."""


class Body(Protocol):
    """One node that is there, on or off."""

    def boot(self) -> None:
        """Start it; its disk is mounted. Returns at once."""

    def processes(self) -> tuple[Process, ...]:
        """What has to be killed so that it is dead; nothing while it is off."""

    def leader(self) -> int | None:
        """The pid of its PID 1 on the machine; None when it has none there."""

    def is_ready(self) -> bool:
        """Whether a command can be run in it now."""

    def run(
        self, words: Sequence[str], timeout: float, environment: Mapping[str, str], stdin: str
    ) -> Completed:
        """Run a command in it to its end. Raises CannotAsk while it is off, ProcessTimedOut."""

    def become(self, words: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
        """Let this process be a command in it, with its terminal and its exit code."""

    def path(self, path: str) -> Path | None:
        """Where the machine finds a file of the node; None when only the node itself can reach it now."""

    def detach(self) -> None:
        """Pull its network cable: its card loses the carrier, and it lives on."""

    def attach(self) -> None:
        """Plug the cable in again."""


def off(node: NodeLayout) -> CannotAsk:
    """What is said to whoever wants something of a node that has no power."""
    return CannotAsk(f"{node.name} is off", hint=f"switch it on through its BMC ({node.bmc_address})")


def named(name: str) -> Kind:
    """A kind by its name; BadInput for an unknown one."""
    from backstay.lab.container import Containers
    from backstay.lab.vm.machine import Machines

    kinds: dict[str, Kind] = {CONTAINER: Containers(), VM: Machines()}
    if name not in kinds:
        raise BadInput(f"there are no nodes of the kind {name}", hint=f"there are {' and '.join(NAMES)}")
    return kinds[name]


def of(layout: Layout) -> Kind:
    """The kind of the lab's nodes; containers unless the lab says otherwise."""
    try:
        name = layout.kind.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        name = CONTAINER
    return named(name)


def body(layout: Layout, name: str) -> Body:
    """One node of the lab."""
    return of(layout).body(layout, layout.node(name))


def wish(words: str) -> tuple[str, int]:
    """The kind and number of nodes in an admin's words: 3, vm, vm:2. BadInput for others."""
    name, _, number = words.partition(":") if not words.isdecimal() else (CONTAINER, "", words)
    usual = named(name).nodes
    count = number or str(usual)
    if not count.isdecimal():
        raise BadInput(f"{words} is no number of nodes", hint="such as 3, vm or vm:2")
    return name, int(count)
