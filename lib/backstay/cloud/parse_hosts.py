# SPDX-License-Identifier: GPL-2.0-or-later
"""The hosts of a cloud description and what fences them.

Decides who is a full member and who a remote node, what the hosts must agree on, and which device fences whom in which
order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from backstay.cloud import keys, names
from backstay.cloud.bmcs import bmc_of
from backstay.cloud.model import Capacity, Device, Host
from backstay.cloud.named import named, pairs
from backstay.cloud.once import Once, known
from backstay.cloud.problems import Position, Report, counted, listed, nearest, quote
from backstay.cloud.reader import Fields
from backstay.cloud.units import Bytes

BMC = "bmc"
Described = tuple[Host, Fields]


def hosts_of(top: Fields) -> list[Described]:
    """The hosts in the order of the file; what fences them is added by `fenced`."""
    report = top.report
    found = list(named(top, keys.CLOUD, "hosts"))
    remote = _remotes([(inner, at) for _, at, inner in found], report)
    hosts: list[Host] = []
    name_once, address_once = Once(report, "a name"), Once(report, "an address")
    for number, (name, at, inner) in enumerate(found):
        host = _host(name, inner, remote=remote[number])
        hosts.append(host)
        # Pacemaker compares node names without regard to case.
        owner = f"the host {quote(name)}"
        name_once.claim(name.casefold(), owner, at, "the name")
        address_once.claim(host.address, owner, inner.where("address"), quote(host.address))
        for place, ring in inner.places("rings", keys.HOST.kind("rings")):
            address_once.claim(ring, owner, place, quote(str(ring)))
        if host.remote and not _resource(name):
            expected = f"for a remote host {names.DOMAIN_NAME_EXPECTED}, and not one of Backstay's own"
            report.add(at, owner, expected)
    _bmcs(hosts, [inner for _, _, inner in found], address_once)
    return _numbered(hosts, [inner for _, _, inner in found], report)


def _resource(name: str) -> bool:
    """Whether `name` can be the id of a resource, which a remote host's connection is."""
    return bool(names.DOMAIN_NAME.fullmatch(name)) and not names.RESERVED_DOMAIN.fullmatch(name)


def _remotes(found: Sequence[tuple[Fields, Position]], report: Report) -> list[bool]:
    """Who is a remote node: who says so, and who comes after the most that Corosync is tested with."""
    words = [inner.quietly("member", keys.HOST.kind("member")) for inner, _ in found]
    full = words.count("full")
    if full > keys.MOST_MEMBERS:
        at = [inner.where("member") for (inner, _), word in zip(found, words, strict=True) if word == "full"]
        expected = f"at most {keys.MOST_MEMBERS}; the others are `member: remote`"
        report.add(at[keys.MOST_MEMBERS], f"{full} hosts with `member: full`", expected)
    free = keys.MOST_MEMBERS - full
    remote = []
    for word in words:
        taken = word is None and free > 0
        free -= taken
        remote.append(word == "remote" or (word is None and not taken))
    if found and all(remote):
        report.add(found[0][1], "remote hosts alone", "at least one full member")
    return remote


def _host(name: str, fields: Fields, *, remote: bool) -> Host:
    given = fields.take(keys.HOST)
    given.pop("member", None)
    given.pop("fencing", None)
    given["capacity"] = _capacity(fields.fields("capacity", f"the capacity of {name}"))
    given["bmc"] = bmc_of(fields.fields("bmc", f"the BMC of {name}"))
    return Host(name, remote=remote, **given)


def _capacity(fields: Fields | None) -> Capacity | None:
    if fields is None:
        return None
    given = fields.take(keys.CAPACITY)
    inner = fields.fields("reserve", f"the reserve in {fields.owner}")
    reserve = inner.take(keys.RESERVE) if inner else {}
    left = {key: given[key] - reserve.get(key, 0) for key in ("memory", "cpu")}
    for key, amount in left.items():
        if inner and amount <= 0 < given[key]:
            expected = "less than the host has"
            inner.report.add(inner.where(key), f"all of its `{key}` as reserve of {fields.owner}", expected)
    return Capacity(Bytes(max(0, left["memory"])), max(0, left["cpu"]))


def _numbered(hosts: list[Host], found: Sequence[Fields], report: Report) -> list[Described]:
    """The hosts with their numbers and rings in Corosync, which full members alone have."""
    members = [(host, inner) for host, inner in zip(hosts, found, strict=True) if not host.remote]
    numbered = any(host.nodeid for host, _ in members)
    once = Once(report, "a `nodeid`")
    for host, inner in members:
        owner = f"the host {quote(host.name)}"
        once.claim(host.nodeid, owner, inner.where("nodeid"), quote(str(host.nodeid)))
        if numbered and not host.nodeid:
            expected = "a `nodeid` for every full member, or for none"
            report.add(inner.at, f"{owner} without `nodeid`", expected)
        rings, most = max(1, len(host.rings)), max(1, len(members[0][0].rings))
        if rings != most:
            expected = f"{most}, as many as {quote(members[0][0].name)} has"
            report.add(inner.where("rings"), f"{counted(rings, 'ring')} for {owner}", expected)
        elif rings > keys.MOST_RINGS:
            report.add(
                inner.where("rings"), f"{counted(rings, 'ring')} for {owner}", f"at most {keys.MOST_RINGS}"
            )
    for host, inner in zip(hosts, found, strict=True):
        for key in ("rings", "nodeid"):
            if host.remote and key in inner.mapping.items:
                what = f"`{key}` for the remote host {quote(host.name)}"
                report.add(inner.where(key), what, "none: Corosync does not run there")
    place = iter(range(1, len(members) + 1))
    return [
        (host, inner)
        if host.remote
        else (replace(host, nodeid=host.nodeid or next(place), rings=host.rings or (host.address,)), inner)
        for host, inner in zip(hosts, found, strict=True)
    ]


def _bmcs(hosts: list[Host], found: Sequence[Fields], host_addresses: Once) -> None:
    """Report a BMC that two hosts share. Two ports of one address are two BMCs: a gateway, or virtual ones.

    Two systems of one Redfish service are, too: the manager of a chassis of blades.
    """
    once = Once(host_addresses.report, "an address")
    for host, inner in zip(hosts, found, strict=True):
        if host.bmc is None:
            continue
        address, owner = host.bmc.address, f"the BMC of {quote(host.name)}"
        at = inner.where("bmc", "address")
        if address in host_addresses.owners:
            host_addresses.claim(address, owner, at, quote(address))
        else:
            once.claim(
                (address, host.bmc.port, host.bmc.system) if address else "", owner, at, quote(address)
            )


def devices_of(top: Fields) -> tuple[Device, ...]:
    """The fence devices besides the BMCs; their hosts exist."""
    hosts = top.fields("hosts", "`hosts`") if "hosts" in top.mapping.items else None
    there = list(hosts.mapping.items) if hosts else []
    found = []
    for name, at, inner in named(top, keys.CLOUD, "devices"):
        given = inner.take(keys.FENCE_DEVICE)
        plugs = pairs(inner, keys.FENCE_DEVICE, "hosts")
        places = [(inner.where("hosts", host), host) for host, _ in plugs]
        good = known(top.report, places, there, f"`hosts` of {quote(name)}", "host")
        given["parameters"] = pairs(inner, keys.FENCE_DEVICE, "parameters")
        if name in there or name == BMC:
            expected = "a name that no host has, and not `bmc`"
            top.report.add(at, f"the device {quote(name)}", expected)
        found.append(Device(name, plugs=tuple(pair for pair in plugs if pair[0] in good), **given))
    return tuple(found)


def fenced(found: Sequence[Described], devices: Sequence[Device]) -> tuple[Host, ...]:
    """The hosts with their fencing levels; one that nothing can fence is reported."""
    return tuple(replace(host, levels=_levels(inner, host, devices)) for host, inner in found)


def _levels(inner: Fields, host: Host, devices: Sequence[Device]) -> tuple[tuple[str, ...], ...]:
    own = [device.name for device in devices if host.name in dict(device.plugs)]
    there = [BMC, *own] if host.bmc or BMC in inner.mapping.items else own
    owner = f"the host {quote(host.name)}"
    levels = []
    for at, value in inner.places("fencing", keys.HOST.kind("fencing")):
        level = tuple(str(value).split("+"))
        for word in level:
            if word not in there:
                expected = f"one of {listed(there)}" if there else "`bmc`, or a device that names the host"
                found = f"{quote(word)} for `fencing` of {owner}"
                inner.report.add(at, found, expected, nearest(word, there))
        levels.append(level)
    if not there:
        inner.report.add(inner.at, f"{owner} without `bmc`", "the key `bmc`, or a device that names the host")
    return tuple(levels) or tuple((name,) for name in there)
