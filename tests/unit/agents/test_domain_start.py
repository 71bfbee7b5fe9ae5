# SPDX-License-Identifier: GPL-2.0-or-later
"""Starting a domain: once, and never beside something that nobody accounts for."""

from __future__ import annotations

import pytest

from backstay.agents import domain_start
from backstay.host import libvirt
from backstay.host.elsewhere import Sighting
from backstay.host.libvirt import Answer
from backstay.host.records import Record
from backstay.ocf import codes
from backstay.ocf.outcome import Outcome
from tests.unit.agents.domain_host import OTHER, UUID, XML, Guest, Host, obedient


def starting(host: Host, seconds: float = 80.0, guard: str = "none", **given: str) -> Outcome:
    world = host.world(**given)
    return domain_start.start(world, host.deadline(seconds), host.birth(world), guard)


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


@pytest.mark.parametrize("seconds", [5.0, 80.0])
@pytest.mark.parametrize("reason", ["migration", "starting-up", "postcopy-failed", "user"])
def test_what_libvirt_wrote_to_be_paused_is_not_started_because_it_says_no_more(
    reason: str, seconds: float
) -> None:
    host = Host(obedient(), libvirtd="hung")
    host.guests[0].status = "paused"
    host.last_words = ("paused", reason)
    outcome = starting(host, seconds)
    assert outcome.code == codes.GENERIC
    assert "migration left, paused" in outcome.reason
    assert "virsh destroy web1 on n2 (so libvirt wrote before it gave no answer: hung)" in outcome.reason
    assert (host.deeds, host.kept) == ([], {})


@pytest.mark.parametrize("status", ["inmigrate", "prelaunch", "paused", "postmigrate"])
def test_what_its_emulator_says_to_be_paused_is_not_started_without_libvirt(status: str) -> None:
    host = Host(obedient(), libvirtd="dead")
    host.guests[0].status = status
    host.guests[0].incoming = status == "inmigrate"
    host.last_words = ("running", "booted")
    outcome = starting(host)
    assert outcome.code == codes.GENERIC
    assert "(so says its emulator" in outcome.reason
    assert (host.deeds, host.kept) == ([], {})


def test_a_guest_of_which_nobody_can_say_whether_it_runs_is_waited_for() -> None:
    host = Host(obedient(), libvirtd="hung")
    host.guests[0].status = "paused"
    outcome = starting(host)
    assert outcome.code == codes.GENERIC
    assert "whether the guest of web1 on n2 (pid 100) runs is unknown" in outcome.reason
    assert host.now > 1070
    host = Host(obedient(), libvirtd="hung")
    host.guests[0].idle = True
    host.last_words = ("running", "booted")
    assert starting(host).code == codes.SUCCESS


def test_what_somebody_else_created_paused_meanwhile_is_not_let_run() -> None:
    class Deeds(list[str]):
        def append(self, deed: str) -> None:
            super().append(deed)
            if deed == "create":
                host.guests.append(Guest(700))
                host.known = Answer(libvirt.KNOWN, state="paused", reason="user", uuid=UUID, name="web1")

    host = Host()
    host.deeds = Deeds()
    host.create_error = "Requested operation is not valid: domain 'web1' is already active"
    outcome = starting(host)
    assert outcome.code == codes.GENERIC
    assert host.deeds == ["create"]


@pytest.mark.parametrize(
    "known", [Answer(libvirt.ABSENT), Answer(libvirt.KNOWN, state="shutoff", uuid=UUID, name="web1")]
)
def test_an_emulator_that_libvirt_does_not_know_is_taken_over_when_its_guest_runs(known: Answer) -> None:
    host = Host(obedient())
    host.known = known
    host.socket_is_free = True
    outcome = starting(host)
    assert outcome.code == codes.SUCCESS
    assert "pid 100" in outcome.reason
    assert any("restart it when that suits you" in warning for warning in host.warnings)
    assert host.deeds == []
    assert host.kept["web1"].pid == 100
    assert host.now >= 1010  # libvirtd had the time to find it


@pytest.mark.parametrize("why", ["paused", "mute", "uuid unknown"])
def test_no_start_beside_an_emulator_that_libvirt_does_not_know_and_that_may_not_run(why: str) -> None:
    guest = obedient()
    host = Host(guest, xml=b"<domain><name>web1</name></domain>" if why == "uuid unknown" else XML)
    host.known = Answer(libvirt.ABSENT)
    host.socket_is_free = why != "mute"
    guest.status = "paused" if why == "paused" else "running"
    outcome = starting(host)
    assert outcome.code == codes.GENERIC
    assert "pid 100" in outcome.reason
    assert {"paused": "monitor: paused", "mute": "not free", "uuid unknown": "not known"}[
        why
    ] in outcome.reason
    assert host.deeds == []


@pytest.mark.parametrize("reason", ["migration", "starting-up", "postcopy-failed", "user"])
def test_no_start_beside_what_a_failed_start_or_migration_left(reason: str) -> None:
    host = Host(obedient())
    host.known = Answer(libvirt.KNOWN, state="paused", reason=reason, uuid=UUID, name="web1")
    outcome = starting(host)
    assert outcome.code == codes.GENERIC
    assert "migration left, paused" in outcome.reason
    assert host.deeds == []


def leftover(
    reason: str = "migration", incoming: bool = True, busy: bool = False, held: bool = False
) -> Host:
    host = Host(obedient())
    host.guests[0].incoming = incoming
    host.known = Answer(libvirt.KNOWN, state="paused", reason=reason, uuid=UUID, name="web1")
    host.busy, host.held = busy, held
    return host


@pytest.mark.parametrize(
    "host",
    [
        leftover(),
        leftover("starting-up"),
        leftover("user", incoming=False, held=True),
        leftover("starting-up", incoming=False, held=True),
    ],
    ids=["migration", "starting up", "start", "start, starting up"],
)
def test_what_a_failed_start_or_migration_left_is_ended_and_started_afresh(host: Host) -> None:
    assert starting(host).code == codes.SUCCESS
    assert host.deeds == ["destroy", "create", "resume"]
    assert [guest.pid for guest in host.living()] == [500]
    assert any("left, and never ran" in warning for warning in host.warnings)


@pytest.mark.parametrize(
    "host",
    [
        leftover("postcopy-failed"),
        leftover("user"),
        leftover(incoming=False),
        leftover(busy=True),
        leftover("user", incoming=False, busy=True, held=True),
    ],
    ids=["post-copy", "user", "not incoming", "busy", "held and busy"],
)
def test_what_is_not_proven_to_be_a_leftover_is_left_alone(host: Host) -> None:
    outcome = starting(host)
    assert outcome.code == codes.GENERIC
    assert "virsh destroy web1 on n2" in outcome.reason
    assert host.deeds == []


def test_a_leftover_is_not_ended_when_the_guest_runs_elsewhere() -> None:
    host = leftover()
    host.peers = {"n1": Sighting("n1", libvirt.KNOWN, "running")}
    assert starting(host, guard="peers").code == codes.GENERIC
    assert host.deeds == []


def test_a_leftover_that_turns_into_a_guest_has_arrived() -> None:
    host = leftover(busy=True)
    world = host.world()

    def pause(seconds: float) -> None:
        host.now += seconds
        if host.now > 1003:
            host.known = Answer(libvirt.KNOWN, state="running", uuid=UUID, name="web1")

    world.pause = pause
    assert domain_start.start(world, host.deadline(80), host.birth(world)).code == codes.SUCCESS
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
    assert domain_start.start(world, host.deadline(80), host.birth(world)).code == codes.SUCCESS
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
    assert domain_start.start(world, host.deadline(80), host.birth(world)).code == codes.SUCCESS


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
    assert domain_start.start(world, host.deadline(80), host.birth(world)).code == codes.SUCCESS
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


def test_a_start_is_not_done_because_libvirt_says_so() -> None:
    host = Host()
    host.creates = Guest(500, OTHER)
    outcome = starting(host)
    assert outcome.code == codes.GENERIC
    assert "was not seen running in time" in outcome.reason


def test_an_attempt_for_which_the_time_would_not_do_is_not_begun() -> None:
    """On a busy host; cut short, it would leave a guest that has read its disk, and not say that a lock was in the way."""

    class Deeds(list[str]):
        def append(self, deed: str) -> None:
            super().append(deed)
            host.now += 3.5

    host = Host()
    host.deeds = Deeds()
    host.create_locked_until = 2000.0
    outcome = starting(host, 10.0)
    assert "its disks are locked" in outcome.reason
    assert host.deeds == ["create"]
    assert host.now < 1010
