# SPDX-License-Identifier: GPL-2.0-or-later
"""Several questions at once: in threads, not more than may be, and an error after the others have ended."""

from __future__ import annotations

import threading

import pytest

from backstay.errors import CannotAsk
from backstay.host.at_once import at_once


def test_all_are_asked_and_not_too_many_at_a_time() -> None:
    lock, now, most = threading.Lock(), [0], [0]
    meeting = threading.Barrier(2, timeout=60)

    def question() -> int:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        meeting.wait()
        with lock:
            now[0] -= 1
        return 7

    assert at_once(dict.fromkeys("abcd", question), 2) == dict.fromkeys("abcd", 7)
    assert most == [2]


def test_an_error_comes_after_the_others_have_ended() -> None:
    ended = threading.Event()

    def fails() -> None:
        raise CannotAsk("n2 does not answer")

    def slow() -> None:
        threading.Event().wait(0.3)
        ended.set()

    with pytest.raises(CannotAsk, match="n2"):
        at_once({"n1": slow, "n2": fails}, 2)
    assert ended.is_set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_question_that_breaks_is_not_taken_for_an_answer() -> None:
    with pytest.raises(RuntimeError, match="n2"):
        at_once({"n1": lambda: 1, "n2": lambda: {}["target"]}, 2)
