# SPDX-License-Identifier: GPL-2.0-or-later
"""A domain's definition on a real libvirtd: its share gone, what starts it without the cluster, what stays behind."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from backstay.ocf import codes
from tests.integration.agents.private_host import UUID, PrivateHost, add, wait

pytestmark = pytest.mark.usefixtures("tools")
COPY = "/var/lib/backstay/definitions/web1.definition"
TPM = f"/var/lib/libvirt/swtpm/{UUID.format(1)}"


@pytest.fixture
def started(host: PrivateHost, config: Path) -> Path:
    result = host.agent("start", config)
    assert result.code == codes.SUCCESS, result
    return config


def reboot(host: PrivateHost) -> None:
    """What libvirt takes for a boot of the host: its runtime directory is new. Nothing runs, nobody remembers."""
    for pid in host.emulators():
        host.run("kill", "-9", str(pid))
    host.signal_libvirtd(signal.SIGKILL)
    host.run("sh", "-c", "rm -rf /run/libvirt /run/libvirtd.pid /run/backstay")
    host.start_libvirtd()


# ---- the share with the definition is gone


def test_a_guest_is_seen_and_stopped_by_the_copy_although_nothing_else_knows_it(
    host: PrivateHost, started: Path
) -> None:
    assert host.run("stat", "-c", "%a", COPY, str(Path(COPY).parent)).split() == ["600", "700"]
    away = started.rename(started.with_suffix(".away"))
    host.run("rm", "-rf", "/run/backstay")
    assert host.agent("monitor", started).code == codes.SUCCESS
    host.run("rm", "-rf", "/run/backstay")
    assert host.agent("stop", started, timeout=10).code == codes.SUCCESS
    assert host.emulators() == []
    assert host.agent("monitor", started).code == codes.NOT_RUNNING
    refused = host.agent("start", started)
    assert refused.code == codes.GENERIC
    assert "start_from_copy" in refused.err
    assert host.emulators() == []
    assert host.agent("start", started, start_from_copy="true").code == codes.SUCCESS
    assert len(host.emulators()) == 1
    away.rename(started)


@pytest.mark.long
def test_a_share_that_hangs_is_no_different(host: PrivateHost, config: Path) -> None:
    share = "/run/hanging"
    there = f"{share}/web1.xml"
    host.run("mkdir", "-p", share)
    host.run("cp", str(config), there)
    assert host.agent("start", there).code == codes.SUCCESS
    program = Path(__file__).with_name("bad_share.py")
    host.run("sh", "-c", f"/usr/bin/python3 {program} hang {share} >/dev/null 2>&1 &")
    wait(lambda: "fuse.bad" in host.run("cat", "/proc/mounts"), "the share to hang")
    try:
        host.run("rm", "-rf", "/run/backstay")
        probe = host.agent("monitor", there)
        assert probe.code == codes.SUCCESS
        assert probe.seconds < 10
        host.run("rm", "-rf", "/run/backstay")
        assert host.agent("stop", there).code == codes.SUCCESS
        assert host.emulators() == []
        assert "start_from_copy" in host.agent("start", there).err
        assert host.agent("start", there, start_from_copy="true").code == codes.SUCCESS
    finally:
        host.run("kill", "-KILL", *host.run("pgrep", "-f", "bad_share.py hang").split())
        host.run("umount", "-l", share)


def test_a_damaged_copy_is_never_used_and_a_config_that_is_back_wins(
    host: PrivateHost, started: Path
) -> None:
    away = started.rename(started.with_suffix(".away"))
    host.run("sed", "-i", "s/web1</web9</", COPY)
    host.run("rm", "-rf", "/run/backstay")
    assert host.agent("monitor", started, timeout=3).code == codes.GENERIC
    away.rename(started)
    assert host.agent("monitor", started).code == codes.SUCCESS
    assert "web9" not in host.run("cat", COPY)


def test_a_recurring_monitor_leaves_the_copy_alone(host: PrivateHost, started: Path) -> None:
    host.run("rm", COPY)
    assert host.agent("monitor", started, interval=10).code == codes.SUCCESS
    assert host.run("sh", "-c", f"ls {Path(COPY).parent}") == ""


# ---- what libvirt does with what belongs to a definition


@pytest.fixture
def tpm(need: Callable[..., str]) -> None:
    need("swtpm", "swtpm_setup")


def test_the_state_of_a_tpm_outlives_a_stop(host: PrivateHost, config: Path, tpm: None) -> None:
    add(config, "<tpm><backend type='emulator' version='2.0'/></tpm>", "</devices>")
    host.run("virsh", "create", str(config))
    host.run("test", "-d", TPM)
    host.run("virsh", "destroy", "web1")
    host.run("test", "!", "-e", TPM)  # what libvirt does to a transient domain
    assert host.agent("start", config).code == codes.SUCCESS
    host.run("touch", f"{TPM}/tpm2/mark")
    assert host.agent("stop", config, force_stop="true").code == codes.SUCCESS
    assert host.agent("start", config).code == codes.SUCCESS
    host.run("test", "-e", f"{TPM}/tpm2/mark")
    assert host.agent("stop", config, force_stop="true").code == codes.SUCCESS
    host.run("rm", "-r", TPM)


def test_nvram_and_a_persistent_definition_outlive_start_and_stop(
    host: PrivateHost, config: Path, share: Path
) -> None:
    firmware, empty, nvram = share / "code.fd", share / "vars.fd", share / "web1_VARS.fd"
    firmware.write_bytes(bytes(1 << 20))
    empty.write_bytes(b"\xff" * (1 << 18))
    words = (
        f"<loader readonly='yes' type='pflash'>{firmware}</loader><nvram template='{empty}'>{nvram}</nvram>"
    )
    add(config, words, "</os>")
    host.run("virsh", "define", str(config))
    assert host.agent("start", config).code == codes.SUCCESS
    assert nvram.exists()
    assert host.agent("stop", config, force_stop="true").code == codes.SUCCESS
    assert nvram.exists()
    assert host.run("virsh", "domstate", "web1").strip() == "shut off"


# ---- what starts it without the cluster


def test_autostart_is_switched_off_or_starts_a_second_copy_at_the_next_boot(
    host: PrivateHost, config: Path
) -> None:
    host.run("virsh", "define", str(config))
    host.run("virsh", "autostart", "web1")
    reboot(host)
    wait(lambda: len(host.emulators()) == 1, "libvirtd to start what is marked so")
    assert host.agent("stop", config, force_stop="true").code == codes.SUCCESS
    refused = host.agent("start", config, traps="refuse")
    assert refused.code == codes.GENERIC
    assert "virsh autostart --disable web1" in refused.err
    assert host.agent("start", config).code == codes.SUCCESS
    reboot(host)
    assert host.agent("monitor", config).code == codes.NOT_RUNNING
    assert "disable" in host.run("sh", "-c", "virsh dominfo web1 | grep Autostart")


def test_a_managed_save_image_is_no_memory_for_a_newer_disk(host: PrivateHost, config: Path) -> None:
    image = "/var/lib/libvirt/qemu/save/web1.save"
    host.run("virsh", "define", str(config))
    host.run("virsh", "start", "web1")
    host.run("virsh", "managedsave", "web1")
    refused = host.agent("start", config, traps="refuse")
    assert refused.code == codes.GENERIC
    assert "virsh managedsave-remove web1" in refused.err
    assert host.agent("start", config, traps="ignore").code == codes.SUCCESS
    assert host.agent("stop", config, force_stop="true").code == codes.SUCCESS
    host.run("test", "-e", image)
    assert host.agent("start", config).code == codes.SUCCESS
    host.run("test", "!", "-e", image)


def test_a_restart_by_libvirt_is_overridden_in_what_runs(host: PrivateHost, config: Path) -> None:
    words = "<on_poweroff>restart</on_poweroff><on_reboot>restart</on_reboot><on_crash>restart</on_crash>"
    add(config, words, "<devices>")
    before = config.read_text()
    assert host.agent("start", config, traps="refuse").code == codes.GENERIC
    assert host.agent("start", config).code == codes.SUCCESS
    live = host.run("virsh", "dumpxml", "web1")
    for words in ("<on_poweroff>destroy<", "<on_reboot>restart<", "<on_crash>destroy<"):
        assert words in live
    assert config.read_text() == before


# ---- what validate-all at level 10 says of it


def test_a_trap_of_this_host_is_said_wherever_the_domain_runs(host: PrivateHost, config: Path) -> None:
    host.run("virsh", "define", str(config))
    host.run("virsh", "autostart", "web1")
    result = host.agent("validate-all", config, level=10)
    assert result.code == codes.GENERIC
    assert "virsh autostart --disable web1" in result.err


def test_what_would_surprise_an_admin_later_is_said_before(
    host: PrivateHost, config: Path, share: Path
) -> None:
    assert host.agent("validate-all", config, level=10).code == codes.SUCCESS
    add(config, f"<nvram>{share}/web1_VARS.fd</nvram>", "</os>")
    add(config, "<tpm><backend type='emulator'/></tpm>", "</devices>")
    result = host.agent("validate-all", config, snapshot="/run", level=10)
    assert result.code == codes.GENERIC
    for words in (f"{share}/web1_VARS.fd", "the state of its TPM", "/run is a mount point"):
        assert words in result.err
