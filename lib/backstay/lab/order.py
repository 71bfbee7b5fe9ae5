# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a lab is in order for the next test, putting it in order, and whether the lab itself is to blame.

Decides what "in order" is. Never hides a finding: what cannot be put in order is said, and the caller rebuilds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from backstay.errors import BackstayError, CannotAsk
from backstay.host.clock import Deadline, NotYet, TimedOut, until
from backstay.lab import cluster, kinds, network, power
from backstay.lab.bmc import node as bmc
from backstay.lab.faults import catalogue, ledger
from backstay.lab.layout import Layout
from backstay.lab.node import Node

LOOK_EVERY = 0.5
CLEANED_UP = re.compile(r"\s*<nvpair [^>]*name=\"last-lrm-refresh\"[^>]*/>")
NO_MATTER = re.compile(r"\s*<nvpair [^>]*name=\"stonith-enabled\"[^>]*/>")
STARVED = re.compile(r"not scheduled for (\d+)")  # Corosync's word for a machine that is too busy


def findings(layout: Layout, names: Sequence[str]) -> tuple[str, ...]:
    """What is not in order, in the admin's words; nothing means ready for the next test."""
    if layout.names() != tuple(names):
        return (f"the lab has the nodes {' '.join(layout.names()) or '(none)'} instead of {' '.join(names)}",)
    found = [f"fault left: {fault} on {host}" for fault, host in ledger.active(ledger.read(layout))]
    for name in names:
        found += _of_machine(layout, name)
    try:
        # Each node is asked: for some seconds the others take one that was switched off, or is booting, for a member.
        states = [cluster.ask(layout, (name,)) for name in names]
    except CannotAsk as error:
        return (*found, str(error))
    return (*found, *_of_cluster(states[0], names))


def _of_machine(layout: Layout, name: str) -> list[str]:
    found = []
    if not power.is_on(layout, name):
        found.append(f"{name} is off")
    if not network.is_attached(layout, name):
        found.append(f"{name} is off the network")
    if not bmc.is_running(layout, name):
        found.append(f"the BMC of {name} does not run")
    return found + [
        f"fault left: {fault} on the BMC of {name}" for fault in bmc.faults(layout, name).active()
    ]


def _of_cluster(state: cluster.State, names: Sequence[str]) -> list[str]:
    """What the cluster itself says is not as it should be."""
    found = [f"{m.name} is {cluster.condition(m)}" for m in state.members if cluster.condition(m) != "online"]
    missing = cluster.all_online(names)(state)
    found += [missing] if missing and not found else []
    for resource in state.resources:
        if resource.orphaned:
            found.append(f"{resource.name} is left over")
        elif resource.failed or resource.blocked or not resource.managed:
            found.append(f"{resource.name} is failed, blocked or unmanaged")
        elif resource.missing():
            found.append(f"{resource.name} does not run")
    return found + [f"{f.action} failed on {f.node} ({f.code})" for f in state.failures]


def restore(layout: Layout, names: Sequence[str], configuration: str = "") -> tuple[str, ...]:
    """Put the lab in order without rebuilding it; returns what could not be.

    `configuration`: the configuration section of the CIB as the tests want it; put back when it differs.
    """
    if not set(names) <= set(layout.names()):
        return findings(layout, names)  # a node that is not there, or no lab at all, can only be built again
    with suppress(BackstayError):  # what cannot be healed stays in the ledger, and is found below
        catalogue.heal_all(layout)
    for name in names:
        for fault in bmc.faults(layout, name).active():
            bmc.faults(layout, name).clear(fault)
        with suppress(BackstayError):
            bmc.start(layout, name)
            power.boot(layout, name)
            if not network.is_attached(layout, name):
                Node(layout, name).plug_cable()
    half = kinds.of(layout).forming / 2
    for wait in (half, half):
        with suppress(TimedOut):
            cluster.wait_for(layout, cluster.all_online(names), Deadline(wait), "all nodes online")
        with suppress(CannotAsk):
            _tidy(layout, names, configuration)
        with suppress(TimedOut):
            until(lambda: _in_order(layout, names), Deadline(wait), LOOK_EVERY, "order")
            return ()
    return findings(layout, names)


def _in_order(layout: Layout, names: Sequence[str]) -> bool:
    found = findings(layout, names)
    if found:
        raise NotYet("; ".join(found))
    return True


def _tidy(layout: Layout, names: Sequence[str], configuration: str) -> None:
    """Put the configuration back and drop the failures that are shown; nothing else is touched."""
    node = Node(layout, cluster.ask(layout, names).seen_from)
    if configuration and configuration_of(node) != configuration:
        for text in (unfenced(configuration), configuration):
            node.check("cibadmin --replace --scope configuration --xml-pipe", stdin=text)
            # A clean-up before everything has stopped makes the cluster forget what still runs (seen with 2.1.5).
            node.run("crm_resource --wait --timeout=60s", timeout=70)
    node.run("crm_resource --cleanup", timeout=60)


def unfenced(configuration: str) -> str:
    """The same with fencing switched off, for as long as what another test left is being stopped.

    Once the last fence device is gone, a Pacemaker that wants fencing leaves everything else as it is, unmanaged. On a
    busy machine it stops one thing at a time, and the devices first (seen with 2.1.5).
    """
    off = r'\1<nvpair id="unfenced-while-tidied" name="stonith-enabled" value="false"/>'
    return re.sub(r"(<cluster_property_set [^>]*[^/]>)", off, NO_MATTER.sub("", configuration), count=1)


def configuration_of(node: Node) -> str:
    """The configuration section of the CIB as one node sees it, without the time of the last clean-up."""
    return CLEANED_UP.sub("", node.check("cibadmin --query --scope configuration"))


def blame(layout: Layout, since: datetime) -> tuple[str, ...]:
    """Why a failure since then may be the lab's own: a machine too busy to run it, a dead BMC, no bridge.

    Nothing means that the failure belongs to what was tested; so does a lab that a test took away.
    """
    if not layout.names():
        return ()
    found = [] if network.owner() == str(layout.directory) else ["the lab's bridge is gone"]
    for name in layout.names():
        if not bmc.is_running(layout, name):
            found.append(f"the BMC of {name} does not run")
        found += _starved(layout, name, since)
    return tuple(found)


def _starved(layout: Layout, name: str, since: datetime) -> list[str]:
    """Corosync's own complaints that it was not scheduled, in its log since then (nodes live in UTC)."""
    log = layout.node(name).root / "var/log/corosync/corosync.log"
    if not log.exists():
        return []
    found = []
    for line in log.read_text(errors="replace").splitlines():
        match = STARVED.search(line)
        if match and _written(line, since) >= since:
            found.append(f"Corosync on {name} was not scheduled for {match[1]} ms")
    return found


def _written(line: str, near: datetime) -> datetime:
    """When a log line was written; Corosync leaves the year out."""
    stamp = line.partition(" [")[0].split(".")[0]
    try:
        return datetime.strptime(f"{near.year} {stamp} +0000", "%Y %b %d %H:%M:%S %z")
    except ValueError:
        return near
