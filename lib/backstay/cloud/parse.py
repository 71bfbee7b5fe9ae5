# SPDX-License-Identifier: GPL-2.0-or-later
"""A cloud description as text becomes a `Cloud`, or the full list of what is wrong with it.

Decides in which order the parts are read, and what they have to agree on. Which keys there are is declared in `keys`.
Never reads a secret or a cluster; a domain's definition only through the `Reader` that it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from backstay.cloud import keys
from backstay.cloud.again import readings
from backstay.cloud.cluster_properties import properties_of
from backstay.cloud.definition import Reader
from backstay.cloud.frontend import frontend_of
from backstay.cloud.model import (
    Alert,
    Cloud,
    Cluster,
    Corosync,
    Libvirtd,
    Migration,
    Policy,
    Quorum,
    QuorumDevice,
)
from backstay.cloud.named import named, pairs
from backstay.cloud.parse_domains import apart_of, domains_of, together_of
from backstay.cloud.parse_drbd import Mirrors
from backstay.cloud.parse_hosts import devices_of, fenced, hosts_of
from backstay.cloud.parse_storage import check_ids, standing, storage_of
from backstay.cloud.policy import choose
from backstay.cloud.problems import InvalidDescription, Report, quote
from backstay.cloud.reader import Fields, fields_of
from backstay.cloud.tree import Mapping, Node, read_tree
from backstay.cloud.units import cib_duration
from backstay.errors import BadInput


def _cluster(fields: Fields | None) -> Cluster:
    if fields is None:
        return Cluster("")
    given = fields.take(keys.CLUSTER)
    moving = fields.fields("migration", "`migration`")
    if moving is not None:
        given["migration"] = Migration(**moving.take(keys.MIGRATION))
        if given["migration"].user and given["migration"].transport != "ssh":
            moving.report.add(moving.where("user"), "`user` without `transport: ssh`", "both, or no `user`")
    healing = fields.fields("libvirtd", "`libvirtd`")
    if healing is not None:
        given["libvirtd"] = Libvirtd(**healing.take(keys.LIBVIRTD))
    return Cluster(**given)


def _quorum(fields: Fields | None) -> Quorum:
    if fields is None:
        return Quorum()
    given = fields.take(keys.QUORUM)
    device = fields.fields("device", "the quorum device")
    if device is not None:
        given["device"] = QuorumDevice(**device.take(keys.DEVICE))
    return Quorum(**given)


def _policy(fields: Fields | None) -> Policy:
    if fields is None:
        return Policy()
    policy = Policy(**fields.take(keys.POLICY))
    if policy.shutdown_lock_limit is not None and not policy.shutdown_lock:
        expected = "`shutdown_lock: true` with it"
        fields.report.add(fields.where("shutdown_lock_limit"), "`shutdown_lock_limit` alone", expected)
    return policy


def _alerts(top: Fields) -> tuple[Alert, ...]:
    found = []
    for name, _, inner in named(top, keys.CLOUD, "alerts"):
        given = inner.take(keys.ALERT)
        given["parameters"] = pairs(inner, keys.ALERT, "parameters")
        alert = Alert(name, **given)
        if alert.attributes and "attributes" not in alert.events:
            at, expected = inner.where("attributes"), "`events` with attributes in it"
            inner.report.add(at, f"`attributes` of {inner.owner} alone", expected)
        found.append(alert)
    return tuple(found)


def _check_sizes(cloud: Cloud, top: Fields) -> None:
    """Report what could never be placed, and a placement that needs capacities that are not there."""
    report = top.report
    with_capacity = [host for host in cloud.hosts if host.capacity]
    wanted = cloud.policy.placement not in (None, "default")
    for host in cloud.hosts:
        if not host.capacity and (with_capacity or wanted):
            found = f"the host {quote(host.name)} without `capacity`"
            expected = "a `capacity` for every host, or `placement: default` and none"
            report.add(top.where("hosts", host.name), found, expected)
    if cloud.policy.placement == "default" or not with_capacity:
        return
    memory = max(host.capacity.memory for host in with_capacity if host.capacity)
    cpu = max(host.capacity.cpu for host in with_capacity if host.capacity)
    for domain in cloud.domains:
        for key, wanted_, most, shown in (
            ("memory", int(domain.memory), int(memory), f"{memory // 2**20} MiB"),
            ("vcpus", domain.vcpus, cpu, str(cpu)),
        ):
            if wanted_ > most > 0:
                what = f"more `{key}` for {quote(domain.name)} than any host has"
                report.add(top.where("domains", domain.name, key), what, f"at most {shown}")


def _check_device(cloud: Cloud, top: Fields) -> None:
    device = cloud.quorum.device
    if (
        device
        and device.host
        and device.host in {address for host in cloud.hosts for address in (host.address, *host.rings)}
    ):
        at = top.where("quorum", "device", "host")
        expected = "a host outside of the cluster: the vote has to survive the others"
        top.report.add(at, f"{quote(device.host)} for the quorum device", expected)


def _check_delays(cloud: Cloud, top: Fields) -> None:
    """Report a tie that counts for more than importance ("Pacemaker Explained", priority-fencing-delay)."""
    chosen = choose(cloud)
    if not (chosen.tie_delay and chosen.priority_fencing_delay):
        return
    if chosen.tie_delay * 2 > chosen.priority_fencing_delay:
        key = "tie_delay" if cloud.policy.tie_delay else "priority_fencing_delay"
        tie, delay = cib_duration(chosen.tie_delay), cib_duration(chosen.priority_fencing_delay)
        found = f"`tie_delay` {tie} and `priority_fencing_delay` {delay}"
        expected = "the second at least twice the first: importance comes before a tie"
        top.report.add(top.where("policy", key), found, expected)


def _cloud(top: Fields, definitions: Reader | None) -> Cloud:
    top.allow(keys.CLOUD)
    cluster = _cluster(top.fields("cluster", "`cluster`"))
    tuned = top.fields("corosync", "`corosync`")
    corosync = Corosync(**tuned.take(keys.COROSYNC)) if tuned else Corosync()
    quorum, policy = _quorum(top.fields("quorum", "`quorum`")), _policy(top.fields("policy", "`policy`"))
    found, devices = hosts_of(top), devices_of(top)
    hosts = fenced(found, devices)
    mirrors = Mirrors(top.report, hosts)
    storage = storage_of(top, hosts, mirrors)
    frontend = frontend_of(top.fields("frontend", "the frontend"), hosts, storage)
    described = domains_of(top, hosts, cluster.hypervisor, definitions)
    check_ids(top, [domain.name for domain, _ in described], hosts, storage, frontend)
    domains = standing(described, storage, hosts, mirrors)
    apart = apart_of(top, hosts, domains)
    together = together_of(top, domains, apart)
    cloud = Cloud(
        cluster, hosts, domains, corosync, quorum, policy, devices, storage, apart, together, _alerts(top), frontend,
        properties_of(top.fields("properties", "`properties`")),
    )  # fmt: skip
    _check_sizes(cloud, top)
    _check_delays(cloud, top)
    _check_device(cloud, top)
    return cloud


def parse(data: bytes, file: str, definitions: Reader | None = None) -> Cloud:
    """The cloud that `data` describes; `file` is the name for messages.

    `definitions` reads the domains' definitions; without it nothing is looked for. Raises InvalidDescription, with
    everything that is wrong at once.
    """
    return parse_files([(file, data)], file, definitions)


def parse_files(files: Sequence[tuple[str, bytes]], name: str, definitions: Reader | None = None) -> Cloud:
    """The cloud that several files describe together; `name` is that of all of them (see `parse`)."""
    report = Report(name)
    trees: list[Node] = []
    for file, data in files:
        own = Report(file)
        try:
            trees.append(read_tree(data, own))
            report.problems += own.problems
        except InvalidDescription as error:
            report.problems += error.problems
    if len(trees) < len(files):
        # What is missing because a file could not be read is no problem of its own.
        raise InvalidDescription(name, report.problems)
    top = fields_of(_joined(trees, report), "a cloud description", report)
    if top is None:
        raise InvalidDescription(name, report.problems)
    cloud = _cloud(top, definitions)
    for places in readings(top.mapping):
        once_more = Report(name)
        _cloud(replace(top, report=once_more), definitions)
        report.take(problem for problem in once_more.problems if problem.position in places)
    report.raise_if_any()
    return cloud


def _joined(trees: Sequence[Node], report: Report) -> Node:
    """One tree of all: sections that stand in several files are joined, but no key may stand in two of them."""
    first = trees[0]
    for tree in trees[1:]:
        if not isinstance(tree, Mapping) or not isinstance(first, Mapping):
            return tree if isinstance(first, Mapping) else first
        for name, (key, node) in tree.items.items():
            there = first.items.get(name, (key, node))[1]
            if there is not node and isinstance(node, Mapping) and isinstance(there, Mapping):
                _join(there, node, report)
            else:
                first.place(key, node, report, name_file=True)
        first.again += tree.again
    return first


def _join(into: Mapping, more: Mapping, report: Report) -> None:
    for key, node in more.items.values():
        into.place(key, node, report, name_file=True)
    into.again += more.again


def read(path: Path, definitions: Reader | None = None) -> Cloud:
    """The cloud described in the file `path`, or in the directory of files; BadInput when it cannot be read."""
    try:
        if path.is_dir():
            files = sorted(entry for entry in path.iterdir() if entry.suffix in (".yaml", ".yml"))
            if not files:
                raise BadInput(f"{path} has no *.yaml file", hint="put the description into it")
            return parse_files([(str(file), file.read_bytes()) for file in files], str(path), definitions)
        return parse(path.read_bytes(), str(path), definitions)
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read: {error.strerror}", hint="name an existing file, or - for stdin"
        ) from error
