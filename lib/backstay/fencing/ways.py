# SPDX-License-Identifier: GPL-2.0-or-later
"""Two ways to a BMC that are one to whoever switches power: a second cipher suite, and off by cycling.

Decides when the other way is taken, never what came of it: off is still only what was seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from backstay.fencing.power import Switch
from backstay.host.bmc import Kind, Power, Trouble

T = TypeVar("T")


class Bmc(Switch, Protocol):
    """A BMC that can cycle, and say which machine it belongs to; calls take at most `timeout` seconds."""

    def cycle(self, timeout: float) -> Trouble | None:
        """Ask for off and on again in one command; None when that was accepted."""

    def guid(self, timeout: float) -> bytes | Trouble:
        """The 16 bytes of its machine's GUID, as sent."""


class Falling:
    """A BMC with a second cipher suite: taken, for good, when the BMC itself says that it does not offer the first.

    `said` is called once, when that happens. Silence, a wrong password or a refused role change nothing.
    """

    def __init__(self, first: Bmc, second: Bmc | None, said: Callable[[], None]) -> None:
        self._way = first
        self._second = second
        self._said = said
        self.fell = False

    def power(self, timeout: float) -> Power | Trouble:
        """The state of the chassis."""
        return self._ask(lambda way: way.power(timeout))

    def switch(self, wanted: Power, timeout: float) -> Trouble | None:
        """Ask for a state."""
        return self._ask(lambda way: way.switch(wanted, timeout))

    def cycle(self, timeout: float) -> Trouble | None:
        """Ask for off and on again."""
        return self._ask(lambda way: way.cycle(timeout))

    def guid(self, timeout: float) -> bytes | Trouble:
        """The GUID of the machine."""
        return self._ask(lambda way: way.guid(timeout))

    def _ask(self, question: Callable[[Bmc], T]) -> T:
        answer = question(self._way)
        if not (isinstance(answer, Trouble) and answer.kind is Kind.SUITE and self._second):
            return answer
        other = question(self._second)
        if not (isinstance(other, Trouble) and other.kind is Kind.SUITE):
            self._way, self._second, self.fell = self._second, None, True
            self._said()
        return other


class Cycling:
    """Off by a power cycle: once. A second command means that its dark phase was not seen, so it is a plain off."""

    def __init__(self, bmc: Bmc) -> None:
        self._bmc = bmc
        self._cycled = False

    def power(self, timeout: float) -> Power | Trouble:
        """The state of the chassis."""
        return self._bmc.power(timeout)

    def switch(self, wanted: Power, timeout: float) -> Trouble | None:
        """Ask for off."""
        if self._cycled or wanted is not Power.OFF:
            return self._bmc.switch(wanted, timeout)
        self._cycled = True
        return self._bmc.cycle(timeout)
