# SPDX-License-Identifier: GPL-2.0-or-later
"""What an admin reads: the table, the progress, the words for a process."""

from __future__ import annotations

import io
import os

from backstay.lab import fuse, mounts, processes
from backstay.lab.progress import Progress
from backstay.lab.report import Report, Row

ROW = Row("n1", "10.77.0.11", "10.77.0.201", True, True, "maintenance", ())


def test_the_table_fits_and_says_nothing_twice() -> None:
    running = Row("n2", "10.77.0.12", "10.77.0.202", False, False, "UNCLEAN", ("db1", "web1"))
    lines = Report((ROW, running), "d1 failed").as_text().splitlines()
    assert [line.split()[:6] for line in lines[1:3]] == [
        ["n1", "10.77.0.11", "10.77.0.201", "on", "attached", "maintenance"],
        ["n2", "10.77.0.12", "10.77.0.202", "off", "detached", "UNCLEAN"],
    ]
    assert lines[3] == "d1 failed"
    assert max(map(len, lines)) <= 80


def test_data_has_everything_that_the_table_has() -> None:
    (row,) = Report((ROW,), "").as_data()["nodes"]
    assert row["power"] is True
    assert set(row) == {"name", "address", "bmc", "power", "attached", "cluster", "resources"}


def test_progress_repeats_itself_every_ten_seconds_only() -> None:
    clock, stream = [0.0], io.StringIO()
    progress = Progress(stream, lambda: clock[0])
    progress.step("building")
    for seconds in range(1, 26):
        clock[0] = float(seconds)
        progress.still("unpacking")
    assert stream.getvalue().splitlines() == [
        "    0 s  building",
        "   10 s  unpacking (10 s)",
        "   20 s  unpacking (20 s)",
    ]


def test_a_process_is_its_pid_and_its_start() -> None:
    myself = processes.look(os.getpid())
    assert myself is not None
    assert processes.look(os.getpid()) == myself
    assert processes.Process(myself.pid, myself.start + 1) != myself
    assert f"pid {os.getpid()}, state R" in processes.describe(myself)
    assert processes.look(2**22 + 1) is None


def test_a_signal_reaches_no_later_process_with_the_same_pid() -> None:
    myself = processes.look(os.getpid())
    assert myself is not None
    assert processes.send(processes.Process(myself.pid, myself.start - 1), processes.signal.SIGKILL) is False


def test_fuse_connections_are_minor_numbers() -> None:
    table = mounts.parse(
        "1 0 0:51 / /a rw - fuse x rw\n2 0 0:52 / /b rw - fuse.glusterfs x rw\n3 0 0:53 / /c rw - fusectl x rw\n"
    )
    assert fuse._numbers(table) == [51, 52]
