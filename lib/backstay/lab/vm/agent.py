# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs commands in a VM node for the machine outside: a program of the node, on its virtio-serial ports.

Decides nothing about the commands. Needs no network, so it also answers on a node that is cut off. It is copied into
the node as it is and stands alone there; vm/channel.py is its other end.

Each message is a line `SESSION KIND BASE64`, and lines of a session that is over are dropped: that is how an end that
was killed in the middle of a word leaves nothing behind that could confuse the next one.
"""

from __future__ import annotations

import base64
import json
import os
import select
import signal
import subprocess
import threading
import time
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PORTS = Path("/sys/class/virtio-ports")
NAME = "backstay.lab."
IDLE = 0.1  # seconds between two looks at the ports
EVERY = 10  # looks between two looks for new ports
PATIENCE = 0.5
LEFT_OPEN = 0.5  # seconds after a command's end in which its own children may still say something
CHUNK = 24576


class Gone(Exception):
    """The other end has left."""


class Port:
    """One port: lines in, lines out. The other end comes and goes."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._poll = select.poll()
        self._buffer = b""

    def look(self, events: int, seconds: float) -> int:
        """The events that came in time; raises Gone when nobody is connected."""
        self._poll.register(self.fd, events)
        found = self._poll.poll(seconds * 1000)
        seen = found[0][1] if found else 0
        if seen & select.POLLHUP:
            self._buffer = b""
            raise Gone
        return seen

    def line(self) -> list[bytes]:
        """The words of the next line, or nothing when there is no complete one yet."""
        if b"\n" not in self._buffer:
            try:
                self._buffer += os.read(self.fd, 65536)
            except BlockingIOError:
                return []
        if b"\n" not in self._buffer:
            return []
        text, _, self._buffer = self._buffer.partition(b"\n")
        words = text.split(b" ")
        return words if len(words) == 3 else [b"", b"", b""]

    def put_back(self, words: list[bytes]) -> None:
        """Let the next reader have a line first."""
        self._buffer = b" ".join(words) + b"\n" + self._buffer

    def say(self, session: bytes, kind: bytes, data: bytes = b"") -> None:
        """Send one message; raises Gone when the other end leaves before it has all of it."""
        # The empty line ends whatever an earlier session left unfinished.
        left = (
            (b"\n" if kind == b"welcome" else b"")
            + b" ".join((session, kind, base64.b64encode(data)))
            + b"\n"
        )
        while left:
            try:
                left = left[os.write(self.fd, left) :]
            except BlockingIOError:
                self.look(select.POLLOUT, PATIENCE)
            except OSError as error:
                raise Gone from error


class Job:
    """One command, from its request to its exit code."""

    def __init__(self, port: Port, session: bytes, request: dict[str, Any]) -> None:
        self._port, self._session = port, session
        self._process = subprocess.Popen(
            request["words"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=request["environment"],
            cwd="/",
            start_new_session=True,
        )
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._stdin: Any = self._process.stdin
        self._said = {
            self._process.stdout.fileno(): (self._process.stdout, b"out"),
            self._process.stderr.fileno(): (self._process.stderr, b"err"),
        }
        self._waiting, self._closing = b"", False
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            os.set_blocking(pipe.fileno(), False)

    def run(self) -> None:
        """Carry data both ways until the command has ended; ends it when the other end leaves."""
        ended = 0.0
        try:
            while True:
                self._step(0.01 if ended or not self._said else PATIENCE)
                if self._process.poll() is None:
                    continue
                ended = ended or time.monotonic()
                if not self._said or time.monotonic() - ended > LEFT_OPEN:
                    self._port.say(self._session, b"exit", str(self._process.returncode).encode())
                    return
        finally:
            self._end()

    def _step(self, seconds: float) -> None:
        poll = select.poll()
        poll.register(self._port.fd, select.POLLIN)
        for fd in self._said:
            poll.register(fd, select.POLLIN)
        if self._waiting:
            poll.register(self._stdin.fileno(), select.POLLOUT)
        for fd, _event in poll.poll(seconds * 1000):
            if fd == self._port.fd:
                self._hear()
            elif fd in self._said:
                self._tell(fd)
        self._feed()

    def _hear(self) -> None:
        self._port.look(select.POLLIN, 0)
        while words := self._port.line():
            session, kind, data = words
            if kind == b"hello":
                self._port.put_back(words)
                raise Gone
            if session == self._session and kind == b"in":
                self._waiting += base64.b64decode(data)
            elif session == self._session and kind == b"eof":
                self._closing = True

    def _tell(self, fd: int) -> None:
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            return
        pipe, kind = self._said[fd]
        if data:
            self._port.say(self._session, kind, data)
        else:
            pipe.close()
            del self._said[fd]

    def _feed(self) -> None:
        try:
            if self._waiting:
                self._waiting = self._waiting[os.write(self._stdin.fileno(), self._waiting) :]
            if self._closing and not self._waiting and not self._stdin.closed:
                self._stdin.close()
        except BlockingIOError:
            return
        except (OSError, ValueError):  # the command reads no more
            self._waiting = b""

    def _end(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for pipe in (self._stdin, *(pipe for pipe, _ in self._said.values())):
            try:
                pipe.close()
            except OSError:
                continue


def answer(port: Port, session: bytes, data: bytes) -> None:
    """Carry one request out; an empty one only wants to know whether somebody is here."""
    request = json.loads(base64.b64decode(data))
    port.say(session, b"welcome")
    if not request:
        return
    try:
        job = Job(port, session, request)
    except OSError as error:
        port.say(session, b"err", f"{request['words'][0]}: {error.strerror}\n".encode())
        port.say(session, b"exit", b"127")
        return
    job.run()


def serve(port: Port) -> None:
    """Answer whoever is connected to a port, until he leaves."""
    try:
        while True:
            port.look(select.POLLIN, PATIENCE)
            while words := port.line():
                if words[1] == b"hello":
                    answer(port, words[0], words[2])
    except (Gone, ValueError):
        return


def ours() -> list[str]:
    """The names of the ports that are ours; they come one by one while the node boots."""
    entries = PORTS.iterdir() if PORTS.is_dir() else ()
    return sorted(entry.name for entry in entries if (entry / "name").read_text().startswith(NAME))


class Idle:
    """The ports that nobody is connected to; one look at all of them costs an emulated processor little."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._known: set[str] = set()

    def find(self) -> None:
        """Take in the ports that have come since."""
        for name in set(ours()) - self._known:
            self._known.add(name)
            self.add(os.open(f"/dev/{name}", os.O_RDWR | os.O_NONBLOCK))

    def add(self, fd: int) -> None:
        """Look at this port from now on."""
        self._poll.register(fd, select.POLLIN)

    def connected(self) -> list[int]:
        """The ports that somebody is connected to now; they are looked at no longer."""
        found = [fd for fd, event in self._poll.poll(0) if not event & select.POLLHUP]
        for fd in found:
            self._poll.unregister(fd)
        return found

    def attend(self, fd: int) -> None:
        """Serve a port, and look at it again afterwards."""
        try:
            serve(Port(fd))
        finally:
            self.add(fd)


def main() -> None:
    """Serve every port that is ours, for ever."""
    idle, looks = Idle(), 0
    while True:
        if looks % EVERY == 0:
            idle.find()
        looks += 1
        for fd in idle.connected():
            threading.Thread(target=idle.attend, args=(fd,)).start()
        time.sleep(IDLE)


if __name__ == "__main__":
    main()
