# SPDX-License-Identifier: GPL-2.0-or-later
"""The guard of a start: only a positive sighting refuses; and locks, which are tried again and then named."""

from __future__ import annotations

import pytest

from backstay.agents import domain_guard, domain_lock, domain_start
from backstay.errors import CannotAsk
from backstay.host import libvirt
from backstay.host.elsewhere import Sighting, askable, configured, quiet
from backstay.ocf import codes
from backstay.ocf.outcome import Outcome
from tests.unit.agents.domain_host import IMAGE_LOCK, LOCKSPACE, NEVER, Guest, Host, obedient

REFUSED = (domain_guard.RUNS, domain_guard.MOVING)


def seen_there(state: str = "running", reason: str = "", busy: bool = False, held: bool = False) -> Sighting:
    return Sighting("n1", libvirt.KNOWN, state, reason, busy, held=held)


def starting(host: Host, guard: str = "peers", seconds: float = 80.0) -> Outcome:
    return domain_start.start(host.world(), host.deadline(seconds), host.birth(), guard)


# ---- who is asked, and what an answer means


@pytest.mark.parametrize(
    ("sighting", "means"),
    [
        (Sighting("n1", libvirt.ABSENT), "free"),
        (Sighting("n1", libvirt.REFUSED, text="Connection refused"), "silent"),
        (Sighting("n1", libvirt.HUNG), "silent"),
        (Sighting("n1", libvirt.ERROR), "silent"),
        (seen_there("shutoff", "destroyed"), "free"),
        (seen_there("crashed"), "free"),
        (seen_there("running"), "runs"),
        (seen_there("running", busy=True), "runs"),
        (seen_there("blocked"), "runs"),
        (seen_there("shutdown"), "runs"),
        (seen_there("pmsuspended"), "runs"),
        (seen_there("paused", "user"), "runs"),
        (seen_there("paused", "ioerror"), "runs"),
        (seen_there("paused", "postcopy"), "runs"),
        (seen_there("paused", "postcopy-failed"), "runs"),
        (seen_there("paused", "migration"), "leftover"),
        (seen_there("paused", "starting-up"), "leftover"),
        (seen_there("paused", "migration", busy=True), "moving"),
        (seen_there("paused", "user", held=True), "held"),
        (seen_there("paused", "user", busy=True, held=True), "runs"),
        (seen_there("running", held=True), "runs"),
    ],
    ids=repr,
)
def test_what_a_sighting_means(sighting: Sighting, means: str) -> None:
    assert domain_guard.verdict(sighting) == means
    host = Host()
    host.peers = {"n1": sighting}
    outcome = starting(host)
    assert outcome.code == (codes.GENERIC if means in REFUSED else codes.SUCCESS)
    assert host.deeds == ([] if means in REFUSED else ["create", "resume"])
    assert bool(host.warnings) == (means in ("silent", "leftover", "held"))


def test_a_refusal_says_where_it_runs_and_what_to_do() -> None:
    host = Host()
    host.peers = {"n3": Sighting("n3", libvirt.ABSENT), "n1": seen_there()}
    reason = starting(host).reason
    assert "web1 is not started on n2: it runs on n1 already, running" in reason
    assert "crm_resource --refresh --resource web1" in reason


def test_a_migration_between_others_is_waited_for() -> None:
    host = Host()
    host.peers = {"n1": seen_there("paused", "migration", busy=True)}
    world = host.world()

    def pause(seconds: float) -> None:
        host.now += seconds
        if host.now > 1004:
            host.peers = {"n1": seen_there()}

    world.pause = pause
    outcome = domain_start.start(world, host.deadline(80), host.birth(world), "peers")
    assert "it runs on n1 already" in outcome.reason
    assert host.now < 1007


def test_a_start_that_is_under_way_elsewhere_is_waited_for() -> None:
    """What another host has only created may be let run in a moment: then it runs there."""
    host = Host()
    host.peers = {"n1": seen_there("paused", "user", held=True)}
    world = host.world()

    def pause(seconds: float) -> None:
        host.now += seconds
        if host.now > 1008:
            host.peers = {"n1": seen_there()}

    world.pause = pause
    outcome = domain_start.start(world, host.deadline(80), host.birth(world), "peers")
    assert "it runs on n1 already" in outcome.reason
    assert host.deeds == []


def test_what_a_late_creation_left_elsewhere_is_no_guest_that_runs() -> None:
    host = Host()
    host.peers = {"n1": seen_there("paused", "user", held=True)}
    assert starting(host).code == codes.SUCCESS
    assert 1000 + domain_guard.MOVES_FOR <= host.now < 1000 + domain_guard.MOVES_FOR + 5
    assert any("a failed start left web1 paused on n1; it never ran there" in said for said in host.warnings)


@pytest.mark.parametrize("seconds", [8.0, 20.0, 80.0])
def test_a_host_that_gives_no_answer_costs_a_small_share_and_refuses_nothing(seconds: float) -> None:
    host = Host()
    host.peers = {
        "n1": Sighting("n1", libvirt.HUNG, text="no answer within"),
        "n3": Sighting("n3", libvirt.ABSENT),
    }
    assert starting(host, seconds=seconds).code == codes.SUCCESS
    assert host.now - 1000 <= min(6.0, seconds / 10) + 0.1
    assert any("runs on n1 is not known" in warning for warning in host.warnings)


def test_one_sighting_is_enough_when_others_are_silent() -> None:
    host = Host()
    host.peers = {"n3": Sighting("n3", libvirt.HUNG), "n1": seen_there()}
    assert starting(host).code == codes.GENERIC


def test_a_cluster_that_cannot_be_asked_is_a_warning() -> None:
    host = Host()
    host.cluster_broken = "crm_mon: no cluster here"
    assert starting(host).code == codes.SUCCESS
    assert any("was not checked: crm_mon" in warning for warning in host.warnings)


@pytest.mark.parametrize("guard", ["none", "lock"])
def test_only_peers_asks_peers(guard: str) -> None:
    host = Host()
    host.peers, host.lock = {"n1": seen_there()}, "lockd"
    assert starting(host, guard).code == codes.SUCCESS
    assert host.asked_peers == 0


def test_nobody_is_asked_about_what_runs_here_already() -> None:
    host = Host(obedient())
    host.peers = {"n1": seen_there()}
    assert starting(host).code == codes.SUCCESS
    assert host.asked_peers == 0


def test_the_lock_guard_insists_on_a_lock_manager() -> None:
    outcome = starting(Host(), "lock")
    assert outcome.code == codes.GENERIC
    assert "lock_manager in /etc/libvirt/qemu.conf" in outcome.reason


def shown(*nodes: str) -> str:
    return (
        f"<pacemaker-result><nodes>{''.join(f'<node {node}/>' for node in nodes)}</nodes></pacemaker-result>"
    )


def test_who_is_asked() -> None:
    nodes = (
        'name="n1" online="true" standby="false" unclean="false" type="member"',
        'name="n2" online="true" unclean="false"',
        'name="n3" online="false" unclean="false"',
        'name="n4" online="false" unclean="true"',
        'name="n5" online="true" unclean="true"',
        'name="n6" online="true" standby="true" maintenance="true"',
        'name="vm1" online="true" type="remote" id_as_resource="vm1"',
        'name="r1" online="true" type="remote"',
    )
    assert askable(shown(*nodes), "n2") == ("n1", "n4", "n5", "n6", "r1")


def test_what_is_no_xml_is_no_answer() -> None:
    with pytest.raises(CannotAsk, match="XML"):
        askable("crm_mon: Error", "n2")


@pytest.mark.parametrize(
    ("uri", "asked"),
    [
        ("qemu+ssh://root@n1/system", "qemu+ssh://root@n1/system?no_tty=1"),
        ("qemu+ssh://n1/system?keyfile=/k", "qemu+ssh://n1/system?keyfile=/k&no_tty=1"),
        ("qemu+ssh://n1/system?no_tty=1", "qemu+ssh://n1/system?no_tty=1"),
        ("qemu+tcp://n1/system", "qemu+tcp://n1/system"),
        ("qemu://n1/system", "qemu://n1/system"),
    ],
)
def test_ssh_never_asks_for_a_password(uri: str, asked: str) -> None:
    assert quiet(uri) == asked


@pytest.mark.parametrize(
    ("text", "manager"),
    [
        ('lock_manager = "lockd"\n', "lockd"),
        ('#lock_manager = "lockd"\n', ""),
        ('lock_manager="sanlock" # ours\n', "sanlock"),
        ('lock_manager = "lockd"\nlock_manager = "nop"\n', ""),
        ("", ""),
    ],
)
def test_the_lock_manager_of_a_configuration(text: str, manager: str) -> None:
    assert configured(text) == manager


# ---- locks


@pytest.mark.parametrize(
    ("text", "locked", "file"),
    [
        (IMAGE_LOCK, True, "/srv/vm/web1.raw"),
        (LOCKSPACE, True, "/srv/vm/web1.raw"),
        ("resource busy: Lockspace resource '4b8fcd1e' is locked", True, ""),
        ("Failed to acquire lock: Lease is held by another host", True, ""),
        ("internal error: Failed to acquire lock: error -243", True, ""),
        ('Failed to get shared "write" lock', True, ""),
        ("Cannot access storage file '/srv/vm/web1.raw': No such file or directory", False, ""),
        ("cannot acquire state change lock (held by monitor=remoteDispatchDomainCreateXML)", False, ""),
        ("", False, ""),
    ],
)
def test_the_words_of_a_lock(text: str, locked: bool, file: str) -> None:
    assert domain_lock.is_locked(text) == locked
    assert domain_lock.file_of(text) == file


@pytest.mark.parametrize("guard", ["none", "peers", "lock"])
def test_a_lock_that_goes_away_is_outlived(guard: str) -> None:
    host = Host()
    host.create_locked_until, host.lock = 1020.0, "lockd"
    assert starting(host, guard).code == codes.SUCCESS
    assert host.deeds[-1] == "resume"
    assert 5 <= host.deeds.count("create") <= 8
    assert sum("tries again" in warning for warning in host.warnings) == 1


def test_a_guest_that_was_made_under_a_foreign_lock_is_made_afresh() -> None:
    host = Host()
    host.creates = Guest(500, destroy=0.1)
    host.resume_locked_until = 1004.0
    assert starting(host).code == codes.SUCCESS
    assert host.deeds == ["create", "destroy", "create", "destroy", "create", "resume"]
    assert len(host.living()) == 1


@pytest.mark.parametrize("seconds", [20.0, 80.0])
def test_a_lock_that_stays_fails_the_start_in_time_and_nothing_is_left(seconds: float) -> None:
    host = Host()
    host.creates = Guest(500, destroy=0.1)
    host.resume_locked_until = NEVER
    outcome = starting(host, seconds=seconds)
    assert outcome.code == codes.GENERIC
    assert "its disks are locked, by whom is not known" in outcome.reason
    assert "Lockspace resource" in outcome.reason
    assert host.living() == []
    assert host.now <= 1000 + seconds


def test_who_holds_the_lock_is_named_when_it_is_an_emulator_of_this_host() -> None:
    other = Guest(300, "11111111-2222-3333-4444-555555555502", "db1")
    other.files = "/srv/vm/web1.raw"
    host = Host(other)
    host.known = libvirt.Answer(libvirt.ABSENT)
    host.create_locked_until = NEVER
    assert "held by db1 (pid 300) on this host" in starting(host).reason


def test_who_holds_the_lock_is_named_when_it_is_the_domain_on_another_host() -> None:
    host = Host()
    host.peers = {"n1": seen_there("paused", "migration")}
    host.create_locked_until = NEVER
    assert "held by the same domain on n1, paused (migration)" in starting(host).reason


def test_an_error_that_is_no_lock_is_not_tried_again() -> None:
    host = Host()
    host.create_error = "Cannot access storage file"
    assert starting(host).code == codes.GENERIC
    assert host.deeds == ["create"]
