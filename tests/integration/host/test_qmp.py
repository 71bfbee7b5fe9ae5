# SPDX-License-Identifier: GPL-2.0-or-later
"""The emulator's own socket, with a real emulator behind it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backstay.agents.domain_asked import of_run_state
from backstay.host import vcpus
from backstay.host.qmp import Monitor, Qmp, QmpTrouble

UUID = "deadbeef-2222-3333-4444-555555555502"


@pytest.fixture
def socket(tmp_path: Path, need: Callable[..., str]) -> Iterator[Path]:
    path = tmp_path / "monitor.sock"
    words = [
        need("qemu-system-x86_64"),
        "-M",
        "none",
        "-accel",
        "tcg",
        "-display",
        "none",
        "-nodefaults",
        "-no-shutdown",
    ]
    process = subprocess.Popen([*words, "-uuid", UUID, "-qmp", f"unix:{path},server=on,wait=off"])
    try:
        _in_time(Monitor(str(path), UUID))
        yield path
    finally:
        process.kill()
        process.wait(30)


def test_status_and_quit(socket: Path) -> None:
    monitor = Monitor(str(socket), UUID)
    assert monitor.status(10) == "running"
    monitor.power_down(10)
    monitor.quit(10)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            monitor.status(1)
        except QmpTrouble:
            return
        time.sleep(0.05)
    pytest.fail("the emulator goes on after quit")


def test_another_emulator_is_left_alone(socket: Path) -> None:
    stranger = Monitor(str(socket), "deadbeef-2222-3333-4444-555555555503")
    with pytest.raises(QmpTrouble, match="is not the emulator"):
        stranger.quit(10)
    assert Monitor(str(socket), UUID).status(10) == "running"


def test_a_socket_that_somebody_holds_is_given_up_in_time(socket: Path) -> None:
    with Qmp(str(socket), 10):
        began = time.monotonic()
        with pytest.raises(QmpTrouble, match="may hold it"):
            Monitor(str(socket), UUID).status(0.5)
        assert time.monotonic() - began < 5
    assert Monitor(str(socket), UUID).status(10) == "running"


def test_no_socket(tmp_path: Path) -> None:
    with pytest.raises(QmpTrouble, match="cannot be used"):
        Monitor(str(tmp_path / "none"), UUID).status(1)


def test_a_command_that_does_not_exist_is_refused(socket: Path) -> None:
    with Qmp(str(socket), 10) as qmp, pytest.raises(QmpTrouble, match="refused"):
        qmp.execute("dance")


def test_a_socket_that_somebody_holds_is_left_alone(socket: Path) -> None:
    """Or each question in vain would wait in QEMU's queue, before the libvirtd that comes back."""
    monitor = Monitor(str(socket), UUID)
    with Qmp(str(socket), 10):
        began = time.monotonic()
        for _again in range(3):
            with pytest.raises(QmpTrouble, match="held by somebody else"):
                monitor.run_state(10)
        assert time.monotonic() - began < 5
    assert _in_time(monitor) == ("running", "")


def _in_time(monitor: Monitor) -> tuple[str, str]:
    """Give the run state as soon as QEMU listens, or has seen that its client went."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            return monitor.run_state(5)
        except QmpTrouble:
            time.sleep(0.05)
    return monitor.run_state(10)


def _say(path: Path, *commands: tuple[str, dict[str, object] | None]) -> None:
    """Give an emulator commands, as soon as its last client is gone."""
    _in_time(Monitor(str(path), UUID))
    with Qmp(str(path), 10) as qmp:
        for name, arguments in commands:
            qmp.execute(name, arguments)


@pytest.fixture
def split(tmp_path: Path, need: Callable[..., str]) -> Iterator[tuple[Path, Path, int]]:
    """Source and target of a post-copy migration that was cut off in its middle, and the pid of the target."""
    words = [
        need("qemu-system-x86_64"),
        "-M",
        "pc",
        "-accel",
        "tcg",
        "-m",
        "64",
        "-display",
        "none",
        "-nodefaults",
    ]
    source, target = tmp_path / "source", tmp_path / "target"
    wire = {"uri": f"unix:{tmp_path}/wire"}
    slow = {"max-bandwidth": 20000, "max-postcopy-bandwidth": 20000}
    postcopy = (
        "migrate-set-capabilities",
        {"capabilities": [{"capability": "postcopy-ram", "state": True}]},
    )
    names = ("-name", "guest=web1,debug-threads=on")
    both = []
    try:
        for path, more in ((source, ()), (target, ("-incoming", "defer"))):
            socket = f"unix:{path},server=on,wait=off"
            both.append(
                subprocess.Popen([*words, "-vga", "std", *names, "-uuid", UUID, "-qmp", socket, *more])
            )
        _say(target, postcopy, ("migrate-incoming", wire))
        _say(source, postcopy, ("migrate-set-parameters", slow), ("migrate", wire))
        _until(source, ("running", "active"))
        _say(source, ("migrate-start-postcopy", None))
        _until(target, ("running", "postcopy-active"))
        _say(source, ("migrate-pause", None))
        yield source, target, both[1].pid
    finally:
        for process in both:
            process.kill()
            process.wait(30)


def _until(path: Path, wanted: tuple[str, str]) -> None:
    """Wait for what an emulator says of itself."""
    monitor, end = Monitor(str(path), UUID), time.monotonic() + 30
    while (said := _in_time(monitor)) != wanted:
        assert time.monotonic() < end, f"it says {said}, not {wanted}"
        time.sleep(0.05)


def test_a_failed_post_copy_shows_on_both_sides(split: tuple[Path, Path, int]) -> None:
    """The target's QEMU calls the guest running; or it hangs itself, for memory that does not come, and says nothing."""
    source, target, pid = split
    _until(source, ("finish-migrate", "postcopy-paused"))
    assert of_run_state("finish-migrate", "postcopy-paused", ("running", "")) == ("paused", "postcopy-failed")
    try:
        said = Monitor(str(target), UUID).run_state(5)
    except QmpTrouble:
        before = vcpus.look(pid)
        time.sleep(2)
        assert before.work
        assert not vcpus.look(pid).shows_running_since(before)
    else:
        assert of_run_state(*said, ("running", "")) == ("paused", "postcopy-failed")
