# SPDX-License-Identifier: GPL-2.0-or-later
"""When a domain that another host sent has arrived."""

from __future__ import annotations

import pytest

from backstay.agents import domain_arrival
from backstay.host import libvirt
from backstay.host.libvirt import Answer
from backstay.ocf import codes
from tests.unit.agents.domain_host import UUID, Host, obedient


def known(state: str, reason: str = "") -> Answer:
    return Answer(libvirt.KNOWN, state=state, reason=reason, uuid=UUID, name="web1")


@pytest.mark.parametrize(
    ("guests", "libvirtd", "answer", "code"),
    [
        (1, "well", known("running"), codes.SUCCESS),
        (1, "well", known("running", "postcopy"), codes.SUCCESS),
        (1, "well", known("paused", "user"), codes.SUCCESS),
        (1, "well", known("paused", "migration"), codes.GENERIC),
        (1, "well", known("paused", "postcopy-failed"), codes.GENERIC),
        (1, "well", Answer(libvirt.ABSENT), codes.GENERIC),
        (1, "dead", Answer(libvirt.ABSENT), codes.SUCCESS),
        (1, "hung", Answer(libvirt.ABSENT), codes.SUCCESS),
        (0, "well", Answer(libvirt.ABSENT), codes.GENERIC),
        (0, "dead", Answer(libvirt.ABSENT), codes.GENERIC),
    ],
)
def test_arrival(guests: int, libvirtd: str, answer: Answer, code: int) -> None:
    host = Host(*[obedient()] * guests, libvirtd=libvirtd)
    host.known = answer
    outcome = domain_arrival.migrate_from(host.world(), host.deadline(55), "n1")
    assert outcome.code == code
    assert (host.kept != {}) == (code == codes.SUCCESS)
    assert host.now <= 1056
    assert host.deeds == []


def test_what_stays_paused_is_said_and_not_touched() -> None:
    host = Host(obedient())
    host.known = known("paused", "migration")
    outcome = domain_arrival.migrate_from(host.world(), host.deadline(55), "n1")
    assert "paused migration here" in outcome.reason
    assert "virsh resume" in outcome.reason
