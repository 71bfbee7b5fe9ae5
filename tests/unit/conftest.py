# SPDX-License-Identifier: GPL-2.0-or-later
"""Unit tests are pure: a test that starts a process or opens a socket fails with the reason.

The guard is an audit hook of the interpreter, because a replaced function is not seen by code that imported it
earlier. What a test tried is kept as well, so that code that swallows the error does not hide it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

FORBIDDEN = {
    "os.exec": "replaces the process by another program",
    "os.fork": "starts a process",
    "os.forkpty": "starts a process",
    "os.kill": "sends a signal",
    "os.killpg": "sends a signal",
    "os.posix_spawn": "starts a process",
    "os.spawn": "starts a process",
    "os.system": "starts a process",
    "pty.spawn": "starts a process",
    "socket.__new__": "opens a socket",
    "subprocess.Popen": "starts a process",
}


class Guard:
    """What the running test tried that a unit test must not do; the hook cannot be removed, so it has a switch."""

    def __init__(self) -> None:
        self.armed = False
        self.tried: list[str] = []

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        """The audit hook itself: called by the interpreter for every event."""
        if self.armed and event in FORBIDDEN:
            reason = (
                f"a unit test {FORBIDDEN[event]} ({event}{arguments!r:.200}); make it an integration test"
            )
            self.tried.append(reason)
            pytest.fail(reason)


GUARD = Guard()
sys.addaudithook(GUARD)


@pytest.fixture(autouse=True)
def pure() -> Iterator[Guard]:
    """No process, no signal and no socket while a unit test runs."""
    GUARD.tried.clear()
    GUARD.armed = True
    try:
        yield GUARD
    finally:
        GUARD.armed = False
    if GUARD.tried:
        pytest.fail(GUARD.tried[0], pytrace=False)
