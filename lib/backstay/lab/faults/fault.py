# SPDX-License-Identifier: GPL-2.0-or-later
"""What a fault is: a name, a sentence, and the two functions that break and mend one node. Knows none by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from backstay.lab.node import Node


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to break a node. `inject` and `heal` may both be repeated; `heal` works on a node that rebooted.

    `kinds` are the kinds of nodes that can be broken so; none: all.
    """

    name: str
    what: str
    inject: Callable[[Node], None]
    heal: Callable[[Node], None]
    kinds: tuple[str, ...] = ()
