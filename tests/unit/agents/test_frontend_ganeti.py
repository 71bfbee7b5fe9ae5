# SPDX-License-Identifier: GPL-2.0-or-later
"""The profile ganeti: what counts as the master's being here, who may take over and how, what is done about the dead."""

from __future__ import annotations

from typing import Any

import pytest

from backstay.agents import frontend
from backstay.agents import frontend_ganeti as profile
from backstay.agents import frontend_profiles as profiles
from backstay.agents import ganeti_recovery as recovery
from backstay.agents.frontend import FrontendParameters
from backstay.agents.frontend_profile import NOWHERE, PARTLY, WHOLLY
from backstay.errors import CannotAsk
from backstay.host.clock import Deadline
from backstay.host.process import Completed
from backstay.host.recoveries import Event, Node, Seen
from backstay.ocf import codes
from tests.unit.agents.frontend_fake import FakeHost, act

VIP = "10.0.0.9"
ALL = dict.fromkeys(profile.MASTERS, (100,))


class FakeNode:
    """A node n1 of three; `held` says whether the master's address is here."""

    def __init__(self) -> None:
        self.files = {
            "master_ip": VIP, "master_node": "n1", "node_list": "n1\nn2\nn3", "master_candidates": "n1\nn2\nn3",
            "node_primary_ips": "n1 10.0.0.1\nn2 10.0.0.2\nn3 10.0.0.3",
        }  # fmt: skip
        self.running: dict[str, tuple[int, ...]] = {profile.NODE_DAEMON: (1,)}
        self.held = False
        self.cron = False
        self.barred: list[str] = []
        self.did: list[str] = []

    def says(self, name: str) -> str:
        return self.files.get(name, "")

    def watched(self) -> bool:
        return self.cron

    def daemons(self, names: Any) -> dict[str, tuple[int, ...]]:
        return {name: pids for name, pids in self.running.items() if name in names}

    def kill(self, names: Any) -> None:
        self.did.append("kill")
        for name in names:
            self.running.pop(name, None)

    def tidy(self, names: Any) -> None:
        self.did.append("tidy")

    def devices(self, address: str) -> list[tuple[str, str]]:
        return [("eth0", f"{address}/32")] if self.held else []

    def drop(self, address: str) -> None:
        self.held = False

    def shut_out(self, addresses: Any) -> None:
        self.barred = list(addresses)
        self.did.append(f"shut out {' '.join(addresses)}")

    def let_in(self) -> None:
        self.barred = []


class FakeWorld:
    """n1, its cluster, and Ganeti's commands; `instances` are rows of gnt-instance list."""

    def __init__(self) -> None:
        self.node = FakeNode()
        self.hosts = [Node("n1", True), Node("n2", True), Node("n3", True)]
        self.events: tuple[Event, ...] = ()
        self.did: list[str] = []
        self.stubborn: set[str] = set()
        self.instances: list[list[str]] = []
        self.offline: set[str] = set()
        self.stuck: set[str] = set()
        self.barred_when_failing_over: list[str] = []

    def nodename(self) -> str:
        return "n1"

    def ganeti(self) -> FakeNode:
        return self.node

    def look(self, timeout: float) -> Seen:
        return Seen(tuple(self.hosts), self.events)

    def pause(self, seconds: float) -> None:
        """Nobody waits here."""

    def run(self, command: Any, timeout: float) -> Completed:
        words = list(command.argv)
        self.did.append(" ".join(words))
        return Completed(words, 0, self.answer(words), "")

    def answer(self, words: list[str]) -> str:
        if words[:2] == [profile.DAEMON_UTIL, "stop"] and words[2] not in self.stubborn:
            self.node.running.pop(words[2], None)
        if words[1] == "master-failover":
            self.barred_when_failing_over = self.node.barred
        if words[:2] == [recovery.NODE, "list"]:
            shown = [[name, "Y" if name in self.offline else "N"] for name in ("n1", "n2", "n3")]
            rows = [row for row in shown if words[-1] in (row[0], "--output=name")]
            return "\n".join(row[0] if words[-1] == "--output=name" else "|".join(row) for row in rows)
        if words[:2] == [recovery.NODE, "modify"]:
            self.offline.add(words[-1])
        if words[:2] == [recovery.NODE, "add"]:
            self.offline.discard(words[-1])
        if words[:2] == [recovery.NODE, "failover"]:
            for row in self.instances:
                if row[1] == words[-1] and row[0] not in self.stuck:
                    row[1], row[2] = "n1", "ERROR_down" if row[0] == "slow" else "running"
        if words[:2] == [recovery.INSTANCE, "startup"]:
            for row in self.instances:
                row[2] = "running" if row[0] in words[2:] else row[2]
        if words[:2] == [recovery.INSTANCE, "list"]:
            return "\n".join("|".join(row) for row in self.instances)
        return ""


@pytest.fixture
def world() -> Any:
    return FakeWorld()


def made(arguments: str = "") -> profile.Ganeti:
    return profile.make(lambda path: arguments if path == profile.ARGUMENTS else "")


def until() -> Deadline:
    return Deadline(100)


def note(_text: str) -> None:
    """Nobody listens."""


def lost(world: Any, *names: str, fenced: bool = True) -> None:
    world.hosts = [
        Node(host.name, host.name not in names, host.name in names and not fenced) for host in world.hosts
    ]
    for host in world.hosts:
        host.record = "0 fenced seen"
    world.events = tuple(Event(name, "success", 1000) for name in names) if fenced else ()


def test_it_is_gone_only_without_daemons_and_without_its_address(world: Any) -> None:
    master = made()
    assert master.present(world, until())[0] == NOWHERE
    world.node.held = True
    assert master.present(world, until())[0] == PARTLY
    world.node.running |= ALL
    assert master.present(world, until())[0] == WHOLLY
    world.node.running.pop("ganeti-wconfd")
    assert "ganeti-wconfd does not run" in master.present(world, until())[1]
    world.node.held = False
    world.node.running = {"ganeti-luxid": (1,)}
    assert master.present(world, until())[0] == PARTLY


def test_a_host_whose_files_name_another_master_is_not_wholly_it(world: Any) -> None:
    world.node.running |= ALL
    world.node.held = True
    world.node.files["master_node"] = "n2"
    where, said = made().present(world, until())
    assert (where, "name n2 as the master" in said) == (PARTLY, True)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda node: node.files.update(node_list="n2\nn3"), "no node of the Ganeti cluster"),
        (lambda node: node.files.update(master_candidates="n2"), "no master candidate"),
        (lambda node: setattr(node, "cron", True), "ganeti-watcher"),
        (lambda node: node.running.clear(), "ganeti-noded does not run"),
    ],
)
def test_what_speaks_against_a_host_is_said(world: Any, spoil: Any, said: str) -> None:
    made().check(world, until(), note)
    spoil(world.node)
    with pytest.raises(CannotAsk, match=said):
        made().check(world, until(), note)


@pytest.mark.parametrize(
    ("state", "refused"), [("begun", True), ("done", True), ("back", False), ("seen", False)]
)
def test_a_host_that_was_given_up_is_readded_before_it_may_be_the_master(
    world: Any, state: str, refused: bool
) -> None:
    world.hosts[0].record = f"1000 fenced {state}"
    if not refused:
        made().check(world, until(), note)
        return
    with pytest.raises(CannotAsk, match="given up for dead"):
        made().check(world, until(), note)


def test_the_master_of_before_starts_its_daemons(world: Any) -> None:
    made().take(world, until(), note)
    assert world.did == [f"{profile.DAEMON_UTIL} start-master"]
    assert world.node.did == ["tidy"]


def test_another_host_takes_over_by_ganetis_vote_while_most_nodes_can_answer(world: Any) -> None:
    world.node.files["master_node"] = "n2"
    lost(world, "n2")
    made().take(world, until(), note)
    assert world.did == [f"{profile.CLUSTER} master-failover"]
    assert world.barred_when_failing_over == [VIP, "10.0.0.2"]
    assert world.node.barred == []


def test_without_a_vote_only_the_proven_dead_are_passed_over(world: Any) -> None:
    world.node.files["master_node"] = "n2"
    lost(world, "n2", "n3")
    made().take(world, until(), note)
    assert world.did == [f"{profile.CLUSTER} master-failover --no-voting --yes-do-it"]


def test_a_host_that_left_in_order_or_is_unclean_is_not_proven_dead(world: Any) -> None:
    world.node.files["master_node"] = "n2"
    lost(world, "n2", "n3", fenced=False)
    with pytest.raises(CannotAsk, match="n2, n3 is not proven to be dead"):
        made().take(world, until(), note)
    for host in world.hosts:
        host.unclean = False
    with pytest.raises(CannotAsk, match="not proven"):
        made().take(world, until(), note)
    assert world.did == []


@pytest.mark.parametrize(
    ("record", "dead"),
    [
        ("1000 fenced back", False),  # that fencing is over: it was given back, and left in order
        ("1000 fenced seen", False),
        ("", False),  # fenced before anybody kept records, so it may have come back since
        ("900 fenced back", True),
        ("1000 fenced begun", True),
        ("1000 fenced done", True),
        ("5000 human done", True),
    ],
)
def test_a_fencing_that_is_over_proves_nothing(world: Any, record: str, dead: bool) -> None:
    world.node.files["master_node"] = "n2"
    lost(world, "n2", "n3")
    world.hosts[1].record = record
    if dead:
        made().take(world, until(), note)
        assert world.did == [f"{profile.CLUSTER} master-failover --no-voting --yes-do-it"]
        return
    with pytest.raises(CannotAsk, match="n2 is not proven to be dead"):
        made().take(world, until(), note)
    assert world.did == []


def test_leaving_ends_daemons_and_address_by_force_if_need_be(world: Any) -> None:
    world.node.running |= ALL
    world.node.held = True
    world.stubborn = {"ganeti-wconfd"}
    made().withdraw(world, until(), note)
    assert [words.split()[-1] for words in world.did] == list(profile.MASTERS)
    assert world.node.did == ["kill"]
    assert made().present(world, until())[0] == NOWHERE
    assert profile.NODE_DAEMON in world.node.running


def test_the_instances_of_a_dead_host_run_elsewhere(world: Any) -> None:
    world.instances = [
        ["web", "n2", "ERROR_nodedown", "drbd"], ["slow", "n2", "ERROR_nodedown", "sharedfile"],
        ["pet", "n2", "ERROR_nodedown", "plain"], ["mine", "n1", "running", "plain"],
    ]  # fmt: skip
    world.stuck = {"pet"}
    assert recovery.recover("n2", world, until(), note) == "pet cannot run elsewhere"
    assert world.offline == {"n2"}
    assert [row[1:3] for row in world.instances[:2]] == [["n1", "running"], ["n1", "running"]]
    assert world.node.did[0] == "shut out 10.0.0.2"
    assert world.node.barred == []
    before = len(world.did)
    assert recovery.recover("n2", world, until(), note) == "pet cannot run elsewhere"
    assert all(words.split()[1] == "list" for words in world.did[before:])


def test_an_instance_that_ganeti_left_behind_is_no_success(world: Any) -> None:
    world.instances = [["web", "n2", "ERROR_nodedown", "drbd"]]
    world.stuck = {"web"}
    with pytest.raises(CannotAsk, match="web still counts as being on n2"):
        recovery.recover("n2", world, until(), note)
    assert world.node.barred == []


def test_a_host_that_ganeti_does_not_know_is_no_trouble(world: Any) -> None:
    assert recovery.recover("n9", world, until(), note) == "Ganeti does not know n9"
    assert recovery.foresee("n9", world, until()) == ["Ganeti does not know n9"]
    recovery.give_back("n9", world, until(), note)
    assert not any("add" in words for words in world.did)


def test_a_host_that_is_back_is_added_again_once(world: Any) -> None:
    world.offline = {"n2"}
    recovery.give_back("n2", world, until(), note)
    recovery.give_back("n2", world, until(), note)
    assert len([words for words in world.did if "--readd" in words]) == 1
    assert world.offline == set()


def test_what_would_become_of_each_instance_is_foreseen(world: Any) -> None:
    world.instances = [["web", "n2", "running", "drbd"], ["pet", "n2", "running", "plain"]]
    assert recovery.foresee("n2", world, until()) == [
        "web (running): runs on another node", "pet (running): stays down, its disks are plain",
    ]  # fmt: skip


def test_a_name_with_a_domain_is_this_host_too() -> None:
    assert profile.is_me("n1.example.org", "n1")
    assert not profile.is_me("n10", "n1")
    assert not profile.is_me("", "n1")


def test_a_role_without_units_counts_as_started(world: Any) -> None:
    host = FakeHost()
    master = made()
    profiles.remember(FrontendParameters(profile="ganeti"), master, host)  # type: ignore[arg-type]
    assert host.recall(profiles.UNITS) == profiles.NONE
    assert profiles.known(FrontendParameters(profile="ganeti"), host).units == ()  # type: ignore[arg-type]


def test_a_parameter_that_makes_no_sense_makes_no_master_vanish(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = FakeHost()
    monkeypatch.setattr(frontend, "Host", lambda name: host)
    monkeypatch.setattr(host, "ganeti", world.ganeti, raising=False)
    monkeypatch.setattr(host, "run", world.run)
    monkeypatch.setattr(host, "nodename", world.nodename)
    profiles.remember(FrontendParameters(profile="ganeti"), made(), host)  # type: ignore[arg-type]
    world.node.running |= ALL
    world.node.held = True
    wrong = {"profile": "ganeti", "probes": "http:/127.0.0.1"}
    assert act(host, "monitor", probe=True, **wrong).code == codes.SUCCESS
    assert act(host, "monitor", **wrong).code == codes.SUCCESS
    assert act(host, "stop", **wrong).code == codes.SUCCESS
    assert made().present(world, until())[0] == NOWHERE


def test_a_start_waits_for_all_of_it(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    host = FakeHost()
    monkeypatch.setattr(frontend, "Host", lambda name: host)
    node = world.node
    host.ganeti = lambda: node  # type: ignore[attr-defined]
    host.look = lambda _timeout: world.look(0.0)  # type: ignore[method-assign]
    looked: list[str] = []

    def look_again(seconds: float) -> None:
        looked.append("again")
        host.time += seconds
        node.running |= ALL
        node.held = True

    host.pause = look_again  # type: ignore[method-assign]
    outcome = act(host, "start", profile="ganeti")
    assert (outcome.code, looked) == (0, ["again"]), outcome.reason


@pytest.mark.parametrize(
    ("arguments", "url"),
    [
        ("", "https://127.0.0.1:5080/version"),
        ('NODED_ARGS="-b 10.0.0.1"\nRAPI_ARGS="-b 127.0.0.1 --require-authentication"\n', "https://127.0.0.1:5080/version"),
        ("RAPI_ARGS=''\n", "https://127.0.0.1:5080/version"),
        ('# RAPI_ARGS="-p 1"\nRAPI_ARGS="-b 0.0.0.0 -p 5443"', "https://127.0.0.1:5443/version"),
        ('RAPI_ARGS="--bind=10.0.0.9 --port=81 --no-ssl"', "http://10.0.0.9:81/version"),
        ('RAPI_ARGS="-b fd00::9"', "https://[fd00::9]:5080/version"),
    ],
)  # fmt: skip
def test_rapi_is_asked_where_its_arguments_say(arguments: str, url: str) -> None:
    """It has to answer: one that hangs goes on to take connections. That it does not is no end of the role."""
    (rapi,) = (each for each in made(arguments).probes if each.name == "rapi")
    assert (rapi.kind, rapi.target, rapi.required) == ("http", url, False)
