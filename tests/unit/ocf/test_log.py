# SPDX-License-Identifier: GPL-2.0-or-later
"""What the system log is given."""

from __future__ import annotations

import pytest

from backstay.host import syslog
from backstay.ocf.log import ERROR, Log


def test_a_defect_of_our_own_is_kept_with_the_place_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, str, str]] = []
    monkeypatch.setattr(syslog, "send", lambda priority, tag, text, **_: sent.append((priority, tag, text)))
    try:
        raise NameError("two\nlines")
    except NameError as error:
        Log("alert").traceback(error)
    assert {(priority, tag) for priority, tag, _ in sent} == {(ERROR, "backstay-alert")}
    said = [text for _, _, text in sent]
    assert said[0] == "Traceback (most recent call last):"
    assert any("test_log.py" in text for text in said)
    assert said[-2:] == ["NameError: two", "lines"]
