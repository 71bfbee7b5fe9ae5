# SPDX-License-Identifier: GPL-2.0-or-later
"""What a description says besides its domains, on the real cluster: capacities, groups, start order, corosync.conf."""

from __future__ import annotations

import json
import re

import pytest

from backstay.host.clock import pause
from backstay.lab.furnish import DESCRIPTION

CHANGED = "/root/wider.yaml"
CONF = "/etc/corosync/corosync.conf"
MORE = """
apart:
  databases: {domains: [db1, db2]}
alerts:
  log: {program: /usr/share/pacemaker/alerts/alert_file.sh.sample, recipients: /tmp/alerts.log, events: [fencing]}
"""


@pytest.fixture
def admin(cloud):
    """An admin on a host, with a copy of the description to widen; afterwards the cloud is as it was."""
    node = cloud.node(cloud.stage.hosts()[0])
    text = node.check(f"cat {DESCRIPTION}")
    text = re.sub(
        r"^(    address: .*)$",
        r"\1\n    rack: r-same\n    capacity: {memory: 2 GiB, cpu: 8, reserve: {memory: 256 MiB}}",
        text,
        flags=re.MULTILINE,
    )
    text = text.replace(
        "  web1:\n",
        "  web1:\n    after: [db1, db2]\n    monitor: {deep: 1 min}\n",
    )
    node.write(CHANGED, text + MORE)
    yield node
    node.run(f"backstay apply {DESCRIPTION} --yes --allow-stop --remove", timeout=120)
    cloud.settle()


def test_a_wider_description_moves_nothing_that_runs(cloud, admin):
    before = cloud.stage.places()
    planned = admin.run(f"backstay plan {CHANGED} --output json", timeout=60)
    assert planned.returncode == 0, planned.stdout + planned.stderr
    with cloud.watched() as watched:
        done = admin.run(["backstay", "apply", CHANGED, "--yes", "--output", "json"], timeout=180)
        assert done.returncode == 0, done.stdout + done.stderr
        said = json.loads(done.stdout)
        assert (said["missing"], said["surprising"], said["settled"]) == ([], [], True)
    assert cloud.stage.places() == before
    assert not [deed for deed in watched[0].deeds if deed[0] in ("stop", "fence")]
    # What stands in the CIB is what placement uses: 2 GiB less the reserve.
    for host in cloud.stage.hosts():
        answer = cloud.on_any(f"crm_attribute --node {host} --utilization --name memory --query --quiet")
        assert answer.strip() == "1792"
    again = admin.run(f"backstay plan {CHANGED}", timeout=60)
    assert "nothing changes" in again.stdout


def test_the_rendered_corosync_conf_is_taken_by_a_running_cluster(cloud, admin):
    admin.check(f"backstay render {CHANGED} --directory /root/out", timeout=60)
    rendered = admin.check("cat /root/out/corosync.conf")
    old = {name: cloud.node(name).check(f"cat {CONF}") for name in cloud.stage.hosts()}
    try:
        with cloud.watched() as watched:
            for name in old:
                cloud.node(name).write(CONF, rendered)
            admin.check("corosync-cfgtool -R", timeout=60)
            pause(10)
            for name in old:
                quorum = cloud.node(name).run("corosync-quorumtool -s", timeout=30).stdout
                assert re.search(r"^Quorate:\s+Yes$", quorum, re.MULTILINE)
                assert re.search(r"^Total votes:\s+3$", quorum, re.MULTILINE)
        assert watched[0].deeds == []
        assert not watched[0].findings
        # And it starts with it.
        last = cloud.stage.hosts()[-1]
        checked = cloud.node(last).run(f"corosync -t -c {CONF}", timeout=30)
        assert checked.returncode == 0, checked.stdout + checked.stderr
    finally:
        for name, text in old.items():
            cloud.node(name).write(CONF, text)
        admin.run("corosync-cfgtool -R", timeout=60)
