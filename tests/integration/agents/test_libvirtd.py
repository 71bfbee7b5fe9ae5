# SPDX-License-Identifier: GPL-2.0-or-later
"""What the libvirtd agent sees, on real sockets, processes, locks and libvirt's own test driver."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backstay.host import daemon, jobs, libvirt_ping, packages
from backstay.host.libvirt_ping import ping
from tests.integration.agents.private_host import wait

STATUS = """<domstatus state='running' reason='booted' pid='{pid}'>
  <job type='none' async='{job}' flags='0x0'/>
  <blockjobs active='{blockjob}'/>
  <domain type='qemu' id='1'><name>{name}</name></domain>
</domstatus>
"""


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def asleep(pid: int) -> bool:
    """Whether it has become what it was started as, and waits."""
    name, state = Path(f"/proc/{pid}/stat").read_text().split()[1:3]
    return (name, state) == ("(sleep)", "S")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process of our own that does nothing."""
    process = subprocess.Popen(["sleep", "60"])
    wait(lambda: asleep(process.pid), "sleep to be asleep")
    yield process
    process.kill()
    process.wait()


def test_a_driver_that_answers() -> None:
    answer = ping(20, "test:///default")
    assert (answer.kind, answer.domains) == ("answered", ("test",))
    assert 0 < answer.seconds < 20


def test_nobody_listens(tmp_path: Path) -> None:
    answer = ping(20, f"qemu+unix:///system?socket={tmp_path}/libvirt-sock")
    assert answer.kind == "refused"
    assert "Failed to connect socket" in answer.text


def test_somebody_listens_and_never_answers(tmp_path: Path) -> None:
    before = children()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "libvirt-sock"))
        silent.listen()
        began = time.monotonic()
        answer = ping(1.5, f"qemu+unix:///system?socket={tmp_path}/libvirt-sock")
        assert time.monotonic() - began < 2.5
    assert answer.kind == "silent"
    assert children() == before, "the child that asked is gone"


def shot() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def unusable() -> None:
    raise AttributeError("module 'libvirt' has no attribute 'open'")


@pytest.mark.parametrize("fate", [shot, unusable])
def test_a_question_that_breaks_by_itself_says_nothing_about_libvirtd(
    fate: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed for want of memory, or with an unusable python3-libvirt: no reason to restart a libvirtd that works."""
    monkeypatch.setattr(libvirt_ping, "_in_child", lambda _uri: fate())
    assert ping(20, "test:///default").kind == "unasked"


def test_a_libvirt_without_that_driver() -> None:
    assert ping(20, "nosuch+unix:///system?socket=/nowhere").kind in ("driverless", "refused")


def test_a_look_at_a_process(sleeper: subprocess.Popen[bytes]) -> None:
    seen = daemon.look(sleeper.pid)
    assert seen is not None
    assert (seen.pid, seen.blocked, seen.stopped, seen.runnable) == (sleeper.pid, (), False, False)
    assert seen.same_as(daemon.look(sleeper.pid))
    assert daemon.look(0) is None


def test_a_stopped_process_takes_the_abort_when_it_is_continued(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.send_signal(signal.SIGSTOP)
    os.waitpid(sleeper.pid, os.WUNTRACED)
    seen = daemon.look(sleeper.pid)
    assert seen is not None
    assert seen.stopped
    assert daemon.signal(seen, (signal.SIGABRT, signal.SIGCONT))
    assert sleeper.wait(10) == -signal.SIGABRT
    assert daemon.look(sleeper.pid) is None


def test_a_signal_does_not_reach_another_process_with_the_same_pid(sleeper: subprocess.Popen[bytes]) -> None:
    seen = daemon.look(sleeper.pid)
    assert seen is not None
    seen.start -= 1
    assert not daemon.signal(seen, (signal.SIGKILL,))
    assert sleeper.poll() is None


def test_a_busy_process_makes_progress() -> None:
    busy = subprocess.Popen(["sh", "-c", "while :; do :; done"])
    try:
        before = daemon.ticks(busy.pid)
        time.sleep(1)
        assert daemon.ticks(busy.pid) > before
        seen = daemon.look(busy.pid)
        assert seen is not None
        assert seen.runnable
    finally:
        busy.kill()
        busy.wait()


def test_jobs_are_read_from_the_run_time_status(tmp_path: Path) -> None:
    for name, job, blockjob in (
        ("web1", "none", "no"),
        ("web2", "migration_out", "no"),
        ("db1", "none", "yes"),
    ):
        text = STATUS.format(pid=os.getpid(), job=job, blockjob=blockjob, name=name)
        (tmp_path / f"{name}.xml").write_text(text)
    (tmp_path / "torn.xml").write_text("<domstatus state='runn")
    found = jobs.running(str(tmp_path))
    assert [(job.guest, job.kind) for job in found] == [("db1", "block job"), ("web2", "migration out")]
    assert all(job.work > 0 for job in found)
    assert jobs.running(str(tmp_path / "nowhere")) == ()


def test_living_emulators_are_told_from_left_over_pid_files(tmp_path: Path) -> None:
    emulator = subprocess.Popen(["sleep", "60"], executable="/bin/sleep")
    named = subprocess.Popen(["sh", "-c", "sleep 60; :", "-name", "guest=web1,debug-threads=on"])
    try:
        (tmp_path / "web1.pid").write_text(f"{named.pid}\n")
        (tmp_path / "web2.pid").write_text(f"{emulator.pid}\n")
        (tmp_path / "web3.pid").write_text("4194305\n")
        (tmp_path / "driver.pid").write_text("no number")
        time.sleep(0.2)
        assert jobs.emulators(str(tmp_path)) == ("web1",)
    finally:
        for process in (emulator, named):
            process.kill()
            process.wait()


def _hold(path: str, ready: multiprocessing.synchronize.Event) -> None:
    with Path(path).open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        ready.set()
        time.sleep(60)


def test_a_package_manager_is_seen_by_its_lock(tmp_path: Path) -> None:
    lock = tmp_path / "lock-frontend"
    lock.touch()
    assert packages.at_work((str(tmp_path / "none"), str(lock))) == ""
    ready = multiprocessing.Event()
    holder = multiprocessing.Process(target=_hold, args=(str(lock), ready))
    holder.start()
    try:
        assert ready.wait(20)
        assert packages.at_work((str(tmp_path / "none"), str(lock))) == str(lock)
    finally:
        holder.kill()
        holder.join()
    assert packages.at_work((str(lock),)) == ""


def test_an_emulator_whose_memory_is_locked_is_waited_for_only_briefly(tmp_path: Path) -> None:
    (tmp_path / "web1.pid").write_text("11\n")
    (tmp_path / "web2.pid").write_text("12\n")
    (tmp_path / "11").mkdir()
    os.mkfifo(tmp_path / "11" / "cmdline")
    began = time.monotonic()
    assert jobs.emulators(str(tmp_path), str(tmp_path)) == ("web1",)
    assert time.monotonic() - began < 5
