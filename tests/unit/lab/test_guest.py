# SPDX-License-Identifier: GPL-2.0-or-later
"""The audit guest's description, its initramfs and its disk, byte by byte."""

from __future__ import annotations

import lzma
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

import pytest
from lxml import etree

from backstay.errors import BadInput, CannotAsk
from backstay.lab import guest, initramfs, kernel
from backstay.lab.layout import Layout

UUID = "5a3c1f0e-7d64-4b51-9a0e-0d1b00000001"


@dataclass(frozen=True)
class Domain:
    name: str
    uuid: str


def described(name="web1", **places):
    return etree.fromstring(guest.domain_xml(name, UUID, **places))


def test_the_description_as_a_whole(golden):
    golden("audit-guest.xml", guest.domain_xml("web1", UUID))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/domain/@type", "qemu"),
        ("name/text()", "web1"),
        ("uuid/text()", UUID),
        ("os/kernel/text()", "/srv/vm/guest/vmlinuz"),
        ("devices/disk/source/@file", "/srv/vm/disks/web1.raw"),
        ("devices/disk/driver/@cache", "none"),
        ("devices/serial/source/@path", "/srv/witness/serial.sock"),
        ("devices/serial/source/reconnect/@enabled", "yes"),
        ("on_crash/text()", "destroy"),
    ],
)
def test_what_the_audit_relies_on(path, value):
    assert described().xpath(path) == [value]


def test_the_disk_is_shareable_and_nothing_needless_is_emulated():
    domain = described()
    assert domain.find("devices/disk/shareable") is not None
    assert domain.find("features/acpi") is not None  # the power button
    assert not domain.xpath("devices/interface | devices/graphics | devices/video")


def test_names_are_escaped():
    domain = described("a<b&c", directory=Path("/srv/x&y"))
    assert domain.findtext("name") == "a<b&c"
    assert domain.xpath("devices/disk/source/@file") == ["/srv/x&y/disks/a<b&c.raw"]


def modules():
    return {path: path.encode() for path in initramfs.MODULES}


def unpack(data):
    """The members of a cpio archive: name to (mode, content)."""
    found, offset = {}, 0
    while True:
        assert data[offset : offset + 6] == b"070701"
        fields = [int(data[offset + 6 + 8 * n : offset + 14 + 8 * n], 16) for n in range(13)]
        mode, size, length = fields[1], fields[6], fields[11]
        name = data[offset + 110 : offset + 110 + length - 1].decode()
        start = (offset + 110 + length + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        found[name] = (mode, data[start : start + size])
        offset = (start + size + 3) // 4 * 4


def test_the_initramfs_holds_what_the_guest_needs():
    files = unpack(initramfs.build(b"BUSY", modules()))
    assert files["bin/busybox"] == (stat.S_IFREG | 0o755, b"BUSY")
    assert files["bin/sh"] == (stat.S_IFLNK | 0o777, b"busybox")
    assert files["init"][1].startswith(b"#!/bin/busybox sh\n")
    assert stat.S_ISDIR(files["proc"][0])
    assert files["modules/virtio_blk.ko"][1] == b"drivers/block/virtio_blk"


def test_the_same_parts_give_the_same_bytes():
    assert initramfs.build(b"BUSY", modules()) == initramfs.build(b"BUSY", modules())


def test_the_script_is_filled_in_and_its_programs_are_linked():
    script = initramfs.init_script()
    assert "@" not in script
    assert "virtio_blk" in script
    assert [applet for applet in initramfs.APPLETS if applet not in script] == []


def test_another_init_is_kept_elsewhere_in_the_cache(monkeypatch):
    before = guest.recipe()
    monkeypatch.setattr(guest, "init_script", lambda: "another")
    assert guest.recipe() != before


def test_a_file_that_is_no_kernel_is_refused():
    with pytest.raises(CannotAsk, match="not a bzImage"):
        kernel.plain_image(bytes(4096))


def bzimage(payload):
    """A kernel image with two setup sectors and its payload 64 bytes behind them."""
    head = bytearray(3 * 512)
    head[0x1F1] = 2
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", head, 0x248, 64, len(payload) + 4)
    return bytes(head) + bytes(64) + payload + struct.pack("<I", 4096)


def test_the_plain_kernel_is_taken_out_of_its_image():
    assert kernel.plain_image(bzimage(lzma.compress(b"\x7fELF kernel"))) == b"\x7fELF kernel"


def test_a_kernel_that_is_compressed_otherwise_is_refused():
    with pytest.raises(CannotAsk, match="not compressed with xz"):
        kernel.plain_image(bzimage(b"(\xb5/\xfd zstd"))


def test_what_is_prepared_for_the_cluster(tmp_path):
    layout = Layout(tmp_path / "lab", tmp_path / "cache")
    cached = layout.cache / f"guest-{guest.recipe()}"
    cached.mkdir(parents=True)
    for name in guest.FILES:
        (cached / name).write_text(name)
    disk = layout.shared / "disks" / "web1.raw"
    guest.prepare(layout, [Domain("web1", UUID)])
    assert (layout.shared / "guest" / "vmlinuz").read_text() == "vmlinuz"
    assert disk.stat().st_size == guest.DISK
    assert guest.read_disk(disk) == {}
    with disk.open("r+b") as running:
        running.write(f"#backstay {UUID} {UUID} 0 run .\n".encode())
    guest.prepare(layout, [Domain("web1", UUID)])
    assert sorted(guest.read_disk(disk)) == [0]
    assert sorted(path.name for path in layout.shared.rglob("*") if path.is_file()) == [
        "initrd",
        "vmlinuz",
        "web1.raw",
        "web1.xml",
    ]
    assert (layout.shared / "domains" / "web1.xml").read_text() == guest.domain_xml("web1", UUID)


def test_a_domain_without_a_uuid_cannot_be_audited(tmp_path):
    with pytest.raises(BadInput, match="web1 has no UUID"):
        guest.prepare(Layout(tmp_path, tmp_path), [Domain("web1", "")])


def test_a_disk_is_read_beyond_its_holes(tmp_path):
    disk = tmp_path / "disk.raw"
    guest.make_disk(disk, 1 << 30)
    numbers = [0, 1, 3, 100, 1_000_000]
    with disk.open("r+b") as writer:
        for number in numbers:
            writer.seek(number * 512)
            writer.write(f"#backstay {UUID} {UUID} {number} run .\n".encode())
    assert sorted(guest.read_disk(disk)) == numbers
