# SPDX-License-Identifier: GPL-2.0-or-later
"""What runs inside an audit guest: one shell script under busybox, and the archive that carries it.

Decides what the guest writes and in which order (disk first, then witness). Writes nothing: it returns bytes.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

MODULES = (
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci",
    "drivers/block/virtio_blk",
    "drivers/acpi/button",
    "drivers/input/evdev",
)
"""What Debian's kernel needs for a virtio disk and a power button, in loading order, below kernel/."""

INTERVAL = 0.5
"""Seconds between two records, besides the time that writing one takes."""

SCRIPT = Path(__file__).parent / "data" / "guest-init.sh"

APPLETS = ("dd", "echo", "insmod", "mkfifo", "mount", "poweroff", "sh")
"""The programs of busybox that the init calls by name."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the archive: mode with its type bits, and the contents (of a symbolic link: its target)."""

    name: str
    mode: int
    data: bytes = b""


def init_script() -> str:
    """The guest's init (data/guest-init.sh) with its modules and its interval filled in."""
    names = " ".join(module.rpartition("/")[2] for module in MODULES)
    return SCRIPT.read_text(encoding="utf-8").replace("@MODULES@", names).replace("@INTERVAL@", str(INTERVAL))


def _member(number: int, entry: Entry) -> bytes:
    """One member in cpio's `newc` form: the kernel's Documentation/driver-api/early-userspace/buffer-format."""
    name = entry.name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    numbers = (number, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, 0, 0, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % n for n in numbers) + name
    return head + b"\0" * (-len(head) % 4) + entry.data + b"\0" * (-len(entry.data) % 4)


def archive(entries: Iterable[Entry]) -> bytes:
    """A cpio archive of the entries in their order; the same entries give the same bytes."""
    members = [*entries, Entry("TRAILER!!!", 0)]
    return b"".join(_member(number, entry) for number, entry in enumerate(members, 1))


def build(busybox: bytes, modules: Mapping[str, bytes]) -> bytes:
    """The guest's initramfs, uncompressed: under software emulation unpacking costs more than reading.

    `modules` maps a path of `MODULES` to the module's bytes; KeyError when one is missing.
    """
    directories = [Entry(name, stat.S_IFDIR | 0o755) for name in ("bin", "dev", "modules", "proc", "sys")]
    init = Entry("init", stat.S_IFREG | 0o755, init_script().encode())
    kernel = [
        Entry(f"modules/{path.rpartition('/')[2]}.ko", stat.S_IFREG | 0o644, modules[path])
        for path in MODULES
    ]
    return archive([*directories, init, *programs(busybox, APPLETS), *kernel])


def programs(busybox: bytes, applets: Iterable[str]) -> list[Entry]:
    """Busybox, and a link for each of its programs."""
    links = [Entry(f"bin/{applet}", stat.S_IFLNK | 0o777, b"busybox") for applet in applets]
    return [Entry("bin/busybox", stat.S_IFREG | 0o755, busybox), *links]
