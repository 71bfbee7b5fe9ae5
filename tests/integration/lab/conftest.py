# SPDX-License-Identifier: GPL-2.0-or-later
"""One audit guest under plain QEMU, heard by a real witness: no cluster, no libvirt, no root."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from backstay.host.clock import Deadline, until
from backstay.lab import guest, witness
from backstay.lab.layout import Layout
from backstay.lab.records import Heard, Record

PATIENCE = 60.0  # a guest speaks 2 s after it was started


@dataclass
class Bench:
    """A witness with the sockets of two hosts, and guests that are started by hand."""

    layout: Layout
    monitors: dict[int, Path] = field(default_factory=dict)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def new_guest(self) -> tuple[str, Path]:
        """A domain's UUID and its empty disk."""
        disk = self.layout.directory / f"{len(self.monitors)}-{uuid.uuid4().hex[:8]}.raw"
        guest.make_disk(disk)
        return str(uuid.uuid4()), disk

    def boot(self, identity: str, disk: Path, host: str = "n1") -> subprocess.Popen[bytes]:
        monitor = self.layout.directory / f"monitor-{len(self.started)}"
        socket = self.layout.witness / host / witness.SOCKET
        argv = guest.qemu_arguments(identity, guest.boot_files(self.layout.cache), disk, socket)
        process = subprocess.Popen([*argv, "-monitor", f"unix:{monitor},server=on,wait=off"])
        self.started.append(process)
        self.monitors[process.pid] = monitor
        return process

    def heard(self, identity: str) -> tuple[Heard, ...]:
        return tuple(h for h in witness.read(self.layout).heard if h.record.uuid == identity)

    def wait_for(self, identity: str, count: int) -> tuple[Heard, ...]:
        def look() -> tuple[Heard, ...] | None:
            seen = self.heard(identity)
            return seen if len(seen) >= count else None

        return until(look, Deadline(PATIENCE), what=f"{count} records of {identity}")

    def on_disk(self, disk: Path) -> dict[int, Record]:
        return guest.read_disk(disk)


@pytest.fixture()
def bench(tmp_path: Path, need) -> Iterator[Bench]:
    need("qemu-system-x86_64")
    cache = Layout.from_environment().cache if os.access("/var/cache", os.W_OK) else tmp_path / "cache"
    layout = Layout(tmp_path, cache)
    made = Bench(layout)
    witness.start(layout, ("n1", "n2"))
    yield made
    for process in made.started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait(10)
    witness.stop(layout)
