# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest whose disk is not shared, between two real libvirtds."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.ocf import codes
from tests.integration.agents.test_domain_migration_live import two_hosts

pytestmark = pytest.mark.usefixtures("tools")
DISK = (
    "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/run/layer.qcow2'/>"
    "<target dev='vda' bus='virtio'/></disk></devices>"
)
BASE = "qemu-img create -q -f raw /run/base.raw 1M"
LAYER = "qemu-img create -q -f qcow2 -b /run/base.raw -F raw /run/layer.qcow2"


def test_a_disk_that_is_not_shared_moves_with_the_guest(tmp_path: Path, repository: Path) -> None:
    """Without the options libvirt refuses, or with --unsafe the guest goes on with what lies at the target."""
    with two_hosts(tmp_path, repository) as (source, target):
        config = source.define()
        config.write_text(config.read_text().replace("</devices>", DISK))
        for host in (source, target):
            host.run(*BASE.split())
            host.run(*LAYER.split())
        source.run("qemu-io", "-c", "write -P 7 0 64k", "/run/layer.qcow2")
        assert source.agent("start", config).code == codes.SUCCESS
        options = {"migration_transport": "tcp", "migrate_options": "--copy-storage-inc --migrate-disks=vda"}
        result = source.agent("migrate_to", config, timeout=60, target=target.name, **options)
        assert result.code == codes.SUCCESS, result
        assert target.agent("stop", config, force_stop="true").code == codes.SUCCESS
        assert "failed" not in target.run("qemu-io", "-c", "read -P 7 0 64k", "/run/layer.qcow2")
