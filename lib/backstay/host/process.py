# SPDX-License-Identifier: GPL-2.0-or-later
"""The one runner for processes: an argument list, an explicit environment, a deadline that is kept.

Decides nothing about what a process said. Never uses a shell, never inherits the environment, never waits longer
than it was told to: at the deadline the whole process group is killed, and one that cannot die (hung storage) is
left behind. The group is its own, so a SIGKILL for the caller's does not reach it: that is what a leash is for.
"""

from __future__ import annotations

import os

from backstay.errors import CannotAsk

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping, Sequence

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
PACEMAKERS_END = "</pacemaker-result>"  # what Pacemaker's tools end with when they are asked for XML
GRACE = 0.5  # seconds that a killed process gets to disappear before it is left behind
PR_SET_PDEATHSIG = 1  # linux/prctl.h
SIGKILL = 9


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
        self.why = why


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
                return _pacemakers(text) if lines[-1] == PACEMAKERS_END else lines[-1]
        return f"{self.argv[0]} ended with exit code {self.returncode} and said nothing"

    def __repr__(self) -> str:
        return f"Completed({self.argv!r}, {self.returncode}, {self.stdout!r}, {self.stderr!r})"


def _pacemakers(text: str) -> str:
    """What a tool of Pacemaker says in XML: its last error, or else what its exit code means."""
    import html
    import re

    found = re.findall(r"<error>(.*?)</error>", text, re.DOTALL) or re.findall(
        r'<status code="\d+" message="(.*?)"', text
    )
    return html.unescape(" ".join(found[-1].split())) if found else "it failed without a reason"


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    environment: Mapping[str, str] | None = None,
    stdin: str = "",
    leashed: bool = False,
) -> Completed:
    """Run a program to its end and give what it said (undecodable bytes are replaced).

    `timeout` is in seconds; `environment` is added to PATH and LC_ALL=C, nothing else is passed on. One that is
    `leashed` dies with its caller, however that ends; this costs two milliseconds, so frequent monitors go without.
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
            preexec_fn=_leash() if leashed else None,  # noqa: PLW1509  (it makes two system calls and nothing else)
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


def _leash() -> Callable[[], None] | None:
    """What a child does before it becomes the program: have the kernel kill it when the thread that begins it ends.

    Source: prctl(2). Children of the program are not on the leash, nor is a program that changes its user.
    None where Python cannot call C: a host is fenced without a leash, too.
    """
    try:
        import ctypes

        prctl = ctypes.PyDLL(None).prctl
    except (ImportError, OSError):
        return None
    prctl.argtypes = (ctypes.c_int, ctypes.c_ulong)
    caller = os.getpid()

    def put_on() -> None:
        prctl(PR_SET_PDEATHSIG, SIGKILL)
        if os.getppid() != caller:  # it ended before that
            os._exit(1)

    return put_on


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
