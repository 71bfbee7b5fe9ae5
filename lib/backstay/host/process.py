# SPDX-License-Identifier: GPL-2.0-or-later
"""The one runner for processes: an argument list, an explicit environment, a deadline that is kept.

Decides nothing about what a process said. Never uses a shell, never inherits the environment, never waits longer
than it was told to: at the deadline the whole process group is killed, and one that cannot die (hung storage) is
left behind.
"""

from __future__ import annotations

import os

from backstay.errors import CannotAsk

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
GRACE = 0.5  # seconds that a killed process gets to disappear before it is left behind


class ProcessTimedOut(CannotAsk):
    """A process did not end in time and was killed; `stdout` and `stderr` are what it had said."""

    def __init__(self, argv: Sequence[str], timeout: float, stdout: str = "", stderr: str = "") -> None:
        super().__init__(f"{argv[0]} did not answer within {timeout:.1f} s")
        self.argv = tuple(argv)
        self.stdout = stdout
        self.stderr = stderr


class ToolMissing(CannotAsk):
    """The program is not there, or may not be executed."""

    def __init__(self, argv: Sequence[str], why: str) -> None:
        super().__init__(f"{argv[0]} cannot be run: {why}", hint="install the package that brings it")
        self.argv = tuple(argv)


class Completed:
    """A process that ended by itself. `returncode` is negative when a signal ended it (minus its number)."""

    __slots__ = ("argv", "returncode", "stderr", "stdout")

    def __init__(self, argv: Sequence[str], returncode: int, stdout: str, stderr: str) -> None:
        self.argv = tuple(argv)
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr

    @property
    def ok(self) -> bool:
        """Whether it ended with exit code 0."""
        return self.returncode == 0

    def complaint(self) -> str:
        """Give the last line that it said, stderr first: what an admin wants to read when it failed."""
        for text in (self.stderr, self.stdout):
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            if lines:
                return lines[-1]
        return f"{self.argv[0]} ended with exit code {self.returncode} and said nothing"

    def __repr__(self) -> str:
        return f"Completed({self.argv!r}, {self.returncode}, {self.stdout!r}, {self.stderr!r})"


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    environment: Mapping[str, str] | None = None,
    stdin: str = "",
) -> Completed:
    """Run a program to its end and give what it said (undecodable bytes are replaced).

    `timeout` is in seconds; `environment` is added to PATH and LC_ALL=C, nothing else is passed on.
    Raises ProcessTimedOut (its process group is killed first) and ToolMissing.
    """
    import subprocess

    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT | dict(environment or {}),
            process_group=0,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise ToolMissing(argv, error.strerror or str(error)) from error
    try:
        out, err = process.communicate(stdin or None, timeout=timeout)
    except subprocess.TimeoutExpired as expired:
        raise ProcessTimedOut(argv, timeout, _text(expired.stdout), _text(expired.stderr)) from None
    finally:
        _end(process)
    return Completed(argv, process.returncode, out, err)


def _text(said: bytes | str | None) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said or ""


def _end(process: subprocess.Popen[str]) -> None:
    """Kill what is left of the group of a process that is not reaped yet, and close its pipes."""
    import contextlib
    import signal
    import subprocess

    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        # One in an uninterruptible wait cannot be ended by anybody, so nobody waits for it.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            with contextlib.suppress(OSError):
                pipe.close()
