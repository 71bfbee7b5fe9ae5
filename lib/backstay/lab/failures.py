# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the cluster forget the failures that it shows, one by one, as an admin does after mending what failed.

Decides the order. Everything at once (`crm_resource --cleanup`) races in Pacemaker 2.1.5: forgetting the failed start
of libvirtd starts it at once, and the next deletion takes the resource away under that start, which then counts as
failed for the rest of the failure-timeout (seen in the lab).

A guest that was migrated once needs more care with 2.1.5: when its arrival is forgotten while its departure from
another host is remembered, the scheduler takes the migration for one that broke off, and stops and starts the guest
("Forcing recovery of ... because it can no longer migrate", seen in the lab). So the departures are forgotten first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from lxml import etree

from backstay.lab import cluster
from backstay.lab.cluster import Failure
from backstay.lab.layout import Layout
from backstay.lab.node import Node

SECONDS = 60.0
_OPERATION = re.compile(r"_(migrate_to|migrate_from|[a-z-]+)_\d+$")
LAST = "libvirtd"
"""What starts again when it is forgotten, and takes the guests' places with it."""


def of(failures: Iterable[Failure]) -> tuple[tuple[str, str], ...]:
    """(resource, node) of each failure once, those that start something last."""
    found = {(_resource(failure.action), failure.node): None for failure in failures}
    return tuple(sorted(found, key=lambda each: (each[0] == LAST, each)))


def forget(layout: Layout) -> None:
    """Forget every failure that is shown now; CannotAsk when the cluster does not do it."""
    state = cluster.ask(layout)
    node = Node(layout, state.seen_from)
    for resource, where in of(state.failures):
        for other in sorted(departures(_history(node, resource)) - {where}):
            node.check(
                ["crm_resource", "--refresh", f"--resource={resource}", f"--node={other}"], timeout=SECONDS
            )
        node.check(
            ["crm_resource", "--cleanup", f"--resource={resource}", f"--node={where}"], timeout=SECONDS
        )
        node.run(["crm_resource", "--wait", f"--timeout={SECONDS:.0f}"], timeout=2 * SECONDS)


def departures(history: str) -> frozenset[str]:
    """The hosts that remember to have sent a resource away; `history` is what cibadmin says of their node_state."""
    if not history.strip():
        return frozenset()
    return frozenset(str(e.get("uname")) for e in etree.fromstring(history.encode()).iter("node_state"))


def _history(node: Node, resource: str) -> str:
    wanted = f"//node_state[.//lrm_resource[@id='{resource}']/lrm_rsc_op[@operation='migrate_to']]"
    return node.run(["cibadmin", "--query", f"--xpath={wanted}"], timeout=SECONDS).stdout


def _resource(action: str) -> str:
    """The resource of an operation key such as libvirtd:0_start_0."""
    return _OPERATION.sub("", action).partition(":")[0]
