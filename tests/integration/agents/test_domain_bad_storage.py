# SPDX-License-Identifier: GPL-2.0-or-later
"""ocf:backstay:domain beside bad shares: one whose reads fail, one whose reads wait in D state for ever."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.ocf import codes
from tests.integration.agents.private_host import UUID, PrivateHost, wait

pytestmark = pytest.mark.usefixtures("tools")
SHARE = "/run/share"
FAILING = "/run/failing"
LATE = "/run/late"
DISK = """<disk type='file' device='disk'>
  <driver name='qemu' type='raw' cache='none' error_policy='stop' rerror_policy='stop'/>
  <source file='{file}'/><target dev='vda' bus='virtio'/><boot order='1'/>
</disk></devices>"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[PrivateHost]:
    """A host with libvirtd and a share that hangs."""
    with PrivateHost(tmp_path_factory.mktemp("hung"), repository) as machine:
        program = Path(__file__).with_name("bad_share.py")
        for how, share in (("hang", SHARE), ("fail", FAILING), ("late", LATE)):
            machine.run("mkdir", share)
            machine.run("sh", "-c", f"/usr/bin/python3 {program} {how} {share} >/dev/null 2>&1 &")
        wait(lambda: machine.run("cat", "/proc/mounts").count("fuse.bad") == 3, "the shares to be mounted")
        yield machine


def test_a_hung_share_hides_no_running_guest(host: PrivateHost) -> None:
    assert host.agent("start", host.define()).code == codes.SUCCESS
    config = f"{SHARE}/web1.xml"
    assert host.agent("monitor", config, interval=10).code == codes.SUCCESS
    assert host.agent("monitor", config).code == codes.SUCCESS
    host.run("rm", "-r", "/run/backstay/domain")
    probe = host.agent("monitor", config, uuid=UUID.format(1))
    assert probe.code == codes.SUCCESS
    assert probe.seconds < 10
    assert host.agent("stop", config, timeout=8).code == codes.SUCCESS
    assert host.emulators() == []


def test_a_start_from_a_hung_share_fails_in_time(host: PrivateHost) -> None:
    start = host.agent("start", f"{SHARE}/web1.xml", timeout=20)
    assert start.code == codes.GENERIC
    assert "is its share mounted?" in start.err
    assert start.seconds < 10


def by_hand(host: PrivateHost, uuid: str, share: str) -> int:
    """Start an emulator without libvirt, which a bad share would hang, and give its pid."""
    disk = f"file={share}/disk.raw,format=raw,if=virtio"
    line = (
        f"qemu-system-x86_64 -M pc -accel tcg -m 32 -display none -name guest=db1 -uuid {uuid} -drive {disk}"
    )
    host.run("sh", "-c", f"{line} >/dev/null 2>&1 &")
    wait(lambda: bool(host.emulators()), "the emulator")
    pid = host.emulators()[0]
    wait(lambda: "disk.raw" in host.run("ls", "-l", f"/proc/{pid}/fd"), "it to open its disk")
    return pid


def test_an_emulator_that_was_killed_and_cannot_close_its_disk_is_not_called_stopped(
    host: PrivateHost,
) -> None:
    uuid = UUID.format(4)
    pid = by_hand(host, uuid, LATE)
    assert host.agent("monitor", "/nowhere", instance="db2", uuid=uuid).code == codes.SUCCESS
    host.run("touch", f"{LATE}.hang")
    host.run("kill", "-KILL", str(pid))
    wait(lambda: not host.run("cat", f"/proc/{pid}/cmdline"), "it to begin to end")
    assert host.agent("monitor", "/nowhere", instance="db2", uuid=uuid).code == codes.SUCCESS
    assert host.agent("stop", "/nowhere", instance="db2", uuid=uuid, timeout=6).code == codes.GENERIC
    # without its record nothing says any more whose it is, unless libvirt or the control group does
    host.run("rm", "-r", "/run/backstay/domain")
    ours, other = host.define("db1", 4), host.define("web1", 1)
    for config, instance in ((ours, "db1"), (other, "web1")):
        doubt = host.agent("monitor", config, instance=instance, timeout=20)
        assert doubt.code == codes.GENERIC
        assert f"pid {pid}" in doubt.err
    stop = host.agent("stop", ours, instance="db1", timeout=12)
    assert stop.code == codes.GENERIC
    assert "may hold its disks" in stop.err
    host.run("sh", "-c", f"echo {pid} >/run/libvirt/qemu/db1.pid")
    assert host.agent("monitor", ours, instance="db1").code == codes.SUCCESS
    assert host.agent("monitor", other, instance="web1").code == codes.NOT_RUNNING
    stop = host.agent("stop", ours, instance="db1", timeout=12)
    assert stop.code == codes.GENERIC
    assert "blocked in the kernel" in stop.err
    host.run("rm", "/run/libvirt/qemu/db1.pid")
    host.run("kill", "-KILL", *host.run("pgrep", "-f", "bad_share.py late").split())
    wait(lambda: str(pid) not in host.pids(), "it to end with its storage")
    assert host.agent("stop", "/nowhere", instance="db2", uuid=uuid).code == codes.SUCCESS


def test_an_emulator_that_waits_for_a_hung_disk_is_named_and_never_called_stopped(host: PrivateHost) -> None:
    uuid = UUID.format(5)
    pid = by_hand(host, uuid, SHARE)
    stop = host.agent("stop", "/nowhere", instance="db1", uuid=uuid, timeout=12, force_stop="true")
    assert stop.code == codes.GENERIC
    assert f"{SHARE}/disk.raw" in stop.err
    assert "blocked in the kernel" in stop.err
    assert stop.seconds < 12
    assert host.agent("monitor", "/nowhere", instance="db1", uuid=uuid).code == codes.SUCCESS
    assert host.run("cut", "-d ", "-f3", f"/proc/{pid}/stat").strip() == "Z"  # its leader alone looks gone
    host.run("kill", "-KILL", *host.run("pgrep", "-f", "bad_share.py hang").split())
    wait(lambda: str(pid) not in host.pids(), "the emulator to end with its storage")
    assert host.agent("stop", "/nowhere", instance="db1", uuid=uuid, timeout=12).code == codes.SUCCESS


def test_a_guest_that_an_io_error_paused_is_degraded_within_one_interval(host: PrivateHost) -> None:
    config = host.define("mail1", 6)
    config.write_text(config.read_text().replace("</devices>", DISK.format(file=f"{FAILING}/disk.raw")))
    assert host.agent("start", config, instance="mail1").code == codes.SUCCESS
    wait(lambda: "paused" in host.run("virsh", "domstate", "mail1"), "the firmware to read its disk")
    result = host.agent("monitor", config, instance="mail1", interval=10)
    assert result.code == codes.DEGRADED
    assert "paused (ioerror)" in result.err
    stop = host.agent("stop", config, instance="mail1", timeout=60)
    assert stop.code == codes.SUCCESS
    assert stop.seconds < 20
