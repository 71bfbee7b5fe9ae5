# SPDX-License-Identifier: GPL-2.0-or-later
"""Each thing that is in a lab's way is said in one sentence, before anything is touched."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from backstay.errors import BackstayError, CannotAsk, Refused
from backstay.host.process import Completed
from backstay.lab import circumstances, kinds
from backstay.lab.layout import Layout

Patch = pytest.MonkeyPatch
CONTAINERS = kinds.named(kinds.CONTAINER).needs()
MACHINES = kinds.named(kinds.VM).needs()


def said(look: Callable[[Layout], None], tmp_path: Path) -> BackstayError:
    with pytest.raises(BackstayError) as caught:
        look(Layout(tmp_path / "lab", tmp_path / "cache"))
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert not sentence.endswith(".")
    return caught.value


def test_not_root(monkeypatch: Patch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert "needs root" in str(said(circumstances._root, tmp_path))


def test_a_lab_is_roots_alone(monkeypatch: Patch, tmp_path: Path) -> None:
    monkeypatch.setenv("BACKSTAY_LAB", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(BackstayError, match="belongs to root"):
        circumstances.the_lab()
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert circumstances.the_lab().directory == tmp_path


@pytest.mark.parametrize("tool", {**circumstances.TOOLS, **CONTAINERS.tools, **MACHINES.tools})
def test_a_missing_tool_names_its_package(monkeypatch: Patch, tmp_path: Path, tool: str) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path: None if name == tool else f"/usr/bin/{name}")
    tools = {**circumstances.TOOLS, **CONTAINERS.tools, **MACHINES.tools}
    error = said(lambda _: circumstances._tools(tools), tmp_path)
    assert f"needs {tool}," in str(error)
    assert error.hint == f"apt-get install {tools[tool]}"


def test_a_missing_device(tmp_path: Path) -> None:
    devices = (str(tmp_path / "fuse"),)
    error = said(lambda _: circumstances._devices(devices), tmp_path)
    assert "fuse, which this machine does not have" in str(error)


def test_no_namespaces(monkeypatch: Patch, tmp_path: Path) -> None:
    refused = Completed(["unshare"], 1, "", "unshare: unshare failed: Operation not permitted")
    monkeypatch.setattr(circumstances, "run", lambda *_, **__: refused)
    error = said(circumstances._namespaces, tmp_path)
    assert "Operation not permitted" in str(error)
    assert "privileged" in error.hint


def test_a_bridge_of_somebody_else(monkeypatch: Patch, tmp_path: Path) -> None:
    monkeypatch.setattr(circumstances.network, "owner", lambda: "")
    assert "bridge bklab exists and is not a lab's" in str(said(circumstances._no_other_lab, tmp_path))


def test_another_lab_and_how_to_remove_it(monkeypatch: Patch, tmp_path: Path) -> None:
    monkeypatch.setattr(circumstances.network, "owner", lambda: "/srv/lab")
    error = said(circumstances._no_other_lab, tmp_path)
    assert isinstance(error, Refused)
    assert error.hint == "remove it: BACKSTAY_LAB=/srv/lab backstay lab down"


def test_remains_of_a_lab_are_a_lab(monkeypatch: Patch, tmp_path: Path) -> None:
    monkeypatch.setattr(circumstances.network, "owner", lambda: None)
    (tmp_path / "lab/nodes/n1").mkdir(parents=True)
    assert f"in {tmp_path}/lab" in str(said(circumstances._no_other_lab, tmp_path))


def test_too_little_memory(tmp_path: Path) -> None:
    assert "GiB of memory, " in str(said(lambda _: circumstances._memory(1 << 60), tmp_path))


def test_every_virtual_machine_needs_its_memory(monkeypatch: Patch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name, path: f"/usr/bin/{name}")
    asked: list[int] = []
    monkeypatch.setattr(circumstances, "_devices", lambda _: None)
    monkeypatch.setattr(circumstances, "_memory", asked.append)
    monkeypatch.setattr(circumstances, "_namespaces", lambda _: (_ for _ in ()).throw(CannotAsk("enough")))
    for count in (2, 3):
        with pytest.raises(CannotAsk, match="enough"):
            circumstances.check(Layout(tmp_path, tmp_path), MACHINES, count)
    assert asked[1] - asked[0] == MACHINES.memory_each > 1 << 30


def test_too_little_disk(monkeypatch: Patch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3 << 30))
    error = said(circumstances._disk, tmp_path)
    assert str(error) == f"the lab needs 4.0 GiB free below {tmp_path}/lab, 3.0 GiB are left"


def test_a_directory_on_an_overlay(monkeypatch: Patch, tmp_path: Path) -> None:
    monkeypatch.setattr(circumstances.overlay, "file_system", lambda _: "overlay")
    error = said(circumstances._plain_disk, tmp_path)
    assert "is on overlay" in str(error)
    assert "BACKSTAY_LAB" in error.hint


@pytest.mark.parametrize(
    ("line", "taken"),
    [
        ("5: virbr9    inet 10.77.0.1/24 brd 10.77.0.255 scope global virbr9", True),
        ("5: bklab    inet 10.77.0.1/24 scope global bklab", False),
        ("", False),
    ],
)
def test_addresses_of_somebody_else(monkeypatch: Patch, tmp_path: Path, line: str, taken: bool) -> None:
    monkeypatch.setattr(circumstances, "run", lambda argv, **_: Completed(argv, 0, line, ""))
    if taken:
        assert "are in use here: 5: virbr9" in str(said(circumstances._addresses, tmp_path))
    else:
        circumstances._addresses(Layout(tmp_path, tmp_path))


def test_the_first_finding_ends_the_check(monkeypatch: Patch, tmp_path: Path) -> None:
    def refuse(_: Layout) -> None:
        raise CannotAsk("first")

    monkeypatch.setattr(circumstances, "_root", refuse)
    with pytest.raises(CannotAsk, match="first"):
        circumstances.check(Layout(tmp_path, tmp_path), CONTAINERS, 3)
