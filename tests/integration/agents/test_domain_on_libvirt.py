# SPDX-License-Identifier: GPL-2.0-or-later
"""ocf:backstay:domain on a real libvirtd and real emulators: well, paused, hung, dead, lost."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.ocf import codes
from tests.integration.agents.private_host import UUID, PrivateHost, wait

pytestmark = pytest.mark.usefixtures("tools")
GONE = "/nowhere/web1.xml"


@pytest.fixture
def config(host: PrivateHost) -> Path:
    return host.define()


@pytest.fixture
def started(host: PrivateHost, config: Path) -> Path:
    result = host.agent("start", config)
    assert result.code == codes.SUCCESS, result
    return config


def test_from_start_to_stop_and_each_action_twice(host: PrivateHost, config: Path) -> None:
    said = []
    for action, interval in [
        ("monitor", 0), ("stop", 0), ("start", 0), ("start", 0), ("monitor", 0), ("monitor", 10),
        ("stop", 0), ("stop", 0), ("monitor", 0), ("monitor", 10),
    ]:  # fmt: skip
        result = host.agent(action, config, interval=interval, timeout=8)
        assert result.out == ""
        said.append(result.code)
    assert said == [7, 0, 0, 0, 0, 0, 0, 0, 7, 7]
    assert host.emulators() == []


def test_a_paused_guest_is_degraded_and_resumed_is_well(host: PrivateHost, started: Path) -> None:
    host.run("virsh", "suspend", "web1")
    paused = host.agent("monitor", started, interval=10)
    assert paused.code == codes.DEGRADED
    assert "paused (user)" in paused.err
    host.run("virsh", "resume", "web1")
    assert host.agent("monitor", started, interval=10).code == codes.SUCCESS


def test_an_emulator_that_was_stopped_is_degraded_and_still_stops(host: PrivateHost, started: Path) -> None:
    host.run("kill", "-STOP", str(host.emulators()[0]))
    assert host.agent("monitor", started, interval=10).code == codes.DEGRADED
    assert host.agent("stop", started, timeout=8).code == codes.SUCCESS
    assert host.emulators() == []


def test_an_emulator_that_was_killed_is_not_running(host: PrivateHost, started: Path) -> None:
    host.run("kill", "-KILL", str(host.emulators()[0]))
    wait(lambda: not host.emulators(), "the emulator to end")
    result = host.agent("monitor", started, interval=10)
    assert result.code == codes.NOT_RUNNING
    assert "web1 on private1" in result.err


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_trouble_with_libvirtd_changes_no_answer(host: PrivateHost, started: Path, number: int) -> None:
    host.signal_libvirtd(number)
    try:
        answers = {
            "monitor": host.agent("monitor", started, interval=10, timeout=30).code,
            "probe": host.agent("monitor", started).code,
            "probe without config": host.agent("monitor", GONE).code,
            "monitor without config": host.agent("monitor", GONE, interval=10, timeout=30).code,
        }
        assert answers == dict.fromkeys(answers, codes.SUCCESS)
        assert host.agent("stop", GONE, timeout=20).code == codes.SUCCESS
        assert host.emulators() == []
        assert host.agent("monitor", started).code == codes.NOT_RUNNING
        start = host.agent("start", started, timeout=5)
        assert start.code == codes.GENERIC
        assert start.seconds < 5
    finally:
        if number == signal.SIGSTOP:
            host.signal_libvirtd(signal.SIGCONT)


def test_without_libvirtd_the_emulator_is_ended_through_its_own_socket(
    host: PrivateHost, started: Path
) -> None:
    log = host.run("sh", "-c", "ls /var/log/libvirt/qemu/web1.log").strip()
    before = host.run("cat", log).count("terminating on signal")
    host.signal_libvirtd(signal.SIGKILL)
    assert host.agent("stop", started, timeout=10).code == codes.SUCCESS
    assert host.emulators() == []
    assert host.run("cat", log).count("terminating on signal") == before


def test_an_emulator_that_libvirt_lost_is_taken_over_neither_doubled_nor_forgotten(
    host: PrivateHost, started: Path
) -> None:
    pid = host.emulators()
    host.signal_libvirtd(signal.SIGKILL)
    host.run("rm", "/run/libvirt/qemu/web1.xml")
    host.start_libvirtd()
    host.run("kill", "-STOP", str(pid[0]))
    refused = host.agent("start", started, timeout=8)
    assert refused.code == codes.GENERIC
    assert f"pid {pid[0]}" in refused.err
    host.run("kill", "-CONT", str(pid[0]))
    assert host.agent("start", started, timeout=20).code == codes.SUCCESS
    assert host.emulators() == pid
    assert host.agent("monitor", started, interval=10).code == codes.DEGRADED
    assert host.agent("monitor", started).code == codes.SUCCESS
    assert host.agent("stop", started, timeout=8).code == codes.SUCCESS
    assert host.emulators() == []


def test_without_definition_and_record_the_uuid_says_who_it_is(host: PrivateHost, started: Path) -> None:
    host.run("rm", "-r", "/run/backstay/domain")
    doubt = host.agent("monitor", GONE, timeout=4)
    assert doubt.code == codes.GENERIC
    assert "set uuid= or mount the share" in doubt.err
    assert host.agent("monitor", GONE, interval=10).code == codes.DEGRADED
    assert host.agent("stop", GONE, timeout=4).code == codes.GENERIC
    assert host.agent("monitor", GONE, uuid=UUID.format(1)).code == codes.SUCCESS
    assert host.agent("monitor", GONE, uuid=UUID.format(2), instance="db1").code == codes.NOT_RUNNING
    assert host.agent("stop", GONE, uuid=UUID.format(1), timeout=8).code == codes.SUCCESS


def test_without_any_identity_absence_is_proven_by_the_records_of_the_others(
    host: PrivateHost, started: Path
) -> None:
    assert host.agent("monitor", GONE, instance="db1").code == codes.NOT_RUNNING
    host.run("virsh", "create", str(host.define("mail1", 3)))
    assert host.agent("monitor", GONE, instance="db1", timeout=4).code == codes.GENERIC


def test_a_managed_save_image_is_not_restored(host: PrivateHost, config: Path) -> None:
    host.run("virsh", "define", str(config))
    host.run("virsh", "start", "web1")
    host.run("virsh", "managedsave", "web1")
    assert host.agent("start", config, traps="ignore").code == codes.SUCCESS
    assert host.run("virsh", "domstate", "web1").strip() == "running"
    host.run("ls", "/var/lib/libvirt/qemu/save/web1.save")  # who restores it removes it


def test_a_foreign_domain_of_the_same_name_is_named(host: PrivateHost, config: Path) -> None:
    other = host.define("web1", 7)
    host.run("virsh", "define", str(other))
    result = host.agent("start", host.define(), timeout=10)
    assert result.code == codes.GENERIC
    assert UUID.format(7) in result.err


def test_a_definition_that_libvirt_refuses_gives_libvirts_reason(host: PrivateHost, config: Path) -> None:
    config.write_text(config.read_text().replace("'MiB'>32<", "'MiB'>much<"))
    result = host.agent("start", config)
    assert result.code == codes.GENERIC
    assert "libvirt could not start web1" in result.err
    assert "memory" in result.err


def test_force_stop_does_not_ask(host: PrivateHost, started: Path) -> None:
    result = host.agent("stop", started, timeout=60, force_stop="true")
    assert result.code == codes.SUCCESS
    assert result.seconds < 5


def test_a_killed_start_can_be_repeated(host: PrivateHost, config: Path) -> None:
    host.run("virsh", "create", str(config))
    assert host.agent("start", config).code == codes.SUCCESS
    assert len(host.emulators()) == 1


@pytest.fixture
def slow(host: PrivateHost) -> Iterator[str]:
    """A hook that keeps libvirtd waiting inside each start for as long as this file is there."""
    slow = "/run/slow"
    hook = host.etc / "hooks" / "qemu"
    hook.parent.mkdir()
    hook.write_text(f'#!/bin/sh\n[ "$2" = prepare ] || exit 0\nwhile [ -e {slow} ]; do sleep 0.1; done\n')
    hook.chmod(0o755)
    host.signal_libvirtd(signal.SIGKILL)
    host.start_libvirtd()
    yield slow
    host.run("rm", "-f", slow)
    hook.unlink()
    hook.parent.rmdir()


def test_a_start_that_libvirtd_carries_out_too_late_never_runs(
    host: PrivateHost, config: Path, slow: str
) -> None:
    host.run("touch", slow)
    assert host.agent("start", config, timeout=5).code == codes.GENERIC
    assert host.agent("stop", config).code == codes.SUCCESS  # and Pacemaker starts it on another host
    host.run("rm", slow)
    wait(
        lambda: host.virsh("domstate", "--reason", "web1").stdout.strip() == "paused (user)",
        "libvirtd to carry out the start",
    )
    late = host.emulators()
    assert host.agent("start", config).code == codes.SUCCESS  # it is ended, and another one begun
    assert len(host.emulators()) == 1
    assert host.emulators() != late
    assert host.run("virsh", "domstate", "web1").strip() == "running"


def test_what_runs_outlives_an_uninstalled_libvirt_and_still_stops(host: PrivateHost, started: Path) -> None:
    """No daemon, no sockets, no python3-libvirt, nothing in libvirt's directories, no emulator to start another."""
    pid = host.emulators()
    host.signal_libvirtd(signal.SIGKILL)
    missing = host.shared / "missing.py"
    missing.write_text("raise ModuleNotFoundError(\"No module named 'libvirt'\")\n")
    module = host.run("/usr/bin/python3", "-c", "import libvirt; print(libvirt.__file__)").strip()
    host.run("mount", "--bind", str(missing), module)
    try:
        host.run("sh", "-c", "rm -rf /run/libvirt/* /var/lib/libvirt/*")
        assert host.agent("monitor", started, interval=10).code == codes.SUCCESS
        assert host.agent("monitor", started).code == codes.SUCCESS
        assert host.agent("start", started).code == codes.SUCCESS
        assert host.emulators() == pid
        stop = host.agent("stop", started, timeout=10)
        assert stop.code == codes.SUCCESS
        assert host.emulators() == []
        start = host.agent("start", started, timeout=12)
        assert start.code == codes.GENERIC
        assert "python3-libvirt cannot be used" in start.err
        assert start.seconds < 12
    finally:
        host.run("umount", module)
        host.run("mkdir", "-p", "/var/lib/libvirt/qemu")
