# SPDX-License-Identifier: GPL-2.0-or-later
"""The last two ends of an action that overstays: an exception in the main thread, then the end of the process.

Decides nothing: it is told when and what. A signal handler of Python does not run while the main thread is inside
a C call that restarts itself (libvirt waiting for an answer) or in a system call on hung storage, so the second
end is a thread of its own; `_thread` costs nothing where `threading` costs milliseconds.
"""

from __future__ import annotations

import _thread
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


def arm(soft: float, error: type[BaseException], hard: float, last: Callable[[], None]) -> None:
    """Raise `error` in the main thread after `soft` seconds, and call `last` in a thread after `hard` seconds.

    A forked child inherits neither.
    """

    def overstayed(_signal: int, _frame: FrameType | None) -> None:
        raise error

    def watch() -> None:
        never = _thread.allocate_lock()
        never.acquire()
        never.acquire(timeout=hard)
        last()

    signal.signal(signal.SIGALRM, overstayed)
    signal.setitimer(signal.ITIMER_REAL, soft)
    _thread.start_new_thread(watch, ())
