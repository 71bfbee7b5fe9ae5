# SPDX-License-Identifier: GPL-2.0-or-later
"""Several slow questions at once, such as one to each host.

Decides that an interrupt is not waited for: what is under way then ends by its own deadline. Nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TypeVar

from backstay.errors import BackstayError
from backstay.host.clock import pause

T = TypeVar("T")
EVERY = 0.2


def at_once(questions: Mapping[str, Callable[[], T]], most: int) -> dict[str, T]:
    """The answers by the names of the questions, `most` of them asked at a time.

    Raises the first error that one ended with, after the others have ended.
    """
    waiting, answers, errors = list(questions), dict[str, T](), list[BackstayError]()
    gate = threading.Semaphore(most)

    def ask(name: str) -> None:
        with gate:
            try:
                answers[name] = questions[name]()
            except BackstayError as error:
                errors.append(error)

    threads = [threading.Thread(target=ask, args=(name,), daemon=True) for name in waiting]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        pause(EVERY)
    if errors:
        raise errors[0]
    lost = [name for name in waiting if name not in answers]
    if lost:  # a failure of the program itself, whose traceback the thread has written
        raise RuntimeError(f"the question to {lost[0]} ended without an answer")
    return {name: answers[name] for name in waiting}
