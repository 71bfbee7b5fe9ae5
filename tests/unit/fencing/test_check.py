# SPDX-License-Identifier: GPL-2.0-or-later
"""One check as a whole: what is asked, in which order, and what a cell says about it. Nothing real is asked."""

from __future__ import annotations

import contextlib
import threading
import uuid
from dataclasses import replace

import pytest

from backstay.errors import CannotAsk
from backstay.fencing.asking import World
from backstay.fencing.check import check
from backstay.fencing.configuration import Device, Fencing
from backstay.fencing.finding import ERROR
from backstay.fencing.identity import Belongs, Identity
from backstay.fencing.readiness import OF_KIND, Answer, Cell, State, cell, changes, packed, unpacked, word
from backstay.fencing.surroundings import Corosync, Surroundings
from backstay.host.bmc import Kind, Power, Trouble
from tests.unit.fencing.test_redfish_rehearsal import Agent as RedfishAgent
from tests.unit.fencing.test_redfish_rehearsal import Faulty
from tests.unit.fencing.test_rehearsal import Agent, Bmc, Said

GUIDS = {host: uuid.uuid5(uuid.NAMESPACE_DNS, host).bytes for host in ("n1", "n2", "n3")}


def device(host: str, **more: str) -> Device:
    options = {"ip": f"bmc-{host}", "username": "fencer", "password": "p", "pcmk_host_list": host, **more}
    return Device(f"fence-{host}", "fence_backstay_ipmi", options, (host,), frozenset({host}), 120.0, 40.0)


WATCHED = {"have-watchdog": "true", "stonith-watchdog-timeout": "10s"}
FENCING = Fencing(tuple(GUIDS), tuple(map(device, GUIDS)), (), WATCHED)


class Real:
    """A real BMC: what it answers, and how often it was asked."""

    hinders: Trouble | str = ""
    closed = False

    def __init__(self, guid: bytes | Trouble, *answers: Power | Trouble) -> None:
        self.own = guid
        self.answers = list(answers) or [Power.ON]
        self.asked = 0

    def power(self, timeout: float) -> Power | Trouble:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def guid(self, timeout: float) -> bytes | Trouble:
        return self.own

    def hindrance(self, timeout: float) -> Trouble | str:
        return self.hinders

    def close(self) -> None:
        self.closed = True


class Agents(Agent):
    """The installed agents, with nothing kept beside the CIB."""

    def __init__(self, bmc: Bmc, broken: str = "") -> None:
        super().__init__(bmc, broken)
        self.https = Faulty()

    def run(self, agent, action, given, timeout) -> Said:
        if agent == "fence_backstay_redfish":
            return RedfishAgent(self.https, self.broken).run(agent, action, given, timeout)
        return super().run(agent, action, given, timeout)

    def with_secrets(self, device: str, parameters):
        return dict(parameters)

    def changed(self, agent: str) -> float:
        return 800.0


def world(bmcs: dict[str, Real] | None = None, broken: str = "", **more) -> World:
    real = {f"bmc-{host}": Real(guid) for host, guid in GUIDS.items()} | (bmcs or {})
    simulated = Bmc()
    agents = Agents(simulated, broken)

    @contextlib.contextmanager
    def simulator(agent: str, configured):
        yield agents.https if agent == "fence_backstay_redfish" else simulated

    return World(
        agents=agents,
        simulator=simulator,
        reach=lambda agent, values, device, notes: real[device.address],
        pause=lambda seconds: None,
        now=lambda: 1000.0,
        say=lambda text: None,
        **more,
    )


def states(report) -> dict[str, State]:
    return {each.target: each.state for each in report.cells}


def test_everything_is_ready_and_remembered():
    report = check(FENCING, "n1", world())
    assert set(states(report).values()) == {State.READY}
    assert (report.ready, report.findings) == (True, ())
    assert report.memory == {host: guid.hex() for host, guid in GUIDS.items()}
    assert {each.belongs for each in report.cells} == {Belongs.FIRST}


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.REFUSED])
def test_a_bmc_in_trouble_is_told_in_its_own_cell(kind):
    report = check(FENCING, "n1", world({"bmc-n2": Real(GUIDS["n2"], Trouble(kind, said="words"))}))
    assert states(report) == {"n1": State.READY, "n2": OF_KIND[kind], "n3": State.READY}
    assert not report.ready
    assert all(each.reason for each in report.cells if each.target == "n2")


def test_a_passing_trouble_is_asked_about_twice_and_a_lasting_one_once():
    for kind, times in ((Kind.SESSIONS, 2), (Kind.PASSWORD, 1)):
        bmc = Real(GUIDS["n2"], Trouble(kind))
        check(FENCING, "n1", world({"bmc-n2": bmc}))
        assert bmc.asked == times
    passed = check(FENCING, "n1", world({"bmc-n2": Real(GUIDS["n2"], Trouble(Kind.SESSIONS), Power.ON)}))
    assert passed.ready


def test_a_device_that_depends_on_a_rule_is_unproven_and_not_asked():
    depends = replace(device("n2"), ruled={"ip": "fence-n2-night", "plug": "fence-n2-night"})
    bmc = Real(GUIDS["n2"])
    report = check(
        replace(FENCING, devices=(device("n1"), depends, device("n3"))), "n1", world({"bmc-n2": bmc})
    )
    assert states(report) == {"n1": State.READY, "n2": State.UNPROVEN, "n3": State.READY}
    (reason,) = [each.reason for each in report.cells if each.target == "n2"]
    assert reason.startswith(
        "ip and plug depend on a rule (in fence-n2-night), so what it would do now is not known"
    )
    assert (bmc.asked, report.ready) == (0, False)


def test_a_bmc_is_left_as_it_was_found():
    bmcs = {"bmc-n1": Real(GUIDS["n1"]), "bmc-n2": Real(GUIDS["n2"], Trouble(Kind.PASSWORD))}
    check(FENCING, "n1", world(bmcs))
    assert [bmc.closed for bmc in bmcs.values()] == [True, True]


class Narrow(Real):
    """A BMC that notices two sessions at once."""

    def __init__(self, guid: bytes) -> None:
        super().__init__(guid)
        self.two = threading.Barrier(2, timeout=0.2)
        self.crowded = False

    def power(self, timeout: float) -> Power | Trouble:
        with contextlib.suppress(threading.BrokenBarrierError):
            self.two.wait()
            self.crowded = True
        return super().power(timeout)


def test_a_bmc_has_one_session_at_a_time():
    """BMCs have few: the second device that reaches one waits for the first."""
    second = replace(device("n1"), name="fence-n1-again")
    bmc = Narrow(GUIDS["n1"])
    report = check(replace(FENCING, devices=(device("n1"), second)), "n1", world({"bmc-n1": bmc}))
    assert len(report.cells) == bmc.asked == 2
    assert not bmc.crowded


def redfish(host: str) -> Device:
    given = device(host)
    return replace(given, name=f"redfish-{host}", agent="fence_backstay_redfish")


def test_an_account_that_may_not_switch_is_told_with_its_role():
    bmc = Real(GUIDS["n2"])
    bmc.hinders = Trouble(Kind.ROLE, None, "its role ReadOnly has no right to")
    report = check(replace(FENCING, devices=(redfish("n2"),)), "n1", world({"bmc-n2": bmc}))
    assert states(report) == {"n2": State.ROLE}
    assert "may not switch the power off (its role ReadOnly has no right to)" in report.cells[0].reason


def test_a_role_that_is_not_shown_is_a_note():
    bmc = Real(GUIDS["n2"])
    bmc.hinders = "its role is not known"
    report = check(replace(FENCING, devices=(redfish("n2"),)), "n1", world({"bmc-n2": bmc}))
    assert (states(report), report.cells[0].note) == ({"n2": State.READY}, "its role is not known")


def test_settings_of_redfish_that_cannot_work_are_told_without_asking():
    plain = replace(redfish("n1"), options={**redfish("n1").options, "ssl": "0"})
    report = check(replace(FENCING, devices=(plain,)), "n1", world())
    assert (states(report), "ssl=0" in report.cells[0].reason) == ({"n1": State.SETTINGS}, True)


def test_a_machine_may_have_another_guid_by_redfish_than_by_ipmi():
    others = {f"bmc-{host}": Real(guid[::-1]) for host, guid in GUIDS.items()}
    both = replace(FENCING, devices=tuple(map(redfish, GUIDS)))
    memory = {host: uuid.uuid5(uuid.NAMESPACE_URL, host).hex for host in GUIDS}
    first = check(both, "n1", world(others, remembered=memory))
    assert {each.belongs for each in first.cells} == {Belongs.FIRST}
    assert first.memory == memory | {f"redfish:{host}": guid[::-1].hex() for host, guid in GUIDS.items()}
    swapped = {
        "bmc-n1": Real(GUIDS["n2"][::-1]),
        "bmc-n2": Real(GUIDS["n1"][::-1]),
        "bmc-n3": others["bmc-n3"],
    }
    again = check(both, "n1", world(swapped, remembered=first.memory))
    assert states(again) == {"n1": State.SWAPPED, "n2": State.SWAPPED, "n3": State.READY}


def test_swapped_bmcs_are_found_in_both_cells():
    memory = {host: guid.hex() for host, guid in GUIDS.items()}
    swapped = {"bmc-n1": Real(GUIDS["n2"]), "bmc-n2": Real(GUIDS["n1"])}
    report = check(FENCING, "n1", world(swapped, remembered=memory))
    assert states(report) == {"n1": State.SWAPPED, "n2": State.SWAPPED, "n3": State.READY}
    assert "the BMC of n2, not of n1" in report.cells[0].reason
    assert report.memory == memory


def test_a_broken_agent_makes_all_its_cells_unready():
    report = check(FENCING, "n1", world(broken="name"))
    assert set(states(report).values()) == {State.AGENT}
    assert "NameError" in report.cells[0].reason


def test_a_rehearsal_that_cannot_be_held_is_not_passed():
    def simulator(agent: str, configured):
        raise CannotAsk("no simulator")

    report = check(FENCING, "n1", replace(world(), simulator=simulator))
    assert set(states(report).values()) == {State.AGENT}
    assert "could not be rehearsed: no simulator" in report.cells[0].reason


def test_devices_of_one_kind_are_rehearsed_once():
    told: list[str] = []
    check(FENCING, "n1", replace(world(), say=told.append))
    assert len([text for text in told if text.startswith("rehearsing")]) == 1


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("cipher", "0", "cipher must be"),
        ("lanplus", "0", "lanplus=0 (IPMI 1.5) is not offered"),
        ("privlvl", "user", "the role user may not switch power"),
    ],
)
@pytest.mark.parametrize("fenced", [(), ("n3",)])
def test_settings_that_cannot_work_are_told_of_the_configuration(name, value, words, fenced):
    """Nothing is asked and nothing rehearsed: a good agent refuses them, which is no word against it."""
    bmc = Real(GUIDS["n1"])
    given = replace(FENCING, devices=(device("n1", **{name: value}),))
    report = check(given, "n1", world({"bmc-n1": bmc}, busy=lambda: fenced))
    assert states(report) == {"n1": State.SETTINGS}
    assert words in report.cells[0].reason
    assert (bmc.asked, report.rehearsals) == (0, {})
    assert any(words in finding.text for finding in report.findings if finding.severity == ERROR)


def test_a_bmc_without_a_guid_is_ready_and_unknown():
    report = check(FENCING, "n1", world({"bmc-n2": Real(Trouble(Kind.REFUSED, 0xC1))}))
    assert report.ready
    assert [each.belongs for each in report.cells if each.target == "n2"] == [Belongs.UNKNOWN]


def test_equal_guids_are_said_and_not_remembered():
    same = {f"bmc-{host}": Real(GUIDS["n1"]) for host in GUIDS}
    report = check(FENCING, "n1", world(same))
    assert report.memory == {}
    assert "give the same GUID" in report.findings[-1].text


def test_a_remote_host_is_asked_about_as_every_other():
    bmcs = {"bmc-r1": Real(uuid.uuid5(uuid.NAMESPACE_DNS, "r1").bytes)}
    fencing = replace(FENCING, remotes=("r1",), devices=(*FENCING.devices, device("r1")))
    report = check(fencing, "n1", world(bmcs))
    assert (states(report)["r1"], report.ready) == (State.READY, True)


class Secretive(Agents):
    """The CIB's secrets are not on this host."""

    def with_secrets(self, device: str, parameters):
        raise CannotAsk(f"the CIB secret password of {device} is not on this host", hint="cibsecret sync")


@pytest.mark.parametrize("targets", [("n1",), None])
def test_a_secret_that_is_not_on_this_host(targets):
    other = replace(device("n1"), targets=targets)
    report = check(replace(FENCING, devices=(other,)), "n2", replace(world(), agents=Secretive(Bmc())))
    assert not report.ready
    assert states(report) == ({"n1": State.SETTINGS} if targets else {})
    # What a host lacks does not keep its agent from being proven.
    assert report.rehearsals.keys() == {"fence-n1"}
    assert all("is not on this host; cibsecret sync" in each.reason for each in report.cells)


def test_while_a_host_is_fenced_no_bmc_is_asked():
    bmc = Real(GUIDS["n2"])
    report = check(FENCING, "n1", world({"bmc-n2": bmc}, busy=lambda: ("n3",)))
    assert set(states(report).values()) == {State.UNPROVEN}
    assert "a fencing of n3 is under way" in report.cells[0].reason
    assert (bmc.asked, report.ready, report.memory) == (0, False, {})


def test_without_an_answer_about_fencings_no_bmc_is_asked():
    def busy() -> tuple[str, ...]:
        raise CannotAsk("crm_mon is silent")

    bmc = Real(GUIDS["n2"])
    report = check(FENCING, "n1", world({"bmc-n2": bmc}, busy=busy))
    assert set(states(report).values()) == {State.UNPROVEN}
    assert (bmc.asked, "crm_mon is silent" in report.cells[0].reason) == (0, True)


def test_a_disabled_device_is_not_asked():
    report = check(replace(FENCING, devices=(replace(device("n1"), enabled=False),)), "n1", world())
    assert report.cells == ()


@pytest.mark.parametrize(
    ("rehearsal", "answer", "identity", "state"),
    [
        ("", Answer(State.READY), Identity(Belongs.PROVEN), State.READY),
        ("", Answer(State.READY), Identity(Belongs.UNKNOWN), State.READY),
        ("", Answer(State.READY), Identity(Belongs.OTHERS, "n2"), State.SWAPPED),
        ("", Answer(State.READY), Identity(Belongs.CHANGED), State.SWAPPED),
        ("", Answer(State.SILENT, "why"), Identity(Belongs.OTHERS, "n2"), State.SILENT),
        ("off fails", Answer(State.READY), Identity(Belongs.PROVEN), State.AGENT),
        ("off fails", Answer(State.SILENT, "why"), Identity(Belongs.UNKNOWN), State.AGENT),
        ("monitor fails", Answer(State.SETTINGS, "why"), Identity(Belongs.UNKNOWN), State.SETTINGS),
        (None, Answer(State.READY), Identity(Belongs.UNKNOWN), State.UNTESTED),
        (None, Answer(State.READY), Identity(Belongs.OTHERS, "n2"), State.SWAPPED),
        (None, Answer(State.SILENT, "why"), Identity(Belongs.UNKNOWN), State.SILENT),
    ],
)
def test_a_cell(rehearsal, answer, identity, state):
    found = cell("n1", "fence-n2", "n2", 1.0, rehearsal, answer, identity)
    assert found.state is state
    assert bool(found.reason) == (state is not State.READY)


def test_what_fencing_runs_in_is_judged_as_well():
    report = check(FENCING, "n1", world(around=Surroundings(Corosync(token=0.5))))
    assert any("token time is 0.5 s" in finding.text for finding in report.findings)


def told(**states: State) -> list[Cell]:
    return [Cell("n1", f"fence-{host}", host, state, 1.0) for host, state in states.items()]


@pytest.mark.parametrize(
    ("before", "now", "changed"),
    [
        (told(n2=State.READY), told(n2=State.READY), []),
        (told(n2=State.READY), told(n2=State.SILENT), [("n2", State.SILENT)]),
        (told(n2=State.SILENT), told(n2=State.PASSWORD), [("n2", State.PASSWORD)]),
        (told(n2=State.SILENT), told(n2=State.SILENT), []),
        (told(n2=State.SILENT), told(n2=State.READY), [("n2", State.READY)]),
        ([], told(n2=State.UNTESTED), [("n2", State.UNTESTED)]),
        (told(n2=State.UNTESTED), told(n2=State.UNTESTED), []),
        ([], told(n2=State.READY, n3=State.ROLE), [("n3", State.ROLE)]),
    ],
)
def test_each_change_of_a_cell_is_one(before, now, changed):
    assert [(each.target, each.state) for each in changes(before, now)] == changed


def test_an_error_of_the_configuration_is_part_of_the_state():
    assert word(told(n2=State.READY), configured=False) == "not-ready:configuration"
    assert word(told(n2=State.ROLE), configured=False) == "not-ready:fence-n2,configuration"


def test_cells_travel_as_text():
    cells = [
        Cell("n1", "fence-n2", "n2", State.SILENT, 1000.0),
        Cell("n1", "fence-n1", "n1", State.READY, 1000.0),
    ]
    assert packed(cells) == "1000;n1|fence-n1|READY;n2|fence-n2|SILENT"
    assert list(unpacked("n1", packed(cells))) == sorted(cells, key=lambda each: each.target)
    assert [word(cells), word(cells[1:])] == ["not-ready:fence-n2", "ready"]


@pytest.mark.parametrize("text", ["", ";", "x;n1|a|READY", "1;n1|a|MAYBE", "1;n1", "1;||READY"])
def test_text_of_another_version_is_left_out(text):
    assert list(unpacked("n1", text)) == []
