# SPDX-License-Identifier: GPL-2.0-or-later
"""A file that is replaced as a whole: the new one, or the old one and nothing beside it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from backstay.host import durable


def test_it_is_replaced(tmp_path: Path) -> None:
    for content in (b"one", b"another"):
        durable.replace(f"{tmp_path}/lease", content)
        assert (tmp_path / "lease").read_bytes() == content
    assert [one.name for one in tmp_path.iterdir()] == ["lease"]


def test_a_full_disk_keeps_the_old_one_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    durable.replace(f"{tmp_path}/lease", b"one")

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        durable.replace(f"{tmp_path}/lease", b"another")
    assert (tmp_path / "lease").read_bytes() == b"one"
    assert [one.name for one in tmp_path.iterdir()] == ["lease"]
