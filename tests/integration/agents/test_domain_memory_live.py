# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's saved memory and its throw-away disk, on a real libvirtd: used when they fit, and only then."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from backstay.ocf import codes
from tests.integration.agents.private_host import UUID, PrivateHost, add, wait

pytestmark = pytest.mark.usefixtures("tools")


@pytest.fixture
def disk(share: Path, config: Path) -> Path:
    disk = share / "web1.img"
    disk.write_bytes(bytes(1 << 20))
    words = f"<disk type='file'><driver name='qemu' type='raw'/><source file='{disk}'/><target dev='vda' bus='virtio'/></disk>"
    add(config, words, "</devices>")
    return disk


@pytest.fixture
def memories(share: Path) -> Path:
    directory = share / "memories"
    directory.mkdir()
    return directory


class Memory:
    """The guest's memory: a key that was pressed stands in the firmware's buffer, until the guest starts cold."""

    def __init__(self, host: PrivateHost) -> None:
        self.host = host

    def has_the_key(self) -> bool:
        said = self.host.virsh("qemu-monitor-command", "web1", "--hmp", "xp /16hx 0x41e").stdout
        return "0x1e61" in said

    def press(self) -> None:
        def pressed() -> bool:
            self.host.run("virsh", "send-key", "web1", "KEY_A")
            return self.has_the_key()

        wait(pressed, "the firmware to take a key")


class Saved:
    """A domain with a disk and a directory for its memory."""

    def __init__(self, host: PrivateHost, config: Path, directory: Path) -> None:
        self.host, self.config, self.directory = host, config, directory
        self.memory = Memory(host)
        self.image = directory / f"{UUID.format(1)}.save"
        self.aside = directory / f"{UUID.format(1)}.save.aside"

    def act(self, action: str, timeout: float = 30.0) -> int:
        return self.host.agent(action, self.config, snapshot=str(self.directory), timeout=timeout).code


@pytest.fixture
def saved(host: PrivateHost, config: Path, disk: Path, memories: Path) -> Saved:
    """It was started, a key was pressed, and a stop saved the memory."""
    saved = Saved(host, config, memories)
    assert saved.act("start") == codes.SUCCESS
    saved.memory.press()
    assert saved.act("stop") == codes.SUCCESS
    assert host.emulators() == []
    assert saved.image.stat().st_size > 100_000
    return saved


def test_a_guest_comes_back_with_its_memory_once(host: PrivateHost, saved: Saved) -> None:
    kept = saved.image.read_bytes()
    assert saved.act("start") == codes.SUCCESS
    assert saved.memory.has_the_key()
    assert host.run("virsh", "domstate", "web1").strip() == "running"
    assert not saved.image.exists()
    host.run("kill", "-9", str(host.emulators()[0]))
    wait(lambda: not host.emulators(), "the emulator to end")
    saved.image.write_bytes(kept)
    assert saved.act("start") == codes.SUCCESS
    assert not saved.memory.has_the_key()
    assert saved.aside.exists()


def test_a_start_elsewhere_makes_the_memory_old(host: PrivateHost, saved: Saved) -> None:
    """A start on another host is a new generation in the same directory; this one sees nothing else of it."""
    (saved.directory / f"{UUID.format(1)}.generation").write_text("0123 elsewhere")
    assert saved.act("start") == codes.SUCCESS
    assert not saved.memory.has_the_key()
    assert saved.aside.exists()


def test_a_guest_moves_with_its_memory_and_an_image_from_before_is_old(
    host: PrivateHost, saved: Saved, tmp_path: Path, repository: Path
) -> None:
    kept = saved.image.read_bytes(), saved.image.with_suffix(".saved").read_bytes()
    with PrivateHost(tmp_path, repository, number=2) as other:
        there = Saved(other, saved.config, saved.directory)
        assert there.act("start") == codes.SUCCESS
        assert there.memory.has_the_key()
        other.run("kill", "-9", str(other.emulators()[0]))
    saved.image.write_bytes(kept[0])
    saved.image.with_suffix(".saved").write_bytes(kept[1])
    assert saved.act("start") == codes.SUCCESS
    assert not saved.memory.has_the_key()
    assert saved.aside.exists()


def test_a_start_by_hand_makes_the_memory_old(host: PrivateHost, saved: Saved, disk: Path) -> None:
    with disk.open("r+b") as file:
        file.write(b"written by a guest that somebody started with virsh")
    assert saved.act("start") == codes.SUCCESS
    assert not saved.memory.has_the_key()
    assert saved.aside.exists()


def test_an_image_that_is_damaged_is_set_aside_and_the_guest_starts(host: PrivateHost, saved: Saved) -> None:
    size = saved.image.stat().st_size
    saved.image.write_bytes(bytes(size))
    assert saved.act("start") == codes.SUCCESS
    assert not saved.memory.has_the_key()
    assert saved.aside.stat().st_size == size


def test_a_memory_that_does_not_fit_becomes_a_stop_without_it(
    host: PrivateHost, config: Path, disk: Path, tmp_path: Path
) -> None:
    host.run(
        "sh", "-c", "mkdir -p /run/small && mount -t tmpfs -o size=128k none /run/small && mkdir /run/small/m"
    )
    try:
        saved = Saved(host, config, Path("/run/small/m"))
        assert saved.act("start") == codes.SUCCESS
        began = time.monotonic()
        assert saved.act("stop", timeout=15) == codes.SUCCESS
        assert time.monotonic() - began < 15
        assert host.emulators() == []
        assert saved.act("start") == codes.SUCCESS
        assert not saved.memory.has_the_key()
    finally:
        host.run("umount", "-l", "/run/small")


def test_without_the_directory_the_guest_is_stopped_and_not_started(
    host: PrivateHost, config: Path, disk: Path, memories: Path
) -> None:
    saved = Saved(host, config, memories)
    assert saved.act("start") == codes.SUCCESS
    memories.rename(memories.with_suffix(".away"))
    assert saved.act("stop", timeout=10) == codes.SUCCESS
    assert host.emulators() == []
    assert saved.act("start") == codes.GENERIC
    assert host.emulators() == []


# ---- a throw-away layer


@pytest.mark.parametrize("stateless", ["true", "false"])
def test_a_layer_is_made_when_it_is_needed_and_nobody_elses_disk_is_replaced(
    need: Callable[..., str], host: PrivateHost, config: Path, share: Path, stateless: str
) -> None:
    need("qemu-img")
    base, layer = share / "base.img", share / "web1.qcow2"
    base.write_bytes(bytes(1 << 20))
    words = f"<disk type='file'><driver name='qemu' type='qcow2'/><source file='{layer}'/><target dev='vda'/></disk>"
    add(config, words, "</devices>")
    given = {"backingfile": str(base), "stateless": stateless}
    assert host.agent("start", config, **given).code == codes.SUCCESS
    first = layer.stat().st_ino
    assert host.agent("stop", config, force_stop="true").code == codes.SUCCESS
    assert host.agent("start", config, **given).code == codes.SUCCESS
    assert (layer.stat().st_ino == first) is (stateless == "false")
    assert host.agent("stop", config, force_stop="true").code == codes.SUCCESS
    layer.write_bytes(b"the only copy of a disk")
    refused = host.agent("start", config, **given)
    assert refused.code == codes.GENERIC
    assert "not over" in refused.err
    assert layer.read_bytes() == b"the only copy of a disk"
