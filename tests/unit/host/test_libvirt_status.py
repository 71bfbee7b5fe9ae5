# SPDX-License-Identifier: GPL-2.0-or-later
"""Libvirt's last written word about a domain."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backstay.host.libvirt_status import says_running, writer, written, written_pid

COMMENT = """<!--
WARNING: THIS IS AN AUTO-GENERATED FILE. CHANGES TO IT ARE LIKELY TO BE
OVERWRITTEN AND LOST. Changes to this xml configuration should be made using:
  virsh edit web1
or other application using the libvirt API.
-->

"""


@pytest.mark.parametrize(
    ("line", "runs"),
    [
        ("<domstatus state='running' reason='booted' pid='4711'>", True),
        ("<domstatus state='running' reason='unpaused' pid='4711'>", True),
        ("<domstatus state='running' reason='booted' pid='471'>", False),
        ("<domstatus state='paused' reason='ioerror' pid='4711'>", False),
        ("<domstatus state='shutoff' reason='running' pid='4711'>", False),
        ("<domstatus state='running' reason='booted'>", False),
        ("<domain><domstatus>", False),
        ("", False),
    ],
)
def test_only_running_as_this_process_counts(tmp_path: Path, line: str, runs: bool) -> None:
    (tmp_path / "web1.xml").write_text(f"{COMMENT}{line}\n  <taint flag='high-privileges'/>\n")
    assert says_running("web1", 4711, str(tmp_path)) == runs


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("<domstatus state='running' reason='booted' pid='4711'>", ("running", "booted")),
        ("<domstatus state='paused' reason='ioerror' pid='4711'>", ("paused", "ioerror")),
        ("<domstatus state='paused' pid='4711'>", ("paused", "")),
        ("<domstatus state='paused' reason='ioerror' pid='471'>", ("", "")),
        ("<domstatus state='paused' reason='ioerror'>", ("", "")),
        ("", ("", "")),
    ],
)
def test_the_last_word_about_this_process(tmp_path: Path, line: str, words: tuple[str, str]) -> None:
    (tmp_path / "web1.xml").write_text(f"{COMMENT}{line}\n  <taint flag='high-privileges'/>\n")
    assert written("web1", 4711, str(tmp_path)) == words


@pytest.mark.parametrize("name", ["", "web2", "../web1"])
def test_no_file_no_word(tmp_path: Path, name: str) -> None:
    (tmp_path / "web1.xml").write_text("<domstatus state='running' reason='booted' pid='4711'>")
    assert not says_running(name, 4711, str(tmp_path))


def test_a_name_that_looks_like_the_word_is_not_it(tmp_path: Path) -> None:
    word = "<domstatus state='running' reason='booted' pid='4711'>"
    (tmp_path / "web1.xml").write_text(f"<!-- virsh edit {word} -->\n<domstatus state='paused' pid='4711'>")
    assert not says_running("web1", 4711, str(tmp_path))


@pytest.mark.parametrize(
    ("blocks", "files", "runs"), [(1 << 20, 100, True), (10, 100, False), (1 << 20, 3, False)]
)
def test_a_word_that_could_not_have_been_replaced_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: int, files: int, runs: bool
) -> None:
    (tmp_path / "web1.xml").write_text("<domstatus state='running' reason='booted' pid='4711'>")
    full = os.statvfs_result((4096, 4096, 1 << 21, blocks, blocks, 1000, files, files, 0, 255))
    monkeypatch.setattr(os, "fstatvfs", lambda _handle: full)
    assert says_running("web1", 4711, str(tmp_path)) == runs


@pytest.mark.parametrize(
    ("line", "pid"),
    [
        ("<domstatus state='running' reason='booted' pid='4711'>", 4711),
        ("<domstatus state='paused' reason='ioerror' pid='4711'>", 4711),
        ("<domstatus state='running' reason='booted'>", 0),
        ("", 0),
    ],
)
def test_the_process_that_libvirt_minds(tmp_path: Path, line: str, pid: int) -> None:
    (tmp_path / "web1.xml").write_text(f"{COMMENT}{line}\n")
    assert written_pid("web1", str(tmp_path)) == pid
    assert written_pid("other", str(tmp_path)) == 0


def daemon(top: Path, name: str, pid: int, *, command: str = "", state: str = "S") -> None:
    (top / f"{name}.pid").write_text(str(pid))
    place = top / "proc" / str(pid)
    place.mkdir(parents=True, exist_ok=True)
    (place / "stat").write_text(f"{pid} ({command or name}) {state} {'0 ' * 18}77 0\n")


@pytest.mark.parametrize(
    ("given", "pid"),
    [
        ({}, 500),
        ({"state": "R"}, 500),
        ({"state": "T"}, 0),
        ({"state": "t"}, 0),
        ({"state": "Z"}, 0),
        ({"state": "D"}, 0),
        ({"command": "bash"}, 0),
        ({"name": "virtqemud"}, 500),
        ({"name": "virtlogd"}, 0),
    ],
)
def test_the_writer_lives_and_attends(tmp_path: Path, given: dict[str, str], pid: int) -> None:
    daemon(tmp_path, **{"name": "libvirtd", **given, "pid": 500})  # type: ignore[arg-type]
    assert writer(str(tmp_path), str(tmp_path / "proc")) == ((pid, 77) if pid else (0, 0))


def test_the_one_that_lives_is_the_writer(tmp_path: Path) -> None:
    """A host that was changed to modular daemons may still have the pid file of libvirtd."""
    daemon(tmp_path, "libvirtd", 500, command="bash")
    daemon(tmp_path, "virtqemud", 600)
    assert writer(str(tmp_path), str(tmp_path / "proc")) == (600, 77)


@pytest.mark.parametrize("text", ["", "x", "-1", "500 600", "999"])
def test_a_pid_file_that_is_odd_names_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "libvirtd.pid").write_text(text)
    assert writer(str(tmp_path), str(tmp_path / "proc")) == (0, 0)
