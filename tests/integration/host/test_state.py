# SPDX-License-Identifier: GPL-2.0-or-later
"""What an agent remembers, on a real directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.host.state import State


def test_kept_replaced_and_forgotten(tmp_path: Path) -> None:
    state = State(str(tmp_path / "run"))
    assert state.read("libvirtd") == ""
    state.write("libvirtd", "one")
    state.write("libvirtd", "two")
    assert State(str(tmp_path / "run")).read("libvirtd") == "two"
    assert [entry.name for entry in (tmp_path / "run").iterdir()] == ["libvirtd"]
    state.forget("libvirtd")
    state.forget("libvirtd")
    assert state.read("libvirtd") == ""


def test_only_root_looks_into_it(tmp_path: Path) -> None:
    State(str(tmp_path / "run")).write("libvirtd", "one")
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "run" / "libvirtd").stat().st_mode & 0o777 == 0o600


def test_a_name_stays_in_the_directory(tmp_path: Path) -> None:
    State(str(tmp_path / "run")).write("../escaped", "x")
    assert not (tmp_path / "escaped").exists()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("precious")
    (tmp_path / "libvirtd").symlink_to(tmp_path / "elsewhere")
    state = State(str(tmp_path))
    with pytest.raises(OSError, match="symbolic links"):
        state.read("libvirtd")
    state.write("libvirtd", "ours")
    assert (tmp_path / "elsewhere").read_text() == "precious"
