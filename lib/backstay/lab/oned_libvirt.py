# SPDX-License-Identifier: GPL-2.0-or-later
"""The world of the stand-in for oned where hosts are real: its machines are libvirt's domains `one-NUMBER`.

Behaves as the documented manager's driver for KVM: it lists the domains of a host, and starts one from a description.
DIRECTORY/vms/NUMBER.xml describes a machine. With the file `hasty` it is the driver of before OpenNebula 6.2: a
list that fails is an empty list, so a libvirtd that is down has no machines when that was seen three times.
Source: OpenNebula issue 5564; probe_db.rb of 6.0 (times_missing).
"""

from __future__ import annotations

import json
import re
import socket
import time
from contextlib import suppress
from pathlib import Path

from backstay.errors import CannotAsk
from backstay.host.process import Completed, run

PORT = 16509
NAME = re.compile(r"^one-(\d+)$", re.MULTILINE)
ANSWER = 5.0  # seconds
START = 30.0
MISSES = 3  # probes after which a machine that is not seen is off


class Libvirt:
    """Hosts by their names, reached by libvirt over TCP; every start is written down in DIRECTORY/starts."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.seen: dict[str, frozenset[int]] = {}
        self.misses: dict[str, int] = {}

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def runs(self, host: str) -> frozenset[int] | None:
        """The machines that run on a host; None when it cannot be monitored."""
        with suppress(CannotAsk):
            listed = self._virsh(host, ["list", "--name", "--state-running"], ANSWER)
            if listed.ok:
                self.seen[host] = frozenset(map(int, NAME.findall(listed.stdout)))
                self.misses[host] = 0
                return self.seen[host]
        if not ((self.directory / "hasty").exists() and _is_on(host)):
            return None
        self.misses[host] = self.misses.get(host, 0) + 1
        return frozenset() if self.misses[host] >= MISSES else self.seen.get(host, frozenset())

    def boot(self, host: str, vm: int) -> bool:
        """Start a machine on a host."""
        with (self.directory / "starts").open("a") as starts:
            starts.write(json.dumps({"at": time.time(), "host": host, "vm": vm}) + "\n")
        with suppress(CannotAsk):
            return self._virsh(host, ["create", str(self.directory / "vms" / f"{vm}.xml")], START).ok
        return False

    def _virsh(self, host: str, words: list[str], timeout: float) -> Completed:
        return run(["virsh", "--connect", f"qemu+tcp://{host}/system", *words], timeout=timeout)


def _is_on(host: str) -> bool:
    """Whether the host's kernel answers, also to say that nobody listens."""
    try:
        socket.create_connection((host, PORT), ANSWER).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True
