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
from contextlib import suppress
from typing import IO, NoReturn

from backstay.errors import BackstayError, BadInput, CannotAsk
from backstay.fencing import inputs
from backstay.fencing.agent import FAILED, FenceAgent
from backstay.fencing.parameters import Values
from backstay.host import cores

METADATA = ("metadata", "meta-data")
USAGE = ("help", "manpage")
LONGEST = 4000  # signs of a line for standard error: what was given may be of any length
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
        self._failure = ""
        self._notes: list[str] = []

    def begin(self, given: dict[str, str]) -> None:
        """Take the parameters."""
        self.values = Values(given, self.agent.parameters)
        # The Fence Agent API reboots where no action is given; one that is given as nothing is a mistake of the caller.
        asked = given["action"] if "action" in given else self.values.text("action")
        self.action = asked.strip().lower()
        self._hidden.update(self.values.secrets())

    def say(self, text: str) -> None:
        """One line on standard output, unless quiet."""
        if not self.values.flag("quiet"):
            self._out.write(f"{text}\n")

    def warn(self, text: str) -> None:
        """Something to know besides: `tell` says it."""
        self._notes.append(one_line(text))

    def fail(self, text: str) -> None:
        """Why it failed: `tell` says it first."""
        self._failure = one_line(text)

    def tell(self) -> None:
        """The one line on standard error, where there is something to say."""
        said = [text for text in (self._failure, *self._notes) if text]
        if said:
            self._line("; ".join(said))

    def trace(self, text: str) -> None:
        """One line on standard error when verbose."""
        if self.values.flag("verbose"):
            self._line(one_line(self.without_secrets(text)))

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

    def _line(self, text: str) -> None:
        """Pacemaker takes "timeout" anywhere in it for a lapse of time: names with it give way to what they mean."""
        for parameter in self.agent.parameters:
            if "timeout" in parameter.name:
                text = text.replace(parameter.name, f"the parameter '{parameter.shortdesc}'")
        if len(text) > LONGEST:
            text = f"{text[:LONGEST]} ... ({len(text)} signs)"
        try:
            self._err.write(f"{self.agent.name}: {text}\n")
            self._err.flush()
        except OSError:  # nobody has to read it
            give_up(self._err)

    def document(self, text: str) -> int:
        """Write a whole document to standard output; CannotAsk when nobody gets it."""
        try:
            self._out.write(text)
            self._out.flush()
        except OSError as error:
            give_up(self._out)
            raise CannotAsk(f"what was asked for cannot be written: {error.strerror}") from error
        return 0

    def hand_over(self) -> None:
        """Let what was said reach whoever reads it. Nobody has to: what was done to a host is done all the same."""
        try:
            self._out.flush()
        except OSError:
            give_up(self._out)


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
    log: Callable[[str, str, str], None],
) -> int:
    """The guard itself: the exit code, whatever happens. `log(name, line, action)` gets a traceback line by line."""
    talk = Conversation(agent, out, err)
    try:
        given = inputs.from_options(argv, agent.parameters) if argv else inputs.from_lines(stdin())
        talk.begin(given)
        code = answer(talk)
        talk.hand_over()
    except BackstayError as error:
        talk.fail(f"{error}; {error.hint}" if error.hint else str(error))
        code = FAILED
    except Exception as error:  # noqa: BLE001  (the one guard: any failure of our own has a code and a reason)
        report(talk, error, log)
        code = FAILED
    talk.tell()
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
        if not talk.action:
            raise BadInput("action is empty", hint="nothing is rebooted for that; leave it out for a reboot")
        raise BadInput(f"unsupported action {talk.action!r}", hint=f"this agent offers {known}")
    return agent.run(talk)


def report(talk: Conversation, error: Exception, log: Callable[[str, str, str], None]) -> None:
    """Say in one line that the agent itself is broken, and keep the traceback."""
    import traceback

    name = talk.agent.name
    for chunk in traceback.format_exception(error):
        for line in talk.without_secrets(chunk).splitlines():
            log(name, line, talk.action)
    what = talk.without_secrets(f"{type(error).__name__}: {error}")
    talk.fail(
        f"{talk.action or 'the call'} failed because the agent itself is broken ({what}); see the system log"
    )


def give_up(stream: IO[str]) -> None:
    """Write to nobody from now on, or Python itself would fail with 120 when it ends."""
    with suppress(OSError):
        nobody = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nobody, stream.fileno())
        os.close(nobody)


def one_line(text: str) -> str:
    """The text without line breaks: a caller counts lines."""
    return " ".join(text.split())


def to_system_log(name: str, line: str, action: str) -> None:
    """One line of a traceback, as an error; a log daemon that hangs must not hold up a fencing.

    In the journal it has the fields that other agents' lines have (ocf/log.py); the host is the one that it ran on.
    """
    from backstay.host.syslog import send

    fields = {
        "BACKSTAY_HOST": os.uname().nodename,
        "BACKSTAY_ACTION": action,
        "BACKSTAY_CODE": str(FAILED),
    }
    send(ERROR, f"{name}[{os.getpid()}]", line, fields=fields)
