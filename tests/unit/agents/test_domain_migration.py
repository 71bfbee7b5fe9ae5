# SPDX-License-Identifier: GPL-2.0-or-later
"""Migrating a domain: asked before, followed, cancelled in time, and what runs where afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from backstay.agents import domain_migration
from backstay.agents.domain_migration import whereabouts
from backstay.agents.domain_migration_way import Way
from backstay.host import libvirt
from backstay.host.libvirt import Answer
from backstay.host.libvirt_migration import NO_JOB, OUTGOING, Standing
from backstay.host.libvirt_preflight import Fact, Needs, Offer
from backstay.host.records import Record
from backstay.ocf import codes
from backstay.ocf.outcome import Outcome
from tests.unit.agents.domain_host import NEVER, UUID, Daemon, Host, obedient

GONE = Answer(libvirt.ABSENT)
MIB = 1 << 20


def known(state: str = "running", reason: str = "") -> Answer:
    return Answer(libvirt.KNOWN, state=state, reason=reason, uuid=UUID, name="web1")


REST = Standing(known("paused", "migration"))


class Hosts:
    """The libvirts of both hosts, and a migration between them, on the clock of this host.

    `way_out` is how the migration goes: well, slow (until it is cancelled), or libvirt's complaint.
    """

    def __init__(self, near: Host, way_out: str = "well", there: Standing | None = None) -> None:
        self.near = near
        self.way_out = way_out
        self.far = there or Standing(GONE)
        self.afterwards = Standing(known())  # the target, once the guest has left
        self.job = NO_JOB
        self.counts: dict[str, Any] = {}
        self.facts: tuple[Fact, ...] = ()
        self.told: tuple[Fact, ...] = ()
        self.abandoned = False
        self.prepared = 0
        self.removable = True
        self.postcopy_works = True

    # Migrations

    def here(self, uuid: str, timeout: float) -> Standing:
        if not self.near.living():
            return Standing(GONE)
        return Standing(Daemon(self.near).answer(timeout), self.job, **self.counts)

    def there(self, uuid: str, name: str, timeout: float) -> Standing:
        if self.far.answer.kind == libvirt.HUNG:
            self.near.now += timeout
        return self.far if self.near.living() else self.afterwards

    def begin(self, uuid: str, flags: Sequence[str], settings: Mapping[str, int | str]) -> Hosts:
        self.near.deeds.append(" ".join(["migrate", *flags, *map(str, settings.values())]))
        self.job = OUTGOING
        return self

    def limit_downtime(self, uuid: str, milliseconds: int, timeout: float) -> Answer:
        self.near.deeds.append(f"downtime {milliseconds}")
        return self.near.known

    def switch(self, uuid: str, timeout: float) -> Answer:
        self.near.deeds.append("switch")
        if not self.postcopy_works:
            return Answer(libvirt.ERROR, text="no userfaultfd")
        self.near.known = known("paused", "postcopy")
        self.way_out = "well"
        return self.near.known

    def remove(self, uuid: str, timeout: float) -> Answer:
        self.near.deeds.append("remove there")
        if self.removable:
            self.far = Standing(GONE)
        return self.far.answer

    # Running

    def wait(self, timeout: float) -> Answer | None:
        host = self.near
        host.now += timeout
        if "cancel" in host.deeds:
            self.job = NO_JOB
            return Answer(libvirt.ERROR, text="canceled by client")
        if self.way_out == "slow":
            return None
        self.job = NO_JOB
        if self.way_out != "well":
            return Answer(libvirt.ERROR, text=self.way_out)
        Daemon(host).act("migrate", UUID)
        return GONE

    def abandon(self) -> None:
        self.abandoned = True

    def prepare(self) -> None:
        self.prepared += 1

    # Preflight

    def needs(self, uuid: str, timeout: float) -> Needs:
        return Needs(networks=("lan",))

    def offer(self, needs: Needs, timeout: float) -> Offer:
        return Offer(facts=self.facts)

    def storage(self, needs: Needs, timeout: float) -> Offer:
        return Offer()

    def around(self, needs: Needs, target: str, timeout: float) -> Offer:
        assert target == "n3"
        return Offer(facts=self.told)


def leaving(hosts: Hosts, seconds: float = 285.0, way: Way | None = None) -> Outcome:
    near = hosts.near
    way = way or Way("qemu+tcp://n3/system", ("LIVE", "PEER2PEER", "UNSAFE"))
    world, deadline = near.world(), near.deadline(seconds)
    return domain_migration.migrate_to(world, hosts, hosts, deadline, "n3", way, hosts.prepare)


def test_a_migration_is_done_when_the_emulator_is_gone() -> None:
    host = Host(obedient())
    host.kept["web1"] = Record(UUID, "web1", 100, 1000)
    hosts = Hosts(host)
    outcome = leaving(hosts)
    assert outcome.code == codes.SUCCESS
    assert "where it is running" in outcome.reason
    assert host.deeds == ["migrate LIVE PEER2PEER UNSAFE", "migrate"]
    assert host.kept == {}
    assert hosts.abandoned


def test_a_guest_that_left_and_is_not_there_is_no_success() -> None:
    hosts = Hosts(Host(obedient()))
    hosts.afterwards = Standing(GONE)
    outcome = leaving(hosts)
    assert outcome.code == codes.GENERIC
    assert "does not run" in outcome.reason


@pytest.mark.parametrize("kind", [libvirt.HUNG, libvirt.REFUSED, libvirt.ERROR])
def test_a_guest_that_left_need_not_be_confirmed_by_its_target(kind: str) -> None:
    hosts = Hosts(Host(obedient()))
    hosts.afterwards = Standing(Answer(kind))
    assert leaving(hosts).code == codes.SUCCESS


def test_an_emulator_with_much_memory_to_free_may_take_its_time_to_end() -> None:
    host = Host(obedient(migrate=20.0))
    assert leaving(Hosts(host)).code == codes.SUCCESS
    assert host.now < 1030


def test_a_migration_after_which_the_emulator_is_still_here_failed() -> None:
    outcome = leaving(Hosts(Host(obedient(migrate=NEVER))))
    assert outcome.code == codes.GENERIC
    assert "still here" in outcome.reason


def test_a_refused_migration_says_why_and_what_runs_where() -> None:
    outcome = leaving(Hosts(Host(obedient()), "unable to connect to server at 'n3:49152'"))
    assert outcome.code == codes.GENERIC
    assert "n3:49152" in outcome.reason
    assert "it goes on on n2, and nothing of it is on n3" in outcome.reason


def test_a_slow_migration_is_cancelled_before_the_deadline() -> None:
    host = Host(obedient())
    outcome = leaving(Hosts(host, "slow"))
    assert outcome.code == codes.GENERIC
    assert "took too long and was cancelled" in outcome.reason
    assert host.deeds[-1] == "cancel"
    assert 1260 < host.now < 1285


def test_a_migration_that_stands_still_is_called_so() -> None:
    hosts = Hosts(Host(obedient()), "slow")
    hosts.counts = {"total": 100 * MIB, "remaining": 60 * MIB}
    outcome = leaving(hosts)
    assert "stood still" in outcome.reason
    assert "60 MiB left" in outcome.reason


@pytest.mark.parametrize("libvirt_says_so", [True, False])
def test_a_migration_that_comes_in_while_it_is_cancelled_is_a_success(libvirt_says_so: bool) -> None:
    host = Host(obedient())

    class LastMoment(Hosts):
        def wait(self, timeout: float) -> Answer | None:
            if "cancel" in host.deeds:
                Daemon(host).act("migrate", UUID)
                return GONE if libvirt_says_so else None
            return super().wait(timeout)

    # its emulator still ends when the answer comes: that takes longer than a cancelled one is waited for
    host.guests[0].ends["migrate"] = 2.0
    assert leaving(LastMoment(host, "slow")).code == codes.SUCCESS


def test_what_does_not_run_is_not_migrated() -> None:
    host = Host()
    assert leaving(Hosts(host)).code == codes.GENERIC
    assert host.deeds == []


@pytest.mark.parametrize("libvirtd", ["dead", "hung"])
def test_without_libvirtd_here_a_migration_is_not_tried(libvirtd: str) -> None:
    host = Host(obedient(), libvirtd=libvirtd)
    outcome = leaving(Hosts(host))
    assert outcome.code == codes.GENERIC
    assert "libvirt here does not answer" in outcome.reason
    assert host.deeds == []
    assert host.now <= 1010


@pytest.mark.parametrize("kind", [libvirt.HUNG, libvirt.REFUSED])
def test_a_target_whose_libvirt_cannot_be_reached_is_refused(kind: str) -> None:
    host = Host(obedient())
    outcome = leaving(Hosts(host, there=Standing(Answer(kind, text="no route"))))
    assert outcome.code == codes.GENERIC
    assert "it goes on here: libvirt on n3 does not answer (no route)" in outcome.reason
    assert host.deeds == []
    assert host.now <= 1010


def test_the_limits_reach_libvirt() -> None:
    host = Host(obedient())
    assert leaving(Hosts(host), way=Way("x", ("LIVE",), {"bandwidth": 7}, 500)).code == codes.SUCCESS
    assert host.deeds == ["downtime 500", "migrate LIVE 7", "migrate"]


# ---- a job of an agent that was killed


def test_a_migration_that_nobody_follows_is_cancelled_first() -> None:
    host = Host(obedient())
    hosts = Hosts(host)
    hosts.job = OUTGOING

    class Cancelled(Daemon):
        def cancel(self, uuid: str, timeout: float) -> Answer:
            hosts.job = NO_JOB
            host.deeds.append("cancel")
            return host.known

    world = host.world()
    world.libvirt = Cancelled(host)
    hosts.way_out = "refused"  # the fake ends a cancelled one, so let it be one that libvirt refuses
    way = Way("qemu+tcp://n3/system")
    outcome = domain_migration.migrate_to(world, hosts, hosts, host.deadline(285), "n3", way, hosts.prepare)
    assert host.deeds == ["cancel", "migrate LIVE PEER2PEER"]
    assert "nobody waits for that" in host.warnings[0]
    assert outcome.code == codes.GENERIC


def test_one_that_cannot_be_cancelled_is_not_migrated_beside() -> None:
    host = Host(obedient())
    hosts = Hosts(host)
    hosts.job = OUTGOING
    outcome = leaving(hosts)
    assert outcome.code == codes.GENERIC
    assert host.deeds == ["cancel"]
    assert "being migrated already" in outcome.reason


def test_one_in_post_copy_is_followed_to_its_end() -> None:
    host = Host(obedient())
    host.known = known("paused", "postcopy")
    host.guests[0].end = 1020.0
    hosts = Hosts(host)
    hosts.job = OUTGOING
    outcome = leaving(hosts, seconds=60)
    assert host.deeds == []
    assert outcome.code == codes.SUCCESS
    assert 1020 <= host.now < 1030


# ---- leftovers


def test_a_proven_leftover_is_removed_before() -> None:
    host = Host(obedient())
    assert leaving(Hosts(host, there=REST)).code == codes.SUCCESS
    assert host.deeds[0] == "remove there"


def test_a_leftover_that_stays_is_a_refusal() -> None:
    host = Host(obedient())
    hosts = Hosts(host, there=REST)
    hosts.removable = False
    outcome = leaving(hosts)
    assert "cannot be removed" in outcome.reason
    assert host.deeds == ["remove there"]


def test_a_leftover_is_removed_after_a_failure() -> None:
    host = Host(obedient())

    class Failing(Hosts):
        def wait(self, timeout: float) -> Answer | None:
            self.far = REST
            return super().wait(timeout)

    outcome = leaving(Failing(host, "lost connection"))
    assert host.deeds[-1] == "remove there"
    assert "its rest on n3 was removed" in outcome.reason


# ---- post-copy

POSTCOPY = Way("x", ("LIVE", "POSTCOPY"))


def test_post_copy_is_chosen_when_the_rest_will_not_be_there_in_time() -> None:
    host = Host(obedient())
    hosts = Hosts(host, "slow")
    hosts.counts = {"total": 100 * MIB, "remaining": 60 * MIB, "rate": MIB, "dirty": 9 * MIB, "passes": 2}
    assert leaving(hosts, way=POSTCOPY).code == codes.SUCCESS
    assert host.deeds == ["migrate LIVE POSTCOPY", "switch", "migrate"]
    assert host.now < 1010
    assert "post-copy" in host.warnings[0]


def test_without_post_copy_it_is_cancelled_then() -> None:
    host = Host(obedient())
    hosts = Hosts(host, "slow")
    hosts.postcopy_works = False
    hosts.counts = {"total": 100 * MIB, "remaining": 60 * MIB, "passes": 2}
    outcome = leaving(hosts, way=POSTCOPY)
    assert outcome.code == codes.GENERIC
    assert host.deeds == ["migrate LIVE POSTCOPY", "switch", "cancel"]


def test_a_failed_post_copy_is_said_and_nothing_is_done_about_it() -> None:
    host = Host(obedient())

    class Failing(Hosts):
        def wait(self, timeout: float) -> Answer | None:
            host.known = known("paused", "postcopy-failed")
            self.far = Standing(known("paused", "postcopy-failed"))
            return super().wait(timeout)

    outcome = leaving(Failing(host, "lost connection"))
    assert outcome.code == codes.GENERIC
    assert "split over n2 and n3" in outcome.reason
    assert host.deeds == ["migrate LIVE PEER2PEER UNSAFE"]


def test_a_post_copy_that_does_not_end_in_time_is_not_cancelled() -> None:
    host = Host(obedient())
    hosts = Hosts(host, "slow")
    host.known = known("paused", "postcopy")
    hosts.job = OUTGOING
    outcome = leaving(hosts, seconds=60)
    assert outcome.code == codes.GENERIC
    assert "cancel" not in host.deeds
    assert "split over n2 and n3 (postcopy)" in outcome.reason
    assert 1050 < host.now < 1060


@pytest.mark.parametrize(
    ("here", "there", "removed", "words"),
    [
        (known(), GONE, False, "it goes on on n2, and nothing of it is on n3"),
        (known(), known("shutoff"), False, "nothing of it is on n3"),
        (known(), GONE, True, "its rest on n3 was removed"),
        (known(), known(), False, "and on n3 it is running"),
        (known(), known("paused", "migration"), False, "and on n3 it is paused migration"),
        (known(), Answer(libvirt.HUNG, text="no answer"), False, "is not known (no answer)"),
        (known("paused", "migration"), GONE, False, "it is paused on n2 (migration)"),
        (known("paused", "postcopy-failed"), known(), False, "split over n2 and n3"),
        (Answer(libvirt.HUNG, text="no answer"), GONE, False, "libvirt on n2 does not say how it is"),
    ],
)
def test_whereabouts(here: Answer, there: Answer, removed: bool, words: str) -> None:
    assert words in whereabouts(Standing(here), Standing(there), "n2", "n3", removed)
