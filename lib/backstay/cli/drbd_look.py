# SPDX-License-Identifier: GPL-2.0-or-later
"""What `backstay drbd` sees, as mirror/ asks: each described host of a resource, the cluster, the guest upon it.

Decides what of it is as the description says. Changes nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import partial

from lxml import etree

from backstay.cib.difference import Difference, differences
from backstay.cib.drbd_conf import drbd_conf
from backstay.cib.merge import check_cluster, merge
from backstay.cib.render import render
from backstay.cib.templates import Templates, directories
from backstay.cli import options
from backstay.cli.fence_drill_world import ANSWER, here, live
from backstay.cloud.model import Cloud, Mirror
from backstay.errors import BadInput, CannotAsk
from backstay.host import crm_mon, drbd_far
from backstay.host.at_once import at_once
from backstay.host.attributes import Attributes
from backstay.host.drbd_far import Seen
from backstay.host.drbd_host import ATTRIBUTE
from backstay.host.ssh import Host as Far
from backstay.mirror import grow, repair
from backstay.mirror.sides import Lower, Side

AT_ONCE = 4
SPLIT = ":split-brain"


def described(cloud: Cloud, path: str, resource: str) -> Mirror:
    """The resource and whose disk it is; BadInput where it is not described, or its file is the admin's own."""
    found = next((mirror for mirror in cloud.mirrors if mirror.drbd.resource == resource), None)
    if found is None:
        there = ", ".join(mirror.drbd.resource for mirror in cloud.mirrors)
        hint = (
            f"it has {there}"
            if there
            else "describe a disk on DRBD first, or name a description with --cloud"
        )
        raise BadInput(f"{path} has no DRBD resource {resource}", hint=hint)
    if not found.drbd.volumes:
        hint = "describe its volumes, or change it with drbdadm: then its file in drbd.d is yours"
        raise BadInput(f"{resource} is described without volumes, so its file is not Backstay's", hint=hint)
    return found


class View:
    """One resource of one cluster, from this host. `seconds` is what a wait may take."""

    def __init__(self, path: str, resource: str, seconds: float, *, allow_stop: bool) -> None:
        self.path, self.name, self.seconds, self.allow_stop = path, resource, seconds, allow_stop
        self.files = options.read_described(path)
        self.cloud = options.as_cloud(self.files, path)
        self.mirror = described(self.cloud, path, resource)
        self.drbd = self.mirror.drbd
        self.here = here()
        check_cluster(live(), self.cloud.cluster.name)
        self.seen: dict[str, Seen] = {}

    def far(self, name: str) -> Far:
        """The way to a host."""
        address = next((host.address for host in self.cloud.hosts if host.name == name), name)
        return Far(name, "" if name == self.here else address)

    def now(self) -> repair.Now:
        """Look at everything for repairing; CannotAsk when a described host cannot be reached."""
        cib, cluster = live(), crm_mon.cluster(ANSWER)
        online = {node.name for node in cluster.nodes if node.online and not node.unclean}
        away = tuple(name for name in self.drbd.hosts if name not in online)
        said = Attributes().values(ATTRIBUTE + self.name, ANSWER)
        others = [host.name for host in self.cloud.members if host.name not in self.drbd.hosts]
        return repair.Now(
            self.name,
            self.sides([name for name in self.drbd.hosts if name not in away]),
            drbd_conf(self.cloud, self.mirror),
            self.drbd.generation,
            not any(self._concerns(one) for one in self._differences(cib)),
            self._failed(cib),
            tuple(sorted(name for name, value in said.items() if value.endswith(SPLIT))),
            self._leftover([name for name in others if name in online]),
            away,
        )

    def sides(self, names: Sequence[str]) -> tuple[Side, ...]:
        """What each of these described hosts has of it."""
        volumes = [(volume.number, volume.minor, str(volume.disk)) for volume in self.drbd.volumes]
        ask = {
            name: partial(drbd_far.look, self.far(name), self.name, self.drbd.generation, volumes)
            for name in names
        }
        self.seen = at_once(ask, AT_ONCE)
        return tuple(map(self.side, names))

    def side(self, name: str) -> Side:
        """What the last look at a host has seen."""
        seen = self.seen[name]
        own = plain(self.drbd.addresses[self.drbd.hosts.index(name)])
        paths = {volume.number: str(volume.disk) for volume in self.drbd.volumes}
        lowers = tuple(
            Lower(number, paths[number], one.size, one.holds, one.uuid, one.room, one.extent)
            for number, one in sorted(seen.below.items())
        )
        peers = frozenset(plain(address) for _, address, _ in seen.addresses) - {own}
        return Side(name, own, seen.file, seen.state, peers, seen.version, lowers)

    def _leftover(self, names: Sequence[str]) -> tuple[str, ...]:
        """Who else has its file, and does not run it any more; a host that cannot be asked is left alone."""
        found = []
        for name in names:
            try:
                seen = drbd_far.look(self.far(name), self.name, self.drbd.generation, ())
            except CannotAsk:
                continue
            if seen.file is not None and seen.state is None:
                found.append(name)
        return tuple(found)

    def _failed(self, cib: etree._Element) -> tuple[str, ...]:
        wanted = f"fail-count-{self.primitive}#start_0"
        return tuple(
            state.get("uname", "")
            for state in cib.iterfind("status/node_state")
            if any(pair.get("name") == wanted for pair in state.iterfind("transient_attributes//nvpair"))
        )

    @property
    def primitive(self) -> str:
        """What the resource is called in the cluster (templates domain-drbd and drbd)."""
        return f"drbd-{self.mirror.owner}"

    def _differences(self, cib: etree._Element) -> tuple[Difference, ...]:
        return differences(cib, merge(cib, render(self.cloud, Templates(directories(())))))

    def _concerns(self, one: Difference) -> bool:
        names = {self.mirror.owner, self.primitive, f"{self.primitive}-clone"}
        facts = {word for detail in one.details for text in (detail.old, detail.new) for word in _words(text)}
        return one.name in names or bool(names & facts)

    def growth(self, volume: int, wanted: int, *, resized: bool) -> grow.Now:
        """Look at everything for growing."""
        sides = self.sides(self.drbd.hosts)
        return grow.Now(self.name, volume, wanted, sides, self.drbd.generation, self._guest(volume), resized)

    def _guest(self, volume: int) -> grow.Guest | None:
        if not self.mirror.domain:
            return None
        minor = next(each.minor for each in self.drbd.volumes if each.number == volume)
        for host in sorted(crm_mon.cluster(ANSWER).active.get(self.mirror.domain, ())):
            there = drbd_far.guest(self.far(host), self.mirror.domain, minor)
            if there is not None:
                return grow.Guest(host, *there)
        return None


def plain(address: str) -> str:
    """An address as it compares: IPv6 can be written in several ways."""
    try:
        return ipaddress.ip_address(address).compressed
    except ValueError:
        return address


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()
