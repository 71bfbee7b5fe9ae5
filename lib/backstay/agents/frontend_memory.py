# SPDX-License-Identifier: GPL-2.0-or-later
"""What the frontend agent remembers between two actions. Times are seconds on the monotonic clock."""

from __future__ import annotations

from backstay.agents.remembered import Remembered


class Memory(Remembered):
    """`attribute` is what was last published, `first` since when a required probe was not answered (0.0: it was).

    `late` are the probes whose command did not end in time, one to a `|`. `boots` are the units that were last warned
    of. `trouble` is the last sentence that was logged, `recovery` the last that was said about recovering hosts.
    """

    __slots__ = ("attribute", "boots", "first", "late", "recovery", "trouble")
    texts = ("attribute", "boots", "late", "recovery", "trouble")
    moments = ("first",)
    attribute: str
    boots: str
    first: float
    late: str
    recovery: str
    trouble: str
