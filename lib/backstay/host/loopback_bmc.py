# SPDX-License-Identifier: GPL-2.0-or-later
"""A BMC simulator on loopback for as long as a rehearsal needs it: a process and a directory, both gone afterwards.

Decides nothing about what an agent does with it. Nothing on the machine but two small files knows that it is "off".
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from backstay.errors import CannotAsk
from backstay.host.process import ENVIRONMENT

USER = "rehearsal"
OBSERVER = "observer"  # an account with the same password, whose role may only look
STARTING = 15.0  # seconds
STOPPING = 3.0


class LoopbackBmc:
    """A running simulator. `password` exists for this rehearsal alone."""

    def __init__(self, directory: Path, port: int, password: str) -> None:
        self._directory = directory
        self.address = "127.0.0.1"
        self.port = port
        self.user = USER
        self.password = password
        self.password_file = str(directory / "password")

    def power(self) -> str:
        """`on` or `off`."""
        return (self._directory / "power").read_text(encoding="ascii").strip()

    def become(self, state: str) -> None:
        """Put the chassis into a state behind everybody's back."""
        (self._directory / "power").write_text(f"{state}\n", encoding="ascii")

    def commands(self) -> list[str]:
        """Every chassis command that it was sent, oldest first."""
        path = self._directory / "events.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        events = [json.loads(line) for line in lines if line]
        return [str(event["command"]) for event in events if event["event"] == "chassis-control"]

    def left(self) -> int:
        """How many sessions somebody opened and did not close: none, each ends with the ipmitool that opened it."""
        return 0

    def fault(self, name: str, value: str | None) -> None:
        """Break it (backstay.lab.bmc.faults knows the names), or heal it with None."""
        path = self._directory / "faults" / name
        path.parent.mkdir(exist_ok=True)
        if value is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(value, encoding="ascii")


@contextlib.contextmanager
def simulator(role: str = "operator", key: str = "") -> Iterator[LoopbackBmc]:
    """Run a BMC with one account of that role, and that Kg key (hexadecimal); CannotAsk when it does not start.

    Its password has a blank and quotes in it: an agent that damages those is found.
    """
    with tempfile.TemporaryDirectory(prefix="backstay-rehearsal-") as name:
        directory = Path(name)
        password = f"{secrets.token_hex(6)} \"'#="
        accounts = f"{USER} {role} {password}\n{OBSERVER} user {password}\n"
        for file, text in (("users", accounts), ("password", f"{password}\n")):
            (directory / file).touch(mode=0o600)
            (directory / file).write_text(text, encoding="ascii")
        process = subprocess.Popen(
            [sys.executable, "-m", "backstay.lab.bmc", "--directory", name, "--kg", key, "--leash"],
            stdin=subprocess.PIPE,  # it ends with us, however we end
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            text=True,
            # The process must find the same package as its starter, installed or not.
            env=ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        try:
            yield LoopbackBmc(directory, _port(process), password)
        finally:
            _end(process)


def _port(process: subprocess.Popen[str]) -> int:
    stream = process.stdout
    assert stream is not None  # a pipe was asked for
    ready, _, _ = select.select([stream], [], [], STARTING)
    said = stream.readline().strip() if ready else f"nothing within {STARTING:.0f} s"
    word, _, place = said.partition(" ")
    if word != "listening":
        rest = [said, *stream.read().strip().splitlines()] if ready else [said]
        raise CannotAsk(
            f"the BMC simulator for rehearsals does not start: {rest[-1]}",
            hint="install python3-cryptography",
        )
    return int(place.rpartition(" ")[2])


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOPPING)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout):
        if stream:
            stream.close()
