# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs commands in a VM node from outside, over the virtio-serial ports that its agent serves (vm/agent.py).

Decides how long the agent may be silent. Needs nothing of the node's network. Several commands at once take a port
each; a port is held by a lock on a file, which the kernel takes back from whoever dies.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import select
import shlex
import socket
import sys
import termios
import tty
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from backstay.errors import CannotAsk
from backstay.host.clock import Deadline, pause
from backstay.host.process import Completed, ProcessTimedOut

PORTS = 8
SILENCE = 10.0
"""Seconds after which a node whose agent says nothing cannot be asked: it boots, hangs or has panicked."""

CHUNK = 24576
KILLED = -9  # what is said of a command whose node lost its power


class Silent(CannotAsk):
    """The node has power, and its agent does not answer."""


class Conversation:
    """One command's way to the agent and back, over a port that is ours. Raises Silent when nobody is there."""

    def __init__(self, wire: socket.socket, name: str) -> None:
        self._wire, self._name = wire, name
        self._session = secrets.token_hex(8).encode()
        self._buffer = b""
        self._unsent = b""
        self._heard: list[tuple[bytes, bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._wire.close()

    def fileno(self) -> int:
        """For select."""
        return self._wire.fileno()

    def greet(self, request: Mapping[str, object], deadline: Deadline) -> None:
        """Send the request and wait until the agent has taken it."""
        self._wire.setblocking(False)
        self._unsent = b"\n"
        self.say(b"hello", json.dumps(request).encode())
        while not deadline.expired:
            kind, _ = self.hear(deadline.left())
            if kind == b"welcome":
                return
            if kind == b"exit":
                raise Silent(f"{self._name} lost its power")
        raise Silent(
            f"{self._name} has power, but nobody in it answers",
            hint="it boots, hangs or has panicked; its console says which",
        )

    def say(self, kind: bytes, data: bytes = b"") -> None:
        """Send one message, as much of it as goes now; the rest goes while `hear` waits.

        Never waits itself: the agent may have to be heard before it hears more.
        """
        self._unsent += b" ".join((self._session, kind, base64.b64encode(data))) + b"\n"
        self._send()

    def hear(self, seconds: float) -> tuple[bytes, bytes]:
        """The next message that comes within these seconds, or an empty one; `exit -9` when the node lost its power."""
        deadline = Deadline(seconds)
        while not self._heard:
            readable, writable, _ = select.select([self._wire], self.unsent(), [], deadline.left())
            if writable:
                self._send()
            if readable:
                self._read()
            if deadline.expired:
                break
        return self._heard.pop(0) if self._heard else (b"", b"")

    def unsent(self) -> list[Self]:
        """Itself, for select, while something that was said has not gone yet."""
        return [self] if self._unsent else []

    def pending(self) -> bool:
        """Whether a message waits that was read already."""
        return bool(self._heard)

    def _send(self) -> None:
        """Nothing when the node is gone, which `hear` will say."""
        try:
            self._unsent = self._unsent[self._wire.send(self._unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self._unsent = b""

    def _read(self) -> None:
        try:
            data = self._wire.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._heard.append((b"exit", str(KILLED).encode()))
            return
        *whole, self._buffer = (self._buffer + data).split(b"\n")
        lines = [words for words in (line.split(b" ") for line in whole) if len(words) == 3]
        self._heard += [
            (kind, base64.b64decode(text)) for session, kind, text in lines if session == self._session
        ]


@contextmanager
def _port(directory: Path, name: str, deadline: Deadline) -> Iterator[socket.socket]:
    """A port that is nobody else's now."""
    while True:
        for number in range(PORTS):
            with (directory / f"{number}.lock").open("w") as lock:
                if not _take(lock):
                    continue
                wire = socket.socket(socket.AF_UNIX)
                with wire:
                    try:
                        wire.connect(str(directory / str(number)))
                    except OSError as error:
                        raise Silent(f"{name} is off, or only about to start ({error.strerror})") from error
                    yield wire
                return
        if deadline.expired:
            raise Silent(f"all {PORTS} ways into {name} are in use")
        pause(0.05)


def _take(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def answers(directory: Path, name: str, seconds: float = SILENCE) -> bool:
    """Whether commands can be run in the node."""
    deadline = Deadline(seconds)
    try:
        with _port(directory, name, deadline) as wire, Conversation(wire, name) as talk:
            talk.greet({}, deadline)
    except Silent:
        return False
    return True


def run(
    directory: Path,
    name: str,
    words: Sequence[str],
    timeout: float,
    environment: Mapping[str, str],
    stdin: str,
) -> Completed:
    """Run a command in the node to its end, as host/process.py does here. Raises Silent, ProcessTimedOut.

    A node that loses its power meanwhile is like a signal that kills the command.
    """
    deadline = Deadline(timeout)
    said: dict[bytes, bytes] = {b"out": b"", b"err": b""}
    with _port(directory, name, deadline) as wire, Conversation(wire, name) as talk:
        talk.greet({"words": list(words), "environment": dict(environment)}, deadline.at_most(SILENCE))
        data = stdin.encode()
        for begin in range(0, len(data), CHUNK):
            talk.say(b"in", data[begin : begin + CHUNK])
        talk.say(b"eof")
        while True:
            kind, text = talk.hear(deadline.left())
            if kind == b"exit":
                return Completed(words, int(text), _text(said[b"out"]), _text(said[b"err"]))
            if kind in said:
                said[kind] += text
            if deadline.expired:
                raise ProcessTimedOut(words, timeout, _text(said[b"out"]), _text(said[b"err"]))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def attend(directory: Path, name: str, words: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command in the node with this process's own input and output, a terminal too; gives its exit code."""
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if terminal:
        size = os.get_terminal_size(sys.stdin.fileno())
        inner = f"stty rows {size.lines} cols {size.columns}; exec {shlex.join(words)}"
        words = ["script", "--quiet", "--return", "--command", inner, "/dev/null"]
    with _port(directory, name, Deadline(SILENCE)) as wire, Conversation(wire, name) as talk:
        talk.greet({"words": list(words), "environment": dict(environment)}, Deadline(SILENCE))
        before = termios.tcgetattr(sys.stdin) if terminal else None
        try:
            if terminal:
                tty.setraw(sys.stdin)
            return _carry(talk)
        finally:
            if before is not None:
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _carry(talk: Conversation) -> int:
    """Carry input and output until the command has ended."""
    outputs = {b"out": sys.stdout.fileno(), b"err": sys.stderr.fileno()}
    sources: list[int] = [sys.stdin.fileno()]
    while True:
        waiting = [] if talk.unsent() else sources
        readable, _, _ = select.select(
            [talk.fileno(), *waiting], talk.unsent(), [], 0 if talk.pending() else None
        )
        if sources and sources[0] in readable:
            data = os.read(sources[0], CHUNK)
            talk.say(b"in" if data else b"eof", data)
            sources = sources if data else []
        kind, text = talk.hear(0)
        if kind == b"exit":
            code = int(text)
            return code if code >= 0 else 128 - code
        if kind in outputs:
            os.write(outputs[kind], text)
