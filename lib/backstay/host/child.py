# SPDX-License-Identifier: GPL-2.0-or-later
"""A question that may never return, asked where it can be abandoned: in a forked child.

Decides nothing about the answer. A call into libvirt blocks inside C for as long as a hung libvirtd likes, and a
read of a file on a dead share blocks inside the kernel; neither can be interrupted from Python. The parent waits
for a pipe with a deadline, kills the child and goes on, even when the child cannot die yet (D state).
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # signal itself imports enum: 4 ms
import marshal
import os
import select
import time

from backstay.errors import CannotAsk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

FINE, RAISED = b"=", b"!"
CHUNK = 65536  # bytes
BURIAL = 0.05  # seconds to wait for a killed child; one in D state is left to init


class NoAnswer(CannotAsk):
    """The child was abandoned: it did not answer in time."""


class Broke(CannotAsk):
    """The question itself failed in the child; the message is what it said."""


def ask(question: Callable[[], Any], timeout: float) -> Any:
    """Give what `question` returns (plain values only: numbers, texts, tuples, dicts), asked in a child.

    `timeout` is in seconds. Raises NoAnswer when there was none in time, Broke when the question raised.
    """
    pending = Pending(question)
    try:
        if not pending.wait(timeout):
            raise NoAnswer(f"no answer within {timeout:.1f} s")
        return pending.answer()
    finally:
        pending.abandon()


class Pending:
    """A question that is being asked in a child, for a caller that does something else meanwhile.

    `abandon` has to be called at the end, whatever became of it.
    """

    __slots__ = ("_child", "_finished", "_parts", "_reading")

    def __init__(self, question: Callable[[], Any]) -> None:
        self._parts: list[bytes] = []
        self._finished = False
        self._reading, writing = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            _answer(question, writing)
        os.close(writing)

    @property
    def pid(self) -> int:
        """The pid of the child."""
        return self._child

    def wait(self, timeout: float) -> bool:
        """Wait at most these seconds; whether the child has finished."""
        self._finished = self._finished or _read(self._reading, self._parts, time.monotonic() + timeout)
        return self._finished

    def answer(self) -> Any:
        """Give what the question returned, once `wait` was true. Raises Broke when the question raised."""
        said = b"".join(self._parts)
        if not said:
            raise Broke("the child that asked ended without an answer")
        if said[:1] == RAISED:
            raise Broke(said[1:].decode("utf-8", "replace"))
        return marshal.loads(said[1:])  # noqa: S302  (what our own child wrote)

    def abandon(self) -> None:
        """Kill the child if it still lives; what it asked for may be carried out all the same."""
        os.close(self._reading)
        _bury(self._child)


def _answer(question: Callable[[], Any], writing: int) -> NoReturn:
    """Be the child: no word on the parent's streams, none of its signal handlers, never return."""
    code = 1
    try:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        _write(writing, FINE + marshal.dumps(question()))
        code = 0
    except Exception as error:  # noqa: BLE001  (the one guard of this process)
        _write(writing, RAISED + (str(error) or type(error).__name__).encode("utf-8", "replace"))
    finally:
        os._exit(code)


def _write(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


def _read(handle: int, parts: list[bytes], end: float) -> bool:
    """Add what the child wrote to `parts`; whether it has finished by then."""
    ready = select.poll()
    ready.register(handle, select.POLLIN)
    while True:
        left = end - time.monotonic()
        if left <= 0 or not ready.poll(left * 1000):
            return False
        part = os.read(handle, CHUNK)
        if not part:
            return True
        parts.append(part)


def _bury(child: int) -> None:
    """Kill the child if it still lives and collect it, without waiting for one that cannot die."""
    if os.waitpid(child, os.WNOHANG)[0]:
        return
    os.kill(child, signal.SIGKILL)
    end = time.monotonic() + BURIAL
    while not os.waitpid(child, os.WNOHANG)[0] and time.monotonic() < end:
        time.sleep(0.002)
