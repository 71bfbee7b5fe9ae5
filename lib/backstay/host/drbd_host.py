# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that the DRBD agent sees and does on its host, in one place.

Decides nothing. Imports lazily: a monitor that finds all well needs drbdsetup and the attribute daemon only.
"""

from __future__ import annotations

import os
import time

from backstay.errors import CannotAsk
from backstay.host.attributes import Attributes
from backstay.host.drbd import CONFIGURATION, MAJOR, Drbd
from backstay.host.state import State as Memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.host.drbd_configured import Configured
    from backstay.host.drbd_state import State
    from backstay.host.process import Completed

ATTRIBUTE = "backstay-drbd-"  # and the resource's name in the cluster: how it is here now
WHOLE = "whole"  # what is remembered once everything is up to date and no stale constraint was left
PROMOTING = "promoting"  # what is remembered of a promotion: until when it waits (s on the monotonic clock)
ENDING = 10.0  # seconds after that in which it may not have ended yet


class Host:
    """The host that the agent runs on. Times are in seconds; asking raises CannotAsk."""

    __slots__ = ("_attributes", "_drbd", "_memory", "name")

    def __init__(self, resource: str, configuration: str = CONFIGURATION) -> None:
        self.name = resource
        self._drbd = Drbd(resource, configuration)
        self._attributes = Attributes()
        self._memory = Memory()

    def loaded(self) -> bool:
        """Whether DRBD's module is in the kernel."""
        return self._drbd.loaded()

    def load(self, timeout: float) -> Completed:
        """Load it."""
        return self._drbd.load(timeout)

    def version(self) -> tuple[int, ...]:
        """Give the version of the module that is loaded."""
        return self._drbd.version()

    def available(self, timeout: float) -> tuple[int, ...]:
        """Give the version of the module that could be loaded."""
        return self._drbd.available(timeout)

    def look(self, timeout: float) -> State | None:
        """Give the state of the resource, None when it is not here."""
        return self._drbd.look(timeout)

    def adm(self, *words: str, timeout: float) -> Completed:
        """Have drbdadm do something."""
        return self._drbd.adm(*words, timeout=timeout)

    def down(self, timeout: float) -> Completed:
        """Take the resource down without a configuration."""
        return self._drbd.down(timeout)

    def secondary(self, state: State, timeout: float) -> Completed:
        """Demote it without a configuration."""
        return self._drbd.secondary(state, timeout)

    def configured(self, timeout: float) -> Configured:
        """Give what the configuration says of the resource."""
        from backstay.host.drbd_configured import configured

        return configured(self._drbd, timeout)

    def holders(self, state: State, timeout: float) -> str:
        """Name who holds its devices open."""
        from backstay.host.child import ask
        from backstay.host.holders import Holders, said

        numbers = [(MAJOR, device.minor) for device in state.devices]
        ours = os.getpid()
        try:
            return said(ask(lambda: Holders().of(numbers, (ours, os.getpid())), timeout))
        except (CannotAsk, OSError) as error:
            return f"somebody who could not be found out ({error})"

    def split(self, timeout: float) -> bool:
        """Whether the kernel, or the handler, has told of a split brain since the resource was last connected."""
        from backstay.host.child import ask
        from backstay.host.drbd_log import told_of_split_brain

        if self.recall("split"):
            return True
        try:
            return bool(ask(lambda: told_of_split_brain(self.name, self._minors(timeout)), timeout))
        except (CannotAsk, OSError):
            return False

    def _minors(self, timeout: float) -> tuple[int, ...]:
        state = self._drbd.look(timeout)
        return tuple(device.minor for device in state.devices) if state else ()

    def values(self, name: str, timeout: float) -> dict[str, str]:
        """Give what a node attribute is on each host."""
        return self._attributes.values(name, timeout)

    def publish(self, name: str, value: str, timeout: float) -> None:
        """Set a node attribute of this host; empty removes it."""
        self._attributes.publish(name, value, timeout)

    def local(self, timeout: float) -> str:
        """Give the name of this host in the cluster."""
        return self._attributes.local(timeout)

    def promoted(self, instance: str, timeout: float) -> frozenset[str]:
        """Give the hosts on which the cluster says that the resource is promoted."""
        from backstay.host.roles import promoted

        return promoted(instance, timeout)

    def recall(self, about: str) -> str:
        """Give what was remembered about the resource, or an empty text."""
        try:
            return self._memory.read(f"drbd-{self.name}.{about}")
        except OSError:
            return ""

    def remember(self, about: str, text: str) -> None:
        """Remember a text, or forget it; a memory that cannot be written is no reason to fail."""
        try:
            if text:
                self._memory.write(f"drbd-{self.name}.{about}", text)
            else:
                self._memory.forget(f"drbd-{self.name}.{about}")
        except OSError:
            return

    def promoting(self, seconds: float | None) -> None:
        """Remember that a promotion waits for these seconds at most; None when it is over."""
        self.remember(PROMOTING, "" if seconds is None else f"{time.monotonic() + seconds:.1f}")

    def promotion_left(self) -> float | None:
        """Give how long the promotion that is under way still waits, 0.0 when it is about to end; None without one."""
        try:
            left = float(self.recall(PROMOTING)) - time.monotonic()
        except ValueError:
            return None
        return max(left, 0.0) if left > -ENDING else None

    def uname(self) -> str:
        """Give the name that DRBD knows this host by."""
        return os.uname().nodename

    def pause(self, seconds: float) -> None:
        """Wait."""
        time.sleep(max(0.0, seconds))
