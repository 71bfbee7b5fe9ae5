# SPDX-License-Identifier: GPL-2.0-or-later
"""The lease: who holds a role and who held it, written by the role itself, one line for each time that it was held.

Decides what the record means. It guards (who finds that somebody else still writes does not start) and it is evidence
(two tenures that overlap are a role that was on two hosts). Times are seconds since the epoch, by the clock of the host
that wrote them. Touches no file.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Change = Callable[
        [str, str, str, float], tuple[str, str]
    ]  # text, host, boot, now: text, and who else holds it

KEPT = 100  # lines
FIELDS = 5
LATEST = 1e11  # seconds since the epoch; what lies beyond was not written by anybody


class Tenure:
    """One time that a host held the role: since `taken`, seen to hold it last at `held`, left at `left` (0.0: not)."""

    __slots__ = ("boot", "held", "host", "left", "taken")

    def __init__(self, host: str, boot: str, taken: float, held: float, left: float = 0.0) -> None:
        self.host = host
        self.boot = boot
        self.taken = taken
        self.held = held
        self.left = left

    def by(self, host: str, boot: str) -> bool:
        """Whether it is that host's, in that boot."""
        return (self.host, self.boot) == (host, boot)

    @property
    def end(self) -> float:
        """Until when it surely was held."""
        return self.left or self.held

    def __repr__(self) -> str:
        return f"Tenure({self.host} {self.taken:.0f} to {self.held:.0f}, left {self.left:.0f})"


def parse(text: str) -> list[Tenure]:
    """Read a record, the oldest first; a line that makes no sense is none."""
    found = []
    for line in text.splitlines():
        words = line.split()
        times = [_time(word) for word in words[2:FIELDS]]
        if len(words) == FIELDS and all(0.0 <= each <= LATEST for each in times):
            found.append(Tenure(words[0], words[1], *times))
    return found


def _time(word: str) -> float:
    """Read a time; -1.0 when it is none."""
    try:
        return float(word) if word[:1].isdigit() else -1.0
    except ValueError:
        return -1.0


def written(tenures: Sequence[Tenure]) -> str:
    """Write a record."""
    lines = [
        f"{each.host} {each.boot} {each.taken:.3f} {each.held:.3f} {each.left:.3f}\n"
        for each in tenures[-KEPT:]
    ]
    return "".join(lines)


def holder(tenures: Sequence[Tenure]) -> Tenure | None:
    """Give the last tenure when nobody left it."""
    return tenures[-1] if tenures and not tenures[-1].left else None


def take(text: str, host: str, boot: str, now: float) -> tuple[str, str]:
    """Give the record of a role that this host takes; one that it holds already it goes on holding."""
    tenures = parse(text)
    last = holder(tenures)
    if last is not None and last.by(host, boot):
        last.held = now
    else:
        tenures.append(Tenure(host, boot, now, now))
    return written(tenures), ""


def hold(text: str, host: str, boot: str, now: float) -> tuple[str, str]:
    """Give the record of a role that this host still holds, or who else holds it now."""
    tenures = parse(text)
    last = holder(tenures)
    if last is not None and not last.by(host, boot):
        return text, last.host
    if last is None:
        tenures.append(Tenure(host, boot, now, now))
    else:
        last.held = now
    return written(tenures), ""


def leave(text: str, host: str, boot: str, now: float) -> tuple[str, str]:
    """Give the record of a role that this host has left; somebody else's is left as it is."""
    tenures = parse(text)
    last = holder(tenures)
    if last is None or not last.by(host, boot):
        return text, ""
    last.held = last.left = now
    return written(tenures), ""


def overlaps(tenures: Sequence[Tenure]) -> list[tuple[Tenure, Tenure]]:
    """Give each two tenures of different hosts that were held at the same time; to be given all hosts' records."""
    ordered = sorted(tenures, key=lambda each: each.taken)
    return [
        (one, other)
        for number_, one in enumerate(ordered)
        for other in ordered[number_ + 1 :]
        if one.host != other.host and other.taken < one.end
    ]
