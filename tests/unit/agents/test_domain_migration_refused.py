# SPDX-License-Identifier: GPL-2.0-or-later
"""A migration that something speaks against which the target does not have."""

from __future__ import annotations

import pytest

from backstay.host import libvirt
from backstay.host import libvirt_preflight as asked
from backstay.host.libvirt import Answer
from backstay.host.libvirt_migration import Standing
from backstay.host.libvirt_preflight import Fact
from backstay.ocf import codes
from tests.unit.agents.domain_host import UUID, Host, obedient
from tests.unit.agents.test_domain_migration import Hosts, leaving


def test_a_target_without_the_disks_share_is_refused_before_anything_is_sent() -> None:
    host = Host(obedient())
    hosts = Hosts(host)
    hosts.told = (Fact(asked.MOUNT, "/srv/vm/web1.raw", asked.ABSENT, "filer:/vms at /srv/vm"),)
    outcome = leaving(hosts)
    assert outcome.code == codes.GENERIC
    assert "n3 has not mounted filer:/vms at /srv/vm, where its disk /srv/vm/web1.raw lies" in outcome.reason
    assert "it goes on here" in outcome.reason
    assert host.deeds == []


@pytest.mark.parametrize("kind", [libvirt.HUNG, libvirt.REFUSED, libvirt.KNOWN])
def test_a_target_that_cannot_take_it_is_not_prepared(kind: str) -> None:
    """Networks and pools of a libvirt that hangs would take the time that the migration has."""
    hosts = Hosts(Host(obedient()), there=Standing(Answer(kind, state="running", uuid=UUID, name="web1")))
    assert leaving(hosts).code == codes.GENERIC
    assert hosts.prepared == 0


def test_a_target_is_prepared_once_and_before_it_is_asked_what_it_has() -> None:
    hosts = Hosts(Host(obedient()))
    hosts.facts = (Fact(asked.NETWORK, "lan", asked.ABSENT),)
    assert leaving(hosts).code == codes.GENERIC
    assert hosts.prepared == 1


def test_an_emulator_that_was_stopped_goes_on_before_it_is_sent() -> None:
    """libvirt would wait for it for ever in the middle of the migration."""
    guest = obedient()
    guest.state = "T"
    host = Host(guest)
    assert leaving(Hosts(host)).code == codes.SUCCESS
    assert host.deeds[0] == "cont"


def test_what_the_target_lacks_is_said_before_anything_is_sent() -> None:
    host = Host(obedient())
    hosts = Hosts(host)
    hosts.facts = (Fact(asked.NETWORK, "lan", asked.ABSENT),)
    outcome = leaving(hosts)
    assert outcome.code == codes.GENERIC
    assert "n3 has no libvirt network lan" in outcome.reason
    assert host.deeds == []


def test_a_doubt_about_the_target_is_said_and_the_guest_moves() -> None:
    host = Host(obedient())
    hosts = Hosts(host)
    hosts.facts = (Fact(asked.NETWORK, "lan", asked.UNKNOWN, "not supported"),)
    assert leaving(hosts).code == codes.SUCCESS
    assert "not supported" in host.warnings[0]
