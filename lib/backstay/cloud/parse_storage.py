# SPDX-License-Identifier: GPL-2.0-or-later
"""The storage of a cloud description, and which domain stands on which.

Decides what a domain needs: what it names, and where its definition and its disks lie.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from backstay.cloud import keys, names
from backstay.cloud.domain_keys import DOMAIN
from backstay.cloud.model import Domain, Frontend, Host
from backstay.cloud.named import named
from backstay.cloud.once import Once, known
from backstay.cloud.parse_drbd import Mirrors
from backstay.cloud.problems import Position, Report, quote
from backstay.cloud.reader import Fields
from backstay.cloud.storage_keys import DRBD, LVM, NFS, STORAGE
from backstay.cloud.stores import Drbd, Storage

ON_DISK = ("disk", "minor", "port", "resource", "generation", "ring")  # what says how its disk is mirrored


def storage_of(top: Fields, hosts: Sequence[Host], mirrors: Mirrors) -> tuple[Storage, ...]:
    """The storage in the order of the file."""
    there = [host.name for host in hosts]
    once = Once(top.report, "a directory")
    found = []
    for name, at, inner in named(top, keys.CLOUD, "storage"):
        kind, given = inner.variant(STORAGE)
        given.pop("type", None)
        section = dict(STORAGE.sections)[kind]
        if kind != DRBD:
            places = inner.places("hosts", section.kind("hosts"))
            given["hosts"] = known(top.report, places, there, f"`hosts` of {quote(name)}", "host")
        _name(name, at, top.report)
        _hard(kind, inner, given)
        storage = _mirrored(name, inner, given, mirrors) if kind == DRBD else Storage(name, kind, **given)
        if storage.type == LVM and storage.mode == "exclusive" and storage.hosts:
            expected = "none: it goes where its domains go"
            top.report.add(
                inner.where("hosts"), f"`hosts` with `mode: exclusive` for {inner.owner}", expected
            )
        if storage.directory is not None and storage.directory != PurePosixPath("/"):
            shown = quote(str(storage.directory))
            once.claim(storage.directory, inner.owner, inner.where("directory"), shown)
        found.append(storage)
    return tuple(found)


def _mirrored(name: str, inner: Fields, given: dict[str, Any], mirrors: Mirrors) -> Storage:
    """Storage that goes where it is needed, between the hosts that have its disk."""
    drbd = mirrors.one(name, inner, given)
    mine = {key: value for key, value in given.items() if key not in ON_DISK}
    mine = {"reaction": "degrade", "filesystem": "ext4"} | mine
    device = PurePosixPath(f"/dev/drbd{drbd.volumes[0].minor}")
    return Storage(name, DRBD, **{**mine, "hosts": drbd.hosts}, mode="exclusive", device=device, drbd=drbd)


def _hard(kind: str, inner: Fields, given: dict[str, Any]) -> None:
    """Report an NFS mount that gives up: its guests would be told that their disks are broken, and lose writes."""
    softened = [word for word in given.get("options", "").split(",") if word.strip() in ("soft", "softerr")]
    if kind == NFS and softened:
        found = f"the option {quote(softened[0].strip())} of {inner.owner}"
        inner.report.add(inner.where("options"), found, "a hard mount, which is what NFS does by itself")


def _name(name: str, at: Position, report: Report) -> None:
    if names.DOMAIN_NAME.fullmatch(name) is None:
        report.add(at, f"the storage {quote(name)}", names.DOMAIN_NAME_EXPECTED)
    elif names.RESERVED_DOMAIN.fullmatch(name) is not None:
        expected = "a name that Backstay and Pacemaker do not use for themselves"
        report.add(at, f"the storage {quote(name)}", expected)


def check_ids(
    top: Fields,
    domains: Sequence[str],
    hosts: Sequence[Host],
    storage: Sequence[Storage],
    frontend: Frontend | None,
) -> None:
    """Report a domain, or storage, whose id another resource has."""
    taken = {host.name: f"the remote host {quote(host.name)}" for host in hosts if host.remote}
    taken |= dict.fromkeys(frontend.ids, "the frontend") if frontend else {}
    for one in storage:
        owner = f"the storage {quote(one.name)}"
        for identity in one.ids:
            if taken.setdefault(identity, owner) != owner:
                _taken(top, ("storage", one.name), owner, taken[identity])
    for name in domains:
        if name in taken:
            _taken(top, ("domains", name), f"the domain {quote(name)}", taken[name])


def _taken(top: Fields, place: tuple[str, str], what: str, owner: str) -> None:
    expected = f"a name that leaves the resources of {owner} theirs"
    top.report.add(top.where(*place), what, expected)


def standing(
    described: Sequence[tuple[Domain, Fields]],
    storage: Sequence[Storage],
    hosts: Sequence[Host],
    mirrors: Mirrors,
) -> tuple[Domain, ...]:
    """The domains with what they need."""
    return tuple(_stood(domain, inner, storage, hosts, mirrors) for domain, inner in described)


def _stood(
    domain: Domain, inner: Fields, storage: Sequence[Storage], hosts: Sequence[Host], mirrors: Mirrors
) -> Domain:
    report = inner.report
    places = inner.places("storage", DOMAIN.kind("storage"))
    by_name = {one.name: one for one in storage}
    chosen = known(report, places, by_name, f"`storage` of {quote(domain.name)}", "storage")
    beneath = [one for one in storage if any(one.holds(path) for path in _paths(domain))]
    needed = [one for one in storage if one.name in chosen or one in beneath]
    for one in needed:
        if one.mode == "exclusive" and domain.live_migration:
            at = inner.where("live_migration") if "live_migration" in inner.mapping.items else inner.at
            found = f"live migration of {quote(domain.name)} on {quote(one.name)}, which one host has"
            wrong = "`live_migration: no`" + (", or `mode: shared`" if one.type == LVM else "")
            report.add(at, found, wrong)
    disk = inner.fields("drbd", f"`drbd` of {quote(domain.name)}")
    drbd = mirrors.read(domain.name, disk, alive=domain.live_migration) if disk else None
    _placeable(domain, inner, needed, drbd, hosts)
    checks = tuple(one.watched_by for one in needed if one.watched_by)
    return replace(domain, needs=tuple(one.resource for one in needed), checks=checks, drbd=drbd)


def _placeable(
    domain: Domain, inner: Fields, needed: Sequence[Storage], drbd: Drbd | None, hosts: Sequence[Host]
) -> None:
    """Report a domain that no host has everything for, and a wish for a host that lacks something."""
    lacking: dict[str, str] = {}
    for host in hosts:
        for one in needed:
            if (one.hosts and host.name not in one.hosts) or (one.locked and host.remote):
                lacking.setdefault(host.name, quote(one.name))
        if drbd and len(drbd.hosts) > 1 and host.name not in drbd.hosts:
            lacking.setdefault(host.name, "the disk that DRBD mirrors")
    if hosts and len(lacking) == len(hosts):
        what = " and ".join(dict.fromkeys(lacking.values()))
        inner.report.add(
            inner.at, f"no host with {what} for {inner.owner}", "storage that one host has together"
        )
        return
    for at, value in inner.places("prefers", DOMAIN.kind("prefers")):
        if value in lacking:
            found = f"{quote(str(value))} for `prefers` of {quote(domain.name)}"
            inner.report.add(at, found, f"a host that has {lacking[str(value)]}")


def _paths(domain: Domain) -> Iterator[PurePosixPath]:
    yield domain.config
    yield from domain.disks
    yield from (path for path in (domain.backingfile, domain.snapshot) if path)
