# SPDX-License-Identifier: GPL-2.0-or-later
"""Who accounts for an emulator, and whether the guest in it runs, by what libvirt and our own agent wrote down."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.host import guests
from backstay.host.guests import _guest
from backstay.host.proc import Process

UUID = "4F2C8E1A-0b7d-4c52-9a63-1d2e3f405162"
KEY = "file=/var/lib/libvirt/qemu/domain-1-web1/master-key.aes"
OF_A_USER = "file=/home/ada/.config/libvirt/qemu/lib/domain-1-web1/master-key.aes"
PID, START = 100, 4711
RUNNING = f"<!-- a comment -->\n<domstatus state='running' reason='booted' pid='{PID}'>\n"
PAUSED = f"<domstatus state='paused' reason='migration' pid='{PID}'>\n"


def emulator(*more: str, state: str = "S", key: str = KEY) -> Process:
    named = ("qemu", "-name", "guest=web1,debug-threads=on", "-object", key, "-uuid", UUID)
    return Process(PID, START, state, (*named, *more))


@pytest.mark.parametrize(
    ("process", "pid", "status", "runs", "accounted"),
    [
        (emulator(), PID, RUNNING, True, True),
        (emulator("-incoming", "defer"), PID, RUNNING, True, True),  # it came here once, and stays called so
        (emulator("-incoming", "defer"), PID, PAUSED, False, True),
        (emulator(state="T"), PID, RUNNING, False, True),
        (emulator(), PID, "", False, True),
        (emulator(), 99, RUNNING, True, False),
        (emulator(), None, "", True, False),
        (emulator("-incoming", "defer"), None, "", False, False),
        (emulator(state="t"), None, "", False, False),
        (emulator(key=OF_A_USER), None, "", True, True),
        (Process(PID, START, "S", ("qemu", "-uuid", UUID)), None, "", True, False),
    ],
)
def test_an_emulator(
    tmp_path: Path, process: Process, pid: int | None, status: str, runs: bool, accounted: bool
) -> None:
    if pid:
        (tmp_path / "web1.pid").write_text(f"{pid}\n")
    if status:
        (tmp_path / "web1.xml").write_text(status)
    guest = _guest(process, set(), str(tmp_path))
    assert (guest.runs, guest.accounted) == (runs, accounted)
    assert (guest.uuid, guest.key) == (UUID.lower(), "100.4711")


def test_what_our_own_agent_wrote_down_is_accounted_for(tmp_path: Path) -> None:
    assert _guest(emulator(), {(PID, START)}, str(tmp_path)).accounted
    assert not _guest(emulator(), {(PID, START - 1)}, str(tmp_path)).accounted


def test_a_name_does_not_leave_the_directory(tmp_path: Path) -> None:
    (tmp_path / "x.pid").write_text(f"{PID}\n")
    (tmp_path / "run").mkdir()
    process = Process(PID, START, "S", ("qemu", "-name", "guest=../x", "-uuid", UUID))
    assert not _guest(process, set(), str(tmp_path / "run")).accounted


def test_the_guest_of_a_rehearsal_is_nobodys_business(monkeypatch) -> None:
    """It runs in a private host, on several hosts at once, and neither libvirt nor the cluster knows it."""
    rehearsed = Process(PID + 1, START, "S", ("qemu", "-name", "guest=rehearsal", "-uuid", guests.REHEARSAL))

    class Emulators:
        def __init__(self, ask) -> None: ...

        def boot(self) -> str:
            return ""

        def all(self, timeout: float) -> tuple[Process, ...]:
            return (rehearsed, emulator())

    class Records:
        def __init__(self, boot: str) -> None: ...

        def others(self, name: str) -> tuple[()]:
            return ()

    monkeypatch.setattr(guests, "Emulators", Emulators)
    monkeypatch.setattr("backstay.host.records.Records", Records)
    assert [each.uuid for each in guests.guests(1.0)] == [UUID.lower()]
