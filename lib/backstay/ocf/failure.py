# SPDX-License-Identifier: GPL-2.0-or-later
"""What it means that an agent itself failed: an exception, a call that does not end.

Decides the outcome. A recurring monitor is only degraded for ten minutes, because a bug in an agent says nothing
about the resource, and a failed monitor would restart it. So would a reload-agent that answers anything but 0, 190
included (Pacemaker 2.1.5, seen with crm_simulate): it answers 0, and the log has the reason. Nothing else may be
guessed, so nothing else is forgiven: never success from a stop, never "not running" from a probe.
"""

from __future__ import annotations

from time import monotonic

from backstay.errors import BackstayError
from backstay.ocf import codes
from backstay.ocf.context import number
from backstay.ocf.outcome import Outcome, degraded, done, failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Protocol

    from backstay.ocf.context import Call

    class Memory(Protocol):
        """Texts that live until the next boot (host.state.State); every method may raise OSError."""

        def read(self, name: str) -> str: ...
        def write(self, name: str, text: str) -> None: ...
        def forget(self, name: str) -> None: ...


FORGIVEN = 600.0  # seconds since the first of several failures in a row


class OutOfTime(BaseException):
    """The action's own deadline did not work, and Pacemaker is about to kill; nothing may swallow this."""

    def __str__(self) -> str:
        return "it did not end within its timeout"


def judge(call: Call, said: str, memory: Memory, now: Callable[[], float] = monotonic) -> Outcome:
    """Turn what was said about the failure into an outcome; remembers the first failure in a row.

    Without a memory the time cannot be bounded, and it stays degraded: that /run cannot be written says as little
    about the resource.
    """
    reason = f"{call.action or 'the call'} could not be completed: {said}"
    if call.action == "reload-agent":
        return done(f"{reason}; the new parameters are used from the next action on")
    if call.action != "monitor" or call.is_probe:
        return failed(reason)
    since = lasting(_name(call), memory, now())
    if since < FORGIVEN:
        forgiven = f"{reason}; counts as running for {FORGIVEN - since:.0f} s more"
        return failed(forgiven, codes.DEGRADED_PROMOTED) if call.expects_promoted else degraded(forgiven)
    return failed(f"{reason}; for {since:.0f} s already")


def well_again(call: Call, memory: Memory) -> None:
    """Forget earlier failures after an action that came to an answer, or a failure long ago would count as lasting."""
    try:
        memory.forget(_name(call))
    except OSError:
        return


def sentence(error: BaseException) -> str:
    """Say an error in one sentence, with its hint if it has one."""
    if isinstance(error, BackstayError):
        return f"{error}; {error.hint}" if error.hint else str(error)
    if isinstance(error, OutOfTime):
        return str(error)
    return f"internal error, {type(error).__name__}: {error}"


def trace(error: BaseException) -> Iterator[str]:
    """Give the lines of the traceback, for the log; nothing for an error that was meant to be said."""
    if isinstance(error, BackstayError):
        return
    import traceback

    for chunk in traceback.format_exception(error):
        yield from chunk.splitlines()


def _name(call: Call) -> str:
    return f"{call.agent}-{call.instance}.failing"


def lasting(name: str, memory: Memory, now: float) -> float:
    """Give the seconds since this was first called with that name, 0.0 without a memory that makes sense."""
    try:
        first = number(memory.read(name), -1.0)
        if not 0.0 <= first <= now:
            memory.write(name, f"{now:.1f}")
            return 0.0
    except OSError:
        return 0.0
    return now - first
