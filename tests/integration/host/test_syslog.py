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


FIELDS = {"BACKSTAY_RESOURCE": "web1", "BACKSTAY_HOST": "n1", "BACKSTAY_ACTION": "stop", "BACKSTAY_CODE": ""}


def test_the_journal_gets_fields_and_the_tag_is_taken_apart_as_journald_does(log: socket.socket) -> None:
    send(3, "backstay-domain[web1]", "web1: a\nb", "/nowhere", FIELDS, log.getsockname())
    assert log.recv(4096).decode().splitlines() == [
        "MESSAGE=web1: a b",
        "PRIORITY=3",
        "SYSLOG_FACILITY=3",
        "SYSLOG_IDENTIFIER=backstay-domain",
        "SYSLOG_PID=web1",
        "BACKSTAY_RESOURCE=web1",
        "BACKSTAY_HOST=n1",
        "BACKSTAY_ACTION=stop",
    ]


def test_where_there_is_no_journal_the_line_goes_to_syslog(log: socket.socket, tmp_path: Path) -> None:
    send(3, "backstay-domain[web1]", "line", log.getsockname(), FIELDS, str(tmp_path / "journal"))
    assert log.recv(4096).endswith(b" backstay-domain[web1]: line")


def test_a_journal_that_hangs_is_not_tried_by_another_way(log: socket.socket, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(tmp_path / "other"))
        other.setblocking(False)
        began = time.monotonic()
        for number in range(20):
            send(4, "backstay", f"line {number}", str(tmp_path / "other"), FIELDS, log.getsockname())
        assert time.monotonic() - began < 5.0
        with pytest.raises(BlockingIOError):
            other.recv(4096)


def test_nobody_there(tmp_path: Path) -> None:
    send(4, "backstay", "line", str(tmp_path / "log"))
