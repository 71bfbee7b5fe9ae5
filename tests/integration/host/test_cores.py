# SPDX-License-Identifier: GPL-2.0-or-later
"""What an aborted process leaves behind, on real processes and with what the kernel really writes."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backstay.host import cores, daemon
from backstay.host.state import State

MIB = 1 << 20
BOOKKEEPING = 64 << 10  # the file system's own blocks for the file, counted with it
PATTERN = Path("/proc/sys/kernel/core_pattern").read_text().strip()
BIG = "import sys, time; held = b'x' * (64 << 20); print(len(held), flush=True); time.sleep(60)"
writes_files = pytest.mark.skipif(
    "/" in PATTERN or PATTERN.startswith("|"), reason="cores fall elsewhere on this machine"
)


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(str(tmp_path / "state"))


def swollen(place: Path) -> subprocess.Popen[bytes]:
    """A process with 64 MiB that may dump all of them into that place."""
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]

    def allow() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))

    process = subprocess.Popen(
        [sys.executable, "-c", BIG], cwd=place, stdout=subprocess.PIPE, preexec_fn=allow
    )
    assert process.stdout
    process.stdout.readline()
    return process


def abort(process: subprocess.Popen[bytes], core: int | None) -> None:
    seen = daemon.look(process.pid)
    assert seen
    assert daemon.signal(seen, (signal.SIGABRT, signal.SIGCONT), core)
    assert process.wait(30) == -signal.SIGABRT


def size(place: Path) -> int:
    return sum(found.stat().st_blocks * 512 for found in place.glob("core*"))


@writes_files
@pytest.mark.parametrize(
    ("core", "least", "most"), [(None, 60 * MIB, 200 * MIB), (8 * MIB, 1, 8 * MIB), (0, 0, 0)]
)
def test_a_core_is_no_larger_than_it_may_be(tmp_path: Path, core: int | None, least: int, most: int) -> None:
    abort(swollen(tmp_path), core)
    assert least <= size(tmp_path) <= most + BOOKKEEPING


def test_a_limit_is_only_ever_lowered() -> None:
    process = subprocess.Popen([sys.executable, "-c", BIG], stdout=subprocess.PIPE)
    try:
        hard = resource.prlimit(process.pid, resource.RLIMIT_CORE)[1]
        resource.prlimit(process.pid, resource.RLIMIT_CORE, (4 * MIB, hard))
        cores.limit(process.pid, 8 * MIB)
        assert resource.prlimit(process.pid, resource.RLIMIT_CORE) == (4 * MIB, hard)
        cores.limit(process.pid, 1 * MIB)
        assert resource.prlimit(process.pid, resource.RLIMIT_CORE) == (1 * MIB, hard)
    finally:
        process.kill()
        process.wait()


def test_one_core_an_hour(state: State, tmp_path: Path) -> None:
    place = str(tmp_path)
    assert 0 < cores.allowance(state, 1000.0, place) <= cores.AT_MOST
    assert cores.allowance(state, 1000.0 + 60, place) == 0
    assert cores.allowance(state, 1000.0 + cores.EVERY, place) > 0
    assert cores.allowance(state, 5.0, place) > 0, "a memory from before this boot does not count"


def test_no_core_where_nothing_can_be_known(state: State) -> None:
    assert cores.allowance(state, 1000.0, "/nowhere") == 0
    assert cores.allowance(State("/proc/nowhere"), 1000.0) == 0


SECRETIVE = """
import os, pathlib, subprocess
from backstay.host import cores
cores.forbid()
subprocess.run(["cat", "/proc/self/limits"], check=True)
subprocess.run(["sh", "-c", "kill -ABRT $$"])
os.abort()
"""


def test_who_holds_a_secret_and_whom_it_starts_leave_no_core(tmp_path):
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]

    def allow() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))

    done = subprocess.run(
        [sys.executable, "-c", SECRETIVE], cwd=tmp_path, capture_output=True, text=True, preexec_fn=allow
    )
    assert done.returncode == -signal.SIGABRT
    (limit,) = (line.split()[4] for line in done.stdout.splitlines() if line.startswith("Max core file size"))
    assert limit == "1", "with 0, a program that takes the cores would be started, and log the environment"
    assert list(tmp_path.iterdir()) == []
