# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs on another host, by ssh as root, with the deadline that every process has.

Decides that nobody is ever asked for a password, and that a host that does not answer is told from a program that
failed. Trust (keys, known hosts, a jump host) is the admin's, in ssh's own files. A secret goes through stdin.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from backstay.errors import CannotAsk
from backstay.host.process import ENVIRONMENT, Completed, ProcessTimedOut, run

CONNECT = 10  # seconds
OPTIONS = (
    "-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT}", "-o", "ServerAliveInterval=5",
    "-o", "ServerAliveCountMax=3", "-o", "LogLevel=ERROR",
)  # fmt: skip
_FAILED = 255  # ssh's own failures; programs that end with it are rare


class Host:
    """A host by its name; an empty `address` is this machine. Callable like host.process.run."""

    __slots__ = ("address", "name")

    def __init__(self, name: str, address: str = "") -> None:
        self.name = name
        self.address = address

    def __call__(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        environment: Mapping[str, str] | None = None,
        stdin: str = "",
    ) -> Completed:
        """Run a program there to its end. CannotAsk when the host cannot be reached or it takes too long."""
        if not self.address:
            return run(argv, timeout=timeout, environment=environment, stdin=stdin)
        words = [f"{key}={value}" for key, value in (ENVIRONMENT | dict(environment or {})).items()]
        command = shlex.join(["env", *words, *argv])
        try:
            done = run(["ssh", *OPTIONS, f"root@{self.address}", "--", command], timeout=timeout, stdin=stdin)
        except ProcessTimedOut as error:
            raise CannotAsk(f"{argv[0]} on {self.name} did not end within {timeout:.0f} s") from error
        if done.returncode == _FAILED:
            hint = f"`ssh -o BatchMode=yes root@{self.address} true` has to work from here"
            raise CannotAsk(f"{self.name} cannot be reached by ssh: {done.complaint()}", hint=hint)
        return done

    def check(self, argv: Sequence[str], *, timeout: float, stdin: str = "") -> str:
        """Run a program that has to succeed, and give what it said; CannotAsk with its last words otherwise."""
        done = self(argv, timeout=timeout, stdin=stdin)
        if not done.ok:
            raise CannotAsk(f"{self.name}: {argv[0]} failed: {done.complaint()}")
        return done.stdout
