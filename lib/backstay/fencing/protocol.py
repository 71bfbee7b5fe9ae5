# SPDX-License-Identifier: GPL-2.0-or-later
"""The one guard of a fence agent's process: from its input to its exit code.

Decides the exit code and the one line on standard error that every failure has. Pacemaker reads that line and
takes "timed out" or "unsupported action" in it for what they say, so nothing here uses such words by accident.
A traceback goes to the system log, without the secrets that the agent was given.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import IO, NoReturn

from backstay.errors import BackstayError, BadInput
from backstay.fencing import inputs
from backstay.fencing.agent import FAILED, FenceAgent
from backstay.fencing.parameters import Values
from backstay.host import cores

METADATA = ("metadata", "meta-data")
USAGE = ("help", "manpage")
ERROR = 3  # the syslog priority of a traceback


class Conversation:
    """One run of an agent: what it was asked, and the only ways in which it says anything."""

    def __init__(self, agent: FenceAgent, out: IO[str], err: IO[str]) -> None:
        self.agent = agent
        self.action = ""
        self.values = Values({}, agent.parameters)
        self.settled: int | None = None
        self._out = out
        self._err = err
        self._hidden: set[str] = set()

    def begin(self, given: dict[str, str]) -> None:
        """Take the parameters."""
        self.values = Values(given, self.agent.parameters)
        self.action = self.values.text("action").strip().lower()
        self._hidden.update(self.values.secrets())

    def say(self, text: str) -> None:
        """One line on standard output, unless quiet."""
        if not self.values.flag("quiet"):
            self._out.write(f"{text}\n")

    def warn(self, text: str) -> None:
        """One line on standard error."""
        self._err.write(f"{self.agent.name}: {one_line(text)}\n")

    def trace(self, text: str) -> None:
        """One line on standard error when verbose."""
        if self.values.flag("verbose"):
            self.warn(self.without_secrets(text))

    def hide(self, secret: str) -> None:
        """Keep this text out of everything that is logged."""
        self._hidden.add(secret)

    def settle(self, code: int) -> None:
        """Whatever happens from here on, this is the exit code."""
        self.settled = code

    def without_secrets(self, text: str) -> str:
        """The text with every known secret replaced; long ones first, so that no part of one is left."""
        for secret in sorted(filter(None, self._hidden), key=len, reverse=True):
            text = text.replace(secret, "[hidden]").replace(repr(secret)[1:-1], "[hidden]")
        return text

    def document(self, text: str) -> int:
        """Write a whole document to standard output."""
        self._out.write(text)
        return 0


def main(agent: FenceAgent) -> NoReturn:
    """Run the agent of this process and end with its exit code."""
    cores.forbid()
    # A stream that the caller closed is None; a host is fenced all the same.
    out, err = sys.stdout or io.StringIO(), sys.stderr or io.StringIO()
    sys.exit(converse(agent, sys.argv[1:], read_stdin, out, err, to_system_log))


def read_stdin() -> bytes:
    """All of standard input; nothing when the caller closed it."""
    return sys.stdin.buffer.read() if sys.stdin else b""


def converse(
    agent: FenceAgent,
    argv: Sequence[str],
    stdin: Callable[[], bytes],
    out: IO[str],
    err: IO[str],
    log: Callable[[str, str], None],
) -> int:
    """The guard itself: the exit code, whatever happens. `log(name, line)` gets a traceback line by line."""
    talk = Conversation(agent, out, err)
    try:
        given = inputs.from_options(argv, agent.parameters) if argv else inputs.from_lines(stdin())
        talk.begin(given)
        code = answer(talk)
        out.flush()
    except BackstayError as error:
        talk.warn(f"{error}; {error.hint}" if error.hint else str(error))
        code = FAILED
    except Exception as error:  # noqa: BLE001  (the one guard: any failure of our own has a code and a reason)
        report(talk, error, log)
        code = FAILED
    return code if talk.settled is None else talk.settled


def answer(talk: Conversation) -> int:
    """The exit code of the action that was asked for; raises BackstayError for what the agent understands."""
    agent = talk.agent
    if talk.action in (*METADATA, *USAGE):
        # XML's helpers bring in half of Python's network library, which a host is fenced without.
        from backstay.fencing import metadata

        return talk.document((metadata.render if talk.action in METADATA else metadata.usage)(agent))
    if talk.action == "version":
        from backstay import __version__

        return talk.document(f"{agent.name} {__version__}\n")
    if talk.action not in {action.name for action in agent.actions}:
        known = ", ".join(action.name for action in agent.actions)
        raise BadInput(f"unsupported action {talk.action!r}", hint=f"this agent offers {known}")
    return agent.run(talk)


def report(talk: Conversation, error: Exception, log: Callable[[str, str], None]) -> None:
    """Say in one line that the agent itself is broken, and keep the traceback."""
    import traceback

    name = talk.agent.name
    for chunk in traceback.format_exception(error):
        for line in talk.without_secrets(chunk).splitlines():
            log(name, line)
    what = talk.without_secrets(f"{type(error).__name__}: {error}")
    talk.warn(
        f"{talk.action or 'the call'} failed because the agent itself is broken ({what}); see the system log"
    )


def one_line(text: str) -> str:
    """The text without line breaks: a caller counts lines."""
    return " ".join(text.split())


def to_system_log(name: str, line: str) -> None:
    """One line of a traceback, as an error; a log daemon that hangs must not hold up a fencing."""
    from backstay.host.syslog import send

    send(ERROR, f"{name}[{os.getpid()}]", line)
