# SPDX-License-Identifier: GPL-2.0-or-later
"""The fence agents that are installed on this host, run the way pacemaker-fenced runs them.

Decides how they are called: no arguments, parameters on standard input, Pacemaker's mark in the environment. Never
asks for off, on or reboot by itself: whoever calls says the action, and which BMC it goes to.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping
from pathlib import Path

from backstay.errors import CannotAsk
from backstay.host.process import ProcessTimedOut, ToolMissing, run

DIRECTORY = Path("/usr/sbin")
LIBRARY = Path("/usr/share/fence")  # where fence-agents keeps what its agents import
SECRETS = Path("/var/lib/pacemaker/lrm/secrets")
KEPT_ELSEWHERE = (
    "lrm://"  # what stands in the CIB in place of a secret (Pacemaker's lib/pacemaker-internal, cib_secrets)
)
LONGEST_SECRET = 254  # bytes of its file's first line that Pacemaker reads (cib_secrets.c)
AGAIN = "set it again: cibsecret set RESOURCE PARAMETER VALUE, or cibsecret sync"
# Source: pacemaker-fenced sets it for each agent; the fence agents' library takes it for the sign of a cluster.
ENVIRONMENT = {"PCMK_service": "pacemaker-fenced"}


class Said:
    """What one run of an agent came to. `code` is None when it did not end in time or could not be run."""

    __slots__ = ("code", "err", "out", "took")

    def __init__(self, code: int | None, out: str, err: str, took: float) -> None:
        self.code = code
        self.out = out
        self.err = err
        self.took = took

    @property
    def reason(self) -> str:
        """The last line that it said, for an admin."""
        lines = [line.strip() for line in f"{self.out}\n{self.err}".splitlines() if line.strip()]
        return lines[-1] if lines else "it said nothing"


class FenceAgents:
    """The agents in one directory."""

    def __init__(self, directory: Path = DIRECTORY, secrets: Path = SECRETS, library: Path = LIBRARY) -> None:
        self._directory = directory
        self._secrets = secrets
        self._library = library

    def run(self, agent: str, action: str, parameters: Mapping[str, str], timeout: float) -> Said:
        """Run one action; `timeout` is in seconds."""
        text = "".join(f"{name}={value}\n" for name, value in parameters.items()) + f"action={action}\n"
        begin = time.monotonic()
        try:
            done = run([str(self._directory / agent)], timeout=timeout, environment=ENVIRONMENT, stdin=text)
        except ProcessTimedOut as late:
            return Said(
                None, late.stdout, f"{late.stderr}\nno end within {timeout:.0f} s", time.monotonic() - begin
            )
        except ToolMissing as missing:
            return Said(None, "", str(missing), time.monotonic() - begin)
        return Said(done.returncode, done.stdout, done.stderr, time.monotonic() - begin)

    def changed(self, agent: str) -> float:
        """When the agent, or the library that such agents share, came here or was changed last (s since the epoch).

        The status of a file changes with each package that brings it, its contents' time need not. Infinite for an
        agent that is not there.
        """
        door = self._directory / agent
        try:
            times = [door.lstat().st_ctime, door.stat().st_ctime]
            return max([*times, *(file.stat().st_ctime for file in self._library.glob("*.py"))])
        except OSError:
            return math.inf

    def with_secrets(self, device: str, parameters: Mapping[str, str]) -> dict[str, str]:
        """The parameters with the secrets that each host keeps in files, as Pacemaker reads those (cib_secrets.c).

        CannotAsk for a secret that is not on this host, or does not fit its checksum: Pacemaker runs no action of a
        device then.
        """
        return {
            name: self._secret(device, name) if value == KEPT_ELSEWHERE else value
            for name, value in parameters.items()
        }

    def _secret(self, device: str, name: str) -> str:
        file = self._secrets / device / name
        value = _first_line(file, device, name)
        signed = _first_line(file.with_name(f"{name}.sign"), device, name)
        if hashlib.md5(value, usedforsecurity=False).hexdigest() != signed.decode("ascii", "replace").lower():
            raise CannotAsk(
                f"the CIB secret {name} of {device} does not fit its checksum {file}.sign on this host",
                hint=AGAIN,
            )
        return value.decode("utf-8", "surrogateescape")


def _first_line(file: Path, device: str, name: str) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.readline(LONGEST_SECRET).rstrip(b" \t\n\v\f\r")
    except OSError as error:
        raise CannotAsk(
            f"the CIB secret {name} of {device} is not on this host ({file}: {error.strerror})", hint=AGAIN
        ) from error
