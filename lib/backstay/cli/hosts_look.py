# SPDX-License-Identifier: GPL-2.0-or-later
"""What `backstay host` sees, as members/steps.py asks: the cluster, its members' files, the machine that comes or goes.

Decides what of it is as the description says. Changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lxml import etree

from backstay.cib import corosync_text
from backstay.cib.corosync import corosync_conf
from backstay.cib.difference import CHANGED, Difference, differences
from backstay.cib.files import mounts
from backstay.cib.merge import check_cluster, merge
from backstay.cib.render import render
from backstay.cib.templates import Templates, directories
from backstay.cli.fence_drill_world import ANSWER, here, live
from backstay.cli.hosts_description import Description
from backstay.errors import CannotAsk
from backstay.host import crm_mon, drills, far, membership
from backstay.host.far import Machine
from backstay.host.ssh import Host as Far
from backstay.members import preflight, seen
from backstay.members.candidate import Candidate, Finding
from backstay.members.corosync_files import Files
from backstay.members.seen import Seen
from backstay.members.steps import Mark, Now, Phase, mark

PLACES = ("parameter ip", "parameter ipport", "parameter systems_uri", "parameter server")


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
        marked, listed = self._cluster(cib, node)
        target = self._target(must=self._needed(marked, joined=joined))
        stale, running = self._corosync(target)
        there = Seen(self.name, self.remote, self.leaving, self.here, self.machines, target)
        return Now(
            host=self.name,
            remote=self.remote,
            members=members,
            reached=target is not None,
            written=self.description.written,
            loaded=self._loaded(cib),
            joined=joined and self._seen_by_all(node),
            standby=(node is not None and node.standby) or self._to_be_aside(cib),
            mark=marked,
            held=target is not None and target.held,
            keyless=seen.keyless(there),
            leftovers=seen.leftovers(there),
            mounts=target is None or self.leaving or target.mounts == self._mounts(),
            stale=stale,
            running=running,
            moved=self.files.moved(),
            naming=self.files.naming(),
            active=seen.active(there),
            connected=self.remote and bool(cluster.active.get(self.name)),
            busy=cluster.runs_on(self.name),
            listed=listed,
            proven=frozenset(self.proven),
            changed=self._changed(cib),
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

    def _mounts(self) -> str | None:
        return mounts(self.description.cloud) or None

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

    @property
    def files(self) -> Files:
        """The corosync.conf of the members that were seen."""
        return Files(self.name, self.description.cloud, self.machines)

    def _corosync(self, target: Machine | None) -> tuple[tuple[str, ...], bool]:
        """Whose file is not as it is to be, and whether what runs is."""
        if self.remote:
            return (), True
        return self.files.stale(None if self.leaving else target), self.files.running()

    def losses(self) -> tuple[str, ...]:
        """What of the members' corosync.conf the description does not say."""
        return () if self.remote else self.files.losses()

    def findings(self) -> tuple[Finding, ...]:
        """What speaks against the new machine; CannotAsk when it cannot be reached."""
        host = self.description.host(self.name)
        assert host is not None
        target = far.examine(self.far(self.name), preflight.questions(host, self.description.cloud))
        words = preflight.questions_to_members(host)
        members = {name: far.examine(self.far(name), words) for name in self.machines}
        cpus = {self.here: far.compare(self.far(self.name), members[self.here].cpu)}
        name = self.description.cloud.cluster.name
        new = Candidate(host, self.description.cloud, target, members, self.here, name, cpus)
        return preflight.findings(new)


def _well(node: crm_mon.Node) -> bool:
    return node.online and not node.pending and not node.unclean


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()
