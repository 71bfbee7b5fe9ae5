# SPDX-License-Identifier: GPL-2.0-or-later
"""The one runner, on real processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backstay.host import process
from backstay.host.clock import Deadline, until
from backstay.host.process import ProcessTimedOut, ToolMissing, run


def test_what_it_said() -> None:
    done = run(["sh", "-c", "echo out; echo err >&2; exit 3"], timeout=10)
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")
    assert not done.ok
    assert done.complaint() == "err"


def test_nothing_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    done = run(["env"], timeout=10, environment={"MORE": "1"})
    names = {line.partition("=")[0] for line in done.stdout.splitlines()}
    assert names == {"PATH", "LC_ALL", "MORE"}


def test_standard_input_is_what_was_given_or_empty() -> None:
    assert run(["cat"], timeout=10).stdout == ""
    assert run(["cat"], timeout=10, stdin="f\u00fcr\n").stdout == "f\u00fcr\n"


def test_what_is_not_text_is_replaced() -> None:
    assert run(["printf", r"a\377b"], timeout=10).stdout == "a\ufffdb"


@pytest.mark.parametrize("argv", [["/nowhere/tool"], ["no-such-tool-anywhere"], ["/etc"]])
def test_a_tool_that_cannot_be_run(argv: list[str]) -> None:
    with pytest.raises(ToolMissing, match=argv[0]):
        run(argv, timeout=10)


def test_at_the_deadline_the_whole_group_is_killed(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(ProcessTimedOut) as caught:
        run(["sh", "-c", f"echo first; (sleep 2; touch {tmp_path}/alive) & wait"], timeout=0.5)
    assert time.monotonic() - began < 1.5
    assert caught.value.stdout == "first\n"
    assert str(caught.value) == "sh did not answer within 0.5 s"
    time.sleep(2.5)
    assert not (tmp_path / "alive").exists()


CALLER = """
from backstay.host.process import run
run(["sh", "-c", "echo $$ >{file}; sleep 60; :"], timeout=60, leashed={leashed})
"""


@pytest.mark.parametrize("leashed", [True, False])
def test_what_is_leashed_dies_with_its_caller(tmp_path: Path, leashed: bool) -> None:
    file = tmp_path / "pid"
    caller = subprocess.Popen([sys.executable, "-c", CALLER.format(file=file, leashed=leashed)])
    pid = until(lambda: (file.exists() and file.read_text().strip()) or None, Deadline(20), what="the child")
    caller.kill()
    caller.wait()
    try:
        if leashed:
            until(lambda: not alive(pid) or None, Deadline(1), what="the end of the child")
        else:
            time.sleep(0.5)
            assert alive(pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(int(pid), signal.SIGKILL)


def alive(pid: str) -> bool:
    """Whether that process is there, and no mere entry that nobody has collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_child_whose_caller_is_gone_before_it_is_leashed_does_not_begin() -> None:
    put_on = process._leash()
    middle = os.fork()
    if middle == 0:
        child = os.fork()
        if child == 0:
            put_on()  # the caller is not its parent, as after the caller's end
            os._exit(0)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    assert os.waitstatus_to_exitcode(os.waitpid(middle, 0)[1]) == 1


def test_without_a_way_to_call_c_a_tool_is_run_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctypes", None)
    assert run(["echo", "x"], timeout=10, leashed=True).stdout == "x\n"


def test_at_its_deadline_a_leashed_group_is_killed_as_a_whole(tmp_path: Path) -> None:
    with pytest.raises(ProcessTimedOut):
        run(["sh", "-c", f"(sleep 2; touch {tmp_path}/alive) & wait"], timeout=0.5, leashed=True)
    time.sleep(2.5)
    assert not (tmp_path / "alive").exists()


def test_a_signal_is_a_negative_code() -> None:
    done = run(["sh", "-c", "kill -9 $$"], timeout=10)
    assert done.returncode == -9
    assert done.complaint() == "sh ended with exit code -9 and said nothing"
