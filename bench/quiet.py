# SPDX-License-Identifier: GPL-2.0-or-later
"""The CIB of a cloud on which everything runs: a rendered one, with the records that its hosts would have written.

Every domain runs on one host, every clone on all, what fences and what connects remote hosts on the members.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import count, cycle
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

FEATURES = "3.16.1"  # of Pacemaker 2.1.5; its tools load no newer one
ONLINE = {"in_ccm": "true", "crmd": "online", "join": "member", "expected": "member"}
_KEY = "1:1:0:00000000-0000-0000-0000-000000000000"


def quiet(rendered: bytes) -> bytes:
    """The CIB `rendered`, as that of a cluster that has nothing to do."""
    cib = ElementTree.fromstring(rendered)
    cib.attrib |= {
        "crm_feature_set": FEATURES,
        "have-quorum": "1",
        "dc-uuid": "1",
        "epoch": "7",
        "num_updates": "1",
    }
    configuration = cib.find("configuration")
    assert configuration is not None  # it was rendered
    old = cib.find("status")
    if old is not None:
        cib.remove(old)
    status = ElementTree.SubElement(cib, "status")
    records = {node.get("uname", ""): _state(status, node) for node in configuration.iterfind("nodes/node")}
    calls = count(1)
    for name, resource in _placed(configuration, list(records), list(_members(configuration))):
        _ran(records[name], resource, calls)
    return ElementTree.tostring(cib)


def _members(configuration: ElementTree.Element) -> Iterator[str]:
    for node in configuration.iterfind("nodes/node"):
        if node.get("type", "member") == "member":
            yield node.get("uname", "")


def _state(status: ElementTree.Element, node: ElementTree.Element) -> ElementTree.Element:
    name = {"id": node.get("id", ""), "uname": node.get("uname", "")}
    far = node.get("type") == "remote"
    state = ElementTree.SubElement(
        status, "node_state", {**name, **({"remote_node": "true"} if far else ONLINE)}
    )
    lrm = ElementTree.SubElement(state, "lrm", {"id": name["id"]})
    return ElementTree.SubElement(lrm, "lrm_resources")


def _placed(
    configuration: ElementTree.Element, everywhere: list[str], members: list[str]
) -> Iterator[tuple[str, ElementTree.Element]]:
    """Where what runs: a host, and the resource."""
    turns, members_in_turn = cycle(everywhere), cycle(members)
    for resource in configuration.iterfind("resources/*"):
        if resource.tag == "clone":
            primitive = resource.find("primitive")
            assert primitive is not None  # Backstay's clones have no groups
            yield from ((name, primitive) for name in everywhere)
        elif resource.get("type") == "domain":
            yield next(turns), resource
        else:  # never on the host that it fences
            name = next(members_in_turn)
            yield (next(members_in_turn) if f"fence-{name}" == resource.get("id") else name), resource


def _ran(records: ElementTree.Element, resource: ElementTree.Element, calls: Iterator[int]) -> None:
    words = {key: value for key in ("id", "class", "provider", "type") if (value := resource.get(key))}
    record = ElementTree.SubElement(records, "lrm_resource", words)
    done = {"crm_feature_set": FEATURES, "transition-key": _KEY, "transition-magic": f"0:0;{_KEY}", "rc-code": "0",
            "op-status": "0"}  # fmt: skip
    given = _pairs(resource)
    looks = [op for op in resource.iterfind("operations/op") if op.get("name") == "monitor"]
    for operation, interval, parameters in [
        ("start", "0", given),
        *(
            ("monitor", f"{_milliseconds(op.get('interval', '0s'))}", given | _pairs(op) | _limit(op))
            for op in looks
        ),
    ]:
        key = f"{resource.get('id')}_{operation}_{interval}"
        short = f"{resource.get('id')}_last_0" if operation == "start" else key
        said = {"id": short, "operation_key": key, "operation": operation, "interval": interval}
        # The one after the other: a monitor that is not younger than the start is taken for one of before.
        own = {"call-id": str(next(calls)), "op-digest": _digest(parameters)}
        ElementTree.SubElement(record, "lrm_rsc_op", {**said, **done, **own})


def _pairs(element: ElementTree.Element) -> dict[str, str]:
    pairs = element.iterfind("instance_attributes/nvpair")
    return {pair.get("name", ""): pair.get("value", "") for pair in pairs}


def _limit(operation: ElementTree.Element) -> dict[str, str]:
    """The one meta attribute that belongs to what a recurring operation was begun with."""
    return {"CRM_meta_timeout": f"{_milliseconds(operation.get('timeout', '20s'))}"}


def _digest(parameters: dict[str, str]) -> str:
    """What an operation was begun with, as Pacemaker writes it down; with another one it restarts the resource.

    Source: `crm_resource --digests` of Pacemaker 2.1.5, whose hashes are those of this text.
    """
    words = "".join(f" {name}={quoteattr(value)}" for name, value in sorted(parameters.items()))
    return hashlib.md5(f" <parameters{words}/>\n".encode(), usedforsecurity=False).hexdigest()


def _milliseconds(interval: str) -> int:
    for unit, factor in (("ms", 1), ("min", 60_000), ("s", 1000)):
        if interval.endswith(unit):
            return int(interval.removesuffix(unit)) * factor
    return int(interval) * 1000
