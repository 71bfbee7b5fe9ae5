# SPDX-License-Identifier: GPL-2.0-or-later
"""What `backstay host` sees, as members/steps.py asks: the cluster, its members' files, the machine that comes or goes.

Decides what of it is as the description says. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lxml import etree

from backstay.cib import corosync_text
from backstay.cib.corosync import corosync_conf
from backstay.cib.difference import CHANGED, Difference, differences
from backstay.cib.files import files_of
from backstay.cib.merge import check_cluster, merge
from backstay.cib.render import render
from backstay.cib.templates import Templates, directories
from backstay.cli.fence_drill_world import ANSWER, here, live
from backstay.cli.hosts_description import Description
from backstay.errors import CannotAsk
from backstay.host import crm_mon, drills, far, membership
from backstay.host.far import Machine
from backstay.host.ssh import Host as Far
from backstay.members import preflight
from backstay.members.steps import Mark, Now, Phase, mark

PLACES = ("parameter ip", "parameter ipport", "parameter systems_uri", "parameter server")
UNITS = {False: ("corosync", "pacemaker"), True: ("pacemaker_remote",)}
"""What runs on a full member, and on a remote host, in the order of starting."""


@dataclass
class View:
    """One host of one cluster, and what is wanted with it.

    `leaving`: it is to go; `replacing`: another machine is to be it; `seconds` is what a wait may take.
    """

    name: str
    description: Description
    address: str
    remote: bool
    leaving: bool
    seconds: float
    allow_stop: bool = False
    replacing: bool = False
    old_is_off: bool = False
    proven: set[str] = field(default_factory=set)
    machines: dict[str, Machine] = field(default_factory=dict)
    guests: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.here = here()
        check_cluster(live(), self.description.cloud.cluster.name)

    def far(self, name: str) -> Far:
        """The way to a host."""
        if name == self.here:
            return Far(name)
        if name == self.name:
            return Far(name, self.address)
        found = self.description.host(name)
        return Far(name, found.address if found else name)

    def now(self) -> Now:
        """Look at everything; CannotAsk when a member cannot be reached."""
        cib, cluster = live(), crm_mon.cluster(ANSWER)
        members = tuple(node.name for node in cluster.nodes if _well(node) and node.name != self.name)
        if self.here not in members:
            raise CannotAsk(f"{self.here} is no full member now", hint="run it on one that is")
        self.machines = {name: far.look(self.far(name)) for name in members}
        node = cluster.node(self.name) or next((n for n in cluster.remotes if n.name == self.name), None)
        joined = node is not None and _well(node)
        seen = self._cluster(cib, node)
        target = self._target(must=self._needed(seen[0], joined=joined))
        conf = self._corosync(target)
        return Now(
            self.name,
            self.remote,
            members,
            target is not None,
            self.description.written,
            self._loaded(cib),
            joined and self._seen_by_all(node),
            (node is not None and node.standby) or self._to_be_aside(cib),
            seen[0],
            target is not None and target.held,
            self._keyless(target),
            target is not None and self._leftovers(target),
            target is None or self.leaving or target.mounts == self._mounts(),
            conf[0],
            conf[1],
            target is not None and self._active(target),
            self.remote and bool(cluster.active.get(self.name)),
            cluster.runs_on(self.name),
            seen[1],
            frozenset(self.proven),
            self._changed(cib),
        )

    def _needed(self, marked: Mark | None, *, joined: bool) -> bool:
        """Whether nothing can be done without the machine: one that comes, or goes while it is a member."""
        if self.leaving:
            return joined
        return not self.replacing or (marked is not None and marked.phase is Phase.REPLACED)

    def _target(self, *, must: bool) -> Machine | None:
        try:
            return far.look(self.far(self.name))
        except CannotAsk:
            if must:
                raise
            return None

    def _cluster(self, cib: etree._Element, node: crm_mon.Node | None) -> tuple[Mark | None, bool]:
        found = drills.permanent(cib, membership.ATTRIBUTE).get(self.name, "")
        names = {each.get("uname") for each in cib.iterfind("configuration/nodes/node")}
        names |= {each.get("uname") for each in cib.iterfind("status/node_state")}
        return mark(found), self.name in names or node is not None

    def _to_be_aside(self, cib: etree._Element) -> bool:
        """Whether it begins in standby: of a remote host crm_mon says so only when its connection has been seen."""
        return drills.permanent(cib, drills.STANDBY).get(self.name) == "on"

    def _seen_by_all(self, node: crm_mon.Node | None) -> bool:
        if self.remote or node is None:
            return True
        key = f"runtime.members.{node.number}.status"
        return all(machine.cmap.get(key) == "joined" for machine in self.machines.values())

    def _keyless(self, target: Machine | None) -> tuple[str, ...]:
        """Who lacks the key that this host has; with a remote host all members have one."""
        ours = self.machines[self.here]
        if self.leaving:
            return ()
        new = [self.name] if target is not None else []
        if not self.remote:
            return tuple(new) if ours.key and target and target.key != ours.key else ()
        others = [
            name
            for name, one in self.machines.items()
            if not one.remote_key or one.remote_key != ours.remote_key
        ]
        return (*others, *(new if others or not target or target.remote_key != ours.remote_key else ()))

    def _leftovers(self, target: Machine) -> bool:
        if self.leaving:
            ours = self.machines[self.here]
            key = target.remote_key == ours.remote_key if self.remote else target.key == ours.key
            has = ours.remote_key if self.remote else ours.key
            return bool(has and key) or bool(not self.remote and target.conf and not _untouched(target))
        runs = any(target.runs(unit) for unit in UNITS[False])
        return (
            not self.remote and not target.held and (target.cib is not None or (runs and _untouched(target)))
        )

    def _active(self, target: Machine) -> bool:
        if not self.remote and _untouched(target):
            return False
        units = [target.runs(unit) for unit in UNITS[self.remote]]
        return any(units) if self.leaving else all(units)

    def _mounts(self) -> str | None:
        return next((file.content for file in files_of(self.description.cloud)[1:]), None)

    def _loaded(self, cib: etree._Element) -> bool:
        return not any(self._concerns(one) for one in self._differences(cib))

    def _differences(self, cib: etree._Element) -> tuple[Difference, ...]:
        wanted = merge(cib, render(self.description.cloud, Templates(directories(()))))
        return differences(cib, wanted)

    def _concerns(self, one: Difference) -> bool:
        host = self.description.host(self.name)
        names = {self.name, f"fence-{self.name}", *((str(host.nodeid),) if host else ())}
        facts = {word for detail in one.details for text in (detail.old, detail.new) for word in _words(text)}
        return one.name in names or self.name in facts

    def _changed(self, cib: etree._Element) -> bool:
        moved = any(
            one.verb == CHANGED and one.name in (f"fence-{self.name}", self.name)
            and any(detail.fact in PLACES for detail in one.details)
            for one in self._differences(cib)
        )  # fmt: skip
        if self.remote:
            return moved
        before = corosync_text.members(self.machines[self.here].conf or "").get(self.name)
        after = corosync_text.members(corosync_conf(self.description.cloud)).get(self.name)
        return moved or (before is not None and before != after)

    def _corosync(self, target: Machine | None) -> tuple[tuple[str, ...], bool]:
        """Whose file is not as it is to be, and whether what runs is."""
        if self.remote:
            return (), True
        rendered, (_, number) = corosync_conf(self.description.cloud), self.base()
        known = dict(self.machines)
        if target is not None and not self.leaving:
            known = {self.name: target, **known}
        stale = tuple(name for name, one in known.items() if not _as(one.conf, rendered, number))
        wanted = corosync_text.members(rendered)
        return stale, all(_runs_with(one, wanted) for one in self.machines.values())

    def base(self) -> tuple[str, int]:
        """The newest corosync.conf of the members, and the number that the wanted one has."""
        rendered = corosync_conf(self.description.cloud)
        texts = [one.conf for one in self.machines.values() if one.conf]
        if not texts:
            raise CannotAsk("no member has a corosync.conf")
        newest = max(texts, key=corosync_text.version)
        fresh = corosync_text.same_members(newest, rendered)
        return newest, corosync_text.version(newest) + (not fresh)

    def losses(self) -> tuple[str, ...]:
        """What of the members' corosync.conf the description does not say."""
        if self.remote:
            return ()
        return corosync_text.lost(self.base()[0], corosync_conf(self.description.cloud), self.name)

    def findings(self) -> tuple[preflight.Finding, ...]:
        """What speaks against the new machine; CannotAsk when it cannot be reached."""
        host = self.description.host(self.name)
        assert host is not None
        target = far.examine(self.far(self.name), preflight.questions(host, self.description.cloud))
        words = (f"{far.NAMES}:{self.name}",)
        members = {name: far.examine(self.far(name), words) for name in self.machines}
        cpus = {self.here: far.compare(self.far(self.name), members[self.here].cpu)}
        name = self.description.cloud.cluster.name
        new = preflight.Candidate(host, self.description.cloud, target, members, self.here, name, cpus)
        return preflight.findings(new)


def _well(node: crm_mon.Node) -> bool:
    return node.online and not node.pending and not node.unclean


def _untouched(machine: Machine) -> bool:
    return machine.conf is not None and preflight.untouched(machine.conf)


def _as(conf: str | None, rendered: str, number: int) -> bool:
    return (
        conf is not None
        and corosync_text.version(conf) == number
        and corosync_text.same_members(conf, rendered)
    )


def _runs_with(machine: Machine, wanted: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether Corosync there runs with these members."""
    found: dict[str, dict[str, str]] = {}
    for key, value in machine.cmap.items():
        number, _, name = key.removeprefix("nodelist.node.").partition(".")
        if key.startswith("nodelist.node."):
            found.setdefault(number, {})[name] = value
    return {one.get("name", ""): one for one in found.values()} == wanted


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()
