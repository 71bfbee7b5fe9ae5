# SPDX-License-Identifier: GPL-2.0-or-later
"""What a fault gives the cluster reason to do: which deeds are allowed, and which have to happen.

Decides whether a deed was needed. An expectation that does not mention a deed forbids it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backstay.lab.actions import Deed, Fencing

FENCE = "fence"
"""The operation of a fencing; its subject is the host that is fenced."""

RELOAD = "reload-agent"
"""The operation with which a resource takes over changed parameters."""

DEVICES = "fence-*"
"""The resources of the fence devices: where their monitor runs is of no consequence, so a fencing may move them."""

ANY = "*"


@dataclass(frozen=True, slots=True)
class Permit:
    """One kind of deed that there is reason for.

    `subject` is a resource or, for a fencing, a host; `host` is where, or ANY. At most `most` of them are needed
    (None: any number); `needed` says that one of them has to succeed.
    """

    operation: str
    subject: str
    host: str = ANY
    most: int | None = 1
    needed: bool = True

    def covers(self, deed: Deed) -> bool:
        """Whether the deed is of this kind."""
        if isinstance(deed, Fencing):
            return self.operation == FENCE and self.subject == deed.target
        wanted = self.subject == deed.resource or (
            self.subject == DEVICES and deed.resource.startswith(DEVICES[:-1])
        )
        return wanted and self.operation == deed.operation and self.host in (ANY, deed.host)

    def __str__(self) -> str:
        where = "" if self.host == ANY else f" on {self.host}"
        return f"{'fencing' if self.operation == FENCE else self.operation} of {self.subject}{where}"


@dataclass(frozen=True, slots=True)
class Expected:
    """All that the cluster has reason to do. Each method gives a wider expectation; NOTHING is where one begins."""

    permits: tuple[Permit, ...] = ()
    silent: frozenset[str] = frozenset()

    def _and(self, permits: Iterable[Permit]) -> Expected:
        return Expected((*self.permits, *permits), self.silent)

    def silencing(self, guests: Iterable[str]) -> Expected:
        """The fault itself silences these guests, and the cluster can do nothing about that."""
        return Expected(self.permits, self.silent | frozenset(guests))

    def starting(self, resources: Iterable[str]) -> Expected:
        """Each of these has to start once, wherever."""
        return self._and(Permit("start", resource) for resource in resources)

    def stopping(self, resources: Iterable[str], hosts: Iterable[str]) -> Expected:
        """Each of these has to stop once, on one of these hosts."""
        places = tuple(hosts)
        return self._and(
            Permit("stop", resource, host, needed=len(places) == 1)
            for resource in resources
            for host in places
        )

    def migrating(self, resources: Iterable[str], source: str) -> Expected:
        """Each of these has to move from `source` while it runs (Pacemaker then stops what is left behind)."""
        return self._and(
            permit
            for resource in resources
            for permit in (
                Permit("migrate_to", resource, source),
                Permit("migrate_from", resource),
                Permit("stop", resource, source),
            )
        )

    def attempting_migration(self, resources: Iterable[str], source: str) -> Expected:
        """Pacemaker may try to move each of these from `source` alive, in vain, and stops what never arrived."""
        return self._and(
            permit
            for resource in resources
            for permit in (
                Permit("migrate_to", resource, source, needed=False),
                Permit("stop", resource, needed=False),
            )
        )

    def restarting(self, resource: str, hosts: Iterable[str]) -> Expected:
        """A resource may stop and start on these hosts as often as Pacemaker likes, and need not."""
        return self._and(
            Permit(operation, resource, host, most=None, needed=False)
            for host in hosts
            for operation in ("start", "stop")
        )

    def reloading(self, resource: str, host: str, most: int = 1) -> Expected:
        """A resource has to take over changed parameters while it runs there; a guest does not fall silent by that."""
        return self._and([Permit(RELOAD, resource, host, most=most)])

    def fencing(self, hosts: Iterable[str]) -> Expected:
        """Each of these hosts has to be fenced once; their devices' monitors may move."""
        return self._and(Permit(FENCE, host) for host in hosts).watching_elsewhere()

    def watching_elsewhere(self) -> Expected:
        """The monitors of the fence devices may move, as they do when their host leaves."""
        return self._and(
            Permit(operation, DEVICES, most=None, needed=False) for operation in ("start", "stop")
        )

    def touches(self, resource: str) -> bool:
        """Whether the resource may fall silent: it may be stopped, started or moved, or the fault does that to it."""
        return resource in self.silent or any(
            permit.subject == resource and permit.operation != RELOAD for permit in self.permits
        )

    def needless(self, deeds: Sequence[Deed]) -> tuple[Deed, ...]:
        """The deeds that there was no reason for: not mentioned, or more often than needed."""
        left = {permit: permit.most for permit in self.permits}
        found: list[Deed] = []
        for deed in deeds:
            permit = next((p for p in self.permits if p.covers(deed) and left[p] != 0), None)
            if permit is None:
                found.append(deed)
            elif (most := left[permit]) is not None:
                left[permit] = most - 1
        return tuple(found)

    def missing(self, deeds: Sequence[Deed]) -> tuple[Permit, ...]:
        """What had to happen and did not, or only failed."""
        return tuple(
            permit
            for permit in self.permits
            if permit.needed and not any(deed.ok and permit.covers(deed) for deed in deeds)
        )


NOTHING = Expected()
"""The cluster has no reason to do anything."""
