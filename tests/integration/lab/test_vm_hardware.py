# SPDX-License-Identifier: GPL-2.0-or-later
"""The hardware of a VM node is changed while its emulator runs; a real one, whose processor stands still."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.host.clock import Deadline, NotYet, until
from backstay.host.qmp import Qmp, QmpTrouble
from backstay.lab.layout import Layout, NodeLayout
from backstay.lab.vm import monitor, qemu

MIB = 1 << 20


@pytest.fixture
def node(need, tmp_path: Path) -> Iterator[NodeLayout]:
    """A node whose emulator has disk 1 and no system."""
    emulator = need(qemu.PROGRAM)
    made = Layout(tmp_path, tmp_path).node("n1")
    made.disks.mkdir(parents=True)
    disk = made.disks / "disk1"
    disk.touch()
    with disk.open("r+b") as file:
        file.truncate(MIB)
    argv = [
        "stdbuf",
        "-o0",
        emulator,
        "-nodefaults",
        "-display",
        "none",
        "-S",
        "-machine",
        "pc,accel=tcg",
        "-m",
        "64",
    ]
    argv += ["-qmp", f"unix:{made.monitor},server=on,wait=off"]
    for options in qemu.disk_nodes(1, disk):
        argv += ["-blockdev", json.dumps(options)]
    argv += ["-device", json.dumps(qemu.disk_device(1) | {"share-rw": True})]
    with made.console.open("w") as said:
        running = subprocess.Popen(argv, stdout=said, stderr=said)
    try:
        until(lambda: talks(made), Deadline(60), what="the emulator to answer")
        yield made
    finally:
        running.kill()
        running.wait(timeout=20)


def talks(node: NodeLayout) -> bool:
    try:
        return bool(ask(node, "query-status"))
    except QmpTrouble as trouble:
        raise NotYet(str(trouble)) from trouble


def ask(node: NodeLayout, command: str, **arguments: object):
    with Qmp(str(node.monitor), 20.0) as qmp:
        return qmp.execute(command, arguments)


def read(node: NodeLayout, name: str, verb: str = "read") -> str:
    """What the emulator itself says when it reads (or writes) a disk."""
    before = node.console.stat().st_size
    ask(node, "human-monitor-command", **{"command-line": f'qemu-io {name} "{verb} 0 4k"'})
    return node.console.read_text()[before:]


def test_a_disk_fails_and_is_mended_while_it_is_in_use(node: NodeLayout) -> None:
    assert "read 4096/4096 bytes" in read(node, "disk1")
    for _ in range(2):
        monitor.fail_disk(node)
        assert "Input/output error" in read(node, "disk1")
    for _ in range(2):
        monitor.mend_disk(node)
        assert "read 4096/4096 bytes" in read(node, "disk1")


def test_a_disk_that_was_written_to_before_it_failed_is_mended(node: NodeLayout) -> None:
    assert "wrote 4096/4096 bytes" in read(node, "disk1", "write")
    monitor.fail_disk(node)
    assert "Input/output error" in read(node, "disk1", "write")
    monitor.mend_disk(node)
    assert "read 4096/4096 bytes" in read(node, "disk1")


def test_a_disk_is_plugged_in(node: NodeLayout) -> None:
    assert monitor.add_disk(node, 2, 3 * MIB) == "/dev/disk/by-id/virtio-disk2"
    sizes = {
        each["node-name"]: each["image"]["virtual-size"] for each in ask(node, "query-named-block-nodes")
    }
    assert sizes["disk2"] == 3 * MIB
    assert "read 4096/4096 bytes" in read(node, "disk2")
    monitor.fail_disk(node, 2)
    assert "Input/output error" in read(node, "disk2")
    assert "read 4096/4096 bytes" in read(node, "disk1")


def test_an_emulator_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(QmpTrouble):
        monitor.set_link(Layout(tmp_path, tmp_path).node("n1"), up=False)
