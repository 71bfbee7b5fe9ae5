# SPDX-License-Identifier: GPL-2.0-or-later
"""The last two ends of an action that overstays: an exception in the main thread, then the end of the process.

Decides nothing: it is told when and what. A signal handler of Python does not run while the main thread is inside
a C call that restarts itself (libvirt waiting for an answer) or in a system call on hung storage, so the second
end is a thread of its own; `_thread` costs nothing where `threading` costs milliseconds.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal itself imports enum, which costs 3 ms
import _thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


class Backstop:
    """Raises `error` in the main thread after `soft` seconds, and calls `last` in a thread after `hard` seconds.

    To be made in the main thread. A forked child inherits neither end.
    """

    __slots__ = ("_disarmed", "_hard", "_last")

    def __init__(
        self, soft: float, error: type[BaseException], hard: float, last: Callable[[], None]
    ) -> None:
        def overstayed(_number: int, _frame: FrameType | None) -> None:
            raise error

        self._hard = hard
        self._last = last
        self._disarmed = _thread.allocate_lock()
        self._disarmed.acquire()
        _signal.signal(_signal.SIGALRM, overstayed)
        _signal.setitimer(_signal.ITIMER_REAL, soft)
        _thread.start_new_thread(self._watch, ())

    def disarm(self) -> None:
        """Call both ends off; to be called once."""
        _signal.setitimer(_signal.ITIMER_REAL, 0)
        self._disarmed.release()

    def _watch(self) -> None:
        if not self._disarmed.acquire(timeout=self._hard):
            self._last()
