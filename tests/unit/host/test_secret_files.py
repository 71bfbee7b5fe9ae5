# SPDX-License-Identifier: GPL-2.0-or-later
"""Who could read a secret, or change the program that prints one."""

from __future__ import annotations

import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from backstay.host.secret_files import changeable, exposed

FILE = Path("/etc/backstay/secret")


def has(monkeypatch: pytest.MonkeyPatch, mode: int, uid: int = 0) -> None:
    found = SimpleNamespace(st_mode=mode, st_uid=uid)
    monkeypatch.setattr(Path, "stat", lambda _self: found)


@pytest.mark.parametrize(
    ("mode", "uid", "good"),
    [(0o600, 0, True), (0o400, 0, True), (0o640, 0, False), (0o604, 0, False), (0o600, 7, False)],
)
def test_a_secret_is_for_root_alone(monkeypatch: pytest.MonkeyPatch, mode: int, uid: int, good: bool) -> None:
    has(monkeypatch, stat.S_IFREG | mode, uid)
    assert ("chmod 0600" not in exposed(FILE)) is good


@pytest.mark.parametrize(
    ("mode", "uid", "good"),
    [(0o755, 0, True), (0o700, 0, True), (0o775, 0, False), (0o757, 0, False), (0o755, 7, False)],
)
def test_what_root_runs_is_changed_by_root_alone(
    monkeypatch: pytest.MonkeyPatch, mode: int, uid: int, good: bool
) -> None:
    has(monkeypatch, stat.S_IFREG | mode, uid)
    assert ("chmod 0755" not in changeable(FILE)) is good


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    for look in (exposed, changeable):
        assert look(tmp_path / "none") == f"{tmp_path / 'none'} cannot be read: No such file or directory"
