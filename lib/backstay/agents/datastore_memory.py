# SPDX-License-Identifier: GPL-2.0-or-later
"""What the datastore agent remembers between two monitors of one datastore.

Decides what of it ends with the trouble. Times are seconds on the monotonic clock.
"""

from __future__ import annotations

from backstay.agents.remembered import Remembered


class Memory(Remembered):
    """`started` is not empty while the resource is started, `ended` after its stop.

    `attribute` is what was last published.
    `kind` is the trouble or remark that lasts, since `first` (0.0 when there is none). `pid`, `start` and `asked` are
    the child that was abandoned. `volume` is what was last wrong with the bricks, one to a `|`, looked at when
    `looked`. `alerted` is when an alarm was last raised, `stayed` when the host was given up without a better place,
    `better` the hosts that were healthy at each look since `better_since`.
    """

    __slots__ = (
        "alerted", "asked", "attribute", "better", "better_since", "ended", "first", "kind", "looked", "pid", "start",
        "started", "stayed", "volume",
    )  # fmt: skip
    texts = ("attribute", "better", "ended", "kind", "started", "volume")
    moments = ("alerted", "asked", "better_since", "first", "looked", "stayed")
    numbers = ("pid", "start")
    alerted: float
    asked: float
    attribute: str
    better: str
    better_since: float
    ended: str
    first: float
    kind: str
    looked: float
    pid: int
    start: int
    started: str
    stayed: float
    volume: str

    def well(self) -> None:
        """Forget a failure, not the abandoned child and not what is wrong with the bricks."""
        self.first = self.stayed = self.better_since = 0.0
        self.better = ""
