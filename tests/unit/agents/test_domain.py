# SPDX-License-Identifier: GPL-2.0-or-later
"""The recurring monitor of the domain agent: how much it looks at, and what it forgives for how long."""

from __future__ import annotations

import pytest

from backstay.agents import domain, domain_start, domain_stop
from backstay.agents.domain_state import Identity, Seen, probe
from backstay.agents.domain_world import survey, unknown_for
from backstay.host import libvirt
from backstay.host.libvirt import Answer
from backstay.host.records import Record
from backstay.ocf import codes
from backstay.ocf.outcome import Outcome
from tests.unit.agents.domain_host import OTHER, UUID, Guest, Host, obedient


def watching(host: Host, **given: str) -> Outcome:
    return domain.watched(host.world(**given), host.deadline(27))[2]


def test_the_monitor_of_a_recorded_guest_needs_no_definition_and_no_scan() -> None:
    host = Host(obedient(), xml=None)
    host.kept["web1"] = Record(UUID, "web1", 100, 1000)
    host.proc_broken = "no answer"
    assert watching(host).code == codes.SUCCESS


@pytest.mark.parametrize("trouble", ["no answer", ""])
def test_a_recorded_emulator_is_seen_while_it_ends_and_while_processes_cannot_be_listed(trouble: str) -> None:
    """Killed, and in D state because of its storage, it still holds its disks and has no arguments any more."""
    host = Host(Guest(100))
    host.kept["web1"] = Record(UUID, "web1", 100, 1000)
    host.proc_broken, host.guests[0].ending = trouble, not trouble
    assert probe(survey(host.world(), host.deadline(27))).code == codes.SUCCESS
    assert domain_stop.stop(host.world(), host.deadline(30), False).code == codes.GENERIC
    host.guests.clear()
    host.proc_broken = ""
    assert probe(survey(host.world(), host.deadline(27))).code == codes.NOT_RUNNING
    assert domain_stop.stop(host.world(), host.deadline(30), False).code == codes.SUCCESS


def test_a_probe_in_doubt_takes_its_time() -> None:
    host = Host()
    world, host.proc_broken = host.world(), "Resource temporarily unavailable"
    assert domain.look(world, host.deadline(27)).code == codes.GENERIC
    assert 1027 <= host.now < 1028

    def pause(seconds: float) -> None:
        host.now += seconds
        host.proc_broken = ""

    world.pause = pause
    assert domain.look(world, host.deadline(27)).code == codes.NOT_RUNNING


def test_a_pid_that_became_another_process_is_not_the_guest() -> None:
    host = Host(Guest(100, OTHER, "db1"))
    host.kept["web1"] = Record(UUID, "web1", 100, 999)
    assert watching(host).code == codes.NOT_RUNNING


def test_a_guest_that_ended_is_looked_for_twice() -> None:
    host = Host()
    assert watching(host).code == codes.NOT_RUNNING
    assert host.now > 1000


def test_a_libvirtd_that_has_just_started_is_asked_twice() -> None:
    host = Host(obedient())
    world = host.world()
    known, host.known = host.known, Answer(libvirt.ABSENT)

    def pause(seconds: float) -> None:
        host.now += seconds
        host.known = known

    world.pause = pause
    assert domain.watched(world, host.deadline(27))[2].code == codes.SUCCESS


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("", ""), codes.SUCCESS),
        (("running", "booted"), codes.SUCCESS),
        (("paused", "ioerror"), codes.DEGRADED),
        (("paused", "postcopy-failed"), codes.DEGRADED),
        (("pmsuspended", ""), codes.DEGRADED),
        (("crashed", "panicked"), codes.DEGRADED),
    ],
)
def test_a_guest_that_libvirt_saw_paused_is_not_well_again_because_libvirt_is_silent(
    words: tuple[str, str], code: int
) -> None:
    host = Host(obedient(), libvirtd="hung")
    host.last_words = words
    for _again in range(2):
        said = watching(host)
        assert said.code == code
        assert code == codes.SUCCESS or words[0] in said.reason


def test_unknown_becomes_a_failure_only_after_its_time() -> None:
    host = Host()
    host.proc_broken = "no answer"
    seen = [watching(host).code]
    host.now += 599
    seen.append(watching(host).code)
    host.now += 10
    seen.append(watching(host).code)
    host.proc_broken = ""
    host.guests.append(obedient())
    watching(host)
    host.kept.clear()
    host.proc_broken = "no answer"
    seen.append(watching(host).code)
    assert seen == [codes.DEGRADED, codes.DEGRADED, codes.GENERIC, codes.DEGRADED]


def test_a_memory_that_makes_no_sense_counts_from_now() -> None:
    host = Host()
    host.texts["domain-web1.unknown"] = "rubbish"
    assert unknown_for(host.world(), Seen(Identity(UUID), trouble="x")) == 0.0
    host.now += 5
    assert unknown_for(host.world(), Seen(Identity(UUID), trouble="x")) == 5.0


def test_what_was_unknown_before_a_start_does_not_count() -> None:
    host = Host()
    host.proc_broken = "no answer"
    assert watching(host).code == codes.DEGRADED
    host.proc_broken = ""
    assert domain_start.start(host.world(), host.deadline(80), host.birth()).code == codes.SUCCESS
    host.now += 9999
    host.kept.clear()
    host.proc_broken = "no answer"
    assert watching(host).code == codes.DEGRADED


def test_libvirt_is_not_asked_when_it_wrote_that_this_process_runs() -> None:
    host = Host(obedient(), libvirtd="hung")
    host.written = ("web1", 100)
    assert watching(host).code == codes.SUCCESS
    assert host.now == 1000.0


def test_what_libvirt_wrote_about_another_process_does_not_count() -> None:
    host = Host(obedient())
    host.known = Answer(libvirt.KNOWN, state="paused", reason="ioerror", uuid=UUID, name="web1")
    host.written = ("web1", 99)
    assert watching(host).code == codes.DEGRADED


def test_a_stopped_emulator_is_degraded_whatever_libvirt_wrote() -> None:
    host = Host(obedient())
    host.guests[0].state = "T"
    host.written = ("web1", 100)
    assert watching(host).code == codes.DEGRADED


def pausing(host: Host, reason: str, limit: float = 600.0) -> int:
    host.known = Answer(libvirt.KNOWN, state="paused", reason=reason, uuid=UUID, name="web1")
    return domain.watched(host.world(), host.deadline(27), limit)[2].code


def test_what_ages_fails_after_the_limit_and_counts_anew_when_it_changed() -> None:
    host = Host(obedient())
    seen = [pausing(host, "watchdog")]
    host.now += 599
    seen.append(pausing(host, "watchdog"))
    seen.append(pausing(host, "api-error"))
    host.now += 599
    seen.append(pausing(host, "watchdog"))
    host.now += 601
    seen.append(pausing(host, "ioerror"))
    seen.append(pausing(host, "watchdog"))
    host.now += 600
    seen.append(pausing(host, "watchdog"))
    assert seen == [codes.DEGRADED] * 6 + [codes.GENERIC]


def test_how_long_the_one_before_was_degraded_does_not_count_for_the_next_emulator() -> None:
    host = Host(obedient())
    assert pausing(host, "watchdog") == codes.DEGRADED
    host.now += 601
    host.guests = [obedient(pid=101)]
    assert pausing(host, "watchdog") == codes.DEGRADED
    assert len(host.texts) == 1


def test_a_guest_that_is_well_leaves_nothing_in_memory() -> None:
    host = Host(obedient())
    assert pausing(host, "watchdog") == codes.DEGRADED
    host.known = Answer(libvirt.KNOWN, state="running", uuid=UUID, name="web1")
    assert watching(host).code == codes.SUCCESS
    assert host.texts == {}


def test_without_a_memory_nothing_lasts() -> None:
    host = Host(obedient())
    world = host.world()

    class Broken:
        def read(self, name: str) -> str:
            raise OSError("read-only")

        write = forget = read  # type: ignore[assignment]

    world.memory = Broken()  # type: ignore[assignment]
    host.known = Answer(libvirt.KNOWN, state="paused", reason="watchdog", uuid=UUID, name="web1")
    assert domain.watched(world, host.deadline(27), 1.0)[2].code == codes.DEGRADED
