# SPDX-License-Identifier: GPL-2.0-or-later
"""VM nodes: a kernel of their own, a cluster like that of containers, everything that any lab has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from backstay.lab import logs, report
from backstay.lab.vm import qemu

NAMES = ("n1", "n2")


def test_two_machines_with_a_kernel_of_their_own_are_one_cluster(machines) -> None:
    state = machines.ask()
    assert state.online() == set(NAMES)
    assert state.quorate
    kernels = {node.check("uname -r").strip() for node in machines.nodes}
    assert len(kernels) == 1
    assert kernels != {os.uname().release}
    boots = {node.check("cat /proc/sys/kernel/random/boot_id") for node in machines.nodes}
    assert len(boots) == 2
    failed = machines.node("n1").check("systemctl list-units --state=failed --plain --no-legend")
    assert failed == ""


def test_a_machine_has_what_a_container_cannot_have(machines) -> None:
    node = machines.node("n1")
    assert "8.4.11" in node.check("modprobe drbd && cat /proc/drbd", timeout=120)
    assert int(node.check(f"blockdev --getsize64 {qemu.disk_path(1)}")) == 1 << 30
    node.check("modprobe i6300esb && test -c /dev/watchdog", timeout=120)
    assert "i6300esb" in node.check("cat /sys/class/watchdog/watchdog0/identity").lower()


def test_exec_gives_output_and_exit_code(machines, repository: Path) -> None:
    argv = [sys.executable, "-m", "backstay", "lab", "exec", "n2", "--", "sh", "-c", "hostname; cat; exit 7"]
    environment = {**os.environ, "PYTHONPATH": str(repository / "lib")}
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=120, env=environment, input="through\n"
    )
    assert (done.returncode, done.stdout) == (7, "n2\nthrough\n")


def test_files_are_written_and_read_in_a_machine_that_runs(machines) -> None:
    node = machines.node("n1")
    node.write("/run/seen", "on", 0o600)
    assert node.check("stat -c %a /run/seen; cat /run/seen") == "600\non"
    node.check("echo here >/srv/vm/seen")
    assert machines.node("n2").read("/srv/vm/seen") == "here\n"


def test_status_and_logs_are_those_of_any_lab(machines, tmp_path: Path) -> None:
    shown = report.look(machines.layout)
    assert [(row.name, row.power, row.attached, row.cluster) for row in shown.rows] == [
        (name, True, True, "online") for name in NAMES
    ]
    folder = logs.collect(machines.layout, tmp_path / "logs")
    assert "pacemaker" in (folder / "n1/journal.txt").read_text()
    assert "<cib " in (folder / "n1/cib.xml").read_text()
    assert json.loads((folder / "status.json").read_text())["nodes"][1]["power"] is True
