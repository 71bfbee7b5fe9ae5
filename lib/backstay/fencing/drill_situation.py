# SPDX-License-Identifier: GPL-2.0-or-later
"""What a planned fencing of a healthy host depends on, as it was seen. Decides nothing; drill.py says what follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from backstay.fencing.configuration import Fencing
from backstay.fencing.drill_marks import Open
from backstay.fencing.readiness import Cell


@dataclass(frozen=True, slots=True)
class Host:
    """A member of the cluster as Pacemaker sees it now."""

    name: str
    online: bool = True
    standby: bool = False
    maintenance: bool = False
    pending: bool = False
    unclean: bool = False

    @property
    def trouble(self) -> str:
        """What is not well with it in one word; empty when it is a full member."""
        if self.unclean:
            return "unclean"
        if not self.online:
            return "offline"
        if self.pending:
            return "joining"
        return "in maintenance" if self.maintenance else ""


@dataclass(frozen=True, slots=True)
class Votes:
    """Corosync's votes: how many there are now, how many make a quorum, and how many each host has."""

    total: int
    quorum: int
    of: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What Pacemaker's scheduler says to setting the host aside; sentences, and names in `stranded`, `stays`."""

    moves: tuple[tuple[str, str], ...] = ()
    harm: tuple[str, ...] = ()
    stranded: tuple[str, ...] = ()
    unsettled: tuple[str, ...] = ()
    stays: tuple[str, ...] = ()
    crowded: tuple[str, ...] = ()
    guests: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that a drill of `target` from `here` depends on; `at` is in seconds since the epoch.

    `seen` is how many guests the target itself says that it runs, None when nobody says it. `copies` are the hosts with
    current data of each DRBD resource.
    """

    target: str
    here: str
    at: float
    hosts: tuple[Host, ...]
    votes: Votes
    fencing: Fencing
    cells: tuple[Cell, ...]
    foreseen: Foreseen = field(default_factory=Foreseen)
    seen: int | None = 0
    fenced: tuple[str, ...] = ()
    open: tuple[Open, ...] = ()
    copies: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def others(self) -> tuple[Host, ...]:
        """All hosts but the target."""
        return tuple(host for host in self.hosts if host.name != self.target)
