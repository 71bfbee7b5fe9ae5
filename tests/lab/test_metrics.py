# SPDX-License-Identifier: GPL-2.0-or-later
"""What systemd confines sees what root sees: the metrics of every host, with its guests and the words of its agents."""

from __future__ import annotations

from functools import partial

import pytest

from backstay.host.clock import Deadline, NotYet, until
from backstay.lab.node import Node

PLACE = "/var/lib/prometheus/node-exporter"
SEEN_AT = "backstay_metrics_timestamp_seconds "


def samples(text: str) -> set[str]:
    """Every sample but the one that says when it was."""
    return {line for line in text.splitlines() if line[:1] not in ("", "#") and not line.startswith(SEEN_AT)}


def verified(node: Node) -> bool:
    """Whether each guest there was verified by its agent once more, since a record of whose it is may be that young."""
    if 'of="libvirt"' in node.check("backstay metrics", timeout=60):
        raise NotYet("a guest is libvirt's, and not yet the cluster's")
    return True


@pytest.mark.long
def test_the_confined_unit_writes_what_root_sees(cloud):
    guests = 0
    for host in cloud.stage.hosts():
        node = cloud.node(host)
        cloud.rest()
        until(
            partial(verified, node), Deadline(100), every=2.0, what=f"agents to verify the guests of {host}"
        )
        node.check(f"mkdir -p {PLACE} && systemctl start backstay-metrics.service", timeout=60)
        try:
            confined = node.read(f"{PLACE}/backstay.prom")
            roots = node.check("backstay metrics", timeout=60)
            assert samples(confined) == samples(roots)
            assert "backstay_cluster_answers 1" in samples(confined)
            assert 'backstay_libvirtd_healthy{state="healthy"} 1' in samples(confined)
            guests += sum(line.startswith("backstay_guest_running{") for line in samples(confined))
            # Whose they are was seen too, and not only that they are there: records and libvirt's pid files were read.
            assert 'of="nobody"' not in confined
        finally:
            node.run(f"rm -rf {PLACE}")
    assert guests == len(cloud.stage.guests)
