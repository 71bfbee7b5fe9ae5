# SPDX-License-Identifier: GPL-2.0-or-later
"""What happens when somebody ends a process in the middle of a change: it cleans up first.

Decides which signals that are. Never cleans up itself.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from backstay.errors import BackstayError

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BackstayError):
    """Somebody asked this process to end; what it had begun is removed first."""

    exit_code = 3


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn the signals that end a process into an exception, so that it cleans up like after any failure."""

    def interrupt(number: int, _: FrameType | None) -> None:
        raise Interrupted(f"interrupted ({signal.Signals(number).name})")

    before = {number: signal.signal(number, interrupt) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore the signals of an impatient admin while what was begun is removed."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
