# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults of libvirtd itself: hung, crashed, broken for good. The guests' emulators are never touched.

Facts about Debian's unit: Restart=on-failure and KillMode=process, so that a crash heals without anybody unless
that is switched off, and its sockets start a stopped daemon again (DESIGN section 8).
"""

from __future__ import annotations

from backstay.lab.faults.fault import Fault
from backstay.lab.node import Node

SOCKETS = "libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket"
BINARY = "/usr/sbin/libvirtd"
KEPT = "/usr/sbin/libvirtd.whole"
DROP_IN = "/run/systemd/system/libvirtd.service.d/90-fault.conf"
MAIN_PID = "$(systemctl show -P MainPID libvirtd.service)"

# What a package with a wrong library looks like from outside: it is there, it is executable, it ends at once.
BROKEN = """#!/bin/sh
echo "libvirtd: symbol lookup error: undefined symbol: virFaultInjected" >&2
exit 127
"""


def _signal(node: Node, name: str) -> None:
    node.check(f"systemctl start libvirtd.service && kill -{name} {MAIN_PID}")


def _hang(node: Node) -> None:
    _signal(node, "STOP")


def _continue(node: Node) -> None:
    node.check(f"pid={MAIN_PID}; [ $pid -gt 0 ] && kill -CONT $pid; true")


def _crash(node: Node) -> None:
    """SIGSEGV with nobody to pick it up: systemd's restart is off and no socket can wake it."""
    node.check(
        f"mkdir -p {DROP_IN.rpartition('/')[0]} && printf '[Service]\\nRestart=no\\n' > {DROP_IN}"
        " && systemctl daemon-reload",
    )
    node.check(
        f"systemctl start libvirtd.service && pid={MAIN_PID} && systemctl stop {SOCKETS} && kill -SEGV $pid"
    )


def _whole_again(node: Node) -> None:
    node.check(f"rm -f {DROP_IN} && systemctl daemon-reload && systemctl start {SOCKETS}")


def _break(node: Node) -> None:
    """Put a binary in place that ends at once, then end the running one, as a bad package's restart does."""
    node.check(f"[ -e {KEPT} ] || mv {BINARY} {KEPT}")
    node.write(BINARY, BROKEN, mode=0o755)
    node.check(f"pid={MAIN_PID}; [ $pid -gt 0 ] && kill -KILL $pid; true")


def _mend(node: Node) -> None:
    node.check(
        f"[ ! -e {KEPT} ] || mv {KEPT} {BINARY}; systemctl reset-failed libvirtd.service {SOCKETS};"
        f" systemctl start {SOCKETS} libvirtd.service",
    )


FAULTS = (
    Fault("hang-libvirtd", "libvirtd is stopped (SIGSTOP): it answers nobody", _hang, _continue),
    Fault("crash-libvirtd", "libvirtd dies (SIGSEGV) and systemd may not restart it", _crash, _whole_again),
    Fault("break-libvirtd", "libvirtd's binary ends at once, as after a bad package", _break, _mend),
)
