# SPDX-License-Identifier: GPL-2.0-or-later
"""Tells a waiting admin what the lab is doing and for how long already.

Writes lines to one stream; never decides how long to wait.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

EVERY = 10.0


class Progress:
    """One job with its stopwatch; `step` says what begins, `still` repeats it every ten seconds."""

    def __init__(self, stream: TextIO = sys.stderr, now: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._now = now
        self._begin = self._said = now()
        self._step = self._begin

    def seconds(self) -> float:
        """How long the whole job has run."""
        return self._now() - self._begin

    def step(self, text: str) -> None:
        """Say what begins now."""
        self._step = self._now()
        self._say(text)

    def still(self, text: str) -> None:
        """Say what is waited for, at most once in ten seconds."""
        if self._now() - self._said >= EVERY:
            self._say(f"{text} ({self._now() - self._step:.0f} s)")

    def _say(self, text: str) -> None:
        self._said = self._now()
        print(f"{self.seconds():5.0f} s  {text}", file=self._stream, flush=True)
