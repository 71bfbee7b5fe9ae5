# SPDX-License-Identifier: GPL-2.0-or-later
"""Which parameters of a domain contradict each other. Pure."""

from __future__ import annotations

from backstay.agents import domain_container, domain_migration_way

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.agents.domain_parameters import DomainParameters


def contradiction(given: DomainParameters) -> str:
    """Say which values contradict each other, in one sentence; empty when none do."""
    if domain_container.is_container(given.hypervisor):
        return domain_container.contradiction(given)
    for name in ("force_stop", "stateless"):
        if given.snapshot and getattr(given, name):
            return f"snapshot and {name} contradict each other: leave one of them out"
    if given.stateless and not given.backingfile:
        return "stateless throws nothing away without backingfile: set that, or leave it out"
    return domain_migration_way.contradiction(given)
