# SPDX-License-Identifier: GPL-2.0-or-later
"""A lab fills, deletes and disconnects what is its own, and nothing else, whatever BACKSTAY_LAB says."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import Any

import pytest

from backstay.errors import BadInput, CannotAsk, Refused
from backstay.lab import circumstances, network, power, processes
from backstay.lab import lab as the_lab
from backstay.lab.faults import catalogue, ledger
from backstay.lab.installation import Payload
from backstay.lab.layout import Layout
from backstay.lab.progress import Progress

Patch = pytest.MonkeyPatch


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A lab's places below a directory that holds an admin's own files already."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home/letters").mkdir()
    (tmp_path / "home/letters/one").write_text("dear all")
    return Layout(tmp_path / "home", tmp_path / "cache")


@pytest.fixture
def quiet(monkeypatch: Patch) -> list[str]:
    """A machine without lab processes, groups and networks; what would have been run."""
    ran: list[str] = []
    monkeypatch.setattr(the_lab, "_end_processes", lambda *_: None)
    monkeypatch.setattr(the_lab.cgroups, "remove", lambda: None)
    monkeypatch.setattr(network, "_quietly", lambda argv: ran.append(" ".join(argv)))
    monkeypatch.setattr(network, "_batch", lambda lines, namespace="": ran.extend(lines))
    monkeypatch.setattr(network, "owner", lambda bridge="": None)
    return ran


def test_down_deletes_no_directory_that_is_no_labs(layout: Layout, quiet: list[str]) -> None:
    with pytest.raises(Refused, match=r"is not a lab's directory \(it holds letters\)"):
        the_lab.down(layout, Progress())
    assert (layout.directory / "letters/one").read_text() == "dear all"
    assert quiet == []


def test_up_fills_no_directory_that_holds_something(layout: Layout) -> None:
    with pytest.raises(Refused, match="holds letters, and removing the lab would delete it"):
        circumstances._directory(layout)


@pytest.mark.parametrize("name", ["a b", "a,b", "a:b", 'a"b', "a\\b", "a\nb"])
def test_a_name_that_mounts_do_not_take(tmp_path: Path, name: str) -> None:
    with pytest.raises(CannotAsk, match="which mounts do not take"):
        circumstances._directory(Layout(tmp_path / name, tmp_path))


def test_down_deletes_all_of_a_lab_and_keeps_a_file_systems_own_folder(
    tmp_path: Path, quiet: list[str]
) -> None:
    layout = Layout(tmp_path / "lab", tmp_path / "cache")
    (layout.directory / "lost+found").mkdir(parents=True)
    circumstances._directory(layout)
    layout.processes.mkdir()
    (layout.directory / "nodes/n1").mkdir(parents=True)
    the_lab.down(layout, Progress())
    assert [p.name for p in layout.directory.iterdir()] == ["lost+found"]
    assert "ip link del bklab" in quiet


def test_down_that_was_interrupted_can_be_repeated(
    tmp_path: Path, quiet: list[str], monkeypatch: Patch
) -> None:
    layout = Layout(tmp_path / "lab", tmp_path / "cache")
    for place in (layout.processes, layout.directory / "a", layout.directory / "z"):
        place.mkdir(parents=True)
    delete, left = the_lab.shutil.rmtree, [1]

    def once(entry: Path) -> None:
        if not left:
            raise KeyboardInterrupt
        left.pop()
        delete(entry)

    monkeypatch.setattr(the_lab.shutil, "rmtree", once)
    with pytest.raises(KeyboardInterrupt):
        the_lab.down(layout, Progress())
    monkeypatch.setattr(the_lab.shutil, "rmtree", delete)
    the_lab.down(layout, Progress())
    assert not layout.directory.exists()


@pytest.mark.parametrize("owner", ["", "/srv/another"])
def test_the_network_of_somebody_else_is_left_alone(
    tmp_path: Path, quiet: list[str], monkeypatch: Patch, owner: str
) -> None:
    monkeypatch.setattr(network, "owner", lambda bridge="": owner)
    layout = Layout(tmp_path / "lab", tmp_path / "cache")
    (layout.directory / "nodes/n1").mkdir(parents=True)
    layout.processes.mkdir()
    assert processes._networks(layout) == set()
    the_lab.down(layout, Progress())
    assert quiet == []


def test_a_link_to_the_directory_is_followed(tmp_path: Path) -> None:
    """The kernel's table of mounts has no links in it, so nothing below one would be found there."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert (
        Layout.from_environment({"BACKSTAY_LAB": f"{tmp_path}/link/lab"}).directory == tmp_path / "real/lab"
    )


def test_one_lab_is_built_at_a_time(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(the_lab, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(circumstances, "check", lambda *_: None)
    with the_lab.LOCK.open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        with pytest.raises(Refused, match="just being built"):
            the_lab.up(Layout(tmp_path / "lab", tmp_path / "cache"), 1, Payload(), Progress())
    assert not (tmp_path / "lab").exists()


@pytest.mark.parametrize(
    "verb", [catalogue.inject, catalogue.heal, lambda layout, _, host: power.cut(layout, host)]
)
def test_a_host_that_the_lab_does_not_have_is_neither_broken_nor_made(tmp_path: Path, verb: Any) -> None:
    layout = Layout(tmp_path / "lab", tmp_path / "cache")
    with pytest.raises(CannotAsk, match="there is no lab in"):
        verb(layout, "cut-power", "n1")
    (layout.directory / "nodes/n1").mkdir(parents=True)
    with pytest.raises(CannotAsk, match="has no node n7"):
        verb(layout, "cut-power", "n7")
    with pytest.raises(BadInput, match="nope is not the name of a lab node"):
        verb(layout, "cut-power", "nope")
    assert ledger.read(layout) == ()
    assert layout.names() == ("n1",)
