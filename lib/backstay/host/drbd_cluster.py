# SPDX-License-Identifier: GPL-2.0-or-later
"""The cluster as DRBD's handlers need it: its configuration, changed only while nobody else did, and who answers in it.

Decides nothing. Source: crmadmin(8), cibadmin(8) of Pacemaker 2.1.5.
"""

from __future__ import annotations

import time

from backstay.errors import CannotAsk
from backstay.host.attributes import Attributes
from backstay.host.clock import Deadline
from backstay.host.pacemaker import Pacemaker
from backstay.host.process import Completed, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ANSWER = 3.0  # seconds in which a host's controller answers through Corosync
TOOL = 5.0


LEAST = 1.0  # seconds that a question gets in any case


class Cluster:
    """The cluster of this host; methods raise CannotAsk. No question takes longer than `until`."""

    __slots__ = ("_pacemaker", "_until")

    def __init__(self, until: Deadline | None = None) -> None:
        self._until = until
        self._pacemaker = Pacemaker(runner=self._run)

    def _run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        environment: Mapping[str, str] | None = None,
        stdin: str = "",
    ) -> Completed:
        return run(argv, timeout=self._within(timeout), environment=environment, stdin=stdin)

    def _within(self, seconds: float) -> float:
        return min(seconds, max(self._until.left(), LEAST)) if self._until else seconds

    def cib(self) -> bytes:
        """Give the CIB, status included."""
        return self._pacemaker.live()

    def replace(self, old: bytes, new: bytes) -> bool:
        """Turn the CIB from `old` into `new`; raises Refused when somebody changed the configuration meanwhile."""
        return self._pacemaker.replace(old, new)

    def local(self) -> str:
        """Give the name of this host in the cluster."""
        return Attributes().local(self._within(TOOL))

    def answers(self, host: str) -> bool:
        """Whether the controller of a host answers now: a question that goes there and back through Corosync."""
        argv = ["crmadmin", f"--status={host}", f"--timeout={ANSWER:.0f}s"]
        try:
            return run(argv, timeout=self._within(ANSWER + TOOL)).ok
        except CannotAsk:
            return False

    def pause(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
