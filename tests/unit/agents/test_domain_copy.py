# SPDX-License-Identifier: GPL-2.0-or-later
"""A domain whose config cannot be read: this host's copy says who it is."""

from __future__ import annotations

import pytest

from backstay.agents import domain, domain_start, domain_stop
from backstay.agents.domain_world import survey
from backstay.host.records import Record
from backstay.ocf import codes
from tests.unit.agents.domain_host import OTHER, UUID, XML, Guest, Host, obedient

HALF = b"<domain><name>web1"


@pytest.mark.parametrize("xml", [None, HALF])
def test_the_copy_says_who_runs_while_the_config_cannot_be_used(xml: bytes | None) -> None:
    host = Host(obedient(), xml=xml)
    host.copy = XML
    assert domain.look(host.world(), host.deadline(27)).code == codes.SUCCESS
    host.kept.clear()
    assert domain_stop.stop(host.world(), host.deadline(100), False).code == codes.SUCCESS
    assert host.deeds == ["acpi"]


def test_a_stranger_is_not_taken_for_the_domain_of_the_copy() -> None:
    host = Host(Guest(100, OTHER, "db1"), xml=None)
    host.copy = XML
    assert domain.look(host.world(), host.deadline(27)).code == codes.NOT_RUNNING


def test_a_config_that_can_be_read_wins_and_is_kept() -> None:
    host = Host(Guest(100, OTHER, "db1"), xml=XML.replace(UUID.encode(), OTHER.encode()))
    host.copy = XML
    seen = survey(host.world(), host.deadline(27))
    assert (seen.identity.uuid, seen.identity.copied) == (OTHER, False)
    assert host.copy == host.xml


def test_what_is_no_definition_is_not_kept() -> None:
    host = Host(xml=HALF)
    survey(host.world(), host.deadline(27))
    assert host.copy is None


def test_the_parameter_uuid_is_believed_before_the_copy() -> None:
    host = Host(Guest(100, OTHER, "db1"), xml=None)
    host.copy = XML
    seen = survey(host.world(uuid=OTHER), host.deadline(27))
    assert (seen.identity.uuid, seen.identity.contradiction, seen.identity.copied) == (OTHER, "", False)


def test_without_a_copy_nothing_changes_and_a_copy_that_cannot_be_kept_is_said() -> None:
    host = Host(obedient(), xml=None)
    assert domain.look(host.world(), host.deadline(27)).code == codes.GENERIC
    host.xml, host.copy_error = XML, "No space left on device"
    assert domain.look(host.world(), host.deadline(27)).code == codes.SUCCESS
    assert "No space left on device" in host.warnings[-1]


def test_a_healthy_monitor_touches_no_copy() -> None:
    host = Host(obedient())
    host.kept["web1"] = Record(UUID, "web1", 100, 1000)
    world = host.world()
    world.copies = lambda: pytest.fail("a healthy monitor has no business with copies")
    assert domain.watched(world, host.deadline(27))[2].code == codes.SUCCESS


def test_a_start_from_the_copy_needs_the_admins_word() -> None:
    host = Host(xml=None)
    host.copy = XML
    outcome = domain_start.start(host.world(), host.deadline(80), host.birth())
    assert outcome.code == codes.GENERIC
    assert "start_from_copy" in outcome.reason
    assert "2026-01-02" in outcome.reason
    assert host.deeds == []
    assert (
        domain_start.start(host.world(), host.deadline(80), host.birth(start_from_copy=True)).code
        == codes.SUCCESS
    )
    assert host.deeds == ["create", "resume"]
    assert any("2026-01-02" in warning and "copy" in warning for warning in host.warnings)
