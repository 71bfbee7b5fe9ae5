# SPDX-License-Identifier: GPL-2.0-or-later
"""The domains of a cloud description, and what holds between them.

Decides that a description and the domain's own definition say the same, that references lead to something, and that
no rule contradicts another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from backstay.cloud import keys, names
from backstay.cloud.definition import Facts, Reader, facts
from backstay.cloud.domain_keys import DOMAIN, LIMITS, MONITOR, MOVING
from backstay.cloud.model import Apart, Domain, Host, Limits, Monitor, Moving, Together
from backstay.cloud.named import named
from backstay.cloud.once import Once, known
from backstay.cloud.problems import Position, Report, counted, quote
from backstay.cloud.reader import Fields
from backstay.cloud.sections import Section
from backstay.cloud.units import Bytes

NO_FILE = PurePosixPath("/")
Described = tuple[Domain, Fields]
SOURCES = ("uuid", "memory", "vcpus", "disks")
"""The keys that a readable definition makes needless."""
NEEDED = ("memory", "vcpus")


def _name(name: str, at: Position, report: Report) -> None:
    if names.DOMAIN_NAME.fullmatch(name) is None:
        report.add(at, f"the domain {quote(name)}", names.DOMAIN_NAME_EXPECTED)
    elif names.RESERVED_DOMAIN.fullmatch(name) is not None:
        report.add(
            at, f"the domain {quote(name)}", "a name that Backstay and Pacemaker do not use for themselves"
        )


def _found(fields: Fields, config: PurePosixPath, definitions: Reader | None) -> Facts | None:
    """What the definition says, if it can be read; what is wrong with it is in the report."""
    if definitions is None or config == NO_FILE or (content := definitions(config)) is None:
        return None
    try:
        return facts(content)
    except ValueError as error:
        what = f"a definition that libvirt cannot use ({error})"
        fields.report.add(fields.where("config"), what, "a domain's XML")
        return None


def _shown(key: str, value: Any) -> str:
    if key == "memory":
        return f"`{value // 2**20} MiB`" if value % 2**20 == 0 else f"`{value} B`"
    if isinstance(value, tuple):
        return ", ".join(quote(str(each)) for each in value) or "none"
    return quote(str(value))


def _agree(name: str, at: Position, fields: Fields, given: dict[str, Any], said: Facts) -> None:
    """Take from the definition what is not given, and report what contradicts it."""
    config = quote(str(given["config"]))
    if said.name and said.name != name:
        found = f"the domain {quote(name)} with the definition of {quote(said.name)}"
        fields.report.add(at, found, f"the name that {config} has")
    for key in SOURCES:
        value = getattr(said, key)
        if not value:
            continue
        written = given.get(key)
        same = set(written) == set(value) if key == "disks" and written else written == value
        if key in fields.mapping.items and written and not same:
            found = f"{_shown(key, written)} for `{key}` of {quote(name)}"
            fields.report.add(fields.where(key), found, f"{_shown(key, value)}, as {config} says")
        elif key not in fields.mapping.items:
            given[key] = value


def _domain(
    name: str, at: Position, fields: Fields, hosts: Sequence[str], definitions: Reader | None
) -> Domain:
    given = fields.take(DOMAIN)
    said = _found(fields, given["config"], definitions)
    if said is not None:
        _agree(name, at, fields, given, said)
    for key in NEEDED:
        if key not in given and key not in fields.mapping.items:
            more = ", or a definition that can be read here" if definitions else ""
            fields.report.add(fields.at, f"{fields.owner} without `{key}`", f"the key `{key}`{more}")
    given.setdefault("memory", Bytes(0))
    given.setdefault("vcpus", 0)
    places = fields.places("prefers", DOMAIN.kind("prefers"))
    given["prefers"] = known(fields.report, places, hosts, f"`prefers` of {quote(name)}", "host")
    for key, section, made in (
        ("migration", MOVING, Moving),
        ("monitor", MONITOR, Monitor),
        ("limits", LIMITS, Limits),
    ):
        inner = fields.fields(key, f"`{key}` of {quote(name)}")
        if inner is not None:
            given[key] = _part(inner, section, made)
    domain = Domain(name, **given)
    _contradictions(domain, fields)
    return domain


def _part(
    fields: Fields, section: Section, made: type[Moving | Monitor | Limits]
) -> Moving | Monitor | Limits:
    return made(**fields.take(section))


def _contradictions(domain: Domain, fields: Fields) -> None:
    """Report what cannot be meant together."""
    watched = domain.monitor
    depth = {"10": ("deep", watched.deep), "20": ("guest", watched.guest)}.get(watched.scripts_depth)
    limit = domain.limits.memory
    for wrong, place, found, expected in (
        (domain.snapshot and domain.force_stop, ("snapshot",), "`snapshot` with `force_stop`", "one of them"),
        (domain.snapshot and domain.stateless, ("snapshot",), "`snapshot` with `stateless`", "one of them"),
        (
            domain.stateless and domain.backingfile is None,
            ("stateless",),
            "`stateless` without `backingfile`",
            "both",
        ),
        (
            depth and depth[1] is None,
            ("monitor", "scripts_depth"),
            f"`scripts_depth: {watched.scripts_depth}` without `{depth[0] if depth else ''}`",
            "both: nothing would run the scripts",
        ),
        (
            limit and domain.memory and limit > domain.memory,
            ("limits", "memory"),
            f"a larger limit than the memory of {quote(domain.name)}",
            f"at most {_shown('memory', domain.memory)}",
        ),
    ):
        if wrong:
            fields.report.add(fields.where(*place), found, expected)
    _rhythm(domain, fields)


def _rhythm(domain: Domain, fields: Fields) -> None:
    """Report two kinds of monitor with one interval: Pacemaker tells them apart by it."""
    seen = {domain.monitor.interval: "interval"}
    for key in ("deep", "guest"):
        interval = getattr(domain.monitor, key)
        if interval is None:
            continue
        other = seen.setdefault(interval, key)
        if other != key:
            at = fields.where("monitor", key)
            found = f"the same time for `{key}` and `{other}` of {quote(domain.name)}"
            fields.report.add(at, found, "two different times: Pacemaker tells monitors apart by them")


def domains_of(
    top: Fields, hosts: Sequence[Host], hypervisor: str, definitions: Reader | None
) -> list[Described]:
    """The domains in the order of the file; `hypervisor` is the one of those that name none."""
    report = top.report
    found = list(named(top, keys.CLOUD, "domains"))
    host_names = [host.name for host in hosts]
    uuid_once, config_once = Once(report, "a UUID"), Once(report, "a definition file")
    disk_once = Once(report, "disks")
    domains = []
    for name, at, inner in found:
        _name(name, at, report)
        domain = _still(_domain(name, at, inner, host_names, definitions), hypervisor, inner)
        owner = f"the domain {quote(name)}"
        uuid_once.claim(domain.uuid, owner, inner.where("uuid"), quote(domain.uuid))
        if domain.config != NO_FILE:
            config_once.claim(domain.config, owner, inner.where("config"), quote(str(domain.config)))
        for disk in domain.disks:
            disk_once.claim(disk, owner, inner.where("disks"), quote(str(disk)))
        domains.append((domain, inner))
    _orders(found, [name for name, _, _ in found], report)
    return domains


def _still(domain: Domain, hypervisor: str, fields: Fields) -> Domain:
    """A container does not move while it runs; one that is said to is reported."""
    if (domain.hypervisor or hypervisor) != names.LXC:
        return domain
    if domain.live_migration and "live_migration" in fields.mapping.items:
        found = f"live migration of the container {quote(domain.name)}"
        fields.report.add(fields.where("live_migration"), found, "`live_migration: no`: libvirt moves none")
    return replace(domain, live_migration=False)


def _orders(found: Sequence[tuple[str, Position, Fields]], there: Sequence[str], report: Report) -> None:
    """Report an `after` that leads nowhere, or round in a circle."""
    after: dict[str, tuple[str, ...]] = {}
    for name, _, inner in found:
        places = inner.places("after", DOMAIN.kind("after"))
        if places:
            after[name] = known(report, places, there, f"`after` of {quote(name)}", "domain")
    for name, _, inner in found:
        circle = _circle(name, after)
        if circle and name == min(circle):
            way = " after ".join(quote(each) for each in (*circle, name))
            report.add(inner.where("after"), way, "an order without a circle")


def _circle(start: str, after: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """A way from `start` back to itself, or nothing."""
    ways: list[tuple[str, ...]] = [(start,)]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        for other in after.get(way[-1], ()):
            if other == start:
                return way
            if other not in seen:
                seen.add(other)
                ways.append((*way, other))
    return ()


def _members(name: str, inner: Fields, section: Section, domains: Iterable[Domain]) -> tuple[str, ...]:
    """The domains of a group, the most important first: what is placed first is not kept waiting by the rest."""
    importance = {domain.name: domain.importance for domain in domains}
    places = inner.places("domains", section.kind("domains"))
    good = known(inner.report, places, importance, f"`domains` of {quote(name)}", "domain")
    if len(places) == len(good) < 2 and "domains" in inner.mapping.items:
        found = f"{counted(len(good), 'domain')} in {inner.owner}"
        inner.report.add(inner.where("domains"), found, "at least two domains")
    return tuple(sorted(good, key=lambda each: -importance[each]))


def apart_of(top: Fields, hosts: Sequence[Host], domains: Sequence[Domain]) -> tuple[Apart, ...]:
    """The groups of domains that are kept apart."""
    found = []
    for name, _, inner in named(top, keys.CLOUD, "apart"):
        given = inner.take(keys.APART)
        given["domains"] = _members(name, inner, keys.APART, domains)
        group = Apart(name, **given)
        places = {getattr(host, "name" if group.by == "host" else group.by) for host in hosts}
        if "" in places:
            bare = next(host.name for host in hosts if not getattr(host, group.by))
            found_ = f"`by: {group.by}`, and the host {quote(bare)} has no `{group.by}`"
            inner.report.add(inner.where("by"), found_, f"a `{group.by}` for every host")
        elif group.strict and hosts and len(group.domains) > len(places):
            what = f"{len(group.domains)} domains in {inner.owner}"
            expected = f"at most {len(places)}, one for each {group.by}, or `strict: false`"
            inner.report.add(inner.where("domains"), what, expected)
        found.append(group)
    return tuple(found)


def together_of(top: Fields, domains: Sequence[Domain], apart: Sequence[Apart]) -> tuple[Together, ...]:
    """The groups of domains that run on the same host; none is kept apart as well."""
    found = []
    strict = [group for group in apart if group.strict]
    for name, _, inner in named(top, keys.CLOUD, "together"):
        given = inner.take(keys.TOGETHER)
        given["domains"] = _members(name, inner, keys.TOGETHER, domains)
        group = Together(name, **given)
        for other in strict if group.strict else ():
            both = [each for each in group.domains if each in other.domains]
            if len(both) > 1:
                what = f"{quote(both[0])} and {quote(both[1])} in {inner.owner}"
                expected = f"not what is kept apart by {quote(other.name)}"
                inner.report.add(inner.where("domains"), what, expected)
        found.append(group)
    return tuple(found)
