# SPDX-License-Identifier: GPL-2.0-or-later
"""What a description says about a domain, as parameters of ocf:backstay:domain.

Decides which parameter gets which text. What is not said is left to the agent's own default, and not written.
"""

from __future__ import annotations

from collections.abc import Iterator

from backstay.cloud.model import Cluster, Domain
from backstay.cloud.units import cib_duration


def of_domain(domain: Domain, cluster: Cluster) -> tuple[tuple[str, str], ...]:
    """Names and values of the parameters that the template domain.xml does not know by name, in a fixed order."""
    return tuple(
        (name, value)
        for part in (_treatment(domain), _watching(domain), _moving(domain, cluster), _limits(domain))
        for name, value in part
        if value
    )


def _word(value: bool) -> str:
    return "true" if value else ""


def _treatment(domain: Domain) -> Iterator[tuple[str, str]]:
    yield "start_from_copy", _word(domain.start_from_copy)
    yield "traps", domain.traps
    yield "snapshot", str(domain.snapshot or "")
    yield "backingfile", str(domain.backingfile or "")
    yield "stateless", _word(domain.stateless)
    yield "guard", domain.guard
    yield "force_stop", _word(domain.force_stop)
    yield "shutdown_mode", ",".join(domain.shutdown_mode)
    yield "start_resources", _word(domain.start_resources)


def _watching(domain: Domain) -> Iterator[tuple[str, str]]:
    watched = domain.monitor
    yield "degraded_limit", cib_duration(domain.degraded_limit) if domain.degraded_limit else ""
    yield "monitor_scripts", " ".join(map(str, watched.scripts))
    yield "monitor_scripts_depth", watched.scripts_depth if watched.scripts_depth != "0" else ""
    yield "monitor_script_timeout", cib_duration(watched.script_timeout) if watched.script_timeout else ""


def _moving(domain: Domain, cluster: Cluster) -> Iterator[tuple[str, str]]:
    way = domain.migration
    yield "migration_user", cluster.migration.user
    yield "migration_network_suffix", cluster.migration.network_suffix
    yield "migrateport", str(way.port or "")
    yield "migration_downtime", str(int(way.downtime * 1000)) if way.downtime else ""
    yield "migration_speed", way.speed.removesuffix("MiB/s").strip()
    yield "migration_auto_converge", "" if way.auto_converge else "false"
    yield "migration_compression", way.compression if way.compression != "none" else ""
    yield "migration_postcopy", _word(way.postcopy)


def _limits(domain: Domain) -> Iterator[tuple[str, str]]:
    limits = domain.limits
    yield "limit_disk", limits.disk
    yield "limit_cpu", limits.cpu
    yield "cpu_shares", str(limits.cpu_shares or "")
    yield "limit_memory", f"{limits.memory // 2**20}MiB" if limits.memory else ""
    yield "limit_network", limits.network
