# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest with a guest agent: Debian's kernel, busybox, and a shell that speaks the agent's protocol.

It answers guest-sync and guest-ping as qemu-ga does, and keeps quiet for ever after the third ping. The files are
fetched and built once, into the lab's cache.
"""

from __future__ import annotations

import hashlib
import stat
import tempfile
from pathlib import Path

import pytest

from backstay.lab import initramfs, kernel
from backstay.lab.guest import KERNEL_ARGUMENTS
from backstay.lab.initramfs import Entry, archive

MODULES = (*initramfs.MODULES[:5], "drivers/char/virtio_console")
PINGS = 3
INIT = """#!/bin/busybox sh
export PATH=/bin
mount -t devtmpfs dev /dev
for module in @MODULES@; do insmod "/modules/$module.ko"; done
exec </dev/null >/dev/ttyS0 2>&1
port=
until [ -c "$port" ]; do sleep 0.1; for port in /dev/vport*p1; do :; done; done
exec 3<>"$port"
pings=0
while :; do
    read -r line <&3 || { sleep 0.2; continue; } # nobody has opened the other end
    case $line in
    *guest-sync*) id=${line##*'"id":'}; echo "{\\"return\\": ${id%%\\}*}}" >&3 ;;
    *guest-ping*) pings=$((pings + 1)); [ "$pings" -gt @PINGS@ ] && sleep 100000; echo '{"return": {}}' >&3 ;;
    esac
done
""".replace("@PINGS@", str(PINGS))
DOMAIN = """<domain type='qemu'>
  <name>web1</name><uuid>11111111-2222-3333-4444-555555555501</uuid>
  <memory unit='MiB'>96</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type>
    <kernel>{kernel}</kernel><initrd>{initrd}</initrd><cmdline>{arguments}</cmdline></os>
  <features><acpi/></features>
  <clock offset='utc'><timer name='hpet' present='no'/></clock>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
    <serial type='file'><source path='{console}'/><target port='0'/></serial>
    <channel type='unix'><source mode='bind'/><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
  </devices>
</domain>
"""


def files(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory with vmlinuz and initrd."""
    place = cache / f"agent-guest-{hashlib.sha256((INIT + ' '.join(MODULES)).encode()).hexdigest()[:12]}"
    if place.is_dir():
        return place
    cache.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(kernel, "MODULES", MODULES)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        image, busybox, modules = kernel.fetch(Path(scratch))
        new = Path(scratch) / "new"
        new.mkdir()
        (new / "vmlinuz").write_bytes(image)
        (new / "initrd").write_bytes(_initrd(busybox, modules))
        if not place.is_dir():
            new.rename(place)
    return place


def _initrd(busybox: bytes, modules: dict[str, bytes]) -> bytes:
    names = [module.rpartition("/")[2] for module in MODULES]
    links = [
        Entry(f"bin/{name}", stat.S_IFLNK | 0o777, b"busybox") for name in ("insmod", "mount", "sh", "sleep")
    ]
    return archive(
        [
            *[Entry(name, stat.S_IFDIR | 0o755) for name in ("bin", "dev", "modules")],
            Entry("init", stat.S_IFREG | 0o755, INIT.replace("@MODULES@", " ".join(names)).encode()),
            Entry("bin/busybox", stat.S_IFREG | 0o755, busybox),
            *links,
            *[
                Entry(f"modules/{name}.ko", stat.S_IFREG | 0o644, modules[module])
                for name, module in zip(names, MODULES, strict=True)
            ],
        ]
    )


def definition(place: Path, console: Path) -> str:
    """The XML of the guest."""
    return DOMAIN.format(
        kernel=place / "vmlinuz", initrd=place / "initrd", arguments=KERNEL_ARGUMENTS, console=console
    )
