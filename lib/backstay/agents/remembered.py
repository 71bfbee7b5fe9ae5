# SPDX-License-Identifier: GPL-2.0-or-later
"""What an agent remembers between two actions, as a small text of lines `name=value`, and what it tells other hosts.

Decides how it is written and read, and that a node attribute is set when it has changed. A text that makes no sense is
an empty memory: the worst that follows is that trouble counts from now on. Times are seconds on the monotonic clock,
which starts at boot, as the memory does.
"""

from __future__ import annotations

from backstay.errors import CannotAsk
from backstay.ocf.context import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol, Self

    from backstay.ocf.context import Context

    class Published(Protocol):
        """A memory that knows which value of the attribute was last set."""

        attribute: str

    class Host(Protocol):
        """Where it is kept and told: `publish` raises CannotAsk, `remember` OSError."""

        def publish(self, value: str, timeout: float) -> None: ...
        def remember(self, text: str) -> None: ...


TOOL_TIME = 4.0  # seconds that a tool of the cluster or of systemd gets
LEAST = 0.5  # seconds that one gets when no time is left


class Remembered:
    """Base of a memory; a subclass names its fields by what they hold. `times` are tuples of times."""

    __slots__ = ()
    texts: tuple[str, ...] = ()
    moments: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()

    def __init__(self) -> None:
        for names, empty in ((self.texts, ""), (self.moments, 0.0), (self.times, ()), (self.numbers, 0)):
            for name in names:
                setattr(self, name, empty)

    def text(self) -> str:
        """Write it down."""
        lines = [f"{name}={getattr(self, name)}" for name in (*self.texts, *self.moments, *self.numbers)]
        lines += [f"{name}={' '.join(f'{when:.1f}' for when in getattr(self, name))}" for name in self.times]
        return "\n".join([*lines, ""])

    @classmethod
    def read(cls, text: str, now: float) -> Self:
        """Read what was written down; what lies in the future was not."""
        memory = cls()
        said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        for name in cls.texts:
            setattr(memory, name, said.get(name, ""))
        for name in cls.moments:
            when = number(said.get(name, ""), 0.0)
            setattr(memory, name, when if when <= now else 0.0)
        for name in cls.numbers:
            setattr(memory, name, int(number(said.get(name, ""), 0)))
        for name in cls.times:
            found = (number(when, now + 1) for when in said.get(name, "").split())
            setattr(memory, name, tuple(when for when in found if when <= now))
        return memory


def publish(context: Context[Any], host: Host, memory: Published, value: str, said: str) -> None:
    """Set the node attribute if it changed; that it cannot be set fails nothing. `said` is what others are told."""
    if memory.attribute == value:
        return
    try:
        host.publish(value, min(TOOL_TIME, max(context.deadline.left() / 2, LEAST)))
        memory.attribute = value
    except CannotAsk as error:
        context.warn(f"other hosts are not told that {said}: {error}")


def keep(context: Context[Any], host: Host, memory: Remembered) -> None:
    """Remember; a memory that cannot be written is no reason to fail a look."""
    try:
        host.remember(memory.text())
    except OSError as error:
        context.warn(f"what was seen cannot be remembered: {error}")
