# SPDX-License-Identifier: GPL-2.0-or-later
"""What is asked and done on another host, done here: the script in a real shell, files that are replaced."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from backstay.errors import CannotAsk
from backstay.host import far
from backstay.host.process import ENVIRONMENT, Completed, run
from backstay.host.ssh import OPTIONS, Host

HERE = Host("here")
NOBODY = "x" * 64  # no resolver asks anybody for a label that long


def test_a_look_comes_to_its_end() -> None:
    seen = far.look(HERE)
    assert abs(seen.offset) <= seen.doubt + 0.1
    assert seen.uname == ""


def test_an_examination_answers_every_question(tmp_path: Path) -> None:
    secret = tmp_path / "password file"
    secret.write_text("0123456789abcdef")
    secret.chmod(0o600)
    words = (f"path:{tmp_path}", f"path:{tmp_path}/no", "name:localhost", f"name:{NOBODY}",
             f"secret:{secret}", f"secret:{tmp_path}/none")  # fmt: skip
    seen = far.examine(HERE, words)
    assert seen.uname == os.uname().nodename
    assert seen.missing == (f"{tmp_path}/no",)
    assert "127.0.0.1" in seen.addresses["localhost"] or "::1" in seen.addresses["localhost"]
    assert seen.addresses[NOBODY] == ()
    assert set(seen.programs) == {"pacemaker", "pacemaker-remote", "corosync", "libvirt", "backstay"}


def test_certificates_are_read_as_the_fence_agent_reads_them(tmp_path: Path) -> None:
    key, made, empty, text, directory = (
        tmp_path / name for name in ("key", "ca.pem", "empty", "text", "directory")
    )
    new = "openssl req -x509 -newkey rsa:2048 -noenc -subj /CN=ca -days 2 -keyout".split()
    assert run([*new, str(key), "-out", str(made)], timeout=60).ok
    empty.touch()
    text.write_text("-----BEGIN CERTIFICATE-----\nno\n")
    directory.mkdir()
    wanted = {
        made: "good",
        key: "none",
        empty: "none",
        text: "none",
        directory: "",
        tmp_path / "no": "missing",
    }
    seen = far.examine(HERE, [f"certificate:{path}" for path in wanted])
    assert seen.certificates == {str(path): word for path, word in wanted.items()}


@pytest.mark.parametrize("daemon", ["libvirtd", "virtqemud"])
def test_either_daemon_tells_libvirts_version(tmp_path: Path, daemon: str) -> None:
    """A host with the modular daemons need not have the monolithic one."""
    for name in ("libvirtd", "virtqemud"):
        program = tmp_path / name
        says = f"echo '{name} (libvirt) 9.5.0'" if name == daemon else "exit 127"
        program.write_text(f"#!/bin/sh\n{says}\n")
        program.chmod(0o755)
    path = {"PATH": f"{tmp_path}:{ENVIRONMENT['PATH']}"}
    done = run(["sh", "-s"], timeout=far.LOOK_TIME, stdin=far.LOOK + far.EXAMINE + far.END, environment=path)
    assert far.read("here", done.stdout, 0.0, 1.0).programs["libvirt"] == "9.5.0"


def test_a_hostile_word_stays_a_word(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.touch()
    far.examine(HERE, (f"path:$(rm {victim})", f"name:`rm {victim}`", f"secret:'; rm {victim}; '"))
    assert victim.exists()


@pytest.mark.parametrize("mode", ["0400", "0644"])
def test_a_file_is_replaced_whole(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a new place" / "key"
    for content in (bytes(range(256)), b"another\n"):
        far.write(HERE, str(path), content, mode)
        assert path.read_bytes() == content
        assert stat.S_IMODE(path.stat().st_mode) == int(mode, 8)
    assert [one.name for one in path.parent.iterdir()] == ["key"]


@pytest.mark.parametrize("arrived", [0, 8, 40])
def test_a_connection_that_breaks_leaves_the_old_file(tmp_path: Path, arrived: int) -> None:
    """The shell over there takes the end of its input for the end of the content."""
    path = tmp_path / "corosync.conf"
    path.write_text("the old one")

    class Breaking(Host):
        def check(self, argv: Sequence[str], *, timeout: float, stdin: str = "") -> str:
            return super().check(argv, timeout=timeout, stdin=stdin[:arrived])

    with pytest.raises(CannotAsk, match="did not arrive whole"):
        far.write(Breaking("here"), str(path), b"the new one, which is longer than what arrives")
    assert path.read_text() == "the old one"
    assert [one.name for one in tmp_path.iterdir()] == ["corosync.conf"]


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(CannotAsk, match="here"):
        far.write(HERE, str(tmp_path / "key"), b"secret", group="no-such-group")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotAsk, match="here"):
        far.write(HERE, str(tmp_path / "file" / "below"), b"x")


def test_a_file_is_set_aside_as_often_as_need_be(tmp_path: Path) -> None:
    path = tmp_path / "corosync.conf"
    for text in ("one", "two"):
        path.write_text(text)
        far.put_aside(HERE, str(path))
    far.put_aside(HERE, str(path))
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "corosync.conf.before-0",
        "corosync.conf.before-1",
    ]


def test_a_host_that_nobody_answers_for() -> None:
    with pytest.raises(CannotAsk) as raised:
        far.look(Host("n9", "no host"))
    assert "n9 cannot be reached by ssh" in str(raised.value)
    assert "BatchMode" in raised.value.hint
    assert "BatchMode=yes" in OPTIONS


class Busy:
    """A host whose Corosync is busy so many times, and then says something else."""

    name = "n1"

    def __init__(self, times: int, last: tuple[int, str]) -> None:
        self.answers = [(1, "Could not reload configuration. Error CS_ERR_TRY_AGAIN")] * times + [last]

    def __call__(self, argv: Sequence[str], **_: object) -> Completed:
        code, text = self.answers.pop(0)
        return Completed(argv, code, text, "")


def test_corosync_that_is_busy_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backstay.host.clock.pause", lambda seconds: None)
    host = Busy(3, (0, "Done"))
    far.reload(host)  # type: ignore[arg-type]
    assert host.answers == []
    with pytest.raises(CannotAsk, match="CS_ERR_INVALID_PARAM"):
        far.reload(Busy(1, (1, "Error CS_ERR_INVALID_PARAM")))  # type: ignore[arg-type]
    with pytest.raises(CannotAsk, match=r"waited in vain for Corosync on n1 to read .*TRY_AGAIN"):
        far.reload(Busy(1, (0, "")), within=0.0)  # type: ignore[arg-type]
