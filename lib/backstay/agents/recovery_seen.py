# SPDX-License-Identifier: GPL-2.0-or-later
"""What a look at the cluster means for each host's recovery. Pure."""

from __future__ import annotations

from backstay.agents.libvirtd_strays import read
from backstay.agents.recovery import DONE, Fencing, Host, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backstay.host.recoveries import Event, Node, Seen

LIBVIRTD, STRAYS = "backstay-libvirtd", "backstay-strays"
HEALTHY = "healthy"
SUCCESS, FAILED, PENDING = "success", "failed", "pending"


def hosts(seen: Seen, looked: Sequence[str]) -> list[Host]:
    """Give every host; `looked` are those whose libvirtd agent has looked for strays since they came up."""
    return [
        _host(node, [event for event in seen.events if event.target == node.name], looked)
        for node in seen.nodes
    ]


def looked(notes: Mapping[str, str]) -> tuple[str, ...]:
    """Give the hosts that have looked for strays and wait for no answer whether a guest runs elsewhere as well."""
    return tuple(host for host, text in notes.items() if not read(text).asks)


def returned(seen: Seen) -> bool:
    """Whether a host is on line that was recovered: then it matters who has looked for strays."""
    records = (record(node.record) for node in seen.nodes if node.online)
    return any(known is not None and known.state == DONE for known in records)


def _host(node: Node, events: Sequence[Event], looked: Sequence[str]) -> Host:
    good = max((event for event in events if event.status == SUCCESS), key=lambda one: one.when, default=None)
    bad = max((event for event in events if event.status == FAILED), key=lambda one: one.when, default=None)
    newer = bad is not None and (good is None or bad.when > good.when)
    return Host(
        node.name,
        online=node.online,
        unclean=node.unclean,
        fenced=Fencing(good.when, good.human) if good is not None and good.when else None,
        fencing=any(event.status == PENDING for event in events),
        refusal=(bad.reason or "see the log of the fencer") if bad is not None and newer else "",
        record=record(node.record),
        well=_not_well(node, looked),
    )


def _not_well(node: Node, looked: Sequence[str]) -> str:
    libvirtd = node.attributes.get(LIBVIRTD, "")
    if libvirtd.partition(":")[0] != HEALTHY:
        return f"its libvirtd is {libvirtd}" if libvirtd else "no agent says that its libvirtd is healthy"
    if node.name not in looked:
        return "nobody has looked for stray guests there yet, or whether one runs elsewhere is not answered"
    return node.attributes.get(STRAYS, "")
