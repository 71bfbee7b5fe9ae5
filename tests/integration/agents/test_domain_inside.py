# SPDX-License-Identifier: GPL-2.0-or-later
"""ocf:backstay:domain at check levels 10 and 20, with scripts, and needed networks: on real emulators."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.ocf import codes
from tests.integration.agents.private_host import FAILING, PrivateHost, Result, share_failing, wait

pytestmark = pytest.mark.usefixtures("tools")
CHANNEL = """<channel type='unix'><source mode='bind'/>
  <target type='virtio' name='org.qemu.guest_agent.0'/></channel></devices>"""
DISK = """<disk type='file' device='disk'>
  <driver name='qemu' type='raw' cache='none' error_policy='stop' rerror_policy='stop'/>
  <source file='{file}'/><target dev='vda' bus='virtio'/><boot order='1'/>
</disk></devices>"""


@pytest.fixture(scope="module")
def machine(place: Path, repository: Path) -> Iterator[PrivateHost]:
    with PrivateHost(place, repository) as host:
        share_failing(host)
        yield host


def definition(host: PrivateHost, devices: str = "</devices>") -> Path:
    path = host.define()
    path.write_text(path.read_text().replace("</devices>", devices))
    return path


def started(host: PrivateHost, devices: str = "</devices>") -> Path:
    path = definition(host, devices)
    result = host.agent("start", path)
    assert result.code == codes.SUCCESS, result
    return path


def deep(host: PrivateHost, config: Path, level: int, **parameters: str) -> Result:
    return host.agent("monitor", config, interval=60, level=level, **parameters)


@pytest.mark.parametrize("level", [10, 20])
def test_a_guest_that_is_well_is_well_at_each_level(host: PrivateHost, level: int) -> None:
    assert deep(host, started(host), level).code == codes.SUCCESS


def test_a_guest_agent_that_nobody_started_is_degraded(host: PrivateHost) -> None:
    result = deep(host, started(host, CHANNEL), 20)
    assert result.code == codes.DEGRADED
    assert "is not connected" in result.err


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_trouble_with_libvirtd_is_no_trouble_of_the_guest(host: PrivateHost, number: int) -> None:
    config = started(host)
    host.signal_libvirtd(number)
    try:
        result = deep(host, config, 20)
        assert result.code == codes.SUCCESS, result
        assert result.seconds < 18
    finally:
        if number == signal.SIGSTOP:
            host.signal_libvirtd(signal.SIGCONT)


def test_a_disk_with_errors_is_named(host: PrivateHost) -> None:
    config = started(host, DISK.format(file=f"{FAILING}/disk.raw"))
    wait(lambda: "paused" in host.run("virsh", "domstate", "web1"), "the firmware to read its disk")
    result = deep(host, config, 20, monitor_scripts="/bin/false")
    assert result.code == codes.DEGRADED
    assert "paused (ioerror)" in result.err
    assert "have errors: vda (unspecified)" in result.err
    host.signal_libvirtd(signal.SIGKILL)
    result = deep(host, config, 10)
    assert result.code == codes.DEGRADED
    assert "is paused (ioerror) for its emulator (no libvirtd attends)" in result.err


def test_an_emulator_that_does_not_answer_is_told_from_a_libvirtd_that_does_not(host: PrivateHost) -> None:
    disk = host.shared / "disk.raw"
    disk.write_bytes(bytes(1 << 20))
    config = started(host, DISK.format(file=disk).replace(" cache='none'", ""))
    host.run("kill", "-STOP", str(host.emulators()[0]))
    result = deep(host, config, 10)
    assert result.code == codes.DEGRADED
    assert "does not answer libvirt" in result.err


def test_block_jobs_are_named_and_one_that_stands_still_is_degraded(host: PrivateHost) -> None:
    disk = host.shared / "disk.raw"
    disk.write_bytes(b"data" * (16 << 20))  # zeros would not be copied, and 16 MiB go at once
    config = started(host, DISK.format(file=disk).replace(" cache='none'", ""))
    copy = host.shared / "copy.raw"
    job = ["virsh", "blockcopy", "web1", "vda", str(copy), "--transient-job", "--bytes", "--bandwidth", "1"]
    host.run(*job)
    looks = [deep(host, config, 10)]
    wait(lambda: looks.append(deep(host, config, 10)) or looks[-1].code != codes.SUCCESS, "it to stand still")
    assert looks[0].code == codes.SUCCESS
    assert looks[-1].code == codes.DEGRADED
    assert "stand still: copy of vda" in looks[-1].err
    host.run("virsh", "blockjob", "web1", "vda", "--abort")
    assert deep(host, config, 10).code == codes.SUCCESS


def test_libvirt_that_takes_another_process_for_the_guest_is_reported(host: PrivateHost) -> None:
    config = started(host)
    pid = host.emulators()[0]
    host.run("sed", "-i", f"s/pid='{pid}'/pid='1'/", "/run/libvirt/qemu/web1.xml")
    result = deep(host, config, 10)
    assert result.code == codes.DEGRADED
    assert "libvirt takes pid 1 for web1" in result.err


@pytest.fixture
def script(host: PrivateHost) -> Path:
    path = host.shared / "script"
    path.write_text("#!/bin/sh\necho $DOMAIN_NAME $OCF_RESOURCE_INSTANCE is ill\n[ -e /run/well ]\n")
    path.chmod(0o755)
    host.run("rm", "-f", "/run/well")
    return path


def test_scripts_decide_with_their_last_line(host: PrivateHost, script: Path) -> None:
    host.run("touch", "/run/well")
    config = started(host)
    both = f"/bin/true {script}"
    assert host.agent("monitor", config, interval=10, monitor_scripts=both).code == codes.SUCCESS
    host.run("rm", "/run/well")
    failed = host.agent("monitor", config, interval=10, monitor_scripts=both)
    assert failed.code == codes.GENERIC
    assert "web1 web1 is ill" in failed.err
    assert host.agent("monitor", config, monitor_scripts=both).code == codes.SUCCESS  # a probe asks for less
    only_deep = {"monitor_scripts": both, "monitor_scripts_depth": "20"}
    assert host.agent("monitor", config, interval=10, **only_deep).code == codes.SUCCESS
    assert deep(host, config, 10, **only_deep).code == codes.SUCCESS
    assert deep(host, config, 20, **only_deep).code == codes.GENERIC


def test_a_script_that_hangs_is_ended_and_degrades_until_the_limit(host: PrivateHost, script: Path) -> None:
    config = started(host)
    script.write_text("#!/bin/sh\nsleep 4711\n")
    given = {"monitor_scripts": str(script), "monitor_script_timeout": "1s"}
    first = host.agent("monitor", config, interval=10, **given)
    assert first.code == codes.DEGRADED
    assert first.seconds < 4
    assert "sleep 4711" not in host.run("ps", "-eo", "args")
    late = host.agent("monitor", config, interval=10, degraded_limit="1s", **given)
    assert late.code == codes.GENERIC
    assert "degraded_limit" in late.err


def test_a_script_that_is_not_there_says_nothing_of_the_guest(host: PrivateHost) -> None:
    result = host.agent("monitor", started(host), interval=10, monitor_scripts="/nowhere/script")
    assert result.code == codes.DEGRADED
    assert "/nowhere/script" in result.err


def test_a_start_waits_for_its_scripts(host: PrivateHost, script: Path) -> None:
    config = definition(host)
    late = host.agent("start", config, timeout=6, monitor_scripts=str(script))
    assert late.code == codes.GENERIC
    assert "is ill" in late.err
    assert late.seconds < 6
    host.run("sh", "-c", "(sleep 2; touch /run/well) >/dev/null 2>&1 &")
    assert host.agent("start", config, monitor_scripts=str(script)).code == codes.SUCCESS


def test_networks_and_pools_that_the_domain_needs_are_started(host: PrivateHost) -> None:
    host.run("mkdir", "-p", "/run/pool")
    host.run("virsh", "pool-define-as", "store", "dir", "--target", "/run/pool")
    host.run("virsh", "pool-start", "store")
    host.run("virsh", "vol-create-as", "store", "disk", "1M")
    host.run("virsh", "pool-destroy", "store")
    config = definition(
        host,
        "<disk type='volume' device='disk'><source pool='store' volume='disk'/><target dev='vda' bus='virtio'/></disk>"
        "</devices>",
    )
    without = host.agent("start", config)
    assert without.code == codes.GENERIC
    assert "store" in without.err
    assert host.agent("start", config, start_resources="true").code == codes.SUCCESS
    assert "active" in host.run("virsh", "pool-list", "--all")
    assert host.agent("stop", config, force_stop="true").code == codes.SUCCESS


def test_a_volume_that_another_host_made_is_found_in_an_active_pool(host: PrivateHost) -> None:
    """libvirt knows the volumes of its last look at the pool."""
    host.run("mkdir", "-p", "/run/shared")
    host.run("virsh", "pool-create-as", "shared", "dir", "--target", "/run/shared")
    host.run("truncate", "--size=1M", "/run/shared/new")
    config = definition(
        host,
        "<disk type='volume' device='disk'><source pool='shared' volume='new'/><target dev='vda' bus='virtio'/></disk>"
        "</devices>",
    )
    without = host.agent("start", config)
    assert (without.code, "new" in without.err) == (codes.GENERIC, True), without
    assert host.agent("start", config, start_resources="true").code == codes.SUCCESS
    assert host.agent("stop", config, force_stop="true").code == codes.SUCCESS
