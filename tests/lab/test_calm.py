# SPDX-License-Identifier: GPL-2.0-or-later
"""Monitors change nothing: an entry in the CIB would begin a transition for each guest of each host."""

from __future__ import annotations

import pytest

from backstay.ocf import codes

DOOR = "/usr/lib/ocf/resource.d/backstay/domain"
AROUND = "OCF_ROOT=/usr/lib/ocf OCF_RESKEY_CRM_meta_timeout=30000 OCF_RESKEY_CRM_meta_interval=10000"


def version(cloud):
    """The three numbers of the CIB: each change of it counts one of them up."""
    return cloud.on_any(
        "cibadmin --query | head -n 1 | grep -o '[a-z_]*\\(epoch\\|num_updates\\)=\"[0-9]*\"'"
    )


@pytest.mark.long
@pytest.mark.parametrize("level", [0, 10, 20])
def test_a_monitor_of_any_depth_leaves_the_cib_as_it_is(cloud, level):
    host = cloud.stage.busiest()
    guest = cloud.stage.guests_on(host)[0]
    cloud.rest()
    before = version(cloud)
    called = f"OCF_CHECK_LEVEL={level} OCF_RESOURCE_INSTANCE={guest}"
    for _again in range(3):
        done = cloud.node(host).run(
            f"{AROUND} {called} OCF_RESKEY_config=/srv/vm/domains/{guest}.xml {DOOR} monitor"
        )
        assert done.returncode == codes.SUCCESS, done.stderr
    assert version(cloud) == before
    assert before.count("=") == 3
