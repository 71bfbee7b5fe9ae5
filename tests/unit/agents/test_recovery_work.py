# SPDX-License-Identifier: GPL-2.0-or-later
"""What the role's monitor and the service that it starts do about hosts that died, came back or left."""

from __future__ import annotations

from typing import Any

import pytest

from backstay.agents import frontend
from backstay.agents import frontend_ganeti as ganeti
from backstay.agents.frontend_declared import parse
from backstay.agents.recovery import GIVE_BACK, HOLD, RECOVER, decide
from backstay.agents.recovery_seen import hosts, looked
from backstay.agents.recovery_watch import decisions
from backstay.agents.recovery_worker import work
from backstay.errors import CannotAsk
from backstay.host.recoveries import Event, Node, Seen
from backstay.ocf import codes
from tests.unit.agents.frontend_fake import FakeHost, act
from tests.unit.agents.libvirtd_fake import Said

PROFILE = """units = ["manager"]
[recover]
commands = [["/bin/recover", "{host}", "{fenced}"]]
[give_back]
commands = [["/bin/give-back", "{host}"]]
"""
WELL = {"backstay-libvirtd": "healthy"}
NOTED = "0 fenced seen"  # the record of a host that was on line before


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    made = FakeHost()
    made.text = PROFILE
    monkeypatch.setattr(frontend, "Host", lambda name: made)
    return made


def node(name: str, online: bool = True, unclean: bool = False, **attributes: str) -> Node:
    made = Node(name, online, unclean)
    made.attributes = {key.replace("_", "-"): value for key, value in attributes.items()}
    return made


def seen(host: FakeHost, *nodes: Node, events: tuple[Event, ...] = ()) -> None:
    host.seen = Seen(nodes, events)


def fenced(when: int = 1000, status: str = "success", **more: Any) -> tuple[Event, ...]:
    return (Event("n1", status, when, **more),)


def works(host: FakeHost) -> bool:
    host.records_ = {"n1": NOTED, **host.records_}
    host.did.clear()
    host.memory["-units"] = "manager.service"
    return work(host, parse("mine", PROFILE), Said())  # type: ignore[arg-type]


def test_the_monitor_starts_the_work_and_says_it(host: FakeHost) -> None:
    seen(host, node("n1"), node("n2"))
    host.records_ = {"n1": "0 fenced seen", "n2": "0 fenced seen"}
    act(host, "start")
    assert act(host, "monitor").code == codes.SUCCESS
    assert not [deed for deed in host.did if "launch" in deed or "recovery" in deed]
    seen(host, node("n1", online=False), node("n2"), events=fenced())
    host.did.clear()
    assert act(host, "monitor").code == codes.SUCCESS
    assert host.did[-2:] == ["launch mine", "recovery: n1 is recovered: its fencing is confirmed"]
    host.memory["-recovery"] = "n1: 2 machines"
    act(host, "monitor")
    assert host.did[-1] == "recovery: n1 is recovered: its fencing is confirmed (n1: 2 machines)"
    host.records_["n1"] = "1000 fenced done"
    host.memory["-recovery"] = ""
    host.did.clear()
    act(host, "monitor")
    act(host, "monitor")
    assert host.did == ["recovery: "]


def test_a_role_that_ran_before_it_was_a_resource_recovers_as_well(host: FakeHost) -> None:
    """Pacemaker starts nothing that its probe found running."""
    host.states["manager.service"] = "active"
    assert act(host, "monitor", probe=True).code == codes.SUCCESS
    assert not host.memory.get("-units")
    seen(host, node("n1"), node("n2"))
    assert act(host, "monitor").code == codes.SUCCESS
    assert work(host, parse("mine", PROFILE), Said())  # type: ignore[arg-type]
    assert host.records_ == {"n1": "0 fenced seen", "n2": "0 fenced seen"}
    assert act(host, "stop").code == codes.SUCCESS
    assert not host.memory["-units"]


def test_a_host_that_is_not_proven_dead_is_said_and_nothing_is_started(host: FakeHost) -> None:
    seen(
        host, node("n1", online=False, unclean=True), node("n2"), events=fenced(5, "failed", reason="refused")
    )
    host.records_ = {"n1": "0 fenced seen", "n2": "0 fenced seen"}
    act(host, "start")
    host.did.clear()
    act(host, "monitor")
    (said,) = host.did
    assert said.startswith("recovery: n1 is not proven to be dead, its fencing failed (refused)")


def test_a_cluster_that_does_not_answer_starts_nothing(host: FakeHost) -> None:
    act(host, "start")
    host.blind = True
    host.did.clear()
    assert act(host, "monitor").code == codes.SUCCESS
    (said,) = host.did
    assert said == "recovery: whether a host has to be recovered is not known: the cluster does not answer"


def test_a_profile_without_recovery_asks_nothing(host: FakeHost) -> None:
    host.text = 'units = ["manager"]'
    host.blind = True
    act(host, "start")
    host.did.clear()
    act(host, "monitor")
    assert host.did == []


def test_the_role_does_not_leave_before_what_recovers_has_ended(host: FakeHost) -> None:
    act(host, "start")
    unit = host.recovery_unit
    host.states[unit] = "active"
    host.did.clear()
    assert act(host, "stop").code == codes.SUCCESS
    assert host.did[:2] == [f"stop {unit}", "stop manager.service"]
    act(host, "start")
    host.states[unit] = "active"
    host.stubborn = {unit}
    assert act(host, "stop").code == codes.SUCCESS
    assert f"kill {unit}" in host.did
    host.states["manager.service"] = host.states[unit] = "active"
    host.immortal = {unit}
    outcome = act(host, "stop")
    assert (outcome.code, "is not proven to have ended" in outcome.reason) == (codes.GENERIC, True)
    assert host.states["manager.service"] == "active"


@pytest.mark.parametrize("text", ['units = ["manager"]', "not toml", None])
def test_what_recovers_ends_with_the_role_whatever_became_of_its_profile(
    host: FakeHost, text: str | None
) -> None:
    act(host, "start")
    unit = host.recovery_unit
    host.states[unit] = "active"
    host.text = text
    assert act(host, "stop").code == codes.SUCCESS
    assert host.states[unit] == "inactive"


def test_the_service_begins_in_writing_and_ends_in_writing(host: FakeHost) -> None:
    seen(host, node("n1", online=False), node("n2"), events=fenced())
    assert works(host)
    assert host.did == [
        "keep n1: 1000 fenced begun n1", "/bin/recover", "keep n1: 1000 fenced done n1", "keep n2: 0 fenced seen",
    ]  # fmt: skip
    assert works(host)
    assert host.did == []


def test_what_fails_is_kept_as_begun_and_said(host: FakeHost) -> None:
    seen(host, node("n1", online=False), node("n2"), events=fenced())
    host.bad_commands = {"/bin/recover"}
    assert not works(host)
    assert host.records_ == {"n1": "1000 fenced begun n1", "n2": "0 fenced seen"}
    assert "exit code 1" in host.memory["-recovery"]
    # whoever has the role next goes on, also without the fencer's memory
    seen(host, node("n1", online=False), node("n2"))
    host.bad_commands = set()
    assert works(host)
    assert host.records_["n1"] == "1000 fenced done n1"
    assert host.memory["-recovery"] == ""


def test_a_human_is_marked_as_such(host: FakeHost) -> None:
    seen(host, node("n1", online=False), events=fenced(human=True))
    works(host)
    assert host.records_ == {"n1": "1000 human done n1"}


def test_without_the_role_nothing_is_done(host: FakeHost) -> None:
    seen(host, node("n1", online=False), events=fenced())
    host.memory["-units"] = ""
    host.did.clear()
    assert work(host, parse("mine", PROFILE), Said())  # type: ignore[arg-type]
    assert host.did == []


@pytest.mark.parametrize(
    ("attributes", "notes", "why"),
    [
        ({}, {"n1": "-"}, "no agent says that its libvirtd is healthy"),
        ({"backstay_libvirtd": "broken:hung"}, {"n1": "-"}, "its libvirtd is broken:hung"),
        (
            {"backstay_libvirtd": "healthy"},
            {},
            "nobody has looked for stray guests there yet, or whether one runs elsewhere is not answered",
        ),
        (
            {"backstay_libvirtd": "healthy"},
            {"n1": "4e09acbad478 ?4e09acbad478:100.1", "n2": "4e09acbad478"},
            "nobody has looked for stray guests there yet, or whether one runs elsewhere is not answered",
        ),
        (
            {"backstay_libvirtd": "healthy", "backstay_strays": "web runs twice"},
            {"n1": "-"},
            "web runs twice",
        ),
        ({"backstay_libvirtd": "healthy"}, {"n1": "-"}, ""),
    ],
)
def test_a_host_is_given_back_when_it_is_well(
    host: FakeHost, attributes: dict[str, str], notes: dict[str, str], why: str
) -> None:
    seen(host, node("n1", **attributes), events=fenced())
    host.records_ = {"n1": "1000 fenced done n2"}
    host.notes = notes
    assert works(host)
    if why:
        assert host.did == []
        (decision,) = (decide(each) for each in hosts(host.seen, looked(notes)))
        assert decision.verb == HOLD
        assert decision.said == f"n1 is back, but not given to the manager: {why}"
    else:
        assert host.did == ["/bin/give-back", "keep n1: 1000 fenced back"]


def test_a_manager_without_libvirt_takes_a_host_back_whatever_libvirt_is_there(host: FakeHost) -> None:
    """Ganeti runs its emulators itself: to libvirtd's agent each of them is a stray, and libvirtd may not be there."""
    seen(
        host,
        node("n1", backstay_libvirtd="broken", backstay_strays="inst1 runs outside of libvirt"),
        events=fenced(),
    )
    host.records_ = {"n1": "1000 fenced done n2"}
    (held,) = decisions(host, parse("mine", PROFILE))  # type: ignore[arg-type]
    assert held.verb == HOLD
    (given,) = decisions(host, ganeti.make(lambda path: ""))  # type: ignore[arg-type]
    assert given.verb == GIVE_BACK


@pytest.mark.parametrize(
    ("events", "verb"),
    [
        (fenced(), RECOVER),
        ((*fenced(), *fenced(900, "failed")), RECOVER),
        ((*fenced(900), *fenced(1000, "failed")), RECOVER),
        (fenced(0, "pending"), HOLD),
        (fenced(1000, "failed"), HOLD),
        ((), HOLD),
    ],
)
def test_which_fencing_counts(events: tuple[Event, ...], verb: str) -> None:
    gone = node("n1", online=False)
    gone.record = NOTED
    (found,) = hosts(Seen((gone,), events), ())
    assert decide(found).verb == verb


def test_a_later_failure_is_told_with_its_reason() -> None:
    events = (*fenced(900), *fenced(1000, "failed", reason="dead BMC"))
    (found,) = hosts(Seen((node("n1", online=False, unclean=True),), events), ())
    assert found.refusal == "dead BMC"
    (found,) = hosts(Seen((node("n1", online=False),), (*fenced(1000), *fenced(900, "failed"))), ())
    assert found.refusal == ""


def test_a_look_that_fails_is_not_an_empty_cluster(host: FakeHost) -> None:
    host.blind = True
    with pytest.raises(CannotAsk):
        works(host)
