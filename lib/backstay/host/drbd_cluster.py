# SPDX-License-Identifier: GPL-2.0-or-later
"""The cluster as DRBD's handlers need it: its configuration, changed only while nobody else did, and who answers in it.

Decides nothing. Source: crmadmin(8), cibadmin(8) of Pacemaker 2.1.5.
"""

from __future__ import annotations

import time

from backstay.errors import CannotAsk
from backstay.host.attributes import Attributes
from backstay.host.pacemaker import Pacemaker
from backstay.host.process import run

ANSWER = 3.0  # seconds in which a host's controller answers through Corosync
TOOL = 5.0


class Cluster:
    """The cluster of this host; methods raise CannotAsk."""

    __slots__ = ("_pacemaker",)

    def __init__(self) -> None:
        self._pacemaker = Pacemaker()

    def cib(self) -> bytes:
        """Give the CIB, status included."""
        return self._pacemaker.live()

    def replace(self, old: bytes, new: bytes) -> bool:
        """Turn the CIB from `old` into `new`; raises Refused when somebody changed the configuration meanwhile."""
        return self._pacemaker.replace(old, new)

    def local(self) -> str:
        """Give the name of this host in the cluster."""
        return Attributes().local(TOOL)

    def answers(self, host: str) -> bool:
        """Whether the controller of a host answers now: a question that goes there and back through Corosync."""
        try:
            return run(["crmadmin", f"--status={host}", f"--timeout={ANSWER:.0f}s"], timeout=ANSWER + TOOL).ok
        except CannotAsk:
            return False

    def pause(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
