# SPDX-License-Identifier: GPL-2.0-or-later
"""A cloud description as text becomes a `Cloud`, or the full list of what is wrong with it.

Decides what the keys are and what must agree: names and addresses unique, references to hosts that exist.
Never reads a secret, a domain definition or a cluster.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from backstay.cloud import model, names
from backstay.cloud.model import Bmc, Cloud, Cluster, Domain, Host, Libvirtd, Migration
from backstay.cloud.problems import InvalidDescription, Position, Report, listed, nearest, quote
from backstay.cloud.reader import Fields, fields_of
from backstay.cloud.tree import read_tree
from backstay.cloud.units import Bytes
from backstay.errors import BadInput

SECTIONS = ("cluster", "hosts", "domains")
CLUSTER_KEYS = ("name", "hypervisor", "migration", "libvirtd")
LIBVIRTD_KEYS = ("heal_budget",)
MIGRATION_KEYS = ("transport", "unsafe")
HOST_KEYS = ("address", "bmc")
BMC_KEYS = ("address", "username", "password_file", "password_script", "port", "cipher", "privilege")
DOMAIN_KEYS = (
    "config", "uuid", "memory", "vcpus", "importance", "prefers",
    "live_migration", "start_timeout", "stop_timeout", "migrate_timeout",
)  # fmt: skip
TRANSPORTS = ("ssh", "tls", "tcp")
PRIVILEGES = ("operator", "administrator")
# Corosync supports 32 members but is tested with 16 (corosync.conf(5), "Pacemaker Explained"); remote nodes come later.
MOST_HOSTS = 16
MOST_DOMAINS = 5000
# A stop that has no time left is a failed stop, and that fences the host. 20 s is what Pacemaker gives by itself.
LEAST_TIMEOUT = 20
_INSTEAD = "`password_file: /etc/backstay/bmc.password` (a description holds no secret)"
_NO_FILE = PurePosixPath("/")


class _Once:
    """Reports a value that two owners share."""

    def __init__(self, report: Report, what: str) -> None:
        self.report = report
        self.what = what
        self.owners: dict[object, str] = {}

    def claim(self, value: object, owner: str, at: Position, shown: str) -> None:
        """Note that `owner` has `value`; an empty value belongs to nobody."""
        other = self.owners.setdefault(value, owner) if value else owner
        if other != owner:
            self.report.add(at, f"{shown} for {owner}", f"{self.what} of its own ({other} has this one)")


def _migration(fields: Fields | None) -> Migration:
    if fields is None:
        return Migration()
    fields.allow(MIGRATION_KEYS)
    return Migration(fields.choice("transport", TRANSPORTS) or "", fields.boolean("unsafe") or False)


def _libvirtd(fields: Fields | None) -> Libvirtd:
    if fields is None:
        return Libvirtd()
    fields.allow(LIBVIRTD_KEYS)
    return Libvirtd(fields.duration("heal_budget"))


def _cluster(fields: Fields | None) -> Cluster:
    if fields is None:
        return Cluster("")
    fields.allow(CLUSTER_KEYS, required=("name",))
    migration = _migration(fields.fields("migration", "`migration`"))
    hypervisor = fields.choice("hypervisor", names.HYPERVISORS)
    name = fields.matching("name", names.CLUSTER_NAME, "the cluster_name of corosync.conf")
    libvirtd = _libvirtd(fields.fields("libvirtd", "`libvirtd`"))
    return Cluster(name or "", hypervisor or model.HYPERVISOR, migration, libvirtd)


def _bmc(fields: Fields | None) -> Bmc | None:
    if fields is None:
        return None
    forbidden = {"password": _INSTEAD, "passwd": _INSTEAD}
    fields.allow(BMC_KEYS, required=("address", "username"), forbidden=forbidden)
    secrets = [key for key in ("password_file", "password_script") if key in fields.mapping.items]
    if len(secrets) == 2:
        fields.report.add(fields.where("password_script"), "two sources of the password", "one of them")
    elif not secrets and not forbidden.keys() & fields.mapping.items.keys():
        fields.report.add(
            fields.at, f"{fields.owner} without a password", "`password_file` or `password_script`"
        )
    return Bmc(
        address=fields.read("address", names.address, "an IP address or a DNS name") or "",
        username=fields.matching(
            "username", names.BMC_USER, "a BMC user of 1 to 16 characters without blanks"
        )
        or "",
        password_file=fields.path("password_file"),
        password_script=fields.path("password_script"),
        port=fields.integer("port", 1, 65535) or model.BMC_PORT,
        cipher=fields.integer("cipher", 1, 17) or model.BMC_CIPHER,
        privilege=fields.choice("privilege", PRIVILEGES) or model.BMC_PRIVILEGE,
    )


def _host(name: str, fields: Fields) -> Host:
    fields.allow(HOST_KEYS, required=("address", "bmc"))
    bmc = _bmc(fields.fields("bmc", f"the BMC of {name}"))
    address = fields.read("address", names.address, "an IP address or a DNS name")
    return Host(name, address or "", bmc or Bmc("", "", None, None))


def _prefers(owner: str, fields: Fields, hosts: tuple[Host, ...]) -> tuple[str, ...]:
    known = [host.name for host in hosts]
    good: list[str] = []
    for word in fields.words("prefers"):
        found = f"{quote(word.value)} for `prefers` of {owner}"
        if word.value not in known:
            expected = f"the name of a host ({listed(known)})"
            fields.report.add(word.at, found, expected, nearest(word.value, known))
        elif word.value in good:
            fields.report.add(word.at, f"{found} again", "each host once")
        else:
            good.append(word.value)
    return tuple(good)


def _domain(name: str, fields: Fields, hosts: tuple[Host, ...]) -> Domain:
    fields.allow(DOMAIN_KEYS, required=("config", "memory", "vcpus"))
    return Domain(
        name=name,
        config=fields.path("config") or _NO_FILE,
        uuid=fields.matching("uuid", names.UUID, "a UUID in lower case, as `virsh domuuid` prints it") or "",
        memory=fields.size("memory") or Bytes(0),
        vcpus=fields.integer("vcpus", 1, 4096) or 0,
        importance=fields.integer("importance", 0, 1000) or 0,
        prefers=_prefers(quote(name), fields, hosts),
        live_migration=fields.boolean("live_migration") is not False,
        start_timeout=fields.duration("start_timeout", LEAST_TIMEOUT) or model.START_TIMEOUT,
        stop_timeout=fields.duration("stop_timeout", LEAST_TIMEOUT) or model.STOP_TIMEOUT,
        migrate_timeout=fields.duration("migrate_timeout", LEAST_TIMEOUT) or model.MIGRATE_TIMEOUT,
    )


def _named(fields: Fields | None, kind: str, most: int) -> Iterator[tuple[str, Position, Fields]]:
    if fields is None:
        return
    if not fields.mapping.items:
        fields.report.add(fields.at, f"no {kind}s", f"at least one {kind}")
    if len(fields.mapping.items) > most:
        fields.report.add(fields.at, f"{len(fields.mapping.items)} {kind}s", f"at most {most}")
        return
    for name, (key, node) in fields.mapping.items.items():
        inner = fields_of(node, f"the {kind} {quote(name)}", fields.report)
        if inner is not None:
            yield name, key.at, inner


def _hosts(fields: Fields | None, report: Report) -> tuple[Host, ...]:
    hosts: list[Host] = []
    bmcs: list[Position] = []
    name_once, address_once = _Once(report, "a name"), _Once(report, "an address")
    for name, at, inner in _named(fields, "host", MOST_HOSTS):
        if names.HOST_NAME.fullmatch(name) is None:
            report.add(at, f"the host {quote(name)}", names.HOST_NAME_EXPECTED)
        host = _host(name, inner)
        hosts.append(host)
        # Pacemaker compares node names without regard to case.
        name_once.claim(name.casefold(), f"the host {quote(name)}", at, "the name")
        address_once.claim(
            host.address, f"the host {quote(name)}", inner.where("address"), quote(host.address)
        )
        bmcs.append(inner.where("bmc", "address"))
    _bmcs(hosts, bmcs, address_once)
    return tuple(hosts)


def _bmcs(hosts: list[Host], places: list[Position], host_addresses: _Once) -> None:
    """Report a BMC that two hosts share. Two ports of one address are two BMCs: a gateway, or virtual ones."""
    once = _Once(host_addresses.report, "an address")
    for host, at in zip(hosts, places, strict=True):
        address, owner = host.bmc.address, f"the BMC of {quote(host.name)}"
        if address in host_addresses.owners:
            host_addresses.claim(address, owner, at, quote(address))
        else:
            once.claim((address, host.bmc.port) if address else "", owner, at, quote(address))


def _domain_name(name: str, at: Position, report: Report) -> None:
    if names.DOMAIN_NAME.fullmatch(name) is None:
        report.add(at, f"the domain {quote(name)}", names.DOMAIN_NAME_EXPECTED)
    elif names.RESERVED_DOMAIN.fullmatch(name) is not None:
        report.add(
            at, f"the domain {quote(name)}", "a name that Backstay and Pacemaker do not use for themselves"
        )


def _domains(fields: Fields | None, hosts: tuple[Host, ...], report: Report) -> tuple[Domain, ...]:
    domains = []
    uuid_once, config_once = _Once(report, "a UUID"), _Once(report, "a definition file")
    for name, at, inner in _named(fields, "domain", MOST_DOMAINS):
        _domain_name(name, at, report)
        domain = _domain(name, inner, hosts)
        domains.append(domain)
        owner = f"the domain {quote(name)}"
        uuid_once.claim(domain.uuid, owner, inner.where("uuid"), quote(domain.uuid))
        if domain.config != _NO_FILE:
            config_once.claim(domain.config, owner, inner.where("config"), quote(str(domain.config)))
    return tuple(domains)


def parse(data: bytes, file: str) -> Cloud:
    """The cloud that `data` describes; `file` is the name for messages.

    Raises InvalidDescription, with everything that is wrong at once.
    """
    report = Report(file)
    top = fields_of(read_tree(data, report), "a cloud description", report)
    if top is None:
        raise InvalidDescription(file, report.problems)
    top.allow(SECTIONS, required=SECTIONS)
    cluster = _cluster(top.fields("cluster", "`cluster`"))
    hosts = _hosts(top.fields("hosts", "`hosts`"), report)
    domains = _domains(top.fields("domains", "`domains`"), hosts, report)
    report.raise_if_any()
    return Cloud(cluster, hosts, domains)


def read(path: Path) -> Cloud:
    """The cloud described in the file `path`; BadInput when it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read: {error.strerror}", hint="name an existing file, or - for stdin"
        ) from error
    return parse(data, str(path))
