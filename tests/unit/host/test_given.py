# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that an admin names: none keeps anybody waiting in silence, and none fills the memory."""

from __future__ import annotations

import os
import pty
import threading

import pytest

from backstay.cli import options
from backstay.cloud.tree import LARGEST
from backstay.errors import BadInput
from backstay.host import given


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Nobody wants to wait for a test."""
    monkeypatch.setattr(given, "QUIET", 0.05)
    monkeypatch.setattr(given, "PATIENCE", 0.1)


@pytest.fixture
def fifo(tmp_path):
    """A pipe with a name."""
    os.mkfifo(tmp_path / "pipe.yaml")
    return tmp_path / "pipe.yaml"


def refused(name):
    """What is said instead of reading it."""
    with pytest.raises(BadInput) as caught:
        options.read_files(str(name))
    return str(caught.value)


def test_a_pipe_to_which_nobody_writes_is_waited_for_aloud_and_not_for_ever(fifo, capsys):
    assert refused(fifo) == f"nothing came from {fifo} within 0 s"
    assert capsys.readouterr().err == f"waiting for what {fifo} gives, for 0 s at most\n"
    assert refused(fifo.parent) == f"nothing came from {fifo} within 0 s"


def test_a_pipe_is_read_to_its_end(fifo, monkeypatch):
    """Larger than what a pipe holds, by somebody who opens it later."""
    monkeypatch.setattr(given, "QUIET", 30)
    content = b"x" * 300_000
    writer = threading.Timer(0.1, fifo.write_bytes, (content,))
    writer.start()
    assert options.read_files(str(fifo)) == [(str(fifo), content)]
    writer.join()


def test_a_terminal_is_waited_for_and_said(monkeypatch):
    ours, theirs = pty.openpty()
    said = []

    def say(text):
        said.append(text)
        os.write(ours, b"cluster\n\x04")

    try:
        assert given.whole(theirs, "<stdin>", say) == b"cluster\n"
    finally:
        os.close(ours)
        os.close(theirs)
    assert said == ["reading <stdin> from the terminal; Ctrl-D ends it"]


def test_a_terminal_is_a_file_that_an_admin_may_name():
    ours, theirs = pty.openpty()
    try:
        os.close(given.opened(os.ttyname(theirs)))
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero", "/dev/full"])
def test_a_device_is_no_file(device):
    assert refused(device) == f"{device} is a device, and a file is needed"


@pytest.mark.parametrize(
    ("begins", "most", "what"),
    [
        (b"cluster:", LARGEST, "cloud description"),
        (b"\n<cib", 9 << 20, "CIB or a plan"),
        (b"{", 9 << 20, "CIB or"),
    ],
)
def test_what_is_too_large_is_not_read_to_its_end(tmp_path, monkeypatch, begins, most, what):
    monkeypatch.setattr(given, "LARGEST_CIB", 9 << 20)
    path = tmp_path / "x"
    path.write_bytes(begins)
    os.truncate(path, most)
    assert len(options.read_input(str(path))[0]) == most
    os.truncate(path, 1 << 40)
    assert f"{path} has more than the {most >> 20} MiB that a {what}" in refused(path)


def test_a_link_to_nothing_is_called_one(tmp_path):
    (tmp_path / "a.yaml").symlink_to("/not/there")
    with pytest.raises(BadInput) as caught:
        options.read_files(str(tmp_path))
    assert caught.value.hint == "it is a link to /not/there, which is not there"


def test_what_an_editor_leaves_is_no_part_of_a_description(tmp_path):
    (tmp_path / ".#a.yaml").symlink_to("admin@host.4711")
    (tmp_path / "a.yaml").write_text("cluster: {}")
    assert [name for name, _ in options.read_files(str(tmp_path))] == [str(tmp_path / "a.yaml")]
