# SPDX-License-Identifier: GPL-2.0-or-later
"""Do two hosts that lose sight of each other fence each other at once? Findings over the delays in a CIB.

Decides how long the fencing of a host waits, and whether that is enough. Asks nothing outside.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from backstay.fencing.configuration import Fencing
from backstay.fencing.finding import WARNING, Finding

LEAST_DELAY = 3.0  # seconds: an off that goes well has been seen by then


@dataclass(frozen=True, slots=True)
class Delays:
    """How long the fencing of one host waits: the shortest certain time (s), and whether more is left to chance."""

    base: float
    random: bool


def delays_of(fencing: Fencing, host: str) -> Delays:
    """The delay of the device that would fence a host first."""
    devices = fencing.devices_of(host)
    base = min((device.delay(host) for device in devices), default=0.0)
    return Delays(base, any(device.seconds("pcmk_delay_max") for device in devices))


def two_hosts(fencing: Fencing) -> Iterator[Finding]:
    """Source: Pacemaker Explained, which wants priority-fencing-delay to be safely twice the longest pcmk_delay."""
    if len(fencing.hosts) != 2:
        return
    both, priority = " and ".join(fencing.hosts), fencing.seconds("priority-fencing-delay", 0.0)
    first, second = (delays_of(fencing, host) for host in fencing.hosts)
    random, apart = first.random or second.random, abs(first.base - second.base)
    tie = not (random or apart)
    if tie and not (priority and fencing.prioritised):
        useless = (
            " (priority-fencing-delay decides nothing while no resource has a priority)" if priority else ""
        )
        yield Finding(
            WARNING,
            f"{both} would fence each other at once when they lose sight of each other{useless}",
            "set priority-fencing-delay, or pcmk_delay_base on one device",
        )
    elif not random and 0 < apart < LEAST_DELAY:
        yield Finding(
            WARNING,
            f"the delays of {both} differ by {apart:g} s: before one is off, it may have switched off the other",
            "let pcmk_delay_base differ by 5 s or more",
        )
    longest = max(
        (max(device.delay(host), device.seconds("pcmk_delay_max") or 0.0)
         for host in fencing.hosts for device in fencing.devices_of(host)),
        default=0.0,
    )  # fmt: skip
    if priority and longest and priority < 2 * longest:
        yield Finding(
            WARNING,
            f"priority-fencing-delay ({priority:g} s) is less than twice the longest other delay ({longest:g} s), "
            "and may be outweighed",
            f"set it to {2 * longest:g}s or more",
        )
