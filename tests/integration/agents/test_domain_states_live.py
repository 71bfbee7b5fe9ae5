# SPDX-License-Identifier: GPL-2.0-or-later
"""What only a guest can do to itself, on a real emulator: its first sector presses the button. Each its own answer."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from backstay.ocf import codes
from tests.integration.agents.private_host import PrivateHost, add, wait

pytestmark = pytest.mark.usefixtures("tools")
CYLINDERS = 2 << 20  # bytes; SeaBIOS boots from no disk without a whole one
REST = b"\xf4\xeb\xfd"  # hlt, again and again


def byte_to(port: int, value: int) -> bytes:
    """Code that writes one byte to an I/O port."""
    return b"\xba" + port.to_bytes(2, "little") + b"\xb0" + bytes([value]) + b"\xee"


def word_to(port: int, value: int) -> bytes:
    """Code that writes two bytes to an I/O port."""
    return b"\xba" + port.to_bytes(2, "little") + b"\xb8" + value.to_bytes(2, "little") + b"\xef"


DISK = """<disk type='file' device='disk'><driver name='qemu' type='raw'/>
  <source file='{file}'/><target dev='vda' bus='virtio'/><boot order='1'/></disk>"""
PM_CONTROL, SLEEP_S3 = 0x604, 0x2400  # of QEMU's PIIX4 with SeaBIOS: sleep enable, type 1
IB700, SECONDS_2 = 0x443, 0x0E
PVPANIC, PANICKED = 0x505, 0x01
KEYBOARD, RESET = 0x64, 0xFE
STATES = {
    "reboot": (byte_to(KEYBOARD, RESET), ""),
    "watchdog": (byte_to(IB700, SECONDS_2), "<watchdog model='ib700' action='pause'/>"),
    "suspended": (word_to(PM_CONTROL, SLEEP_S3), ""),
    "panic": (byte_to(PVPANIC, PANICKED), "<panic model='isa'/>"),
}


def started(host: PrivateHost, which: str, state: str) -> Path:
    """A guest that brings itself into that state as soon as it has booted."""
    code, device = STATES[which]
    disk = host.shared / "sector.raw"
    disk.write_bytes((code + REST).ljust(510, b"\0") + b"\x55\xaa" + bytes(CYLINDERS))
    config = host.define()
    add(config, DISK.format(file=disk) + device, "</devices>")
    add(
        config,
        "<on_crash>preserve</on_crash><pm><suspend-to-mem enabled='yes'/></pm>",
        "<devices>",
    )
    assert host.agent("start", config).code == codes.SUCCESS
    wait(lambda: state in host.run("virsh", "domstate", "--reason", "web1"), f"it to be {state}")
    return config


def test_a_guest_that_its_watchdog_paused_fails_after_the_limit_only(host: PrivateHost) -> None:
    config = started(host, "watchdog", "paused (watchdog)")
    first = host.agent("monitor", config, interval=10)
    assert first.code == codes.DEGRADED
    assert "paused (watchdog)" in first.err
    assert "virsh reset" in first.err
    wait(
        lambda: host.agent("monitor", config, interval=10, degraded_limit="1s").code == codes.GENERIC,
        "degraded to become failed",
    )
    assert host.agent("stop", config).code == codes.SUCCESS


def test_a_guest_that_suspended_itself_is_never_restarted_for_it(host: PrivateHost) -> None:
    config = started(host, "suspended", "pmsuspended")
    for _ in range(2):
        said = host.agent("monitor", config, interval=10, degraded_limit="100ms")
        assert said.code == codes.DEGRADED
        assert "virsh dompmwakeup" in said.err
    assert host.agent("stop", config).code == codes.SUCCESS


def test_a_guest_that_panicked_has_failed_at_once(host: PrivateHost) -> None:
    config = started(host, "panic", "crashed (panicked)")
    said = host.agent("monitor", config, interval=10)
    assert said.code == codes.GENERIC
    assert "the guest panicked" in said.err
    assert (
        host.agent("monitor", config).code == codes.SUCCESS
    )  # a probe: its emulator is there, and holds its disks
    assert host.agent("stop", config).code == codes.SUCCESS
    assert host.emulators() == []


def test_a_guest_that_reboots_again_and_again_is_running_all_the_while(host: PrivateHost) -> None:
    """There is no state for it: libvirt and its emulator say that it runs, and so does every monitor."""
    config = started(host, "reboot", "running")
    pids, resets = host.emulators(), 0
    with subprocess.Popen(
        host.argv(["virsh", "event", "--domain", "web1", "--event", "reboot", "--loop", "--timeout", "10"]),
        stdout=subprocess.PIPE,
        text=True,
    ) as heard:
        for level in (0, 10, 0, 10):
            assert host.agent("monitor", config, interval=10, level=level).code == codes.SUCCESS
            assert host.run("virsh", "domstate", "web1").strip() == "running"
            told = host.run("virsh", "qemu-monitor-command", "web1", '{"execute": "query-status"}')
            assert '"status":"running"' in told
        resets = heard.communicate(timeout=60)[0].count("event 'reboot'")
    assert resets > 1, "it has rebooted meanwhile"
    assert host.emulators() == pids
    assert host.agent("stop", config, force_stop="true").code == codes.SUCCESS
