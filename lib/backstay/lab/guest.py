# SPDX-License-Identifier: GPL-2.0-or-later
"""The audit guests: their kernel, disks and libvirt descriptions in the lab's shared directory.

Decides how a guest looks to libvirt and to QEMU. Never starts one: the cluster does.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol
from xml.sax.saxutils import escape

from backstay.errors import BadInput
from backstay.lab.initramfs import MODULES, build, init_script
from backstay.lab.kernel import fetch
from backstay.lab.layout import Layout
from backstay.lab.records import SECTOR, Record, parse_disk

MEMORY = 128
"""MiB of one audit guest; it uses about 30."""

DISK = 1 << 30
"""Bytes of a guest's disk, none of them allocated before they are written: room for eleven days of records."""

KERNEL_ARGUMENTS = "console=ttyS0 quiet panic=-1 mitigations=off nokaslr audit=0 rodata=off cryptomgr.notests"
"""A panic reboots at once, which the audit sees as a new boot; the rest is speed."""

INSIDE = Path("/srv/vm")
"""The lab's shared directory as the nodes see it."""

WITNESS_SOCKET = Path("/srv/witness/serial.sock")
"""Where a node's guests reach the witness."""

FILES = ("vmlinuz", "initrd")


class Domain(Protocol):
    """What is needed to know about a domain of the cloud description."""

    @property
    def name(self) -> str: ...

    @property
    def uuid(self) -> str: ...


def domain_xml(name: str, uuid: str, *, directory: Path = INSIDE, witness: Path = WITNESS_SOCKET) -> str:
    """The libvirt description of one audit guest, with the fewest devices that it can live with.

    The disk is shareable so that QEMU's image lock does not hide a second copy from the audit (nodes of the lab
    share a kernel, so the lock would see what two real hosts could not). The serial port finds a restarted
    witness again within a second, and a guest without one runs on.
    """
    files = {key: escape(str(directory / "guest" / key)) for key in FILES}
    return f"""\
<domain type='qemu'>
  <name>{escape(name)}</name>
  <uuid>{escape(uuid)}</uuid>
  <memory unit='MiB'>{MEMORY}</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>{files["vmlinuz"]}</kernel>
    <initrd>{files["initrd"]}</initrd>
    <cmdline>{KERNEL_ARGUMENTS}</cmdline>
  </os>
  <features>
    <acpi/>
  </features>
  <clock offset='utc'>
    <timer name='hpet' present='no'/>
  </clock>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='none'/>
      <source file='{escape(str(directory / "disks" / f"{name}.raw"))}'/>
      <target dev='vda' bus='virtio'/>
      <shareable/>
    </disk>
    <serial type='unix'>
      <source mode='connect' path='{escape(str(witness))}'>
        <reconnect enabled='yes' timeout='1'/>
      </source>
      <target port='0'/>
    </serial>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
</domain>
"""


def qemu_arguments(uuid: str, boot_files: Path, disk: Path, serial: Path) -> list[str]:
    """The same guest for QEMU without libvirt; for tests and for measuring."""
    return [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
        "-machine", "pc,accel=tcg,hpet=off", "-m", str(MEMORY), "-uuid", uuid,
        "-kernel", str(boot_files / "vmlinuz"), "-initrd", str(boot_files / "initrd"), "-append", KERNEL_ARGUMENTS,
        "-drive", f"if=none,id=disk,format=raw,cache=none,file={disk}",
        "-device", "virtio-blk-pci,drive=disk,share-rw=on",
        "-chardev", f"socket,id=serial,path={serial},reconnect=1", "-serial", "chardev:serial",
    ]  # fmt: skip


def recipe() -> str:
    """Names what the boot files are made from; another recipe gets another place in the cache."""
    return hashlib.sha256("\n".join([init_script(), *MODULES]).encode()).hexdigest()[:12]


def boot_files(cache: Path) -> Path:
    """The directory in the cache that holds vmlinuz and initrd, made at the first call (ten seconds, needs apt).

    Raises CannotAsk when Debian's kernel cannot be downloaded.
    """
    place = cache / f"guest-{recipe()}"
    if place.is_dir():
        return place
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="guest-") as scratch:
        kernel, busybox, modules = fetch(Path(scratch))
        new = Path(scratch) / "new"
        new.mkdir()
        (new / "vmlinuz").write_bytes(kernel)
        (new / "initrd").write_bytes(build(busybox, modules))
        if not place.is_dir():
            new.rename(place)  # whole or not at all: an interrupted download leaves no half a cache
    return place


def make_disk(path: Path, size: int = DISK) -> None:
    """An empty disk, unless there is one: a guest that runs would lose what it has acknowledged."""
    with path.open("ab") as disk:
        os.ftruncate(disk.fileno(), size)


def prepare(layout: Layout, domains: Iterable[Domain]) -> None:
    """Put kernel, initramfs, disks and libvirt descriptions into the lab's shared directory.

    May be repeated while guests run: their disks keep their records, and files change whole or not at all.
    Raises BadInput for a domain without a UUID, CannotAsk when Debian's kernel cannot be downloaded.
    """
    wanted = tuple(domains)
    for domain in wanted:
        if not domain.uuid:
            raise BadInput(f"{domain.name} has no UUID, so the witness could not tell it from others")
    files = boot_files(layout.cache)
    guest, disks, descriptions = (layout.shared / part for part in ("guest", "disks", "domains"))
    for directory in (guest, disks, descriptions):
        directory.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(files / name, guest / f".{name}")
        (guest / f".{name}").replace(guest / name)
    for domain in wanted:
        make_disk(disks / f"{domain.name}.raw")
        fresh = descriptions / f".{domain.name}.xml"
        fresh.write_text(domain_xml(domain.name, domain.uuid), encoding="utf-8")
        fresh.replace(descriptions / f"{domain.name}.xml")


def read_disk(path: Path) -> dict[int, Record]:
    """The records on a guest's disk by sequence number. Raises OSError."""
    with path.open("rb") as disk:
        return parse_disk(_written(disk))


def _written(disk: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The sectors that were ever written, with their numbers: a gigabyte of holes need not be read."""
    end = 0
    while True:
        try:
            begin = os.lseek(disk.fileno(), end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # nothing but a hole up to the end
            raise
        end = os.lseek(disk.fileno(), begin, os.SEEK_HOLE)
        for place in range(begin, end, SECTOR):
            yield place // SECTOR, os.pread(disk.fileno(), SECTOR, place)
