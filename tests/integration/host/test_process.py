# SPDX-License-Identifier: GPL-2.0-or-later
"""The one runner, on real processes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

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


def test_a_signal_is_a_negative_code() -> None:
    done = run(["sh", "-c", "kill -9 $$"], timeout=10)
    assert done.returncode == -9
    assert done.complaint() == "sh ended with exit code -9 and said nothing"
