# SPDX-License-Identifier: GPL-2.0-or-later
"""The guard of the unit tests: it sees what a test must not do, even when the code swallows the error."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable

import pytest

ATTEMPTS: dict[str, Callable[[], object]] = {
    "popen": lambda: subprocess.Popen(["/bin/true"]),
    "run": lambda: subprocess.run(["/bin/true"], check=False),
    "fork": os.fork,
    "posix_spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "system": lambda: os.system("true"),
    "kill": lambda: os.kill(os.getpid(), signal.SIGCONT),
    "socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "socketpair": socket.socketpair,
    "unix": lambda: socket.socket(socket.AF_UNIX),
}


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS.keys())
def test_an_effect_fails_the_test(pure, attempt):
    with pytest.raises(pytest.fail.Exception, match="make it an integration test"):
        attempt()
    assert len(pure.tried) >= 1
    pure.tried.clear()


def test_a_swallowed_effect_is_remembered(pure):
    with contextlib.suppress(BaseException):
        subprocess.run(["/bin/true"], check=False)
    assert "starts a process" in pure.tried[0]
    pure.tried.clear()


def test_reading_a_file_is_allowed(pure, repository):
    assert (repository / "setup.cfg").read_text(encoding="utf-8")
    assert pure.tried == []
