# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults that need a kernel or hardware of the host's own: a panic, a watchdog that bites, a disk that fails.

Only VM nodes have them; a container shares the machine's kernel, which nobody wants to see panic.
"""

from __future__ import annotations

import os

from backstay.errors import CannotAsk
from backstay.host.clock import Deadline, TimedOut, until
from backstay.lab import kinds, power, processes
from backstay.lab.bmc.chassis import FIRMWARE
from backstay.lab.faults import ledger
from backstay.lab.faults.fault import Fault
from backstay.lab.node import Node
from backstay.lab.vm import monitor

PANIC = (
    "echo 1 >/proc/sys/kernel/sysrq; (sleep 0.5; echo c >/proc/sysrq-trigger) </dev/null >/dev/null 2>&1 &"
)
BITES = 10
"""Seconds after which the watchdog gives up a host that does not feed it."""

FEED_NO_MORE = f"modprobe i6300esb heartbeat={BITES} && echo once >/dev/watchdog"
SECONDS = 120.0


def _panic(node: Node) -> None:
    """Return when the kernel has said so on its console."""
    before = _panics(node)
    node.check(PANIC)
    until(lambda: _panics(node) > before or None, Deadline(SECONDS), what=f"{node.name} to panic")


def _panics(node: Node) -> int:
    return node.places.console.read_text(errors="replace").count("Kernel panic")


def _starve(node: Node) -> None:
    """Return when the watchdog has switched the host off (a closed device is still watched, unless it got a V)."""
    node.check(FEED_NO_MORE, timeout=SECONDS)
    gone = Deadline(SECONDS)
    until(lambda: None if power.is_on(node.layout, node.name) else True, gone, what="the watchdog to bite")


def _boot(node: Node) -> None:
    """Switch on a host that nobody fenced; a fenced one is left to its BMC, which takes its time for a reason."""
    broken = [entry.at for entry in ledger.read(node.layout) if entry.host == node.name]
    if _begun(node) < max(broken, default=0.0):
        power.cut(node.layout, node.name)
    try:
        until(lambda: power.is_on(node.layout, node.name) or None, Deadline(FIRMWARE + 3.0))
    except TimedOut:
        power.boot(node.layout, node.name)


def _begun(node: Node) -> float:
    """When the host that runs now was switched on, in seconds on the monotonic clock; for ever ago while it is off."""
    emulator = processes.recorded(node.layout, node.name)
    return emulator.start / os.sysconf("SC_CLK_TCK") if emulator else float("inf")


def _fail_disk(node: Node) -> None:
    monitor.fail_disk(node.places)


def _mend_disk(node: Node) -> None:
    """A host that was switched off meanwhile has a good disk since."""
    try:
        monitor.mend_disk(node.places)
    except CannotAsk:
        if power.is_on(node.layout, node.name):
            raise


_OWN = (kinds.VM,)
FAULTS = (
    Fault("panic", "the host's kernel panics and says nothing more", _panic, _boot, _OWN),
    Fault("starve-watchdog", f"the host's watchdog bites after {BITES} s: power off", _starve, _boot, _OWN),
    Fault("fail-disk", "each I/O of the host's second disk is an error", _fail_disk, _mend_disk, _OWN),
)
