# SPDX-License-Identifier: GPL-2.0-or-later
"""ocf:backstay:domain and limits of a running guest: set, changed and lifted on real emulators, without a restart."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.ocf import codes
from tests.integration.agents.private_host import PrivateHost

pytestmark = pytest.mark.usefixtures("tools")
DEVICES = """
  <disk type='file' device='disk'>
    <driver name='qemu' type='raw'/><source file='{disk}'/><target dev='vda' bus='virtio'/>
    <iotune><read_bytes_sec>7000000</read_bytes_sec><total_iops_sec>900</total_iops_sec></iotune>
  </disk>
  <interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/><model type='virtio'/>
    <bandwidth><inbound average='3000'/></bandwidth></interface>
  <interface type='bridge'><source bridge='br0'/><model type='virtio'/></interface>
</devices>"""


@pytest.fixture(scope="module")
def machine(place: Path, repository: Path) -> Iterator[PrivateHost]:
    with PrivateHost(place, repository) as host:
        host.run("ip", "link", "add", "br0", "type", "bridge")
        host.run("ip", "link", "set", "br0", "up")
        # the kernel of a test machine may lack the queueing disciplines that libvirt wants: here tc only says yes
        yes = host.etc / "tc"
        yes.write_text("#!/bin/sh\nexit 0\n")
        yes.chmod(0o755)
        host.run("mount", "--bind", str(yes), host.run("readlink", "-f", "/sbin/tc").strip())
        yield host


@pytest.fixture
def config(host: PrivateHost) -> Path:
    disk = host.shared / "disk.raw"
    disk.write_bytes(bytes(1 << 20))
    path = host.define()
    path.write_text(path.read_text().replace("</devices>", DEVICES.format(disk=disk)))
    return path


def tuned(host: PrivateHost) -> dict[str, int]:
    """The disk's limits that are not 0."""
    return numbers(host.run("virsh", "blkdeviotune", "web1", "vda"))


def bandwidth(host: PrivateHost, mac: str) -> dict[str, int]:
    return numbers(host.run("virsh", "domiftune", "web1", mac))


def numbers(said: str) -> dict[str, int]:
    """What virsh prints as `name : number`, without the zeros."""
    pairs = [[part.strip() for part in line.split(":")] for line in said.splitlines() if line.count(":") == 1]
    return {name: int(value) for name, value in pairs if value.isdecimal() and value != "0"}


DEFINED = {"read_bytes_sec": 7000000, "total_iops_sec": 900}


def test_limits_are_set_changed_and_lifted_in_the_running_guest(host: PrivateHost, config: Path) -> None:
    assert host.agent("start", config).code == codes.SUCCESS
    pid = host.emulators()
    assert tuned(host) == DEFINED
    assert host.agent("reload-agent", config, limit_disk="vda=50MiB/s").code == codes.SUCCESS
    assert tuned(host) == {"total_bytes_sec": 50 << 20, "total_iops_sec": 900}
    assert (
        host.agent("reload-agent", config, limit_disk="read:10MB/s,write:5MB/s,300iops").code == codes.SUCCESS
    )
    assert tuned(host) == {"read_bytes_sec": 10**7, "write_bytes_sec": 5 * 10**6, "total_iops_sec": 300}
    assert host.agent("monitor", config, interval=10, limit_disk="300iops").code == codes.SUCCESS
    assert host.agent("reload-agent", config).code == codes.SUCCESS
    assert tuned(host) == DEFINED
    assert "backstay" not in host.run("virsh", "dumpxml", "web1")
    assert host.emulators() == pid


def test_a_limit_by_hand_is_left_alone(host: PrivateHost, config: Path) -> None:
    assert host.agent("start", config).code == codes.SUCCESS
    host.run("virsh", "blkdeviotune", "web1", "vda", "--live", "--total-iops-sec", "77")
    assert host.agent("reload-agent", config, limit_disk="1MB/s").code == codes.SUCCESS
    assert host.agent("reload-agent", config).code == codes.SUCCESS
    assert tuned(host) == {"read_bytes_sec": 7000000, "total_iops_sec": 77}


def test_network_limits(host: PrivateHost, config: Path) -> None:
    first = "52:54:00:00:00:01"
    assert host.agent("start", config, limit_network=f"{first}=out:8Mbit/s 1=4MB/s").code == codes.SUCCESS
    macs = [line.split()[-1] for line in host.run("virsh", "domiflist", "web1").splitlines() if ":" in line]
    assert bandwidth(host, first) == {"inbound.average": 3000, "outbound.average": 1000}
    assert bandwidth(host, macs[1]) == {"inbound.average": 4000, "outbound.average": 4000}
    assert host.agent("reload-agent", config, limit_network="16Mbit/s").code == codes.SUCCESS
    for mac in macs:
        assert bandwidth(host, mac) == {"inbound.average": 2000, "outbound.average": 2000}
    assert host.agent("reload-agent", config).code == codes.SUCCESS
    assert bandwidth(host, first) == {"inbound.average": 3000}
    assert bandwidth(host, macs[1]) == {}


def test_the_memory_balloon(host: PrivateHost, config: Path) -> None:
    assert host.agent("start", config, limit_memory="24MiB").code == codes.SUCCESS
    log = host.run("virsh", "dumpxml", "web1")
    assert "memory=0" in log
    most = {"limit_memory": "32MiB"}
    assert host.agent("reload-agent", config, **most).code == codes.SUCCESS
    assert host.agent("monitor", config, interval=10, **most).code == codes.SUCCESS
    too_much = {
        "limit_memory": "33MiB"
    }  # without a driver in the guest, only libvirt shows what it was asked
    assert host.agent("reload-agent", config, **too_much).code == codes.SUCCESS
    said = host.agent("monitor", config, interval=10, **too_much)
    assert (said.code, "the limit of memory (kib=33792)" in said.err) == (codes.DEGRADED, True), said
    assert host.agent("reload-agent", config).code == codes.SUCCESS
    assert "memory=0" not in host.run("virsh", "dumpxml", "web1")


def test_what_cannot_be_set_stops_nothing_and_is_degraded_until_it_is_corrected(
    host: PrivateHost, config: Path
) -> None:
    wrong = host.agent("start", config, limit_disk="vdz=1MB/s", limit_cpu="50%")
    assert wrong.code == codes.SUCCESS
    pid = host.emulators()
    monitor = host.agent("monitor", config, interval=10, limit_disk="vdz=1MB/s", limit_cpu="50%")
    assert monitor.code == codes.DEGRADED
    assert "limit_disk names vdz, and the disks are vda" in monitor.err
    assert "cpu" in monitor.err
    typo = host.agent("reload-agent", config, limit_disk="vda=1MB")
    assert typo.code == codes.SUCCESS
    assert host.agent("monitor", config, interval=10, limit_disk="vda=1MB").code == codes.DEGRADED
    assert host.agent("validate-all", config, limit_disk="vda=1MB").code == codes.NOT_CONFIGURED
    assert host.agent("reload-agent", config, limit_disk="vda=1MB/s").code == codes.SUCCESS
    assert host.agent("monitor", config, interval=10, limit_disk="vda=1MB/s").code == codes.SUCCESS
    assert host.emulators() == pid


def test_a_typo_lifts_nothing(host: PrivateHost, config: Path) -> None:
    assert host.agent("start", config, limit_disk="1MB/s").code == codes.SUCCESS
    assert host.agent("reload-agent", config, limit_disk="1MB").code == codes.SUCCESS
    assert tuned(host)["total_bytes_sec"] == 10**6
    result = host.agent("monitor", config, interval=10, limit_disk="1MB")
    assert result.code == codes.DEGRADED
    assert "'1MB' is no rate" in result.err


def test_without_the_definition_limits_are_set_and_not_lifted(host: PrivateHost, config: Path) -> None:
    assert host.agent("start", config).code == codes.SUCCESS
    gone = "/nowhere/web1.xml"
    assert host.agent("reload-agent", gone, limit_disk="1MB/s").code == codes.SUCCESS
    assert host.agent("reload-agent", gone).code == codes.SUCCESS
    assert tuned(host)["total_bytes_sec"] == 10**6
    result = host.agent("monitor", gone, interval=10)
    assert result.code == codes.DEGRADED
    assert "the definition cannot be read" in result.err
    assert host.agent("reload-agent", config).code == codes.SUCCESS
    assert tuned(host) == DEFINED
    assert host.agent("monitor", config, interval=10).code == codes.SUCCESS


@pytest.fixture
def with_cpu(tmp_path: Path, repository: Path) -> Iterator[PrivateHost]:
    """A host whose libvirt has the cgroup controller cpu."""
    host = PrivateHost(tmp_path, repository, 2)
    groups = Path("/sys/fs/cgroup")
    try:
        host.up()
        conf = host.etc / "qemu.conf"
        conf.write_text(conf.read_text().replace("cgroup_controllers = []", 'cgroup_controllers = ["cpu"]'))
        if (groups / "cpu").is_dir():  # cgroup v1: the empty v2 tree beside it confuses libvirt
            host.run("sh", "-c", f"umount {groups}/unified {groups}/systemd 2>/dev/null || true")
        host.signal_libvirtd(signal.SIGKILL)
        host.start_libvirtd()
        yield host
        host.run("sh", "-c", "virsh destroy web1 || true")  # libvirt removes its groups then
    finally:
        host.down()
        for place in (groups / "cpu" / "machine", groups / "machine"):
            with contextlib.suppress(OSError):
                place.rmdir()


def without_cpu(host: PrivateHost, config: Path, given: dict[str, str]) -> None:
    """Where libvirt may not use the controller, the limits are said to be unset, and the guest runs."""
    conf = host.etc / "qemu.conf"
    conf.write_text(conf.read_text().replace('cgroup_controllers = ["cpu"]', "cgroup_controllers = []"))
    host.signal_libvirtd(signal.SIGKILL)
    host.start_libvirtd()
    assert host.agent("start", config, timeout=60).code == codes.SUCCESS
    assert host.agent("reload-agent", config, **given).code == codes.SUCCESS
    said = host.agent("monitor", config, interval=10, **given)
    assert said.code == codes.DEGRADED
    assert "limit_cpu" in said.err or "CPU" in said.err


def test_cpu_time_and_shares(with_cpu: PrivateHost) -> None:
    host, config = with_cpu, with_cpu.define()
    given = {"limit_cpu": "50%", "cpu_shares": "300"}
    if host.agent("start", config, timeout=60).code:
        without_cpu(host, config, given)  # as in a container in a container
        return
    before = numbers(host.run("virsh", "schedinfo", "web1"))
    pid = host.emulators()
    assert host.agent("reload-agent", config, **given).code == codes.SUCCESS
    limited = numbers(host.run("virsh", "schedinfo", "web1"))
    assert (limited["global_quota"], limited["cpu_shares"]) == (50000, 300)
    assert host.agent("monitor", config, interval=10, **given).code == codes.SUCCESS
    assert host.agent("reload-agent", config).code == codes.SUCCESS
    assert numbers(host.run("virsh", "schedinfo", "web1")) == before
    assert host.emulators() == pid
