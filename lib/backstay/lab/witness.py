# SPDX-License-Identifier: GPL-2.0-or-later
"""The witness: hears every guest outside the nodes and writes down what came from which host, and when.

It listens on one socket per host, so it knows the host without believing anybody, also for a host that is cut
off. Decides nothing: lab/audit.py judges. When it did not run itself for a while it says so.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import backstay
from backstay.errors import BadInput
from backstay.host.clock import Deadline, until
from backstay.lab import processes, records
from backstay.lab.layout import Layout

SOCKET = "serial.sock"
NAME = "witness"
TICK = 0.25
"""Seconds after which the witness looks at its clock when nothing arrives."""

LATE = 1.0
"""Seconds between two looks at the clock that are written down as a stall."""

LONGEST = 65536
"""Bytes of a line without an end after which the line is given up: noise."""


class Line:
    """One guest's serial port on one host: cuts what arrives into lines."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._rest = b""

    def feed(self, data: bytes) -> list[records.Record]:
        """The records that are complete with these bytes; everything else is noise and forgotten."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST:
            self._rest = b""
        found = (records.parse_line(line.decode("ascii", "replace")) for line in lines)
        return [record for record in found if record is not None]


@dataclass(frozen=True, slots=True)
class Clock:
    """Both clocks of the machine, in seconds."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time


class Notebook:
    """The witness's file: one line per record, on the disk's way before the next one is read."""

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._looked = clock.monotonic()

    def hear(self, host: str, found: Sequence[records.Record]) -> None:
        """Write down what has just arrived from a host."""
        at, wall = self._clock.monotonic(), self._clock.wall()
        for record in found:
            print(records.to_json(records.Heard(record, host, at, wall)), file=self._stream, flush=True)

    def look(self) -> None:
        """Look at the clock, and write down when that was too long ago."""
        now = self._clock.monotonic()
        if now - self._looked > LATE:
            stall = records.Stall(now, self._clock.wall(), now - self._looked)
            print(records.stall_to_json(stall), file=self._stream, flush=True)
        self._looked = now


def listen(directory: Path) -> socket.socket:
    """A listening socket in `directory`, in place of one that an earlier witness left."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / SOCKET).unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    place = os.open(directory, os.O_PATH)
    try:  # an address holds 107 bytes, a lab's path may be longer
        server.bind(f"/proc/self/fd/{place}/{SOCKET}")
    finally:
        os.close(place)
    server.listen(64)
    server.setblocking(False)
    return server


def serve(directory: Path, hosts: Sequence[str], notebook: Notebook, ended: Callable[[], bool]) -> None:
    """Hear the guests of all hosts until `ended`."""
    with selectors.DefaultSelector() as selector:
        for host in hosts:
            selector.register(listen(directory / host), selectors.EVENT_READ, host)
        while not ended():
            events = selector.select(TICK)
            notebook.look()
            for key, _ in events:
                _answer(selector, key, notebook)


def _answer(selector: selectors.BaseSelector, key: selectors.SelectorKey, notebook: Notebook) -> None:
    """Take a new guest's connection, or what an old one says."""
    connection = key.fileobj
    assert isinstance(connection, socket.socket)
    if isinstance(key.data, str):
        with suppress(BlockingIOError, ConnectionAbortedError):
            guest, _ = connection.accept()
            guest.setblocking(False)
            selector.register(guest, selectors.EVENT_READ, Line(key.data))
        return
    try:
        data = connection.recv(65536)
    except BlockingIOError:
        return
    except ConnectionError:  # the host of that guest lost power
        data = b""
    if data:
        notebook.hear(key.data.host, key.data.feed(data))
    else:
        selector.unregister(connection)
        connection.close()


def path(layout: Layout) -> Path:
    """Where the witness of a lab writes."""
    return layout.directory / "witness.jsonl"


def start(layout: Layout, hosts: Sequence[str]) -> processes.Process:
    """Start the lab's witness if it does not run, and wait until it listens."""
    running = processes.recorded(layout, NAME)
    if running:
        return running
    sockets = [layout.witness / host / SOCKET for host in hosts]
    for left_over in sockets:
        left_over.unlink(missing_ok=True)
    layout.witness.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "backstay.lab.witness", str(layout.witness), str(path(layout)), *hosts]
    library = str(Path(backstay.__file__).parent.parent)
    process = processes.spawn(
        layout,
        NAME,
        argv,
        layout.witness / "witness.log",
        {"PYTHONPATH": library, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    until(
        lambda: all(place.exists() for place in sockets) or None, Deadline(20), what="the witness to listen"
    )
    return process


def stop(layout: Layout) -> None:
    """End the lab's witness; what it wrote stays."""
    processes.stop(layout, NAME)


def read(layout: Layout) -> records.Testimony:
    """What the witness of a lab has written so far; nothing when it never ran."""
    try:
        with path(layout).open(encoding="utf-8") as lines:
            return records.parse_testimony(lines)
    except FileNotFoundError:
        return records.Testimony()


def main(arguments: Sequence[str]) -> int:
    """`python3 -m backstay.lab.witness DIRECTORY FILE HOST...`: listen until SIGTERM."""
    if len(arguments) < 3:
        raise BadInput("the witness needs a directory, a file and the names of the hosts")
    ends: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ends.append(number))
    directory, file, *hosts = arguments
    with Path(file).open("a", encoding="utf-8") as stream:
        serve(Path(directory), hosts, Notebook(stream, Clock()), lambda: bool(ends))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
