# SPDX-License-Identifier: GPL-2.0-or-later
"""What the libvirtd agent remembers between two monitors, as a small text.

Decides what of it ends with the trouble. Times are seconds on the monotonic clock.
"""

from __future__ import annotations

from backstay.agents.remembered import Remembered


class Memory(Remembered):
    """The last published attribute, the trouble that lasts (`first` is 0.0 when there is none), and the heals.

    `since` is when it was last forbidden to heal it, or `first`: the budget counts from there.
    `pid`, `start`, `ticks`, `when` and `blocked` are the last look at the daemon.
    `heal` is when the last heal of this trouble was started, `heals` when each recent one was.
    `alerted` is when an alarm was last raised, `stayed` when it was given up without a better place for the guests.
    `daemon` is the name of what serves QEMU's domains, as far as it had to be looked up. `better` are the hosts that
    were healthy at each look since `better_since`. `lost` are guests that libvirt did not know any more when it came
    back, at the time `back`. `guests` and `strays` are what was last published of them, `around` of
    what the host has for guests that may come.
    `ended` is not empty when this resource itself stopped the daemon, until it is started or seen well.
    """

    __slots__ = (
        "alerted", "around", "attribute", "back", "better", "better_since", "blocked", "daemon", "ended", "first",
        "guests", "heal", "heals", "kind", "lost", "pid", "since", "start", "stayed", "strays", "ticks", "when",
    )  # fmt: skip
    texts = (
        "attribute",
        "kind",
        "blocked",
        "daemon",
        "lost",
        "better",
        "guests",
        "strays",
        "ended",
        "around",
    )
    moments = ("first", "since", "when", "heal", "alerted", "stayed", "back", "better_since")
    times = ("heals",)
    numbers = ("pid", "start", "ticks")
    around: str
    attribute: str
    kind: str
    first: float
    since: float
    pid: int
    start: int
    ticks: int
    when: float
    blocked: str
    heal: float
    heals: tuple[float, ...]
    alerted: float
    stayed: float
    daemon: str
    back: float
    lost: str
    better: str
    better_since: float
    guests: str
    strays: str
    ended: str

    def well(self) -> None:
        """Forget the trouble, not how often it was healed."""
        self.kind, self.first, self.since, self.heal, self.alerted, self.stayed = "", 0.0, 0.0, 0.0, 0.0, 0.0
        self.pid, self.start, self.ticks, self.when, self.blocked = 0, 0, 0, 0.0, ""
        self.back, self.lost, self.better, self.better_since, self.ended = 0.0, "", "", 0.0, ""

    def unpublished(self) -> None:
        """Forget what was published: Pacemaker may just have started, and then it is gone."""
        self.attribute, self.guests, self.strays, self.around = "", "", "", ""
