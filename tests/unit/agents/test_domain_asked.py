# SPDX-License-Identifier: GPL-2.0-or-later
"""How a guest is while libvirt does not say so: the emulator's word, or what its processors do."""

from __future__ import annotations

import pytest

from backstay.agents import domain
from backstay.agents.domain_asked import ASKING, RUN_STATES, WATCHING, of_run_state
from backstay.agents.domain_state import ADVICE, PAUSED, STATES
from backstay.host.libvirt import PAUSED_REASONS
from backstay.host.libvirt import STATES as WORDS
from backstay.ocf import codes
from backstay.ocf.outcome import Outcome
from tests.unit.agents.domain_host import Host, obedient

FROM_BEFORE = ("running", "booted")
# RunState of QEMU 7.2 (qapi/run-state.json)
ALL_RUN_STATES = (
    "debug", "inmigrate", "internal-error", "io-error", "paused", "postmigrate", "prelaunch", "finish-migrate",
    "restore-vm", "running", "save-vm", "shutdown", "suspended", "watchdog", "guest-panicked", "colo",
)  # fmt: skip


def watching(host: Host, limit: float = 0.0) -> Outcome:
    return domain.watched(host.world(), host.deadline(27), limit)[2]


@pytest.mark.parametrize("status", [*ALL_RUN_STATES, "something new"])
def test_every_run_state_is_words_of_libvirt(status: str) -> None:
    state, reason = of_run_state(status, "", FROM_BEFORE)
    assert state in WORDS
    assert state in STATES or reason in PAUSED_REASONS
    assert (state, reason) == ("running", "") or state == "crashed" or (reason or state) in ADVICE
    assert state != "paused" or reason in PAUSED


@pytest.mark.parametrize(
    ("status", "migration", "said", "code"),
    [
        ("running", "", "", codes.SUCCESS),
        ("running", "completed", "", codes.SUCCESS),
        ("io-error", "", "paused (ioerror)", codes.DEGRADED),
        ("watchdog", "", "paused (watchdog)", codes.DEGRADED),
        ("running", "postcopy-paused", "paused (postcopy-failed)", codes.DEGRADED),
        ("finish-migrate", "postcopy-paused", "paused (postcopy-failed)", codes.DEGRADED),
        ("suspended", "", "pmsuspended", codes.DEGRADED),
        ("guest-panicked", "", "crashed", codes.GENERIC),
        ("internal-error", "", "paused (unknown)", codes.DEGRADED),
        ("paused", "", "paused (user)", codes.DEGRADED),
    ],
)
def test_while_libvirtd_is_dead_the_emulator_says_how_its_guest_is(
    status: str, migration: str, said: str, code: int
) -> None:
    host = Host(obedient(), libvirtd="dead")
    host.last_words = FROM_BEFORE
    host.guests[0].status, host.guests[0].migration = status, migration
    for _again in range(2):
        outcome = watching(host)
        assert outcome.code == code
        assert said in outcome.reason
        assert "for its emulator (no libvirtd attends)" in outcome.reason


@pytest.mark.parametrize("status", RUN_STATES)
def test_who_paused_a_guest_and_why_libvirt_may_have_written(status: str) -> None:
    wrote = ("paused", "snapshot")
    told = of_run_state(status, "", wrote)
    assert (told == wrote) == (status in ("paused", "prelaunch"))


def test_a_guest_that_goes_on_by_itself_is_well_whatever_libvirt_wrote() -> None:
    host = Host(obedient(), libvirtd="dead")
    host.last_words = ("paused", "ioerror")
    assert watching(host).code == codes.SUCCESS


def test_a_watchdog_that_paused_it_fails_after_the_limit_as_ever() -> None:
    host = Host(obedient(), libvirtd="dead")
    host.guests[0].status = "watchdog"
    assert watching(host, 60.0).code == codes.DEGRADED
    host.now += 61
    assert watching(host, 60.0).code == codes.GENERIC


@pytest.mark.parametrize("words", [("", ""), FROM_BEFORE])
def test_beside_a_hung_libvirtd_it_counts_whether_a_processor_runs(words: tuple[str, str]) -> None:
    host = Host(obedient(), libvirtd="hung")
    host.last_words = words
    began = host.now
    assert watching(host).code == codes.SUCCESS
    assert host.now - began < ASKING + WATCHING
    for broken in ("idle", "io-error"):
        host.guests[0].idle, host.guests[0].status = broken == "idle", broken
        for _again in range(3):
            began = host.now
            said = watching(host, 1.0)
            assert said.code == codes.DEGRADED
            assert "is paused is not known: for 4 s none of its processors has run" in said.reason
            assert host.now - began < 10
            host.now += 700


def test_a_socket_that_is_free_is_used_also_beside_a_libvirtd_that_hangs() -> None:
    """It does not know this emulator, or has lost its connection to it."""
    host = Host(obedient(), libvirtd="hung")
    host.socket_is_free = True
    host.guests[0].idle = True
    assert watching(host).code == codes.SUCCESS


def test_a_monitor_that_has_no_time_left_does_not_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(obedient(), libvirtd="hung")
    host.guests[0].idle = True
    outcome = domain.watched(host.world(), host.deadline(1), 0.0)[2]
    assert outcome.code == codes.DEGRADED


def test_what_libvirt_did_not_answer_is_not_counted_as_asked() -> None:
    for libvirtd, counted in (("well", [1]), ("dead", []), ("hung", [])):
        host, asked = Host(obedient(), libvirtd=libvirtd), []
        world = host.world()
        world.answered = lambda asked=asked: asked.append(1)  # type: ignore[misc]
        domain.watched(world, host.deadline(27))
        assert asked == counted


def test_a_libvirtd_is_not_woken_only_to_be_asked() -> None:
    host = Host(obedient(), libvirtd="woken")
    assert watching(host).code == codes.SUCCESS
    assert host.deeds == []
