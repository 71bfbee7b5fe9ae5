# SPDX-License-Identifier: GPL-2.0-or-later
"""The emulator's own socket, with a real emulator behind it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

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
        end = time.monotonic() + 30
        while not path.exists():
            assert time.monotonic() < end
            time.sleep(0.05)
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
