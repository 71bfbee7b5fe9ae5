# SPDX-License-Identifier: GPL-2.0-or-later
"""Starting a domain: once, and never beside something that nobody accounts for."""

from __future__ import annotations

import pytest

from backstay.agents import domain_start
from backstay.host import libvirt
from backstay.host.libvirt import Answer
from backstay.host.records import Record
from backstay.ocf import codes
from backstay.ocf.outcome import Outcome
from tests.unit.agents.domain_host import OTHER, UUID, Guest, Host, obedient


def starting(host: Host, seconds: float = 80.0, **given: str) -> Outcome:
    return domain_start.start(host.world(**given), host.deadline(seconds))


def test_a_start_creates_and_remembers() -> None:
    host = Host()
    assert starting(host).code == codes.SUCCESS
    assert host.deeds == ["create", "resume"]
    assert host.kept == {"web1": Record(UUID, "web1", 500, 5000)}


def test_a_second_start_does_nothing() -> None:
    host = Host(obedient())
    assert starting(host).code == codes.SUCCESS
    assert host.deeds == []
    assert host.kept["web1"].pid == 100


@pytest.mark.parametrize("libvirtd", ["dead", "hung"])
def test_what_runs_is_started_whatever_libvirtd_does(libvirtd: str) -> None:
    assert starting(Host(obedient(), libvirtd=libvirtd)).code == codes.SUCCESS


@pytest.mark.parametrize(
    "known", [Answer(libvirt.ABSENT), Answer(libvirt.KNOWN, state="shutoff", uuid=UUID, name="web1")]
)
def test_no_start_beside_an_emulator_that_libvirt_does_not_know(known: Answer) -> None:
    host = Host(obedient())
    host.known = known
    outcome = starting(host)
    assert outcome.code == codes.GENERIC
    assert "pid 100" in outcome.reason
    assert host.deeds == []


@pytest.mark.parametrize("reason", ["migration", "starting-up", "postcopy-failed", "user"])
def test_no_start_beside_what_a_failed_start_or_migration_left(reason: str) -> None:
    host = Host(obedient())
    host.known = Answer(libvirt.KNOWN, state="paused", reason=reason, uuid=UUID, name="web1")
    outcome = starting(host)
    assert outcome.code == codes.GENERIC
    assert "migration left, paused" in outcome.reason
    assert host.deeds == []


def test_a_guest_that_an_io_error_paused_counts_as_started() -> None:
    host = Host(obedient())
    host.known = Answer(libvirt.KNOWN, state="paused", reason="ioerror", uuid=UUID, name="web1")
    assert starting(host).code == codes.SUCCESS


def test_a_guest_is_let_run_only_when_its_emulator_is_seen() -> None:
    host = Host()
    host.creates = Guest(500, OTHER)
    starting(host)
    assert host.deeds == ["create"]


def test_a_created_guest_is_let_run_by_a_libvirtd_that_was_away_for_a_moment() -> None:
    host = Host()
    world = host.world()

    def resume(uuid: str, timeout: float) -> Answer:
        del world.libvirt.resume  # type: ignore[attr-defined]
        return Answer(libvirt.REFUSED, text="Connection refused")

    world.libvirt.resume = resume  # type: ignore[method-assign]
    assert domain_start.start(world, host.deadline(80)).code == codes.SUCCESS
    assert host.deeds == ["create", "resume"]


@pytest.mark.parametrize("libvirtd", ["dead", "hung"])
def test_without_libvirtd_nothing_starts_and_the_start_ends_in_time(libvirtd: str) -> None:
    host = Host(libvirtd=libvirtd)
    outcome = starting(host)
    assert outcome.code == codes.GENERIC
    assert host.deeds == []
    assert 1078 <= host.now <= 1080
    assert {"dead": "Connection refused", "hung": "no answer"}[libvirtd] in outcome.reason


def test_a_libvirtd_that_comes_back_within_the_budget_is_enough() -> None:
    host = Host(libvirtd="dead")
    world = host.world()

    def pause(seconds: float) -> None:
        host.now += seconds
        if host.now > 1020:
            host.libvirtd = "well"

    world.pause = pause
    assert domain_start.start(world, host.deadline(80)).code == codes.SUCCESS


@pytest.mark.parametrize(
    ("uuid", "name", "words"), [(OTHER, "web1", "another UUID"), (UUID, "web9", "as web9")]
)
def test_a_clash_with_what_libvirt_knows_is_named(uuid: str, name: str, words: str) -> None:
    host = Host()
    host.known = Answer(libvirt.KNOWN, state="shutoff", uuid=uuid, name=name)
    outcome = starting(host)
    assert outcome.code == codes.GENERIC
    assert words in outcome.reason
    assert host.deeds == []


def test_what_libvirt_claims_without_an_emulator_is_not_started_beside() -> None:
    host = Host()
    host.known = Answer(libvirt.KNOWN, state="running", uuid=UUID, name="web1")
    outcome = starting(host)
    assert outcome.code == codes.GENERIC
    assert "no emulator" in outcome.reason
    assert host.now < 1012


def test_an_emulator_that_libvirt_has_not_found_again_yet_is_waited_for() -> None:
    host = Host(obedient())
    world = host.world()
    known, host.known = host.known, Answer(libvirt.ABSENT)

    def pause(seconds: float) -> None:
        host.now += seconds
        if host.now > 1005:
            host.known = known

    world.pause = pause
    assert domain_start.start(world, host.deadline(80)).code == codes.SUCCESS
    assert host.deeds == []


def test_uuid_and_config_that_contradict_each_other_are_wrong_everywhere() -> None:
    outcome = starting(Host(), uuid=OTHER)
    assert outcome.code == codes.NOT_CONFIGURED
    assert OTHER in outcome.reason


def test_a_start_reads_the_definition_although_the_guest_is_known_to_run() -> None:
    host = Host(obedient())
    host.kept["web1"] = Record(UUID, "web1", 100, 1000)
    assert starting(host).code == codes.SUCCESS
    assert starting(host, uuid=OTHER).code == codes.NOT_CONFIGURED


@pytest.mark.parametrize("xml", [None, b"<domain><name>"])
def test_without_a_usable_definition_a_start_fails_in_a_way_that_passes(xml: bytes | None) -> None:
    host = Host(xml=xml)
    outcome = starting(host)
    assert outcome.code == codes.GENERIC
    assert "/srv/web1.xml" in outcome.reason
    assert host.deeds == []


def test_libvirts_reason_reaches_the_admin() -> None:
    host = Host()
    host.create_error = "Failed to get write lock"
    outcome = starting(host)
    assert outcome.code == codes.GENERIC
    assert "Failed to get write lock" in outcome.reason


def test_a_start_is_not_done_before_the_emulator_is_seen() -> None:
    host = Host()
    host.creates = None
    assert starting(host).code == codes.GENERIC


def test_traps_are_told() -> None:
    host = Host()
    host.known = Answer(libvirt.KNOWN, state="shutoff", uuid=UUID, name="web1", saved=True, autostart=True)
    assert starting(host).code == codes.SUCCESS
    assert any("managedsave-remove" in warning for warning in host.warnings)
    assert any("autostart" in warning for warning in host.warnings)


def test_a_start_is_not_done_because_libvirt_says_so() -> None:
    host = Host()
    host.creates = Guest(500, OTHER)
    outcome = starting(host)
    assert outcome.code == codes.GENERIC
    assert "was not seen running in time" in outcome.reason
