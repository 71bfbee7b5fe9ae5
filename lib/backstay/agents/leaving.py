# SPDX-License-Identifier: GPL-2.0-or-later
"""Which other hosts are known to be healthy, for an agent that is about to say "failed": the common-cause rule.

Decides since when a host counts as a better place. What broke on all hosts, at once or on one shortly after the other,
must move and fence nothing, so nobody fails without one. Never does anything itself.
"""

from __future__ import annotations

from backstay.agents.remembered import TOOL_TIME
from backstay.errors import CannotAsk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from backstay.ocf.context import Context

    class Host(Protocol):
        """What knows the other hosts; raises CannotAsk."""

        def now(self) -> float: ...
        def healthy_elsewhere(self, here: str, timeout: float) -> tuple[str, ...]: ...

    class Memory(Protocol):
        """What is remembered between two looks: the hosts that were healthy at each, and since when."""

        better: str
        better_since: float


def better_place(context: Context[Any], host: Host, memory: Memory) -> tuple[str, str]:
    """Give the hosts that were healthy at every look since `better_since`, or why there is none.

    "healthy" carries no time: a host says it once, and takes it back when its own monitor, which asks as often as
    this one, sees otherwise. So one that still says it an interval and two answers later was healthy after the first
    look, and what breaks two hosts at nearly the same time moves the guests of neither.
    """
    healthy, why = places(context, host)
    still = healthy & set(memory.better.split())
    if not still:
        still, memory.better_since = healthy, host.now()
    memory.better = " ".join(sorted(still))
    return ", ".join(sorted(still)), why


def places(context: Context[Any], host: Host) -> tuple[set[str], str]:
    """Give the other hosts that say now that they are healthy, and why there is none."""
    try:
        others = host.healthy_elsewhere(context.node, min(TOOL_TIME, context.deadline.left() / 4))
    except CannotAsk as error:
        return set(), str(error)
    return set(others), "no other host is known to be healthy"
