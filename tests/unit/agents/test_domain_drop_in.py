# SPDX-License-Identifier: GPL-2.0-or-later
"""Who comes from ocf:heartbeat:VirtualDomain finds each of its parameters in the metadata: done, or why it is not."""

from __future__ import annotations

import re

import pytest

from backstay.agents.domain import ABSENT, AGENT
from backstay.ocf.metadata import render

# Of resource-agents 4.12.0 (Debian 12).
THEIRS = """
autoset_utilization_cpu autoset_utilization_host_memory autoset_utilization_hv_memory backingfile config copyindirs
force_stop hypervisor migrate_options migrateport migrateuri migration_downtime migration_network_suffix migration_speed
migration_transport migration_user monitor_scripts remoteuri save_config_on_stop shutdown_mode snapshot start_resources
stateless sync_config_on_stop unset_utilization_cpu unset_utilization_host_memory unset_utilization_hv_memory
""".split()


@pytest.mark.parametrize("name", THEIRS)
def test_a_parameter_of_virtual_domain_is_declared_or_its_absence_explained_by_name(name: str) -> None:
    declared = f'<parameter name="{name}"' in render(AGENT)
    explained = re.search(rf"\b{name}\b", ABSENT) is not None
    assert declared or explained
