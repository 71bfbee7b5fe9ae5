# SPDX-License-Identifier: GPL-2.0-or-later
"""Libvirt's last written word about a domain."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backstay.host.libvirt_status import says_running, written, written_pid

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
