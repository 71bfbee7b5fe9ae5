# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests that nobody knows and guests that run twice: what is said of them, and what proves it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.agents.libvirtd import LibvirtdParameters
from backstay.agents.libvirtd_memory import Memory
from backstay.agents.libvirtd_monitor import watch, watch_deeply
from backstay.agents.libvirtd_strays import Note, compare, farewell, findings, left_at_stop, read, short
from backstay.host.guests import Guest
from backstay.ocf.outcome import Outcome
from tests.unit.agents.libvirtd_fake import CRASHED, GOOD, REFUSED, FakeHost, context

UUID = "4f2c8e1a-0b7d-4c52-9a63-1d2e3f405162"
KEY = short(UUID)
WEB1 = Guest(UUID, "web1", "100.4711")


def look(host: FakeHost) -> tuple[Outcome, list[str]]:
    called = context(host, LibvirtdParameters())
    outcome = watch_deeply(called, host)  # type: ignore[arg-type]
    return outcome, called.journal.lines  # type: ignore[attr-defined]


class Pair:
    """Two hosts that see each other's notes; `turn` is one deep monitor of one of them."""

    def __init__(self) -> None:
        self.hosts = {"n1": FakeHost(GOOD), "n2": FakeHost(GOOD)}
        self.notes: dict[str, str] = {}

    def turn(self, name: str, *guests: Guest) -> str:
        host = self.hosts[name]
        host.seen_guests = guests
        host.others_notes = {other: text for other, text in self.notes.items() if other != name}
        host.did.clear()
        outcome, _ = look(host)
        for entry in host.did:
            if entry.startswith("note "):
                self.notes[name] = entry.removeprefix("note ")
        assert outcome.code == (190 if "at the same time" in outcome.reason else 0)
        return outcome.reason if outcome.code else ""


def test_uuids_that_were_counted_up_are_told_apart() -> None:
    counted = [f"5a3c1f0e-7d64-4b51-9a0e-0d1b000000{number:02}" for number in range(50)]
    first = [f"{number:08}-7d64-4b51-9a0e-0d1b00000001" for number in range(50)]
    assert len({short(uuid) for uuid in (*counted, *first)}) == 100
    assert short(UUID) == short(UUID.upper().replace("-", ""))


def test_a_uuid_that_is_no_text_is_a_guest_as_well() -> None:
    """Arguments of processes are bytes, and anybody may start one with -uuid among them."""
    assert short("\udcff").isalnum()


def test_a_guest_that_runs_on_two_hosts_is_proven_by_the_other_hosts_answer() -> None:
    pair = Pair()
    here, there = Guest(UUID, "web1", "100.1"), Guest(UUID, "web1", "200.2")
    assert pair.turn("n1", here) == ""
    assert pair.turn("n2", there) == ""
    assert pair.notes["n2"] == f"{KEY} ?{KEY}:200.2"
    assert pair.turn("n1", here) == "", "its own question has not been answered yet"
    assert pair.notes["n1"] == f"{KEY} ?{KEY}:100.1 !{KEY}:200.2"
    assert pair.turn("n2", there) == f"web1 ({UUID}) runs here and on n1 at the same time; stop one of them"
    assert pair.turn("n1", here) == f"web1 ({UUID}) runs here and on n2 at the same time; stop one of them"
    assert pair.turn("n1") == ""
    assert pair.turn("n2", there) == ""
    assert pair.notes == {"n1": "-", "n2": KEY}, "nothing of it stays"


def test_a_guest_that_migrated_does_not_run_twice() -> None:
    pair = Pair()
    source, target = Guest(UUID, "web1", "100.1"), Guest(UUID, "web1", "200.2")
    pair.turn("n1", source)
    for _ in range(5):  # n1's note is old: its agent does not run any more
        assert pair.turn("n2", target) == ""
    assert pair.turn("n1") == ""
    assert pair.turn("n2", target) == ""
    assert pair.notes["n2"] == KEY


def test_a_guest_that_went_there_and_back_did_not_run_twice() -> None:
    pair = Pair()
    pair.turn("n1", Guest(UUID, "web1", "100.1"))
    pair.turn("n2", Guest(UUID, "web1", "200.2"))
    pair.turn("n1", Guest(UUID, "web1", "101.3"))
    assert pair.turn("n1", Guest(UUID, "web1", "102.4")) == ""
    assert pair.turn("n2") == ""
    assert pair.turn("n1", Guest(UUID, "web1", "102.4")) == ""


def test_an_answer_about_an_emulator_that_is_gone_proves_nothing() -> None:
    pair = Pair()
    pair.turn("n2", Guest(UUID, "web1", "200.2"))
    assert pair.turn("n1", Guest(UUID, "web1", "100.1")) == ""  # it migrated here, and n2 has not said so yet
    assert pair.turn("n2", Guest(UUID, "web1", "201.5")) == ""  # it migrated back, and finds n1's question
    assert f"!{KEY}:100.1" in pair.notes["n2"]
    assert (
        pair.turn("n1", Guest(UUID, "web1", "101.9")) == ""
    )  # and here again: that question was another one's


def test_a_migration_under_way_is_not_two_guests() -> None:
    pair = Pair()
    arriving = Guest(UUID, "web1", "200.2", runs=False)
    for _ in range(4):
        assert pair.turn("n1", Guest(UUID, "web1", "100.1")) == ""
        assert pair.turn("n2", arriving) == ""
    assert pair.notes == {"n1": KEY, "n2": "-"}


def test_a_note_is_published_when_it_changes() -> None:
    host = FakeHost(GOOD)
    host.seen_guests = (WEB1,)
    look(host)
    look(host)
    assert host.did == ["publish healthy", f"note {KEY}"]


words = st.text("0123456789abcdef.", min_size=1, max_size=20).filter(str.isalnum)
questions = st.sets(st.tuples(words, words))


@given(st.sets(words), questions, questions)
def test_a_note_is_read_as_it_was_written(
    runs: set[str], asks: set[tuple[str, str]], repeats: set[tuple[str, str]]
) -> None:
    note = read(Note(runs, asks, repeats).text())
    assert (note.runs, note.asks, note.repeats) == (runs, asks, repeats)


@given(st.text(), st.dictionaries(words, words))
def test_a_note_that_makes_no_sense_proves_nothing_by_itself(text: str, own: dict[str, str]) -> None:
    note, twice = compare(own, {"n2": read(text)})
    assert note.runs == set(own)
    assert all(f"!{guest}:{own[guest]}" in text for guest in twice)


@pytest.mark.parametrize(
    ("guests", "said"),
    [
        ([], []),
        ([WEB1], []),
        (
            [Guest(UUID, "web1", "100.1", accounted=False)],
            [f"web1 ({UUID}) runs outside of libvirt and of the cluster (pid 100)"],
        ),
        (
            [Guest(UUID, "", "100.1", runs=False, accounted=False)],
            [f"a guest ({UUID}) runs outside of libvirt and of the cluster (pid 100)"],
        ),
        (
            [WEB1, Guest(UUID, "web1", "7.1")],
            [f"web1 ({UUID}) runs 2 times on this host (pids 100, 7)"],
        ),
        ([WEB1, Guest(UUID, "web1", "7.1", runs=False)], []),
        ([WEB1, Guest(UUID.replace("4f", "5f"), "web2", "7.1")], []),
    ],
)
def test_what_is_found_on_one_host(guests: list[Guest], said: list[str]) -> None:
    assert findings(guests, {}) == said


def test_a_stray_is_degraded_and_told_once() -> None:
    host = FakeHost(GOOD)
    host.seen_guests = (Guest(UUID, "web1", "100.1", accounted=False),)
    outcome, said = look(host)
    assert outcome.code == 190
    assert said == [f"ALERT: {outcome.reason}"]
    # The note comes last: to the frontend it means that somebody has looked, and told what was found.
    assert host.did[-2:] == [f"strays {outcome.reason}", f"note {KEY}"]
    host.did.clear()
    assert look(host) == (outcome, [])
    assert host.did == []
    assert watch(context(host, LibvirtdParameters()), host).code == 0  # type: ignore[arg-type]
    host.seen_guests = ()
    assert look(host)[0].code == 0
    assert host.did == ["strays ", "note -"]


def test_what_is_wrong_with_libvirtd_comes_first() -> None:
    host = FakeHost(REFUSED, service=CRASHED)
    host.seen_guests = (Guest(UUID, "web1", "100.1", accounted=False),)
    outcome, said = look(host)
    assert "crashed" in outcome.reason
    assert any(line.startswith(f"ALERT: web1 ({UUID}) runs outside") for line in said)


@pytest.mark.parametrize("broken", ["blind", "deaf_cluster"])
def test_what_cannot_be_seen_or_told_fails_nothing(broken: str) -> None:
    host = FakeHost(GOOD)
    host.seen_guests = (WEB1,)
    vars(host)[broken] = True
    outcome, said = look(host)
    assert outcome.code == 0
    assert said
    vars(host)[broken] = False
    look(host)
    assert host.did[-1] == f"note {KEY}"


def test_after_a_probe_everything_is_told_again() -> None:
    memory: Any = Memory.read("attribute=healthy\nguests=x\nstrays=y\n", 5.0)
    memory.unpublished()
    assert (memory.attribute, memory.guests, memory.strays) == ("", "", "")


def test_a_stop_says_what_is_left_for_nobody_looks_any_more() -> None:
    host = FakeHost(GOOD)
    paused = Guest("0b7d4c52-9a63-4f2c-8e1a-1d2e3f405162", "web2", "101.4711", runs=False)
    for guests, text, left in (((), "~0 -", 0), ((WEB1, paused), f"~2 {KEY}", 2)):
        host.seen_guests, memory = guests, Memory.read("", 0.0)
        farewell(context(host, LibvirtdParameters()), host, memory)  # type: ignore[arg-type]
        assert host.did[-1] == f"note {text}"
        assert memory.guests == text
        assert left_at_stop(text) == left
        assert read(text).runs == ({KEY} if guests else set())


def test_what_a_stop_could_not_see_is_not_said() -> None:
    host, memory = FakeHost(GOOD), Memory.read("", 0.0)
    host.blind = True
    farewell(context(host, LibvirtdParameters()), host, memory)  # type: ignore[arg-type]
    assert (host.did, memory.guests) == ([], "")
    assert [left_at_stop(text) for text in ("", "-", f"{KEY}", "- ~", "- ~x")] == [None] * 5
