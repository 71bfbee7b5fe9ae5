# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages come and go on a running cluster, and no guest notices. BACKSTAY_DEB names what is upgraded from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab import packages

NAMES = "backstay backstay-resource-agents backstay-fence-agents python3-backstay"
REMOVING = 180.0


@pytest.mark.long
def test_upgrade_downgrade_and_removal_touch_no_guest(cloud, repository: Path, tmp_path: Path) -> None:
    one = packages.backstay(repository, tmp_path / "one", {})
    other = packages.backstay(
        repository, tmp_path / "other", {"lib/backstay/agents/domain_stop.py": "# other\n"}
    )
    nodes = [cloud.node(host) for host in cloud.stage.hosts()]
    with cloud.watched() as given:
        for build in (one, other, one):
            for node in nodes:
                assert "serves now" in packages.install(node, build)

        # What runs here keeps its agents, and so its guests.
        for node in nodes:
            done = node.run(f"dpkg --remove {NAMES} 2>&1", timeout=REMOVING)
            assert not done.ok
            assert "by these agents, so they stay" in done.stdout
            packages.install(node, one)

        # While the cluster keeps its hands off, they may go: nothing is left, and nothing happens to a guest.
        nodes[0].check(
            "crm_attribute --name maintenance-mode --update true && crm_resource --wait", timeout=60.0
        )
        for node in nodes:
            node.check(f"dpkg --remove {NAMES}", timeout=REMOVING)
            node.check("test ! -e /usr/lib/backstay && test ! -L /usr/lib/ocf/resource.d/backstay/domain")
            packages.install(node, one)
        nodes[0].check("crm_attribute --name maintenance-mode --delete && crm_resource --wait", timeout=120.0)
    (judged,) = given
    assert judged.findings == []
    assert judged.deeds == []
    assert judged.silences == ()
    assert set(judged.boots.values()) == {1}
