# SPDX-License-Identifier: GPL-2.0-or-later
"""Migrating a domain: gone here, running there, cancelled in time."""

from __future__ import annotations

import pytest

from backstay.agents import domain_migration
from backstay.host import libvirt
from backstay.host.libvirt import Answer
from backstay.host.records import Record
from backstay.ocf import codes
from backstay.ocf.outcome import Outcome
from tests.unit.agents.domain_host import NEVER, UUID, Host, obedient


def leaving(host: Host, seconds: float = 285.0, options: str = "--unsafe") -> Outcome:
    return domain_migration.migrate_to(
        host.world(), host.deadline(seconds), "n3", "qemu+tcp://n3/system", options
    )


def test_a_migration_is_done_when_the_emulator_is_gone() -> None:
    host = Host(obedient())
    host.kept["web1"] = Record(UUID, "web1", 100, 1000)
    assert leaving(host).code == codes.SUCCESS
    assert host.deeds == ["migrate to qemu+tcp://n3/system LIVE,PEER2PEER,UNSAFE", "migrate"]
    assert host.kept == {}


def test_an_emulator_with_much_memory_to_free_may_take_its_time_to_end() -> None:
    host = Host(obedient(migrate=20.0))
    assert leaving(host).code == codes.SUCCESS
    assert host.now < 1030


def test_a_migration_after_which_the_emulator_is_still_here_failed() -> None:
    outcome = leaving(Host(obedient(migrate=NEVER)))
    assert outcome.code == codes.GENERIC
    assert "still here" in outcome.reason


def test_a_refused_migration_says_why() -> None:
    host = Host(obedient())
    host.migrates = "unable to connect to server at 'n3:16509'"
    outcome = leaving(host)
    assert outcome.code == codes.GENERIC
    assert "n3:16509" in outcome.reason


def test_a_slow_migration_is_cancelled_before_the_deadline() -> None:
    host = Host(obedient())
    host.migrates = "slow"
    outcome = leaving(host)
    assert outcome.code == codes.GENERIC
    assert host.deeds[-1] == "cancel"
    assert host.now < 1285


def test_what_does_not_run_is_not_migrated() -> None:
    host = Host()
    assert leaving(host).code == codes.GENERIC
    assert host.deeds == []


@pytest.mark.parametrize(
    ("guests", "libvirtd", "known", "code"),
    [
        (1, "well", Answer(libvirt.KNOWN, state="running", uuid=UUID, name="web1"), codes.SUCCESS),
        (
            1,
            "well",
            Answer(libvirt.KNOWN, state="paused", reason="user", uuid=UUID, name="web1"),
            codes.SUCCESS,
        ),
        (
            1,
            "well",
            Answer(libvirt.KNOWN, state="paused", reason="migration", uuid=UUID, name="web1"),
            codes.GENERIC,
        ),
        (1, "well", Answer(libvirt.ABSENT), codes.GENERIC),
        (1, "dead", Answer(libvirt.ABSENT), codes.SUCCESS),
        (1, "hung", Answer(libvirt.ABSENT), codes.SUCCESS),
        (0, "well", Answer(libvirt.ABSENT), codes.GENERIC),
        (0, "dead", Answer(libvirt.ABSENT), codes.GENERIC),
    ],
)
def test_arrival(guests: int, libvirtd: str, known: Answer, code: int) -> None:
    host = Host(*[obedient()] * guests, libvirtd=libvirtd)
    host.known = known
    outcome = domain_migration.migrate_from(host.world(), host.deadline(55), "n1")
    assert outcome.code == code
    assert (host.kept != {}) == (code == codes.SUCCESS)
    assert host.now <= 1056


@pytest.mark.parametrize(
    ("hypervisor", "transport", "expected"),
    [
        ("qemu:///system", "", "qemu://n3/system"),
        ("qemu:///system", "ssh", "qemu+ssh://n3/system"),
        ("qemu:///session", "tcp", "qemu+tcp://n3/session"),
        ("qemu:///system?socket=/x", "tls", "qemu+tls://n3/system"),
    ],
)
def test_destination(hypervisor: str, transport: str, expected: str) -> None:
    assert domain_migration.destination(hypervisor, transport, "n3") == expected


def test_migrate_options() -> None:
    flags, settings = domain_migration.options("--live --p2p --unsafe --bandwidth=100 --migrateuri tcp://n3")
    assert flags == ("LIVE", "PEER2PEER", "UNSAFE")
    assert settings == {"bandwidth": 100, "migrate_uri": "tcp://n3"}


@pytest.mark.parametrize("given", ["--persistent", "unsafe", "--bandwidth", "--bandwidth=much"])
def test_migrate_options_that_mean_nothing_are_refused(given: str) -> None:
    with pytest.raises(ValueError, match="must"):
        domain_migration.options(given)


@pytest.mark.parametrize("libvirtd", ["dead", "hung"])
def test_without_libvirtd_here_a_migration_is_not_tried(libvirtd: str) -> None:
    host = Host(obedient(), libvirtd=libvirtd)
    outcome = leaving(host)
    assert outcome.code == codes.GENERIC
    assert "on n2 does not answer" in outcome.reason
    assert host.deeds == []
    assert host.now <= 1010


class Peer(Host):
    """The other host, on the clock of this one."""

    def __init__(self, near: Host, libvirtd: str) -> None:
        super().__init__(libvirtd=libvirtd)
        near.other = self


def test_a_target_that_hangs_is_not_waited_for() -> None:
    host = Host(obedient())
    Peer(host, "hung")
    outcome = leaving(host)
    assert outcome.code == codes.GENERIC
    assert "qemu+tcp://n3/system does not answer" in outcome.reason
    assert host.deeds == []


def test_a_target_that_refuses_this_process_is_left_to_libvirt() -> None:
    host = Host(obedient())
    Peer(host, "dead")
    assert leaving(host).code == codes.SUCCESS
