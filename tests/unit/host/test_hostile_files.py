# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever stands in /proc, in libvirt's status files and in our own notes: it proves nothing that is not so."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstay.host import jobs
from backstay.host.emulator import Emulators
from backstay.host.libvirt_status import says_running
from backstay.host.proc import DEAD, Proc, Process
from backstay.host.records import Records
from backstay.host.state import State
from backstay.host.unchanged import RUNS, Unchanged

PID = 4711
WORD = b"<domstatus state='running' reason='booted' pid='4711'>\n  <job async='none'/>\n</domstatus>"
STATUS = st.one_of(
    st.binary(max_size=120),
    st.lists(
        st.sampled_from(
            [b"<!--", b"-->", b"<domstatus ", b"state='running'", b"state='paused'", b" ", b"pid='4711'", b"pid='47'", b">",
             b"reason='state='", b"<job async='migration_out'/>", b"<blockjobs active='yes'/>", b"</domstatus>", b"\0", b"\xff"]
        ),
        max_size=12,
    ).map(b"".join),
    st.integers(0, len(WORD)).map(lambda length: WORD[:length]),
)  # fmt: skip
STAT = st.one_of(
    st.binary(max_size=80),
    st.builds(
        lambda name, state, start: b"%d (%s) %s %s %s 0\n" % (PID, name, state, b"0 " * 17 + b"0", start),
        st.binary(max_size=16),
        st.sampled_from([b"R", b"S", b"D", b"T", b"t", b"Z", b"X", b"?", b""]),
        st.sampled_from([b"99", b"-1", b"x", b"", b"99999999999999999999999"]),
    ),
)
CMDLINE = st.one_of(
    st.binary(max_size=60),
    st.lists(
        st.sampled_from([b"kvm", b"-uuid", b"-name", b"guest=web1", b"guest=,,", b"", b"\xff"]), max_size=6
    ).map(b"\0".join),
)


@pytest.fixture(scope="module")
def top() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="backstay-") as made:
        yield Path(made)


def proc(top: Path, stat: bytes, cmdline: bytes) -> Proc:
    for pid in (1, PID):
        (top / str(pid)).mkdir(exist_ok=True)
        (top / str(pid) / "stat").write_bytes(stat if pid == PID else b"1 (init) S" + b" 0" * 18 + b" 1 0\n")
        (top / str(pid) / "cmdline").write_bytes(cmdline if pid == PID else b"init")
    return Proc(str(top))


@settings(max_examples=100)
@given(STATUS)
def test_libvirts_word_needs_state_and_pid_in_its_first_element(top: Path, data: bytes) -> None:
    (top / "web1.xml").write_bytes(data)
    if says_running("web1", PID, str(top)):
        assert b" state='running' " in data
        assert b" pid='4711'" in data
    jobs.running(str(top))


@settings(max_examples=100)
@given(STAT, CMDLINE)
def test_a_process_that_cannot_be_understood_is_not_gone(top: Path, stat: bytes, cmdline: bytes) -> None:
    """Only a state that says so, or a file that is not there, means gone; anything else that is odd is trouble."""
    (top / "proc").mkdir(exist_ok=True)
    there = proc(top / "proc", stat, cmdline)
    for look in (
        lambda: there.look(PID),
        lambda: Emulators(there).again(Process(PID, 99, "S")),
        there.all,
        Emulators(there).all,
    ):
        try:
            seen = look()
        except OSError:
            continue
        if seen is None:
            fields = stat.rpartition(b")")[2].split()
            assert fields[0].decode() in DEAD or fields[19] != b"99"


@settings(max_examples=100)
@given(
    STAT,
    st.one_of(
        st.text(max_size=60), st.sampled_from(["2 b 4711 99 900 1 99 - web1\n", "2 b 47 x y z\n", "\n\n"])
    ),
)
def test_a_note_or_a_process_that_is_odd_does_not_hold(top: Path, stat: bytes, note: str) -> None:
    place = top / "unchanged"
    (place / "sys/kernel/random").mkdir(parents=True, exist_ok=True)
    (place / "sys/kernel/random/boot_id").write_text("b\n")
    proc(place, stat, b"")
    state = State(str(top / "notes"))
    state.write("web1", note)
    environ = {"OCF_RESOURCE_INSTANCE": "web1"}
    mine = Unchanged(environ, state, str(place), lambda: 1000.0, lambda _name, _pid: True)
    try:
        holds = mine.holds()
    except (OSError, ValueError, IndexError):
        holds = False
    if holds:
        fields = stat.rpartition(b")")[2].split()
        assert fields[0].decode() in RUNS
        assert note.split()[:4] == ["2", "b", str(PID), fields[19].decode()]
    mine.take()
    assert state.read("web1") == ""


@settings(max_examples=100)
@given(st.text(max_size=80))
def test_a_record_that_is_odd_is_none(top: Path, text: str) -> None:
    state = State(str(top / "records"))
    state.write("web1", text)
    found = Records("this-boot", state).read("web1")
    assert found is None or text.startswith("this-boot\n")
    Records("this-boot", state).others("web2")
