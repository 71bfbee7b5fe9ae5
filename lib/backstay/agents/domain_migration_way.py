# SPDX-License-Identifier: GPL-2.0-or-later
"""How a migration is asked of libvirt: the two addresses, the flags and the limits. Pure: from the parameters alone.

Decides what each parameter means and which of them contradict each other. Where one does, migrate_options wins, since
it names libvirt's own words, and the contradiction is said: a migration that is refused for it would cost the guest a
stop and a start. Source: libvirt's virDomainMigrateFlags and VIR_MIGRATE_PARAM_*.

Two connections make a migration. libvirtd here talks to libvirtd there (`remote`); the guest's memory goes from
emulator to emulator (`migrate_uri`), by default to the name that libvirtd there has for its host.
"""

from __future__ import annotations

from backstay.agents.domain_parameters import NO_COMPRESSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    class Given(Protocol):
        """The parameters of the domain that say how it migrates."""

        hypervisor: str
        migration_transport: str
        migration_user: str
        remoteuri: str
        migrateuri: str
        migration_network_suffix: str
        migrateport: int
        migration_speed: int
        migration_downtime: int
        migration_auto_converge: bool
        migration_compression: str
        migration_postcopy: bool
        migrate_options: str


ALWAYS = ("LIVE", "PEER2PEER")
# virsh's options, as ocf:heartbeat:VirtualDomain takes them, to virDomainMigrateFlags
FLAGS = {
    "--live": "LIVE",
    "--p2p": "PEER2PEER",
    "--unsafe": "UNSAFE",
    "--auto-converge": "AUTO_CONVERGE",
    "--compressed": "COMPRESSED",
    "--postcopy": "POSTCOPY",
    "--tunnelled": "TUNNELLED",
    "--abort-on-error": "ABORT_ON_ERROR",
    "--parallel": "PARALLEL",
    "--tls": "TLS",
    "--undefinesource": "UNDEFINE_SOURCE",
    "--copy-storage-all": "NON_SHARED_DISK",
}
# options with a value, to the keys of virDomainMigrateToURI3
SETTINGS = {"--migrateuri": "migrate_uri", "--listen-address": "listen_address", "--bandwidth": "bandwidth"}
NUMBERS = ("bandwidth",)
TARGET = "%n"  # stands for the name of the target in a URI


class Way:
    """One way to a target. `remote` is libvirt there; `flags` and `settings` are virDomainMigrateToURI3's own.

    `downtime` is in milliseconds, 0 for libvirt's default. `postcopy`: the guest may be switched to post-copy.
    """

    __slots__ = ("downtime", "flags", "postcopy", "remote", "settings")

    def __init__(
        self,
        remote: str,
        flags: tuple[str, ...] = ALWAYS,
        settings: dict[str, int | str] | None = None,
        downtime: int = 0,
    ) -> None:
        self.remote = remote
        self.flags = flags
        self.settings = settings or {}
        self.downtime = downtime
        self.postcopy = "POSTCOPY" in flags


def way(given: Given, target: str) -> Way:
    """Give the way to the host `target`."""
    chosen, settings = options(given.migrate_options)
    flags = [*chosen, *(flag for flag in _wanted(given) if not _excluded(flag, chosen))]
    for key, value in _settings(given, target).items():
        if not (key == "migrate_uri" and "TUNNELLED" in chosen):
            settings.setdefault(key, value)
    if "migrate_uri" in settings:
        settings["migrate_uri"] = str(settings["migrate_uri"]).replace(TARGET, target)
    if given.migration_compression != NO_COMPRESSION and "COMPRESSED" in flags:
        settings["compression"] = given.migration_compression
    return Way(remote(given, target), tuple(dict.fromkeys(flags)), settings, given.migration_downtime)


def remote(given: Given, target: str) -> str:
    """Give the URI under which libvirtd here reaches libvirtd on the target; no transport means libvirt's own, TLS.

    ssh never asks anybody: there is no terminal, and an answer would be waited for until the deadline.
    """
    if given.remoteuri:
        return given.remoteuri.replace(TARGET, target)
    scheme, _, rest = given.hypervisor.partition("://")
    path = "/" + rest.partition("/")[2].partition("?")[0]
    transport = f"+{given.migration_transport}" if given.migration_transport else ""
    user = f"{given.migration_user}@" if given.migration_user else ""
    silent = "?no_tty=1" if given.migration_transport == "ssh" else ""
    return f"{scheme.partition('+')[0]}{transport}://{user}{target}{path}{silent}"


def beside(target: str, suffix: str) -> str:
    """Give the target's name in another network: the suffix comes before the first dot."""
    host, dot, domain = target.partition(".")
    return f"{host}{suffix}{dot}{domain}"


def options(given: str) -> tuple[tuple[str, ...], dict[str, int | str]]:
    """Turn migrate_options into flags and settings for libvirt; raises ValueError with a complaint."""
    flags, settings = list(ALWAYS), {}
    words = given.replace("=", " ").split() if given else []
    while words:
        word = words.pop(0)
        if word in FLAGS:
            flags.append(FLAGS[word])
        elif word in SETTINGS and words:
            settings[SETTINGS[word]] = _setting(SETTINGS[word], words.pop(0))
        else:
            known = " ".join((*FLAGS, *(f"{name}=..." for name in SETTINGS)))
            raise ValueError(f"must be made of {known}")
    return tuple(dict.fromkeys(flags)), settings


def _setting(key: str, value: str) -> int | str:
    if key not in NUMBERS:
        return value
    if not value.isdecimal():
        raise ValueError(f"must have a whole number for {key}")
    return int(value)


def _wanted(given: Given) -> Iterator[str]:
    if given.migration_auto_converge:
        yield "AUTO_CONVERGE"
    if given.migration_compression != NO_COMPRESSION:
        yield "COMPRESSED"
    if given.migration_postcopy:
        yield "POSTCOPY"


def _excluded(flag: str, chosen: tuple[str, ...]) -> bool:
    return flag == "POSTCOPY" and ("TUNNELLED" in chosen or "PARALLEL" in chosen)


def _settings(given: Given, target: str) -> dict[str, int | str]:
    settings: dict[str, int | str] = {}
    if given.migrateuri:
        settings["migrate_uri"] = given.migrateuri
    elif given.migration_network_suffix or given.migrateport:
        port = f":{given.migrateport}" if given.migrateport else ""
        settings["migrate_uri"] = f"tcp://{beside(target, given.migration_network_suffix)}{port}"
    if given.migration_speed:
        settings["bandwidth"] = given.migration_speed
        if given.migration_postcopy:
            settings["bandwidth.postcopy"] = given.migration_speed
    return settings


def contradiction(given: Given) -> str:
    """Say which parameters contradict each other, in one sentence; empty when none do."""
    return next(_contradictions(given), "")


def _contradictions(given: Given) -> Iterator[str]:
    try:
        flags, settings = options(given.migrate_options)
    except ValueError:
        return  # that is the parameter's own complaint
    address = [
        name for name in ("migrateuri", "migration_network_suffix", "migrateport") if getattr(given, name)
    ]
    if given.migration_speed and "bandwidth" in settings:
        yield "migration_speed and --bandwidth in migrate_options both limit the bandwidth: leave one of them out"
    if address and "migrate_uri" in settings:
        yield (
            f"{address[0]} and --migrateuri in migrate_options both say where the memory goes: "
            "leave one of them out"
        )
    if "TUNNELLED" in flags:
        yield from _through_the_tunnel(flags, settings, address)
    postcopy = (
        "migration_postcopy" if given.migration_postcopy else "--postcopy" if "POSTCOPY" in flags else ""
    )
    for flag, word in (("TUNNELLED", "--tunnelled"), ("PARALLEL", "--parallel")):
        if postcopy and flag in flags:
            yield f"{postcopy} and {word} in migrate_options exclude each other: leave one of them out"


def _through_the_tunnel(
    flags: tuple[str, ...], settings: dict[str, int | str], address: list[str]
) -> Iterator[str]:
    if address or "migrate_uri" in settings:
        name = address[0] if address else "--migrateuri"
        yield f"{name} and --tunnelled exclude each other: what is tunnelled goes where libvirt's connection goes"
    for flag, word in (("PARALLEL", "--parallel"), ("TLS", "--tls")):
        if flag in flags:
            yield f"{word} and --tunnelled in migrate_options exclude each other: leave one of them out"
