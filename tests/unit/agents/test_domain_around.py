# SPDX-License-Identifier: GPL-2.0-or-later
"""Limits that cannot be set, and networks that do not start: said, tried again, and never a guest's end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from backstay.agents import domain_around
from backstay.agents.domain_limits import Wanted
from backstay.agents.domain_resources import needed, start_needed
from backstay.host import libvirt
from backstay.ocf import codes
from backstay.ocf.outcome import Outcome, degraded, failed, running
from tests.unit.agents.domain_host import Host, obedient

XML = "<domain>{}<devices><disk><target dev='vda'/></disk></devices></domain>"
RECORD = "<metadata><b:limits xmlns:b='urn:backstay:limits' applied='{}'/></metadata>"
NAME = "domain-web1.limits"


class Limits:
    """libvirt's side of limits: what it says, and what was asked of it."""

    def __init__(self, said: str = "", kind: str = libvirt.KNOWN, applied: str = "") -> None:
        self.said, self.kind, self.applied = said, kind, applied
        self.calls: list[tuple[str, str, dict[str, int]]] = []
        self.written: str | None = None

    def look(self, uuid: str, timeout: float) -> dict[str, Any]:
        if self.kind == libvirt.REFUSED:
            return {"kind": self.kind, "text": "nobody listens"}
        xml = XML.format(RECORD.format(self.applied) if self.applied else "")
        return {"kind": libvirt.KNOWN, "xml": xml, "shares": 0}

    def apply(
        self, uuid: str, calls: Sequence[tuple[str, str, dict[str, int]]], timeout: float
    ) -> dict[str, Any]:
        self.calls += calls
        if self.kind == libvirt.HUNG:
            return {"kind": self.kind, "text": "no answer"}
        return {"kind": libvirt.KNOWN, "said": [self.said for _call in calls]}

    def write(self, uuid: str, record: str, namespace: str, timeout: float) -> dict[str, Any]:
        self.written = record
        return {"kind": libvirt.KNOWN}


DISK = Wanted(limit_disk="1MB/s")


def reload(host: Host, limits: Limits, wanted: Wanted = DISK) -> Outcome:
    return domain_around.reload(host.world(), limits, wanted, host.deadline(18))


def test_what_was_set_is_written_down_and_nothing_is_remembered() -> None:
    host, limits = Host(obedient()), Limits()
    host.texts[NAME] = "1.0 an old trouble"
    assert reload(host, limits).code == codes.SUCCESS
    assert limits.written == "disk:vda:bytes_sec=0"
    assert host.texts == {}


@pytest.mark.parametrize(
    "limits",
    [Limits("not supported"), Limits(kind=libvirt.REFUSED), Limits(kind=libvirt.HUNG)],
    ids=["refused by libvirt", "nobody listens", "hung"],
)
def test_a_reload_never_fails_and_leaves_its_trouble_to_the_monitor(limits: Limits) -> None:
    host = Host(obedient())
    assert reload(host, limits).code == codes.SUCCESS
    assert host.texts[NAME].partition(" ")[2]
    assert host.warnings


def test_what_may_have_been_set_counts_as_set() -> None:
    limits = Limits(kind=libvirt.HUNG)
    reload(Host(obedient()), limits)
    assert limits.written == "disk:vda:bytes_sec=0"


class Killed(BaseException):
    """The agent was killed."""


def test_what_a_killed_agent_may_have_set_can_be_lifted(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits()

    def killed(*_given: object) -> dict[str, Any]:
        raise Killed

    monkeypatch.setattr(limits, "apply", killed)
    with pytest.raises(Killed):
        reload(Host(obedient()), limits)
    assert limits.written == "disk:vda:bytes_sec=0"


def test_a_limit_that_could_not_be_lifted_stays_written_down() -> None:
    limits = Limits("not now", applied="disk:vda:bytes_sec=0")
    reload(Host(obedient()), limits, Wanted())
    assert limits.written == "disk:vda:bytes_sec=0"


def test_a_record_that_makes_no_sense_is_a_trouble_and_nothing_more() -> None:
    """A start or an arrival that failed for it would end a guest that runs."""
    host = Host(obedient())
    trouble = domain_around.limit(
        host.world(), Limits(applied="disk:vda:bytes_sec=--5"), DISK, host.deadline(18)
    )
    assert "cannot be understood" in trouble


def test_a_guest_without_limits_costs_one_question() -> None:
    limits = Limits()
    assert reload(Host(obedient()), limits, Wanted()).code == codes.SUCCESS
    assert limits.calls == []
    assert limits.written is None


def test_a_guest_that_does_not_run_has_nothing_to_limit() -> None:
    limits = Limits()
    assert reload(Host(), limits).code == codes.SUCCESS
    assert limits.calls == []


@pytest.mark.parametrize(
    ("outcome", "ago", "limits", "code", "tries"),
    [
        (running("well"), 10.0, Limits("no"), codes.DEGRADED, 0),
        (running("well"), 61.0, Limits("no"), codes.DEGRADED, 1),
        (running("well"), 61.0, Limits(), codes.SUCCESS, 1),
        (degraded("paused"), 61.0, Limits(), codes.DEGRADED, 0),
        (failed("crashed"), 61.0, Limits(), codes.GENERIC, 0),
    ],
)
def test_a_monitor_tries_again_now_and_then(
    outcome: Outcome, ago: float, limits: Limits, code: int, tries: int
) -> None:
    host = Host(obedient())
    before = f"{host.now - ago} not supported"
    said = domain_around.with_limits(host.world(), limits, DISK, outcome, before, host.deadline(27))
    assert said.code == code
    assert len(limits.calls) == tries
    if code == codes.DEGRADED:
        assert "not all limits of web1 are set" in said.reason
    assert outcome.reason in said.reason or outcome.code == codes.SUCCESS


# ---- networks and pools

DEFINITION = b"""<domain><devices>
<interface type='network'><source network='default'/></interface>
<interface type='network'><source network='default'/></interface>
<interface type='bridge'><source bridge='br0'/></interface>
<disk type='volume'><source pool='store' volume='x'/></disk><disk type='file'><source file='/x'/></disk>
</devices></domain>"""


def test_what_a_definition_needs() -> None:
    assert needed(DEFINITION) == (("network", "default"), ("pool", "store"))
    assert needed(b"<domain") == ()


def test_each_is_started_and_a_trouble_is_only_said() -> None:
    asked: list[tuple[str, str]] = []

    class Resources:
        def start(self, kind: str, name: str, timeout: float) -> str:
            asked.append((kind, name))
            return "active" if kind == "network" else "it hangs"

    host = Host()
    start_needed(host.world(), Resources(), DEFINITION, host.deadline(10), "n2")
    assert asked == [("network", "default"), ("pool", "store")]
    assert host.warnings == ["the pool store could not be started on n2: it hangs"]
    host.warnings.clear()
    start_needed(host.world(), Resources(), DEFINITION, host.deadline(0), "n2")
    assert host.warnings == ["there was no time to look at network default, pool store on n2"]
