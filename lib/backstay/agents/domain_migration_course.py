# SPDX-License-Identifier: GPL-2.0-or-later
"""What follows from how a migration gets on, and how that is said. Pure: tables over what libvirt's job reports.

A migration is cancelled only for want of time: a libvirtd that is slow to tell, or a job that stands still for a
while, may get on again. Post-copy is chosen when all memory was sent once and the rest will not be there in time,
or half of the time is over; after it nothing can be cancelled any more, so the other half is for its end.
"""

from __future__ import annotations

from backstay.host.libvirt_migration import OUTGOING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.host.libvirt_migration import Standing

GO_ON, SWITCH, CANCEL = "go on", "switch to post-copy", "cancel"
STALLED_AFTER = 15.0  # seconds without a byte more after which a migration is said to stand still
TELL_EVERY = 10.0  # seconds between two lines about the progress
HALF = 0.5
FIRST_PASS = 2  # libvirt counts the pass that is going on
NEVER = float("inf")


class Course:
    """What was seen of one migration so far; times in seconds on the clock of the caller."""

    __slots__ = ("_moved_at", "_told_at", "began", "ends", "last", "switched")

    def __init__(self, began: float, ends: float) -> None:
        self.began = began
        self.ends = ends  # when it has to be cancelled
        self.last: Standing | None = None
        self.switched = False  # to post-copy, or tried in vain
        self._moved_at = began
        self._told_at = began

    def saw(self, standing: Standing, now: float) -> None:
        """Take in one look; one that libvirt did not answer changes nothing."""
        if not standing.answer.answered or standing.job != OUTGOING:
            return
        if self.last is None or _done(standing) != _done(self.last):
            self._moved_at = now
        self.last = standing

    def still_for(self, now: float) -> float:
        """Give the seconds since anything was seen to get on."""
        return now - self._moved_at

    def worth_telling(self, now: float) -> bool:
        """Whether it is time for the next line about the progress; asking begins the next interval."""
        if now - self._told_at < TELL_EVERY:
            return False
        self._told_at = now
        return True


def in_postcopy(standing: Standing | None) -> bool:
    """Whether the guest runs at its target while the rest of its memory is still here."""
    return standing is not None and standing.answer.state == "paused" and standing.answer.reason == "postcopy"


def needed(standing: Standing) -> float:
    """Give the seconds that the rest will take, at the rate seen and with what the guest writes meanwhile."""
    gain = standing.rate - standing.dirty
    if standing.remaining <= 0:
        return 0.0
    return standing.remaining / gain if gain > 0 else NEVER


def next_step(course: Course, postcopy: bool, now: float) -> str:
    """Decide what is done about a migration that goes on; `postcopy`: it may be switched."""
    if in_postcopy(course.last):
        return GO_ON
    if now >= course.ends:
        return CANCEL
    if not postcopy or course.switched or course.last is None or course.last.passes < FIRST_PASS:
        return GO_ON
    left = course.ends - now
    late = left < (course.ends - course.began) * HALF
    return SWITCH if late or needed(course.last) > left else GO_ON


def progress(course: Course, now: float) -> str:
    """Say how far it is, and whether it gets on."""
    last = course.last
    if last is None:
        return f"nothing of it was seen in {now - course.began:.0f} s"
    if course.still_for(now) >= STALLED_AFTER:
        return f"it has stood still for {course.still_for(now):.0f} s with {_amount(last.remaining)} left"
    text = f"{_amount(last.remaining)} of {_amount(last.total)} left, sent at {_amount(last.rate)}/s"
    if last.passes > 1:
        text += f", pass {last.passes}, the guest writes {_amount(last.dirty)}/s"
    if last.throttle:
        text += f" and is slowed down by {last.throttle}%"
    return text + (", in post-copy" if in_postcopy(last) else "")


def _done(standing: Standing) -> tuple[int, int, int]:
    return standing.processed, standing.remaining, standing.passes


def _amount(size: int) -> str:
    mebibytes = size / (1 << 20)
    return f"{mebibytes:.0f} MiB" if mebibytes >= 10 or mebibytes == 0 else f"{mebibytes:.1f} MiB"
