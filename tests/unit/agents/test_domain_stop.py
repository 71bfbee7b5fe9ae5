# SPDX-License-Identifier: GPL-2.0-or-later
"""Stopping a domain: politely, by force, in time, and never a success on doubt."""

from __future__ import annotations

import pytest

from backstay.agents import domain_stop
from backstay.agents.domain_parameters import DomainParameters
from backstay.agents.domain_state import Identity, Seen
from backstay.errors import CannotAsk
from backstay.host import libvirt
from backstay.host.libvirt import Answer
from backstay.host.proc import Process
from backstay.host.records import Record
from backstay.ocf import codes
from backstay.ocf.outcome import Outcome
from backstay.ocf.parameters import BadParameter
from tests.unit.agents.domain_host import NEVER, OTHER, UUID, Guest, Host, obedient


def stopping(
    host: Host,
    seconds: float = 115.0,
    force: bool = False,
    uuid: str = "",
    modes: tuple[str, ...] = domain_stop.USUAL,
) -> tuple[Outcome, float]:
    began = host.now
    outcome = domain_stop.stop(host.world(uuid=uuid), host.deadline(seconds), force, modes)
    return outcome, host.now - began


# ---- stop


def test_a_stop_of_what_does_not_run_is_done_and_asks_nobody() -> None:
    host = Host(libvirtd="hung")
    outcome, took = stopping(host)
    assert outcome.code == codes.SUCCESS
    assert took == 0
    assert host.deeds == []


def test_a_guest_that_listens_is_only_asked() -> None:
    host = Host(obedient())
    outcome, took = stopping(host)
    assert (outcome.code, host.deeds) == (codes.SUCCESS, ["acpi"])
    assert took < 6


def test_a_guest_that_does_not_listen_is_asked_again_and_then_destroyed() -> None:
    host = Host(obedient(acpi=NEVER))
    outcome, took = stopping(host)
    assert outcome.code == codes.SUCCESS
    assert host.deeds == ["acpi"] * 7 + ["destroy"]
    assert 60 < took < 75


@pytest.mark.parametrize(
    ("modes", "agent", "deeds"),
    [
        ("agent,acpi", "well", ["agent"]),
        ("agent,acpi", "absent", ["acpi"]),
        ("agent,acpi", "hung", ["acpi"]),
        ("acpi,agent", "well", ["acpi"]),
        ("acpi", "well", ["acpi"]),
        ("agent", "well", ["agent"]),
        ("agent", "absent", ["destroy"]),
        ("initctl,acpi", "absent", ["acpi"]),
    ],
)
def test_the_modes_are_tried_in_their_order(modes: str, agent: str, deeds: list[str]) -> None:
    host = Host(obedient())
    host.guest_agent = agent
    outcome, took = stopping(host, modes=domain_stop.modes_of(modes))
    assert (outcome.code, host.deeds) == (codes.SUCCESS, deeds)
    assert took < 18


def test_a_guest_that_heard_nothing_by_one_mode_is_asked_by_the_next() -> None:
    host = Host(obedient(agent=NEVER, acpi=NEVER))
    host.guest_agent = "well"
    stopping(host)
    assert host.deeds == ["agent", "acpi"] * 3 + ["agent", "destroy"]


@pytest.mark.parametrize(
    ("modes", "times", "ways"),
    [
        (("agent", "acpi"), 0, ("agent", "acpi", "powerdown")),
        (("agent", "acpi"), 1, ("acpi", "agent", "powerdown")),
        (("agent", "acpi"), 2, ("agent", "acpi", "powerdown")),
        (("acpi",), 5, ("acpi", "powerdown")),
    ],
)
def test_each_request_begins_with_another_mode(
    modes: tuple[str, ...], times: int, ways: tuple[str, ...]
) -> None:
    assert domain_stop.asking(modes, times) == ways


def test_modes_are_words_that_count_once() -> None:
    assert domain_stop.modes_of("acpi, agent,acpi") == ("acpi", "agent")


@pytest.mark.parametrize(
    ("given", "good"), [("agent", True), ("acpi,paravirt", True), ("halt", False), (",", False)]
)
def test_a_mode_that_virsh_does_not_know_is_refused(given: str, good: bool) -> None:
    environ = {"OCF_RESKEY_config": "/srv/web1.xml", "OCF_RESKEY_shutdown_mode": given}
    if good:
        DomainParameters.read(environ, lenient=False)
    else:
        with pytest.raises(BadParameter, match="acpi, agent"):
            DomainParameters.read(environ, lenient=False)


def test_without_libvirtd_the_guest_is_asked_through_its_emulator_and_ended_when_it_is_off() -> None:
    host = Host(obedient(), libvirtd="dead")
    outcome, took = stopping(host)
    assert (outcome.code, host.deeds) == (codes.SUCCESS, ["powerdown", "quit"])
    assert took < 8


def test_without_libvirtd_a_deaf_guest_is_quit() -> None:
    host = Host(obedient(powerdown=NEVER), libvirtd="dead")
    outcome, _took = stopping(host)
    assert outcome.code == codes.SUCCESS
    assert set(host.deeds[:-1]) == {"powerdown"}
    assert host.deeds[-1] == "quit"


def test_under_a_hung_libvirtd_which_holds_the_socket_the_signals_come_soon() -> None:
    host = Host(obedient(), libvirtd="hung")
    outcome, took = stopping(host)
    assert (outcome.code, host.deeds) == (codes.SUCCESS, ["term"])
    assert took < 40


def test_a_libvirtd_that_is_silent_is_asked_once_in_a_round() -> None:
    host = Host(obedient(), libvirtd="hung")
    world = host.world()
    asked: list[str] = []

    def shut_down(uuid: str, mode: str, timeout: float) -> Answer:
        asked.append(mode)
        host.now += timeout
        return Answer(libvirt.HUNG)

    world.libvirt.shut_down = shut_down  # type: ignore[method-assign]
    assert domain_stop.stop(world, host.deadline(115.0), False).code == codes.SUCCESS
    assert asked == ["agent"]


def test_an_emulator_that_ignores_all_but_the_last_is_killed_in_time() -> None:
    for libvirtd in ("well", "dead", "hung"):
        host = Host(Guest(kill=0.5), libvirtd=libvirtd)
        outcome, took = stopping(host)
        assert outcome.code == codes.SUCCESS, libvirtd
        assert host.deeds[-1] == "kill"
        assert took < 115


@pytest.mark.parametrize(("budget", "dying"), [(18.0, 4.0), (30.0, 4.5), (115.0, 11.0)])
@pytest.mark.parametrize("libvirtd", ["well", "dead", "hung"])
def test_a_short_budget_leaves_a_kill_its_seconds(libvirtd: str, budget: float, dying: float) -> None:
    host = Host(Guest(kill=dying), libvirtd=libvirtd)
    outcome = domain_stop.stop(host.world(), host.deadline(budget), False)
    assert (outcome.code, host.deeds[-1]) == (codes.SUCCESS, "kill")


def test_forced_means_not_asked() -> None:
    host = Host(obedient())
    outcome, took = stopping(host, force=True)
    assert (outcome.code, host.deeds) == (codes.SUCCESS, ["destroy"])
    assert took < 1


@pytest.mark.parametrize("state", ["paused", "crashed", "pmsuspended"])
def test_a_guest_that_cannot_hear_is_not_asked(state: str) -> None:
    host = Host(obedient())
    host.known = Answer(libvirt.KNOWN, state=state, uuid=UUID, name="web1")
    assert (
        domain_stop.steps(Seen(Identity(UUID), [host.guests[0].process()]), host.known, False)
        == domain_stop.FORCE
    )
    outcome, took = stopping(host)
    assert outcome.code == codes.SUCCESS
    assert "acpi" not in host.deeds
    assert took < 2


def in_postcopy(**ends: float) -> Host:
    host = Host(obedient(**ends))
    host.known = Answer(libvirt.KNOWN, state="paused", reason="postcopy", uuid=UUID, name="web1")
    return host


def test_a_guest_that_runs_elsewhere_already_gets_the_rest_of_its_memory_before_it_is_ended_here() -> None:
    host = in_postcopy()
    host.guests[0].end = host.now + 20  # the rest has followed
    outcome, took = stopping(host)
    assert (outcome.code, host.deeds) == (codes.SUCCESS, [])
    assert 20 <= took < 22


def test_the_rest_is_not_waited_for_for_ever_and_not_at_all_when_forced() -> None:
    host = in_postcopy()
    outcome, took = stopping(host)
    assert (outcome.code, host.deeds) == (codes.SUCCESS, ["destroy"])
    assert 60 < took < 75
    assert stopping(in_postcopy(), force=True)[1] < 2


def test_an_emulator_that_was_stopped_is_let_go_on_before_it_is_asked() -> None:
    guest = obedient()
    guest.state = "T"
    host = Host(guest)
    outcome, _took = stopping(host)
    assert (outcome.code, host.deeds) == (codes.SUCCESS, ["cont", "acpi"])


def test_an_emulator_that_is_stopped_again_and_again_is_let_go_on_to_take_its_signal() -> None:
    guest = Guest(term=0.2)

    class Debugged(Host):
        def signal(self, process: Process, number: int) -> bool:
            sent = super().signal(process, number)
            guest.state = "t"
            return sent

    host = Debugged(guest, libvirtd="dead")
    guest.state = "t"
    stopping(host, force=True)
    assert host.deeds[-2:] == ["term", "cont"]


def test_an_emulator_in_the_kernel_is_named_at_once_and_the_stop_fails_honestly() -> None:
    guest = Guest()
    guest.state = "D"
    guest.waits_for = "blocked in the kernel in fuse_wait"
    guest.files = "/srv/vm/web1.raw"
    host = Host(guest)
    outcome, took = stopping(host)
    assert outcome.code == codes.GENERIC
    assert "fuse_wait" in outcome.reason
    assert len(host.warnings) == 1
    assert "/srv/vm/web1.raw" in host.warnings[0]
    assert host.deeds.count("kill") > 5
    assert 110 < took <= 116


def test_what_blocks_is_said_before_a_libvirtd_is_asked_that_hangs_on_it_too() -> None:
    guest = Guest()
    guest.waits_for = "blocked in the kernel in fuse_wait"
    host = Host(guest, libvirtd="hung")
    said: list[float] = []
    world = host.world()
    world.warn = lambda _text: said.append(host.now)
    domain_stop.stop(world, host.deadline(115.0), False)
    assert 1001 <= said[0] < 1002


def test_an_emulator_that_is_blocked_for_a_moment_is_not_worth_a_word() -> None:
    guest = obedient()
    guest.waits_for = "blocked in the kernel in io_schedule"
    host = Host(guest)
    world = host.world()

    def pause(seconds: float) -> None:
        host.now += seconds
        guest.waits_for = ""

    world.pause = pause
    assert domain_stop.stop(world, host.deadline(115.0), False).code == codes.SUCCESS
    assert host.warnings == []


def test_the_stop_goes_on_when_the_kernel_lets_the_emulator_go() -> None:
    guest = Guest(kill=3.0)
    guest.waits_for = "blocked in the kernel in fuse_wait"
    assert stopping(Host(guest))[0].code == codes.SUCCESS


@pytest.mark.parametrize("seconds", [4.0, 18.0, 27.0, 55.0, 115.0])
@pytest.mark.parametrize("libvirtd", ["well", "dead", "hung"])
def test_a_stop_keeps_its_deadline(seconds: float, libvirtd: str) -> None:
    _outcome, took = stopping(Host(Guest(), libvirtd=libvirtd), seconds)
    assert took <= seconds + 0.5


@pytest.mark.parametrize("known", ["uuid", "record"])
def test_a_stop_needs_no_definition(known: str) -> None:
    host = Host(obedient(), xml=None)
    if known == "record":
        host.kept["web1"] = Record(UUID, "web1", 100, 1000)
    outcome, _took = stopping(host, uuid=UUID if known == "uuid" else "")
    assert (outcome.code, host.deeds) == (codes.SUCCESS, ["acpi"])
    assert host.kept == {}


def test_a_stop_of_nobody_knows_whom_fails_and_touches_nothing() -> None:
    host = Host(obedient(), xml=None)
    outcome, took = stopping(host, 30.0)
    assert outcome.code == codes.GENERIC
    assert "set uuid= or mount the share" in outcome.reason
    assert host.deeds == []
    assert took >= 30


def test_a_stop_without_sight_of_the_processes_is_no_success() -> None:
    host = Host()
    host.proc_broken = "no answer"
    assert stopping(host, 30.0)[0].code == codes.GENERIC


def test_a_guest_is_asked_to_shut_down_while_the_processes_cannot_be_listed() -> None:
    host = Host(obedient())
    host.kept["web1"] = Record(UUID, "web1", 100, 1000)
    world, host.proc_broken = host.world(), "no answer"

    def pause(seconds: float) -> None:
        host.now += seconds
        host.proc_broken = "no answer" if host.living() else ""

    world.pause = pause
    assert domain_stop.stop(world, host.deadline(30.0), False).code == codes.SUCCESS
    assert host.deeds == ["acpi"]


def test_a_stop_that_loses_sight_of_the_processes_is_no_success() -> None:
    host = Host(obedient(acpi=1.0))
    world = host.world()
    looks = iter([host.all()])
    host.all = lambda timeout=5.0: next(looks)  # type: ignore[method-assign,assignment]

    def blind(timeout: float = 5.0) -> tuple[Process, ...]:
        found = next(looks, None)
        if found is None:
            raise CannotAsk("no answer")
        return found

    host.all = blind  # type: ignore[method-assign]
    assert domain_stop.stop(world, host.deadline(30.0), False).code == codes.GENERIC


def test_a_stop_ends_every_emulator_of_the_domain_and_no_other() -> None:
    other = Guest(300, OTHER, "db1", term=0.0, kill=0.0)
    host = Host(obedient(acpi=NEVER), Guest(101, destroy=NEVER, term=0.1), other)
    outcome, _took = stopping(host)
    assert outcome.code == codes.SUCCESS
    assert host.living() == [other]


def test_libvirtd_dying_in_the_middle_does_not_stop_the_stop() -> None:
    host = Host(obedient(acpi=NEVER))
    world = host.world()
    plain = host.pause

    def pause(seconds: float) -> None:
        plain(seconds)
        if host.now > 1003:
            host.libvirtd = "dead"

    world.pause = pause
    assert domain_stop.stop(world, host.deadline(115), False).code == codes.SUCCESS
    assert host.deeds == ["acpi", "powerdown", "quit"]


def test_a_contradiction_never_stops_a_stop() -> None:
    host = Host(obedient())
    assert stopping(host, uuid=OTHER)[0].code == codes.SUCCESS
    assert host.deeds == ["acpi"]


def test_an_emulator_that_comes_back_while_it_is_stopped_is_stopped_as_well() -> None:
    host = Host(obedient())
    world = host.world()

    def pause(seconds: float) -> None:
        host.now += seconds
        if not host.living() and len(host.guests) == 1:
            host.guests.append(Guest(101, destroy=0.5))

    world.pause = pause
    assert domain_stop.stop(world, host.deadline(115), False).code == codes.SUCCESS
    assert len(host.guests) == 2
    assert host.living() == []
