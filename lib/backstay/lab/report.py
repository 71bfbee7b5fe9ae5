# SPDX-License-Identifier: GPL-2.0-or-later
"""The state of the lab for an admin: power, membership and resources in one table.

Looks and tells; changes nothing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from backstay.errors import CannotAsk
from backstay.lab import cluster, network, power
from backstay.lab.layout import Layout


@dataclass(frozen=True, slots=True)
class Row:
    """One node. `cluster` is its condition as the others see it, or "unknown" when none can be asked."""

    name: str
    address: str
    bmc: str
    power: bool
    attached: bool
    cluster: str
    resources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """All nodes, and the one sentence about what is wrong (empty: nothing)."""

    rows: tuple[Row, ...]
    problem: str

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        return {"nodes": [asdict(row) for row in self.rows], "problem": self.problem}

    def as_text(self) -> str:
        """A table of at most 80 columns unless a node runs a lot."""
        lines = [f"{'NODE':<5}{'ADDRESS':<12}{'BMC':<13}{'POWER':<6}{'NETWORK':<9}{'CLUSTER':<12}RESOURCES"]
        for row in self.rows:
            words = ("on" if row.power else "off", "attached" if row.attached else "detached")
            running = " ".join(row.resources) or "-"
            lines.append(
                f"{row.name:<5}{row.address:<12}{row.bmc:<13}{words[0]:<6}{words[1]:<9}{row.cluster:<12}{running}"
            )
        return "\n".join([*lines, *([self.problem] if self.problem else [])])


def look(layout: Layout) -> Report:
    """Ask everything; CannotAsk when there is no lab."""
    names = layout.names()
    if not names:
        raise CannotAsk(f"there is no lab in {layout.directory}", hint="backstay lab up")
    state, problem = _ask(layout)
    return Report(tuple(_row(layout, name, state) for name in names), problem)


def _ask(layout: Layout) -> tuple[cluster.State | None, str]:
    living = [name for name in layout.names() if power.is_on(layout, name)]
    if not living:
        return None, "all nodes are off"
    try:
        state = cluster.ask(layout, living)
    except CannotAsk as error:
        return None, str(error)
    failed = "; ".join(
        f"{f.action} on {f.node} failed ({f.code}) {f.reason}".rstrip() for f in state.failures
    )
    return state, failed


def _row(layout: Layout, name: str, state: cluster.State | None) -> Row:
    node = layout.node(name)
    member = next((m for m in state.members if m.name == name), None) if state else None
    running = tuple(r.name for r in state.resources if name in r.nodes) if state else ()
    return Row(
        name,
        node.address,
        node.bmc_address,
        power.is_on(layout, name),
        network.is_attached(layout, name),
        cluster.condition(member) if member else "unknown",
        running,
    )
