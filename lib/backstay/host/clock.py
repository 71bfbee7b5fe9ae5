# SPDX-License-Identifier: GPL-2.0-or-later
"""Time: deadlines on the monotonic clock, and waits that say what they last saw.

Decides when a wait is over. Never looks at the calendar, so a stepped wall clock ends nothing early. Imports next
to nothing, because every agent loads it for every monitor.
"""

from __future__ import annotations

import os
import time

from backstay.errors import CannotAsk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

STARTTIME_FIELD = 19  # proc(5) calls it 22, which counts from 1 and the two fields up to the command


class TimedOut(CannotAsk):
    """A wait reached its deadline; `seen` is the last thing that was seen, or empty."""

    def __init__(self, what: str, seen: str = "") -> None:
        waited = f"waited in vain for {what}" if what else "waited in vain"
        super().__init__(f"{waited}, last seen: {seen}" if seen else waited)
        self.what = what
        self.seen = seen


class NotYet(Exception):
    """Raised by what `until` looks with, to say what it saw instead of what it waits for."""


class Deadline:
    """A point on the monotonic clock, given as seconds from now."""

    __slots__ = ("_end", "_now")

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._end = now() + seconds

    def left(self) -> float:
        """Give the seconds that are left; never negative."""
        return max(0.0, self._end - self._now())

    @property
    def expired(self) -> bool:
        """Whether nothing is left."""
        return self._now() >= self._end

    def part(self, fraction: float) -> Deadline:
        """Give a deadline after that fraction (0 to 1) of what is left."""
        return Deadline(self.left() * fraction, self._now)

    def at_most(self, seconds: float) -> Deadline:
        """Give a deadline after these seconds, or this one if it comes earlier."""
        return Deadline(min(self.left(), seconds), self._now)


def pause(seconds: float) -> None:
    """Sleep for these seconds; nothing for a negative number."""
    time.sleep(max(0.0, seconds))


def until(look: Callable[[], T | None], deadline: Deadline, every: float = 0.2, what: str = "") -> T:
    """Look again and again until something is seen, and give it; looks at least once.

    `look` gives None, or raises NotYet with what it saw, as long as it is not there. `every` is in seconds.
    Raises TimedOut with `what` was waited for and what was last seen.
    """
    seen = ""
    while True:
        try:
            found = look()
        except NotYet as not_yet:
            found, seen = None, str(not_yet)
        if found is not None:
            return found
        if deadline.expired:
            raise TimedOut(what, seen)
        pause(min(every, deadline.left()))


def age_of_this_process() -> float:
    """Give the seconds since the kernel started this process, 0.0 if that cannot be read.

    Pacemaker counts an action's timeout from there; on a busy host an interpreter takes seconds to begin.
    Source: proc(5), starttime, in clock ticks since boot.
    """
    try:
        with open("/proc/self/stat", "rb") as stat:  # noqa: PTH123  (pathlib costs 6 ms)
            fields = stat.read().rpartition(b")")[2].split()
        started = int(fields[STARTTIME_FIELD]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started)
