# SPDX-License-Identifier: GPL-2.0-or-later
"""Sentences with the command in them can be pasted."""

from __future__ import annotations

import pytest

from backstay.lab import wording


@pytest.mark.parametrize(
    ("called", "found", "said"),
    [
        ("/usr/bin/backstay", "/usr/bin/backstay", "backstay"),
        (".venv/bin/backstay", None, ".venv/bin/backstay"),
        (".venv/bin/backstay", "/usr/bin/backstay", ".venv/bin/backstay"),
        ("backstay", None, "backstay"),
        ("/home/me/lib/backstay/__main__.py", None, "backstay"),
    ],
)
def test_the_command_can_be_pasted(
    monkeypatch: pytest.MonkeyPatch, called: str, found: str | None, said: str
) -> None:
    monkeypatch.setattr("sys.argv", [called])
    monkeypatch.setattr("shutil.which", lambda _: found)
    assert wording.myself() == said
