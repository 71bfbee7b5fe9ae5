# SPDX-License-Identifier: GPL-2.0-or-later
"""A question in a child: its answer, its error, its silence."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from backstay.host.child import Broke, NoAnswer, Pending, ask


def test_an_answer_comes_back_whole() -> None:
    assert (
        ask(lambda: {"uuid": "x" * 300_000, "state": 1, "seen": (True, None, 2.5)}, 10)["uuid"]
        == "x" * 300_000
    )


def test_what_the_question_raises_is_said() -> None:
    def question() -> None:
        raise ValueError("no such domain")

    with pytest.raises(Broke, match="no such domain"):
        ask(question, 10)


def test_an_answer_that_cannot_be_sent_is_an_error() -> None:
    with pytest.raises(Broke, match="unmarshallable"):
        ask(object, 10)


def test_a_child_that_dies_is_an_error() -> None:
    with pytest.raises(Broke, match="without an answer"):
        ask(lambda: os.kill(os.getpid(), signal.SIGKILL), 10)


def test_silence_is_given_up_and_the_child_is_gone(tmp_path: Path) -> None:
    note = tmp_path / "pid"

    def question() -> None:
        note.write_text(str(os.getpid()))
        time.sleep(60)

    began = time.monotonic()
    with pytest.raises(NoAnswer):
        ask(question, 0.5)
    assert time.monotonic() - began < 5
    assert not Path(f"/proc/{note.read_text()}").exists()


def test_a_child_inherits_no_alarm_and_writes_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    def question() -> str:
        os.write(1, b"noise")
        os.write(2, b"noise")
        return repr(signal.getsignal(signal.SIGALRM))

    before = signal.signal(signal.SIGALRM, lambda *_ignored: None)
    try:
        assert "SIG_DFL" in ask(question, 10)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert capfd.readouterr() == ("", "")


def test_a_question_is_asked_while_something_else_is_done() -> None:
    pending = Pending(lambda: time.sleep(0.3) or {"a": 1})
    try:
        assert not pending.wait(0.05)
        assert pending.wait(5.0)
        assert pending.answer() == {"a": 1}
    finally:
        pending.abandon()
