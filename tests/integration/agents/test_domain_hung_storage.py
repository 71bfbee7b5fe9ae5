# SPDX-License-Identifier: GPL-2.0-or-later
"""ocf:backstay:domain beside a share that hangs: its reads wait in D state, where no signal ends them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.ocf import codes
from tests.integration.agents.private_host import UUID, PrivateHost, wait

pytestmark = pytest.mark.usefixtures("tools")
SHARE = "/run/share"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[PrivateHost]:
    """A host with libvirtd and a share that hangs."""
    machine = PrivateHost(tmp_path_factory.mktemp("hung"), repository)
    try:
        machine.up()
        machine.run("mkdir", SHARE)
        program = Path(__file__).with_name("hung_share.py")
        machine.run("sh", "-c", f"/usr/bin/python3 {program} {SHARE} >/dev/null 2>&1 &")
        wait(lambda: "fuse.hung" in machine.run("cat", "/proc/mounts"), "the share to be mounted")
        yield machine
    finally:
        machine.down()


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


def test_an_emulator_that_waits_for_a_hung_disk_is_named_and_never_called_stopped(host: PrivateHost) -> None:
    uuid = UUID.format(5)
    disk = f"file={SHARE}/disk.raw,format=raw,if=virtio"
    line = (
        f"qemu-system-x86_64 -M pc -accel tcg -m 32 -display none -name guest=db1 -uuid {uuid} -drive {disk}"
    )
    host.run("sh", "-c", f"{line} >/dev/null 2>&1 &")
    wait(lambda: bool(host.emulators()), "the emulator")
    pid = host.emulators()[0]
    wait(lambda: "disk.raw" in host.run("ls", "-l", f"/proc/{pid}/fd"), "it to open its disk")
    stop = host.agent("stop", "/nowhere", instance="db1", uuid=uuid, timeout=12, force_stop="true")
    assert stop.code == codes.GENERIC
    assert f"{SHARE}/disk.raw" in stop.err
    assert "blocked in the kernel" in stop.err
    assert stop.seconds < 12
    assert host.agent("monitor", "/nowhere", instance="db1", uuid=uuid).code == codes.SUCCESS
    assert host.run("cut", "-d ", "-f3", f"/proc/{pid}/stat").strip() == "Z"  # its leader alone looks gone
    host.run("kill", "-KILL", *host.run("pgrep", "-f", "hung_share.py").split())
    wait(lambda: str(pid) not in host.pids(), "the emulator to end with its storage")
    assert host.agent("stop", "/nowhere", instance="db1", uuid=uuid, timeout=12).code == codes.SUCCESS
