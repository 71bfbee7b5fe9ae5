# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults of libvirtd itself: hung, slow, crashed (once, in a loop), broken for good, removed; no emulator is touched.

Facts about Debian's unit: Restart=on-failure and KillMode=process, so that a crash heals without anybody unless
that is switched off, and its sockets start a stopped daemon again (DESIGN section 8).
"""

from __future__ import annotations

from backstay.lab.faults.fault import Fault
from backstay.lab.node import Node

SOCKETS = "libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket"
REMOTE = "libvirtd-tcp.socket"
"""By which other hosts reach it to migrate."""

BINARY = "/usr/sbin/libvirtd"
KEPT = "/usr/sbin/libvirtd.whole"
DROP_IN = "/run/systemd/system/libvirtd.service.d/90-fault.conf"
SLOW_UNIT = "backstay-fault-slow.service"
LOOP_UNIT = "backstay-fault-crash-loop.service"
CRASHES, CRASH_EVERY = 60, 0.5  # how often, and seconds: systemd gives up after five starts in ten
UNITS = "/lib/systemd/system"
AWAY = "/var/lib/backstay-fault"
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
    node.check(f"[ ! -e {KEPT} ] || mv {KEPT} {BINARY}")
    _start_again(node)


def _start_again(node: Node) -> None:
    """Begin with everything stopped: a service that was healed meanwhile keeps its sockets from starting."""
    units = f"{SOCKETS} {REMOTE}"
    node.check(
        f"for again in 1 2 3; do systemctl stop {units} libvirtd.service;"
        f" systemctl reset-failed {units} libvirtd.service; systemctl start {units} && break; sleep 1; done"
        " && systemctl start libvirtd.service",
    )


def _crash_again_and_again(node: Node) -> None:
    """Whoever starts it, for half a minute it crashes at once."""
    node.check(
        f"systemctl start libvirtd.service && systemctl is-active --quiet {LOOP_UNIT} ||"
        f" systemd-run --quiet --collect --unit={LOOP_UNIT} /bin/sh -c"
        f" 'for n in $(seq {CRASHES}); do pid={MAIN_PID}; [ $pid = 0 ] || kill -SEGV $pid; sleep {CRASH_EVERY}; done'"
    )


def _crash_no_more(node: Node) -> None:
    """Only that: to start it again is the agent's business."""
    node.check(f"systemctl stop {LOOP_UNIT} 2>/dev/null; true")


def _uninstall(node: Node) -> None:
    """What is left when the package is removed under a daemon that runs; guests go on (KillMode=process)."""
    node.check(
        f"[ -e {AWAY}/libvirtd ] || {{ mkdir -p {AWAY} && pid={MAIN_PID} && mv {UNITS}/libvirtd* {BINARY} {AWAY}/"
        " && systemctl daemon-reload && { [ $pid = 0 ] || kill $pid; }; }"
    )


def _install(node: Node) -> None:
    node.check(
        f"[ ! -e {AWAY}/libvirtd ] || mv {AWAY}/libvirtd {BINARY}; for unit in {AWAY}/libvirtd*; do"
        f" [ ! -e $unit ] || mv $unit {UNITS}/; done; systemctl daemon-reload"
    )
    _start_again(node)


def _slow(node: Node) -> None:
    """Let it work for a fifth of the time only, as on a host that swaps."""
    node.check(
        f"systemctl start libvirtd.service && systemctl is-active --quiet {SLOW_UNIT} ||"
        f" systemd-run --quiet --collect --unit={SLOW_UNIT} --property=KillMode=control-group /bin/sh -c"
        f" 'while sleep 0.4; do kill -STOP {MAIN_PID}; sleep 1.6; kill -CONT {MAIN_PID}; done'"
    )


def _fast(node: Node) -> None:
    node.check(f"systemctl stop {SLOW_UNIT} 2>/dev/null; true")
    _continue(node)


FAULTS = (
    Fault("hang-libvirtd", "libvirtd is stopped (SIGSTOP): it answers nobody", _hang, _continue),
    Fault(
        "slow-libvirtd", "libvirtd is stopped and continued: it works for a fifth of the time", _slow, _fast
    ),
    Fault("crash-libvirtd", "libvirtd dies (SIGSEGV) and systemd may not restart it", _crash, _whole_again),
    Fault(
        "crash-loop-libvirtd",
        "libvirtd dies (SIGSEGV) as often as it is started, for half a minute",
        _crash_again_and_again,
        _crash_no_more,
    ),
    Fault("break-libvirtd", "libvirtd's binary ends at once, as after a bad package", _break, _mend),
    Fault(
        "uninstall-libvirtd", "libvirtd's program and units are removed while it runs", _uninstall, _install
    ),
)
