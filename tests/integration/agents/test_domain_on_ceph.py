# SPDX-License-Identifier: GPL-2.0-or-later
"""ocf:backstay:domain whose disk QEMU itself has in Ceph, which the template ceph-rbd calls the better way.

A real monitor and a real OSD in the private host (ceph_here.sh), cephx with libvirt's secret, real QEMU with librbd. What
hangs is stopped with SIGSTOP. Debian's ceph-mon, ceph-osd, ceph-common and qemu-block-extra are too large for every run
of the tests, so nothing installs them: where they are not, these tests fail and say so.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.ocf import codes
from tests.integration.agents.private_host import PrivateHost, wait

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("tools")]
PLACE = "/run/ceph"
CONF = f"{PLACE}/ceph.conf"
SECRET = "11111111-2222-3333-4444-666666666601"
SECRET_XML = f"""<secret ephemeral='yes' private='yes'><uuid>{SECRET}</uuid>
<usage type='ceph'><name>client.libvirt</name></usage></secret>"""
DISK = f"""<disk type='network' device='disk'>
  <driver name='qemu' type='raw' cache='none' error_policy='stop' rerror_policy='stop'/>
  <auth username='libvirt'><secret type='ceph' uuid='{SECRET}'/></auth>
  <source protocol='rbd' name='vms/web1'><host name='127.0.0.1' port='6789'/></source>
  <target dev='vda' bus='virtio'/><boot order='1'/>
</disk></devices>"""
DAEMONS = ("mon", "osd")
LIMIT = 30.0


class Ceph:
    """The monitor and the OSD, inside the host."""

    def __init__(self, host: PrivateHost) -> None:
        self.host = host

    def say(self, *words: str) -> str:
        return self.host.run("ceph", "--conf", CONF, "--connect-timeout", "100", *words, timeout=120)

    def hang(self) -> None:
        for daemon in DAEMONS:
            self._signal("STOP", daemon)

    def go_on(self) -> None:
        for daemon in DAEMONS:
            self._signal("CONT", daemon)

    def _signal(self, name: str, daemon: str) -> None:
        self.host.run("kill", f"-{name}", self.host.run("cat", f"{PLACE}/{daemon}.pid").strip())


@pytest.fixture(scope="module")
def machine(
    tmp_path_factory: pytest.TempPathFactory, repository: Path, need, tools: None
) -> Iterator[PrivateHost]:
    """A host with libvirtd, a Ceph of its own, and its client's key as a secret of libvirt."""
    need("ceph-mon", "ceph-osd", "ceph", "rbd")
    with PrivateHost(tmp_path_factory.mktemp("ceph"), repository) as host:
        host.run(str(Path(__file__).with_name("ceph_here.sh")), PLACE, "127.0.0.1", timeout=600)
        (host.shared / "secret.xml").write_text(SECRET_XML)
        host.run("virsh", "secret-define", str(host.shared / "secret.xml"))
        host.run("virsh", "secret-set-value", SECRET, "--file", f"{PLACE}/libvirt.key")
        yield host


@pytest.fixture
def ceph(host: PrivateHost) -> Iterator[Ceph]:
    made = Ceph(host)
    yield made
    made.go_on()


@pytest.fixture
def config(host: PrivateHost) -> Path:
    path = host.define()
    path.write_text(path.read_text().replace("</devices>", DISK))
    return path


def has_read(host: PrivateHost) -> bool:
    """Whether the firmware has read from the disk."""
    said = host.run("virsh", "domblkstat", "web1", "vda").split()
    return int(said[said.index("rd_bytes") + 1]) > 0


def test_a_guest_runs_on_an_image(host: PrivateHost, ceph: Ceph, config: Path) -> None:
    assert host.agent("monitor", config).code == codes.NOT_RUNNING
    start = host.agent("start", config, timeout=120)
    assert start.code == codes.SUCCESS, start
    wait(lambda: has_read(host), "the firmware to read its disk", 150)
    assert "watch" in host.run("rbd", "--conf", CONF, "status", "vms/web1")
    assert host.agent("monitor", config, interval=10).code == codes.SUCCESS
    assert host.agent("stop", config, timeout=LIMIT).code == codes.SUCCESS
    assert host.emulators() == []


def test_beside_a_ceph_that_hangs_a_guest_is_seen_and_stopped(
    host: PrivateHost, ceph: Ceph, config: Path
) -> None:
    assert host.agent("start", config, timeout=120).code == codes.SUCCESS
    wait(lambda: has_read(host), "the firmware to read its disk", 150)
    ceph.hang()
    for interval in (0, 10):
        seen = host.agent("monitor", config, interval=interval, timeout=LIMIT)
        assert seen.code in (codes.SUCCESS, codes.DEGRADED), seen
        assert seen.seconds < LIMIT, seen
    stop = host.agent("stop", config, timeout=LIMIT)
    assert stop.code == codes.SUCCESS, stop
    assert stop.seconds < LIMIT
    assert host.emulators() == []


def test_a_start_while_ceph_hangs_fails_in_time_and_leaves_nothing(
    host: PrivateHost, ceph: Ceph, config: Path
) -> None:
    ceph.hang()
    start = host.agent("start", config, timeout=LIMIT)
    assert start.code == codes.GENERIC, start
    assert start.seconds < LIMIT
    stop = host.agent("stop", config, timeout=LIMIT)
    assert stop.code == codes.SUCCESS, stop
    assert stop.seconds < LIMIT
    assert host.emulators() == []
    ceph.go_on()
    assert host.agent("start", config, timeout=120).code == codes.SUCCESS


def test_a_start_without_its_pool_says_so(host: PrivateHost, ceph: Ceph, config: Path) -> None:
    ceph.say("osd", "pool", "delete", "vms", "vms", "--yes-i-really-really-mean-it")
    start = host.agent("start", config, timeout=LIMIT)
    assert start.code != codes.SUCCESS, start
    assert "vms" in start.err, start
    assert host.agent("monitor", config).code == codes.NOT_RUNNING
    assert host.agent("stop", config, timeout=LIMIT).code == codes.SUCCESS
