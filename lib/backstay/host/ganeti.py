# SPDX-License-Identifier: GPL-2.0-or-later
"""A node of a Ganeti cluster: what its files say, which of its daemons run, where its master's address is.

Decides nothing. Raises CannotAsk when a tool does not answer. Source: Ganeti 3.0's pathutils (ssconf files below
/var/lib/ganeti), daemon-util (daemons are found by the name that the kernel has for them), ip-route(8).
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

from backstay.errors import CannotAsk
from backstay.host.process import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

DATA = "/var/lib/ganeti"
CRON = "/etc/cron.d/ganeti"
BARRIER = "backstay-ganeti-barrier.service"
BARRIER_TIME = 60  # seconds after which systemd takes the barrier away, whatever became of who put it up
TOOL_TIME = 10.0  # seconds
RUN = "/run/ganeti"
DEATH = 3.0  # seconds after SIGKILL, after which it is in D state


class Node:
    """The node that this host is."""

    __slots__ = ()

    def says(self, name: str) -> str:
        """Give one of Ganeti's small files (ssconf), such as master_node; empty when there is none."""
        return _text(f"{DATA}/ssconf_{name}").strip()

    def watched(self) -> bool:
        """Whether Ganeti's own watcher is run on this host by cron: it starts what the cluster stopped."""
        lines = (line.strip() for line in _text(CRON).splitlines())
        return any("ganeti-watcher" in line and not line.startswith("#") for line in lines)

    def daemons(self, names: Sequence[str]) -> dict[str, tuple[int, ...]]:
        """Give those of these daemons that run, with their processes."""
        from backstay.host.proc import Proc

        proc = Proc()
        found: dict[str, tuple[int, ...]] = {}
        for pid in proc.pids():
            name = proc.text(pid, "comm").strip()
            if name in names:
                found[name] = (*found.get(name, ()), pid)
        return found

    def kill(self, names: Sequence[str]) -> None:
        """Kill every process of these daemons, and wait until they are gone."""
        import signal

        from backstay.host import daemon

        for pids in self.daemons(names).values():
            for pid in pids:
                there = daemon.look(pid)
                if there is not None:
                    daemon.signal(there, (signal.SIGKILL,))
        end = time.monotonic() + DEATH
        while self.daemons(names) and time.monotonic() < end:
            time.sleep(0.1)

    def tidy(self, names: Sequence[str]) -> None:
        """Remove the pid files of those that do not run: daemon-util starts none beside one (seen with 3.0.2)."""
        for name in names:
            if name not in self.daemons(names):
                with suppress(FileNotFoundError):
                    os.unlink(f"{RUN}/{name}.pid")  # noqa: PTH108

    def devices(self, address: str) -> list[tuple[str, str]]:
        """Give where this host has an address: pairs of device and address with its prefix's length."""
        done = run(["ip", "-oneline", "address", "show", "to", address], timeout=TOOL_TIME)
        if not done.ok:
            raise CannotAsk(f"ip: {done.complaint()}")
        words = (line.split() for line in done.stdout.splitlines())
        return [(each[1], each[3]) for each in words if len(each) > 3]

    def drop(self, address: str) -> None:
        """Take an address from every device that has it."""
        for device, with_length in self.devices(address):
            done = run(["ip", "address", "del", with_length, "dev", device], timeout=TOOL_TIME)
            if not done.ok:
                raise CannotAsk(f"{address} cannot be taken from {device}: {done.complaint()}")

    def shut_out(self, addresses: Sequence[str]) -> None:
        """Let nobody on this host wait for these addresses, where nobody is; systemd ends that by itself.

        Without, Ganeti waits 5 s for each call of a node without power, and 30 s in all (measured: 49 s, with it 4 s).
        """
        if not addresses:
            return
        adds = "; ".join(f"ip route add unreachable {each}" for each in addresses)
        drops = "; ".join(f"ip route del unreachable {each}" for each in addresses)
        done = run(
            [
                "systemd-run", "--collect", f"--unit={BARRIER}", f"--property=RuntimeMaxSec={BARRIER_TIME}",
                f"--property=ExecStopPost=-/bin/sh -c '{drops}'",
                "/bin/sh", "-c", f"{adds}; exec sleep infinity",
            ],
            timeout=TOOL_TIME,
        )  # fmt: skip
        if not done.ok:
            raise CannotAsk(f"systemd-run: {done.complaint()}")

    def let_in(self) -> None:
        """End that now."""
        run(["systemctl", "stop", BARRIER], timeout=TOOL_TIME)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read()
    except OSError:
        return ""
