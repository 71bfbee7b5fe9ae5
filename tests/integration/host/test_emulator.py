# SPDX-License-Identifier: GPL-2.0-or-later
"""Emulators as processes: found by two exact arguments, gone when no thread is left, signalled by identity."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backstay.host.child import NoAnswer, ask
from backstay.host.emulator import GO_ON, KILL, Emulators, is_stopped
from backstay.host.proc import Proc, Process

UUID = "deadbeef-2222-3333-4444-555555555501"
SLEEP = "import time; time.sleep(60)"
LEADERLESS = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
ctypes.CDLL(None).pthread_exit(None)
"""
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a process that looks like an emulator."""
    with contextlib.ExitStack() as stack:

        def begin(code: str = SLEEP, *arguments: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen([sys.executable, "-c", code, *(arguments or ("-uuid", UUID))])
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        yield begin


def found(uuid: str = UUID) -> list[int]:
    return [process.pid for process in Emulators(ask=ask).all() if process.arguments[-1] == uuid]


def until(look: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not look():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_an_emulator_is_found_by_two_exact_arguments(start: Start) -> None:
    process = start()
    start(SLEEP, f"-uuid {UUID}")
    start(SLEEP, "--uuid", UUID)
    until(lambda: found() == [process.pid])


def test_a_zombie_is_gone(start: Start) -> None:
    process = start()
    until(lambda: found() == [process.pid])
    process.kill()
    until(lambda: found() == [])
    assert Proc().look(process.pid) is None


def test_a_process_whose_leader_ended_is_not_gone_while_a_thread_lives(start: Start) -> None:
    """The state of an emulator that was killed while one of its threads waits in the kernel."""
    process = start(LEADERLESS)
    until(lambda: b") Z " in Path(f"/proc/{process.pid}/stat").read_bytes())
    assert found() == [process.pid]
    seen = Proc().look(process.pid)
    assert seen is not None
    assert Emulators().again(seen) == seen


def test_a_signal_goes_to_the_verified_process_only(start: Start) -> None:
    process = start()
    until(lambda: found() == [process.pid])
    seen = Proc().look(process.pid)
    assert seen is not None
    emulators = Emulators()
    assert not emulators.signal(Process(seen.pid, seen.start + 1, "S"), KILL)
    assert process.poll() is None
    assert emulators.signal(seen, KILL)
    process.wait(20)
    assert not emulators.signal(seen, KILL)
    assert emulators.again(seen) is None


def test_a_stopped_process_is_seen_as_such(start: Start) -> None:
    process = start()
    until(lambda: found() == [process.pid])
    os.kill(process.pid, 19)
    until(lambda: is_stopped(Emulators().again(Proc().look(process.pid)) or Process(0, 0, "?")))  # type: ignore[arg-type]
    seen = Proc().look(process.pid)
    assert seen is not None
    Emulators().signal(seen, GO_ON)
    until(lambda: not is_stopped(Proc().look(process.pid) or Process(0, 0, "T")))


def shown(proc: Path, pid: int, command: str, state: str) -> Path:
    """Write a process into a proc file system of our own; gives the file for its arguments."""
    stat = f"{pid} ({command}) {state} 1 1 1 0 -1 0 {'0 ' * 10}1 0 777\n"
    for place in (proc / str(pid), proc / str(pid) / "task" / str(pid)):
        place.mkdir(parents=True)
        (place / "stat").write_text(stat)
        (place / "wchan").write_text("rwsem_down_write_slowpath")
    (proc / str(pid) / "comm").write_text(f"{command}\n")
    return proc / str(pid) / "cmdline"


def test_a_process_with_a_locked_memory_hides_no_other_and_is_told_by_what_needs_no_memory(
    tmp_path: Path,
) -> None:
    shown(tmp_path, 1, "init", "S").write_text("init\0")
    shown(tmp_path, 2, "qemu-system-x86", "S").write_text(f"kvm\0-uuid\0{UUID}\0")
    os.mkfifo(shown(tmp_path, 3, "database", "D"))  # who reads this waits
    os.mkfifo(shown(tmp_path, 4, "qemu-system-x86", "D"))
    label = tmp_path / "4" / "attr" / "current"
    label.parent.mkdir()
    label.write_text(f"libvirt-{UUID[:-1]}2 (enforce)\n")
    began = time.monotonic()
    everyone = {process.pid: process.arguments for process in Emulators(Proc(str(tmp_path)), ask).all(2.0)}
    assert time.monotonic() - began < 3
    assert {pid: arguments[-1] for pid, arguments in everyone.items()} == {2: UUID, 4: f"{UUID[:-1]}2"}


def test_a_memory_that_is_locked_for_no_visible_reason_leaves_a_doubt(tmp_path: Path) -> None:
    shown(tmp_path, 1, "init", "S").write_text("init\0")
    os.mkfifo(shown(tmp_path, 3, "database", "S"))
    with pytest.raises(NoAnswer):
        Emulators(Proc(str(tmp_path)), ask).all(1.0)
