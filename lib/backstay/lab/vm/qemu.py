# SPDX-License-Identifier: GPL-2.0-or-later
"""The virtual machine of a VM node as an argument list for QEMU. Pure: it starts nothing.

Decides which hardware a node has: one processor, a serial console that is logged, its root and the shared directories
over 9p, a card on the lab's bridge, a watchdog, and disks of its own.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from pathlib import Path

from backstay.lab.layout import Layout, NodeLayout
from backstay.lab.vm.channel import PORTS

PROGRAM = "qemu-system-x86_64"
MEMORY = 1536
"""MiB of a node: the cluster stack, libvirtd and one small guest."""

TCG, KVM = "tcg", "kvm"
# A plain processor is the quickest to emulate; SSSE3 and AES are what Corosync's encryption is fast with.
PROCESSOR = {TCG: "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+aes,+pclmulqdq", KVM: "host"}
ACCELERATOR = {TCG: "tcg,tb-size=256", KVM: "kvm"}
CARD, DISK = "card", "disk"
# Nothing that an emulated processor has to fear, no watch over a kernel that may be held up, and a panic that stays.
KERNEL_ARGUMENTS = (
    "console=ttyS0 quiet net.ifnames=0 mitigations=off nokaslr nowatchdog rcupdate.rcu_cpu_stall_suppress=1 "
    "tsc=reliable no_timer_check random.trust_cpu=on panic=0 systemd.default_timeout_start_sec=300"
)
SHARES = {"root": "/", "shared": "/srv/vm", "witness": "/srv/witness"}
"""What the machine exports to a node, by mount tag, and where it is mounted there."""


def identity(layout: Layout, node: NodeLayout) -> str:
    """The UUID of a node's virtual machine."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{layout.directory} {node.name}"))


def arguments(
    layout: Layout, node: NodeLayout, image: Path, accelerator: str, disks: Iterable[Path]
) -> list[str]:
    """The argument list of a node's emulator."""
    exported = {"root": node.root, "shared": layout.shared, "witness": node.witness}
    argv = [
        *plain(image, accelerator, KERNEL_ARGUMENTS),
        "-name", node.name, "-uuid", identity(layout, node), "-m", str(MEMORY),
        "-chardev", f"file,id=console,path={node.console},append=on", "-serial", "chardev:console",
        "-qmp", f"unix:{node.monitor},server=on,wait=off",
        "-netdev", f"tap,id=cable,ifname={node.interface},script=no,downscript=no",
        "-device", f"virtio-net-pci,id={CARD},netdev=cable,mac={node.card}",
        "-object", "rng-random,id=random,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=random",
        "-device", "virtio-serial-pci,max_ports=31",
        "-device", "i6300esb", "-action", "watchdog=poweroff",
    ]  # fmt: skip
    for tag, directory in exported.items():
        argv += ["-fsdev", f"local,id={tag},path={directory},security_model=passthrough,multidevs=remap"]
        argv += ["-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
    for number in range(PORTS):
        argv += ["-chardev", f"socket,id=port{number},path={node.channel / str(number)},server=on,wait=off"]
        argv += ["-device", f"virtserialport,chardev=port{number},name=backstay.lab.{number}"]
    for number, disk in enumerate(disks, start=1):
        for options in disk_nodes(number, disk):
            argv += ["-blockdev", json.dumps(options)]
        argv += ["-device", json.dumps(disk_device(number))]
    return argv


def disk_nodes(number: int, file: Path) -> list[dict[str, object]]:
    """A disk's image for QEMU (blockdev-add): the file, and above it what can be put on something else."""
    below = {"driver": "file", "node-name": f"file{number}", "filename": str(file), "discard": "unmap"}
    return [dict(below), disk_node(number, f"file{number}")]


def disk_node(number: int, file: str) -> dict[str, object]:
    """The upper one of a disk's two nodes, over the node `file`."""
    return {"driver": "raw", "node-name": f"{DISK}{number}", "file": file, "discard": "unmap"}


def disk_device(number: int) -> dict[str, object]:
    """A disk's hardware for QEMU (device_add)."""
    name = f"{DISK}{number}"
    return {"driver": "virtio-blk-pci", "id": name, "drive": name, "serial": name}


def disk_path(number: int) -> str:
    """Where a node finds a disk, whatever the kernel calls it."""
    return f"/dev/disk/by-id/virtio-{DISK}{number}"


def plain(image: Path, accelerator: str, kernel_arguments: str) -> list[str]:
    """The part that boots the kernel: it ends when the machine would start again."""
    return [
        PROGRAM, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-machine", "pc,hpet=off,vmport=off", "-accel", ACCELERATOR[accelerator], "-cpu", PROCESSOR[accelerator],
        "-kernel", str(image / "vmlinuz"), "-initrd", str(image / "initrd"), "-append", kernel_arguments,
    ]  # fmt: skip
