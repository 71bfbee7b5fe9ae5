# SPDX-License-Identifier: GPL-2.0-or-later
"""A datastore of a node that stops answering: libvirtd then hangs in D state, as on a dead NFS server.

Decides how libvirtd is brought to hang on it: one thread waits for the storage with the pool's lock in its hand,
the requests of impatient clients queue up behind it until no worker is left, and libvirtd answers nobody any more.
No guest has a disk there, so the emulators are never touched. The file system itself is lab/stallfs.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from backstay.host.clock import Deadline, until
from backstay.host.process import Completed
from backstay.lab import stallfs

POOL = "stalled"
POINT = "/srv/stalled-datastore"
PLACE = "/run/backstay-stall"
SWITCH = f"{PLACE}/stalled"
SERVER_UNIT, CLIENTS_UNIT = "backstay-stall.service", "backstay-stall-clients.service"

CLIENTS = 30
"""Clients that ask for the pool at once: libvirtd has at most 20 ordinary workers (libvirtd.conf, max_workers)."""

VIRSH = "virsh --connect qemu:///system"
_PATIENCE = 60.0


class Node(Protocol):
    """What is needed of a node (lab/node.py has it)."""

    def run(self, command: str, timeout: float) -> Completed: ...

    def check(self, command: str, timeout: float) -> str: ...

    def write(self, path: str, text: str) -> None: ...


def start(node: Node) -> None:
    """Mount the datastore and make it a pool of libvirtd, in good health. May be repeated."""
    node.write(f"{PLACE}/stallfs.py", Path(stallfs.__file__).read_text(encoding="utf-8"))
    node.check(
        f"mkdir -p {POINT}; [ -e /dev/fuse ] || mknod /dev/fuse c 10 229; mountpoint -q {POINT} ||"
        f" systemd-run --quiet --collect --unit={SERVER_UNIT}"
        f" /usr/bin/python3 {PLACE}/stallfs.py {POINT} {SWITCH}",
        _PATIENCE,
    )
    until(
        lambda: node.run(f"timeout 5 ls {POINT}/base.img", _PATIENCE).ok or None,
        Deadline(_PATIENCE),
        what=f"the datastore {POINT} to answer",
    )
    node.check(
        f"{VIRSH} pool-info {POOL} >/dev/null 2>&1 || {VIRSH} pool-create-as {POOL} dir --target {POINT}",
        _PATIENCE,
    )


def stall(node: Node) -> None:
    """Let the datastore stop answering, and return when libvirtd waits for it in D state. May be repeated."""
    refreshes = f"for client in $(seq {CLIENTS}); do {VIRSH} pool-refresh {POOL} & done; wait"
    node.check(
        f"touch {SWITCH}; systemctl --quiet is-active {CLIENTS_UNIT} ||"
        f" systemd-run --quiet --collect --unit={CLIENTS_UNIT} /bin/sh -c '{refreshes}'",
        _PATIENCE,
    )
    until(lambda: waiting(node) or None, Deadline(_PATIENCE), what="libvirtd to wait for its datastore")


def waiting(node: Node) -> tuple[str, ...]:
    """The kernel functions in which threads of libvirtd wait in D state; none when it does not."""
    look = "for t in /proc/$(systemctl show -P MainPID libvirtd.service)/task/*; do grep -q '^State:.D' $t/status &&"
    done = node.run(f"{look} cat $t/wchan && echo; done; true", _PATIENCE)
    return tuple(done.stdout.split())


def release(node: Node) -> None:
    """Let the datastore answer again, and return when everybody who waited has been served. May be repeated."""
    node.check(f"rm -f {SWITCH}", _PATIENCE)
    until(
        lambda: not node.run(f"systemctl --quiet is-active {CLIENTS_UNIT}", _PATIENCE).ok or None,
        Deadline(_PATIENCE),
        what="the clients of the datastore to be served",
    )


def stop(node: Node) -> None:
    """Take the datastore away again; also on a node that has rebooted since. May be repeated."""
    release(node)
    node.run(f"timeout 20 {VIRSH} pool-destroy {POOL}", _PATIENCE)
    node.check(
        f"! mountpoint -q {POINT} || umount --lazy {POINT}; systemctl stop {SERVER_UNIT} 2>/dev/null;"
        f" rm -rf {PLACE}; rmdir {POINT} 2>/dev/null; true",
        _PATIENCE,
    )
