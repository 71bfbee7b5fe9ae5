# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known about a domain, and what a probe and a monitor answer: the tables, enumerated."""

from __future__ import annotations

import itertools

import pytest

from backstay.agents.domain_definition import Definition
from backstay.agents.domain_state import (
    ADVICE,
    PAUSED,
    RUNNING,
    STATES,
    STOPPED,
    UNKNOWN,
    UNKNOWN_BOUND,
    Identity,
    Seen,
    identify,
    monitor,
    probe,
    sort,
)
from backstay.host import libvirt
from backstay.host.emulator import uuid_of
from backstay.host.libvirt import Answer
from backstay.host.proc import Process
from backstay.host.records import Record
from backstay.ocf import codes

UUID = "11111111-2222-3333-4444-555555555501"
OTHER = "11111111-2222-3333-4444-555555555502"
US = Identity(UUID, "web1")
NO_ANSWERS = [
    Answer(kind, text="why") for kind in (libvirt.REFUSED, libvirt.HUNG, libvirt.ERROR, libvirt.NOT_ASKED)
]
ANSWERS = [
    Answer(libvirt.ABSENT),
    *(Answer(libvirt.KNOWN, state=state) for state in libvirt.STATES if state != "paused"),
    *(Answer(libvirt.KNOWN, state="paused", reason=reason) for reason in libvirt.PAUSED_REASONS),
    Answer(libvirt.KNOWN, state="number 99"),
    Answer(libvirt.KNOWN, state="paused", reason="number 99"),
]


def emulator(pid: int = 100, uuid: str = UUID, name: str = "web1", state: str = "S") -> Process:
    return Process(
        pid, pid * 10, state, ("/usr/bin/kvm", "-name", f"guest={name},debug-threads=on", "-uuid", uuid)
    )


def seen(*emulators: Process, trouble: str = "") -> Seen:
    return Seen(US, emulators, trouble, "n2")


# ---- truth


def test_truth_comes_from_processes_alone() -> None:
    assert seen(emulator()).truth == RUNNING
    assert seen().truth == STOPPED
    assert seen(trouble="/proc cannot be read").truth == UNKNOWN
    assert seen(emulator(), trouble="half a look").truth == RUNNING


# ---- the probe


@pytest.mark.parametrize(
    ("look", "code"),
    [
        (seen(emulator()), codes.SUCCESS),
        (seen(emulator(state="T")), codes.SUCCESS),
        (seen(emulator(state="D")), codes.SUCCESS),
        (seen(emulator(100), emulator(101)), codes.SUCCESS),
        (seen(), codes.NOT_RUNNING),
        (seen(trouble="nobody knows"), codes.GENERIC),
    ],
)
def test_probe(look: Seen, code: int) -> None:
    assert probe(look).code == code


# ---- the recurring monitor


@pytest.mark.parametrize("answer", [*NO_ANSWERS, *ANSWERS], ids=repr)
def test_without_an_emulator_a_monitor_says_not_running_whatever_libvirt_claims(answer: Answer) -> None:
    outcome = monitor(seen(), answer)
    assert outcome.code == codes.NOT_RUNNING
    assert "web1 on n2" in outcome.reason


@pytest.mark.parametrize("answer", NO_ANSWERS, ids=repr)
def test_a_libvirtd_that_does_not_answer_is_not_the_domains_failure(answer: Answer) -> None:
    assert monitor(seen(emulator()), answer).code == codes.SUCCESS


@pytest.mark.parametrize("answer", [*NO_ANSWERS, *ANSWERS], ids=repr)
def test_with_an_emulator_a_monitor_never_says_not_running(answer: Answer) -> None:
    for state in "RSDTt":
        assert monitor(seen(emulator(state=state)), answer).code != codes.NOT_RUNNING


@pytest.mark.parametrize(
    ("state", "reason", "code"),
    [
        ("running", "", codes.SUCCESS),
        ("blocked", "", codes.SUCCESS),
        ("nostate", "", codes.SUCCESS),
        ("shutdown", "", codes.SUCCESS),
        ("shutoff", "", codes.DEGRADED),
        ("pmsuspended", "", codes.DEGRADED),
        ("crashed", "", codes.GENERIC),
        ("paused", "ioerror", codes.DEGRADED),
        ("paused", "watchdog", codes.DEGRADED),
        ("paused", "postcopy-failed", codes.DEGRADED),
        ("paused", "user", codes.DEGRADED),
        ("paused", "unknown", codes.DEGRADED),
        ("paused", "api-error", codes.DEGRADED),
        ("paused", "crashed", codes.GENERIC),
        ("paused", "migration", codes.SUCCESS),
        ("paused", "save", codes.SUCCESS),
        ("paused", "dump", codes.SUCCESS),
        ("paused", "snapshot", codes.SUCCESS),
        ("paused", "from-snapshot", codes.SUCCESS),
        ("paused", "starting-up", codes.SUCCESS),
        ("paused", "shutting-down", codes.SUCCESS),
        ("paused", "postcopy", codes.SUCCESS),
        ("paused", "number 99", codes.DEGRADED),
        ("number 99", "", codes.DEGRADED),
    ],
)
def test_how_the_guest_runs(state: str, reason: str, code: int) -> None:
    outcome = monitor(seen(emulator()), Answer(libvirt.KNOWN, state=state, reason=reason))
    assert outcome.code == code
    if code != codes.SUCCESS:
        assert "web1 on n2 (pid 100)" in outcome.reason
        assert state in outcome.reason


def test_each_state_and_reason_of_libvirt_has_its_own_row_and_advice() -> None:
    assert set(STATES) | {"paused"} == set(libvirt.STATES)
    assert set(PAUSED) == set(libvirt.PAUSED_REASONS)
    unwell = {name for name, verdict in {**STATES, **PAUSED}.items() if verdict != "well"}
    assert unwell - set(ADVICE) == {"shutoff"}


MINUTE, HOUR = 60.0, 3600.0


@pytest.mark.parametrize(
    ("state", "reason", "answers"),
    [
        # (after 1 minute, after 1 hour, after 1 hour with a limit of 30 minutes)
        ("running", "", (0, 0, 0)),
        ("pmsuspended", "", (190, 190, 190)),
        ("shutdown", "", (0, 190, 1)),
        ("crashed", "", (1, 1, 1)),
        ("paused", "ioerror", (190, 190, 190)),
        ("paused", "user", (190, 190, 190)),
        ("paused", "watchdog", (190, 190, 1)),
        ("paused", "postcopy-failed", (190, 190, 1)),
        ("paused", "api-error", (190, 190, 1)),
        ("paused", "unknown", (190, 190, 1)),
        ("paused", "migration", (0, 190, 190)),
        ("paused", "postcopy", (0, 190, 190)),
        ("paused", "save", (0, 190, 190)),
        ("paused", "dump", (0, 190, 190)),
        ("paused", "snapshot", (0, 190, 190)),
        ("paused", "from-snapshot", (0, 190, 190)),
        ("paused", "starting-up", (0, 190, 1)),
        ("paused", "shutting-down", (0, 190, 1)),
    ],
)
def test_what_lasts(state: str, reason: str, answers: tuple[int, int, int]) -> None:
    answer = Answer(libvirt.KNOWN, state=state, reason=reason)
    look = seen(emulator())
    said = (
        monitor(look, answer, lasted=MINUTE),
        monitor(look, answer, lasted=HOUR),
        monitor(look, answer, lasted=HOUR, limit=HOUR / 2),
    )
    assert tuple(outcome.code for outcome in said) == answers
    if answers[0] != answers[2] == codes.GENERIC:
        assert "degraded_limit is 1800 s" in said[2].reason


def test_a_limit_is_reached_only_after_its_time() -> None:
    answer = Answer(libvirt.KNOWN, state="paused", reason="watchdog")
    assert monitor(seen(emulator()), answer, lasted=59, limit=60).code == codes.DEGRADED
    assert monitor(seen(emulator()), answer, lasted=60, limit=60).code == codes.GENERIC
    assert monitor(seen(emulator(state="T")), answer, lasted=HOUR, limit=60).code == codes.DEGRADED


@pytest.mark.parametrize("state", ["T", "t"])
def test_a_stopped_emulator_is_degraded_even_if_libvirt_says_running(state: str) -> None:
    outcome = monitor(seen(emulator(state=state)), Answer(libvirt.KNOWN, state="running"))
    assert outcome.code == codes.DEGRADED
    assert "kill -CONT" in outcome.reason


def test_an_emulator_that_libvirt_does_not_know_is_degraded() -> None:
    assert monitor(seen(emulator()), Answer(libvirt.ABSENT)).code == codes.DEGRADED


def test_a_domain_that_runs_twice_on_a_host_is_reported() -> None:
    outcome = monitor(seen(emulator(100), emulator(101)), Answer(libvirt.KNOWN, state="running"))
    assert outcome.code == codes.DEGRADED
    assert "pids 100, 101" in outcome.reason


@pytest.mark.parametrize(
    ("lasting", "code"),
    [(0.0, codes.DEGRADED), (UNKNOWN_BOUND - 1, codes.DEGRADED), (UNKNOWN_BOUND, codes.GENERIC)],
)
def test_unknown_is_degraded_for_a_bounded_time(lasting: float, code: int) -> None:
    outcome = monitor(seen(trouble="nobody knows"), Answer(libvirt.NOT_ASKED), lasting)
    assert outcome.code == code
    assert "nobody knows" in outcome.reason


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(libvirt.KNOWN, state="shutoff", reason="crashed"), "shutoff (crashed)"),
        (Answer(libvirt.KNOWN, state="running"), "still says running"),
        (Answer(libvirt.ABSENT), "its emulator is gone"),
    ],
)
def test_the_last_word_about_a_guest_that_is_gone(answer: Answer, words: str) -> None:
    assert words in monitor(seen(), answer).reason


# ---- who it is

DEFINITION = Definition("web1", UUID, b"")
NAMELESS = Definition("web1", "", b"")
RECORD = Record(UUID, "web1", 100, 1000)


@pytest.mark.parametrize(
    ("uuid", "definition", "record", "expected", "contradicts"),
    [
        ("", DEFINITION, None, (UUID, "web1"), False),
        (UUID, DEFINITION, None, (UUID, "web1"), False),
        (OTHER, DEFINITION, None, (UUID, "web1"), True),
        (OTHER, NAMELESS, None, (OTHER, "web1"), False),
        ("", NAMELESS, None, ("", "web1"), False),
        (OTHER, None, None, (OTHER, ""), False),
        (UUID, None, RECORD, (UUID, "web1"), False),
        (OTHER, None, RECORD, (OTHER, ""), False),
        ("", None, RECORD, (UUID, "web1"), False),
        ("", None, None, ("", ""), False),
    ],
)
def test_identity(
    uuid: str,
    definition: Definition | None,
    record: Record | None,
    expected: tuple[str, str],
    contradicts: bool,
) -> None:
    found = identify(uuid, definition, "no share", record)
    assert (found.uuid, found.name) == expected
    assert bool(found.contradiction) == contradicts
    assert found.known == any(expected)


# ---- what a scan says


def test_a_scan_finds_the_uuid_and_nothing_else() -> None:
    found = sort(US, [emulator(100), emulator(200, OTHER, "web1")], None, [], "n2")
    assert [process.pid for process in found.emulators] == [100]


def test_without_a_uuid_the_name_counts() -> None:
    us = Identity("", "web1")
    assert sort(us, [emulator(200, OTHER, "web1")], None, [], "n2").truth == RUNNING
    assert sort(us, [emulator(200, OTHER, "web10")], None, [], "n2").truth == STOPPED


def test_what_this_resource_started_is_its_own_even_after_the_definition_changed() -> None:
    found = sort(US, [emulator(200, OTHER)], Record(OTHER, "old", 200, 2000), [], "n2")
    assert found.truth == RUNNING
    assert sort(US, [emulator(200, OTHER)], Record(OTHER, "old", 200, 1999), [], "n2").truth == STOPPED


@pytest.mark.parametrize(
    ("everyone", "others", "truth"),
    [
        ([], [], STOPPED),
        ([emulator(200, OTHER, "db1")], [Record(OTHER, "db1", 200, 2000)], STOPPED),
        ([emulator(200, OTHER, "db1")], [], UNKNOWN),
        ([emulator(200, OTHER, "db1")], [Record(OTHER, "db1", 200, 1999)], UNKNOWN),
        ([emulator(200, OTHER), emulator(300)], [Record(OTHER, "db1", 200, 2000)], UNKNOWN),
    ],
)
def test_nobody_knows_who_the_domain_is(everyone: list[Process], others: list[Record], truth: str) -> None:
    found = sort(Identity(trouble="no share"), everyone, None, others, "n2")
    assert found.truth == truth
    if truth == UNKNOWN:
        assert "set uuid= or mount the share" in found.trouble
        assert "no share" in found.trouble


def test_no_pair_of_look_and_answer_is_without_reason() -> None:
    looks = [
        seen(),
        seen(emulator()),
        seen(emulator(state="T")),
        seen(trouble="x"),
        seen(emulator(1), emulator(2)),
    ]
    for look, answer in itertools.product(looks, [*NO_ANSWERS, *ANSWERS]):
        outcome = monitor(look, answer)
        assert outcome.reason
        assert "\n" not in outcome.reason
        assert (outcome.code == codes.NOT_RUNNING) == (look.truth == STOPPED)


# ---- an emulator that is ending has no arguments any more


@pytest.mark.parametrize(
    ("left", "identity", "truth"),
    [
        (("qemu-system-x86",), Identity(UUID, "web1"), UNKNOWN),
        (("qemu-system-x86",), Identity(UUID), UNKNOWN),
        (("qemu", "-name", "guest=web1"), Identity(UUID, "web1"), RUNNING),
        (("qemu", "-name", "guest=web1"), Identity("", "web1"), RUNNING),
        (("qemu", "-name", "guest=web1"), Identity(UUID), UNKNOWN),
        (("qemu", "-name", "guest=db1"), Identity(UUID, "web1"), STOPPED),
        (("qemu", "-name", "guest=web1"), Identity(UUID, "web_1"), UNKNOWN),
        (("qemu", "-uuid", UUID), Identity(UUID, "web1"), RUNNING),
        (("qemu", "-uuid", OTHER), Identity(UUID, "web1"), STOPPED),
    ],
)
def test_an_emulator_that_is_ending(left: tuple[str, ...], identity: Identity, truth: str) -> None:
    process = Process(7, 70, "D", left)
    assert sort(identity, [process], None, (), "n2").truth == truth
    known = Record(identity.uuid, identity.name, 9, 90)
    doubt = STOPPED if truth == UNKNOWN else truth
    assert sort(identity, [process], known, (), "n2").truth == doubt  # its own emulator is known to be gone
    others = (Record(OTHER, "db1", 7, 70),)
    if identity.uuid and not uuid_of(left):
        assert sort(identity, [process], None, others, "n2").truth == STOPPED


def test_who_is_ending_is_said() -> None:
    seen = sort(Identity(UUID, "web1"), [Process(7, 70, "D", ("kvm",))], None, (), "n2")
    assert "pid 7" in seen.trouble
    assert "may hold its disks" in seen.trouble
