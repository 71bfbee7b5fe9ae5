# SPDX-License-Identifier: GPL-2.0-or-later
"""A line to the system log: it arrives, and a log daemon that hangs or is not there holds nobody up."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.host.syslog import send


@pytest.fixture
def log(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(tmp_path / "log"))
        daemon.setblocking(False)
        yield daemon


def test_a_line_arrives(log: socket.socket) -> None:
    send(4, "backstay-domain[web1]", "web1 läuft", log.getsockname())
    said = log.recv(4096).decode()
    assert re.fullmatch(r"<28>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d backstay-domain\[web1\]: web1 läuft", said)


def test_a_log_daemon_that_hangs_loses_lines_and_holds_nobody_up(log: socket.socket) -> None:
    began = time.monotonic()
    for number in range(20):
        send(4, "backstay", f"line {number}", log.getsockname())
    assert time.monotonic() - began < 5.0
    assert b"line 0" in log.recv(4096)


def test_nobody_there(tmp_path: Path) -> None:
    send(4, "backstay", "line", str(tmp_path / "log"))
