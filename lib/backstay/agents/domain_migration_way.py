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

    Setting = int | str | list[str]

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
    "--persistent": "PERSIST_DEST",
    "--undefinesource": "UNDEFINE_SOURCE",
    "--copy-storage-all": "NON_SHARED_DISK",
    "--copy-storage-inc": "NON_SHARED_INC",
}
# options with a value, to the keys of virDomainMigrateToURI3
SETTINGS = {
    "--migrateuri": "migrate_uri",
    "--listen-address": "listen_address",
    "--bandwidth": "bandwidth",
    "--migrate-disks": "migrate_disks",
}
NUMBERS = ("bandwidth",)
LISTS = ("migrate_disks",)
IDLE = ("--verbose",)  # what is said on a terminal: there is none
NO_VALUE = (*FLAGS, *IDLE)
TRANSPORTS = ("", "ssh", "tls", "tcp", "libssh", "libssh2")  # of libvirt; "unix" leads to no other host
TARGET = "%n"  # stands for the name of the target in a URI


def complaint(parameter: str, given: str) -> str:
    """Say what is wrong with the value of one of the parameters; empty when nothing is."""
    right, must = True, ""
    if parameter == "migration_transport":
        right, must = given in TRANSPORTS, f"must be empty or one of {', '.join(TRANSPORTS[1:])}"
    elif parameter == "migration_user":
        right, must = given[0].isalpha() and _is_name(given), "must be the name of a user"
    elif parameter in ("remoteuri", "migrateuri"):
        right, must = (
            "://" in given and TARGET in given,
            "must be a URI with %n in the place of the other host",
        )
    elif parameter == "migration_network_suffix":
        right, must = _is_name(given), "must be a part of a host's name, such as -mig"
    elif strange := [_written(one) for one in _options(given) if not _means(*one)]:
        known = " ".join((*NO_VALUE, *(f"{name}=..." for name in SETTINGS)))
        right, must = False, f"must be made of {known}, without {' '.join(strange)}"
    return "" if right else must


def _is_name(given: str) -> bool:
    return given.isascii() and all(letter.isalnum() or letter in "-_." for letter in given)


class Way:
    """One way to a target. `remote` is libvirt there; `flags` and `settings` are virDomainMigrateToURI3's own.

    `downtime` is in milliseconds, 0 for libvirt's default. `postcopy`: the guest may be switched to post-copy.
    """

    __slots__ = ("downtime", "flags", "postcopy", "remote", "settings")

    def __init__(
        self,
        remote: str,
        flags: tuple[str, ...] = ALWAYS,
        settings: dict[str, Setting] | None = None,
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


def options(given: str) -> tuple[tuple[str, ...], dict[str, Setting]]:
    """Turn migrate_options into flags and settings for libvirt; what is not understood is left out."""
    flags, settings = list(ALWAYS), {}
    for option, value in _options(given):
        if option in FLAGS:
            flags.append(FLAGS[option])
        elif option in SETTINGS:
            settings[SETTINGS[option]] = _value(SETTINGS[option], value)
    return tuple(dict.fromkeys(flags)), settings


def _value(key: str, given: str) -> Setting:
    if key in LISTS:
        return given.split(",")
    return int(given) if key in NUMBERS else given


def understood(given: str) -> str:
    """Give migrate_options without what is not understood."""
    return " ".join(_written(one) for one in _options(given) if _means(*one))


def _options(given: str) -> Iterator[tuple[str, str]]:
    """Take migrate_options apart: each option with its value, which follows "=" or a blank."""
    words = given.split()
    while words:
        option, equals, value = words.pop(0).partition("=")
        if not equals and option not in NO_VALUE and words and not words[0].startswith("-"):
            value = words.pop(0)
        yield option, value


def _means(option: str, value: str) -> bool:
    if option in SETTINGS:
        return value.isdecimal() and value.isascii() if SETTINGS[option] in NUMBERS else bool(value)
    return option in NO_VALUE and not value


def _written(one: tuple[str, str]) -> str:
    return "=".join(one) if one[1] else one[0]


def _wanted(given: Given) -> Iterator[str]:
    if given.migration_auto_converge:
        yield "AUTO_CONVERGE"
    if given.migration_compression != NO_COMPRESSION:
        yield "COMPRESSED"
    if given.migration_postcopy:
        yield "POSTCOPY"


def _excluded(flag: str, chosen: tuple[str, ...]) -> bool:
    return flag == "POSTCOPY" and ("TUNNELLED" in chosen or "PARALLEL" in chosen)


def _settings(given: Given, target: str) -> dict[str, Setting]:
    settings: dict[str, Setting] = {}
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
    flags, settings = options(given.migrate_options)
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
    flags: tuple[str, ...], settings: dict[str, Setting], address: list[str]
) -> Iterator[str]:
    if address or "migrate_uri" in settings:
        name = address[0] if address else "--migrateuri"
        yield f"{name} and --tunnelled exclude each other: what is tunnelled goes where libvirt's connection goes"
    for flag, word in (("PARALLEL", "--parallel"), ("TLS", "--tls")):
        if flag in flags:
            yield f"{word} and --tunnelled in migrate_options exclude each other: leave one of them out"
