# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine after a lab of virtual machines is the machine before it, also when it was interrupted or killed.

This takes the run's lab away; whoever needs it next builds it again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backstay.host.clock import Deadline, until
from backstay.lab import lab as the_lab
from backstay.lab import power
from backstay.lab.progress import Progress
from tests.lab.test_lab_traces import machine

UP = 150.0


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_emulator_outlives_nobody(running_machines, repository: Path, number: signal.Signals) -> None:
    layout = running_machines.layout
    the_lab.down(layout, Progress())
    before = machine(layout)
    argv = [sys.executable, "-m", "backstay", "lab", "up", "--nodes", "vm", "--source", str(repository)]
    environment = {**os.environ, "PYTHONPATH": str(repository / "lib")}
    running = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env=environment)
    on = Deadline(UP)
    until(
        lambda: ("n2" in layout.names() and power.is_on(layout, "n2")) or None,
        on,
        0.05,
        "both nodes to be on",
    )
    assert machine(layout) != before
    running.send_signal(number)
    running.communicate(timeout=60)
    if number == signal.SIGKILL:
        the_lab.down(layout, Progress())
    assert machine(layout) == before
