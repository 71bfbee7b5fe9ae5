# SPDX-License-Identifier: GPL-2.0-or-later
"""Which member's corosync.conf is not as it is to be, and whether Corosync runs with it: decided from what was seen.

Decides the number (config_version) of the wanted file as well. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backstay.cib import corosync_text
from backstay.cib.corosync import corosync_conf
from backstay.cloud.model import Cloud
from backstay.errors import CannotAsk
from backstay.host.far import Machine


@dataclass(frozen=True, slots=True)
class Files:
    """The files of `machines` (the members, by name) on the way to the described `cloud`; `host` comes or goes."""

    host: str
    cloud: Cloud
    machines: Mapping[str, Machine]

    def base(self, without: str = "") -> tuple[str, int]:
        """The newest corosync.conf of the members, and the number of the wanted one, `without` a host or with all.

        Raises CannotAsk when no member has one.
        """
        rendered = corosync_conf(self.cloud, without)
        texts = [one.conf for one in self.machines.values() if one.conf]
        if not texts:
            raise CannotAsk("no member has a corosync.conf")
        newest = max(texts, key=corosync_text.version)
        fresh = corosync_text.same_members(newest, rendered)
        return newest, corosync_text.version(newest) + (not fresh)

    def stale(self, new: Machine | None) -> tuple[str, ...]:
        """Whose file is not as it is to be: the `new` machine's, which is to be the host, and the members'."""
        known = {self.host: new, **self.machines} if new is not None else self.machines
        return self._unlike(known)

    def running(self) -> bool:
        """Whether Corosync of every member runs with the described members."""
        wanted = corosync_text.members(corosync_conf(self.cloud))
        return all(_runs(one) == wanted for one in self.machines.values())

    def moved(self) -> bool:
        """Whether Corosync of some member runs with other addresses of the host, which it does not change by itself."""
        wanted = corosync_text.members(corosync_conf(self.cloud)).get(self.host)
        runs = [_runs(one).get(self.host) for one in self.machines.values()]
        return wanted is not None and any(one is not None and one != wanted for one in runs)

    def naming(self) -> tuple[str, ...]:
        """Whose file still has the host that Corosync is to let go of."""
        return self._unlike(self.machines, self.host) if self.moved() else ()

    def losses(self) -> tuple[str, ...]:
        """What of the members' corosync.conf the description does not say, a sentence each."""
        return corosync_text.lost(self.base()[0], corosync_conf(self.cloud), self.host)

    def _unlike(self, known: Mapping[str, Machine], without: str = "") -> tuple[str, ...]:
        rendered, (_, number) = corosync_conf(self.cloud, without), self.base(without)
        return tuple(name for name, one in known.items() if not _as(one.conf, rendered, number))


def _as(conf: str | None, rendered: str, number: int) -> bool:
    return (
        conf is not None
        and corosync_text.version(conf) == number
        and corosync_text.same_members(conf, rendered)
    )


def _runs(machine: Machine) -> dict[str, dict[str, str]]:
    """The members that Corosync there runs with, by name."""
    found: dict[str, dict[str, str]] = {}
    for key, value in machine.cmap.items():
        number, _, name = key.removeprefix("nodelist.node.").partition(".")
        if key.startswith("nodelist.node."):
            found.setdefault(number, {})[name] = value
    return {one.get("name", ""): one for one in found.values()}
