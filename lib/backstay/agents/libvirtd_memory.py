# SPDX-License-Identifier: GPL-2.0-or-later
"""What the libvirtd agent remembers between two monitors, as a small text.

Decides how it is written and read. A text that makes no sense is an empty memory: the worst that follows is that
trouble counts from now on. Times are seconds on the monotonic clock, which starts at boot, as the memory does.
"""

from __future__ import annotations

from backstay.ocf.context import number

FIELDS = (
    "attribute",
    "kind",
    "first",
    "since",
    "pid",
    "start",
    "ticks",
    "when",
    "blocked",
    "heal",
    "heals",
    "alerted",
    "stayed",
)


class Memory:
    """The last published attribute, the trouble that lasts (`first` is 0.0 when there is none), and the heals.

    `since` is when it was last forbidden to heal it, or `first`: the budget counts from there.
    `pid`, `start`, `ticks`, `when` and `blocked` are the last look at the daemon.
    `heal` is when the last heal of this trouble was started, `heals` when each recent one was.
    `alerted` is when an alarm was last raised, `stayed` when it was given up without a better place for the guests.
    """

    __slots__ = FIELDS

    def __init__(self) -> None:
        self.attribute = ""
        self.kind = ""
        self.first = 0.0
        self.since = 0.0
        self.pid = 0
        self.start = 0
        self.ticks = 0
        self.when = 0.0
        self.blocked = ""
        self.heal = 0.0
        self.heals: tuple[float, ...] = ()
        self.alerted = 0.0
        self.stayed = 0.0

    def well(self) -> None:
        """Forget the trouble, not how often it was healed."""
        self.kind, self.first, self.since, self.heal, self.alerted, self.stayed = "", 0.0, 0.0, 0.0, 0.0, 0.0
        self.pid, self.start, self.ticks, self.when, self.blocked = 0, 0, 0, 0.0, ""

    def text(self) -> str:
        """Write it down."""
        values = {name: getattr(self, name) for name in FIELDS}
        values["heals"] = " ".join(f"{when:.1f}" for when in self.heals)
        return "".join(f"{name}={value}\n" for name, value in values.items())


def read(text: str, now: float) -> Memory:
    """Read what was written down; what lies in the future was not."""
    memory = Memory()
    said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    memory.attribute = said.get("attribute", "")
    memory.kind = said.get("kind", "")
    memory.blocked = said.get("blocked", "")
    for name in ("first", "since", "when", "heal", "alerted", "stayed"):
        when = number(said.get(name, ""), 0.0)
        setattr(memory, name, when if when <= now else 0.0)
    for name in ("pid", "start", "ticks"):
        setattr(memory, name, int(number(said.get(name, ""), 0)))
    times = (number(when, now + 1) for when in said.get("heals", "").split())
    memory.heals = tuple(when for when in times if when <= now)
    return memory
