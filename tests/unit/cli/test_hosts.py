# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay host` around its tables: what is refused, what is said, and that nothing is done before it may be."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest

from backstay.cli import hosts
from backstay.errors import BadInput, CannotAsk, Findings, Refused
from backstay.fencing.configuration import Fencing
from backstay.fencing.drill import Refusal
from backstay.fencing.drill_situation import Foreseen, Situation, Votes
from backstay.host import drills
from backstay.host.interrupt import Interrupted
from backstay.members.candidate import ERROR, NOTE, Finding
from backstay.members.steps import Mark, Now, Phase, Verb, joining, leaving, replacing

NEW = Now("n4", members=("n1",), loaded=False, keyless=("n4",), active=True, held=True)
THERE = Now("n4", members=("n1",), joined=True, active=True, listed=True)


SITUATION = Situation(
    "n4", "n1", 0.0, (), Votes(3, 2, {}), Fencing((), (), (), {}),
    (), Foreseen(moves=(("web1", "n2"),)),
)  # fmt: skip


class World:
    """A world in which each step is done at once, or never."""

    name = "n4"
    here = "n1"
    address = "192.0.2.4"
    old_is_off = False

    def __init__(self, now, *, works=True, found=()):
        self.is_now, self.works, self.found, self.done = now, works, found, []

    def now(self):
        return self.is_now

    def findings(self):
        return self.found

    def losses(self):
        return ("a setting would be lost",)

    def do(self, step):
        self.done.append(step)
        if isinstance(self.works, BaseException):
            raise self.works
        if self.works:
            after = {
                Verb.APPLY: {"loaded": True},
                Verb.PROVE: {"proven": self.is_now.proven | {step.where}},
                Verb.PROVE_OTHERS: {"proven": self.is_now.proven | {"n4"}},
                Verb.KEY: {"keyless": ()},
                Verb.HOLD: {"held": True},
                Verb.START: {"active": True},
                Verb.JOIN: {"joined": True},
                Verb.RELEASE: {"held": False, "mark": None},
                Verb.SET_ASIDE: {"standby": True, "mark": Mark(Phase.REPLACING, 1)},
                Verb.EMPTY: {"busy": ()},
                Verb.OFF: {
                    "joined": False,
                    "active": False,
                    "loaded": False,
                    "mark": Mark(Phase.REPLACED, 1),
                },
            }
            self.is_now = replace(self.is_now, **after[step.verb])


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """No lock, no cluster."""
    monkeypatch.setattr(hosts, "drills", SimpleNamespace(alone=lambda _path: nullcontext(True)))
    monkeypatch.setattr(hosts.cluster, "situation", lambda *_: SITUATION)
    monkeypatch.setattr(hosts.cluster, "live", lambda: None)
    monkeypatch.setattr(hosts, "draining", lambda *_: ())


def run(world, capsys, verb="add", table=joining, *, name="n4", plan=False, yes=True):
    """The exit code and the answer."""
    capsys.readouterr()
    code = hosts._carry_out(wish(verb, table, name, plan=plan, yes=yes), lambda: world)
    return code, json.loads(capsys.readouterr().out)


def wish(verb, table, name="n4", *, plan=False, yes=True):
    return hosts.Wish(verb, hosts.Asked(name, "", "json", 60.0, yes, plan, settings=False), table)


def test_everything_is_done_once_and_in_order(capsys):
    world = World(NEW)
    code, said = run(world, capsys)
    assert (code, said["changed"], said["done"]) == (0, True, True)
    assert [step.verb for step in world.done] == [
        Verb.APPLY, Verb.PROVE, Verb.KEY, Verb.JOIN, Verb.PROVE_OTHERS, Verb.RELEASE]  # fmt: skip
    assert [step["step"] for step in said["steps"]] == [step.verb.name.lower() for step in world.done]


def test_a_second_time_changes_nothing(capsys):
    world = World(THERE)
    code, said = run(world, capsys, yes=False)
    assert (code, said["changed"], said["steps"], world.done) == (0, False, [], [])


def test_a_plan_does_nothing(capsys):
    world = World(NEW)
    code, said = run(world, capsys, plan=True)
    assert (code, said["changed"], said["done"], world.done) == (0, True, False, [])


def test_nothing_is_done_without_a_word(capsys):
    world = World(NEW)
    with pytest.raises(Refused, match="nobody is there"):
        run(world, capsys, yes=False)
    assert world.done == []


def test_a_machine_with_an_error_is_not_touched(capsys):
    bad = Finding(ERROR, "its clock is wrong", "mend it")
    world = World(replace(NEW, held=False), found=(bad, Finding(NOTE, "it is slow")))
    with pytest.raises(Findings, match="its clock is wrong") as raised:
        run(world, capsys)
    assert raised.value.hint == "mend it"
    assert world.done == []
    assert run(world, capsys, plan=True)[0] == 1


def test_what_only_has_to_be_known_stops_nobody(capsys):
    world = World(replace(NEW, held=False), found=(Finding(NOTE, "it is slow"),))
    assert run(world, capsys)[0] == 0


@pytest.mark.parametrize(("verb", "table"), [("remove", leaving), ("replace", replacing)])
def test_a_drain_that_would_hurt_is_refused(monkeypatch, capsys, verb, table):
    monkeypatch.setattr(hosts, "draining", lambda *_: (Refusal("no room for web1", "make room"),))
    world = World(replace(THERE, busy=("web1",), changed=True))
    with pytest.raises(Refused, match="no room for web1"):
        run(world, capsys, verb, table)
    assert world.done == []
    code, said = run(world, capsys, verb, table, plan=True)
    assert (code, said["refusals"]) == (1, ["no room for web1; make room"])
    assert said["moves"] == [{"guest": "web1", "to": "n2"}]


def test_the_new_machine_is_not_switched_off_in_place_of_the_old_one(capsys):
    """It has the old one's BMC address and answers: only an admin can know whether the old one is off."""
    dead = replace(THERE, joined=False, active=False)
    with pytest.raises(Refused, match="--old-is-off"):
        run(World(dead), capsys, "replace", replacing)


def test_an_interrupt_says_how_to_go_on(capsys):
    world = World(NEW, works=Interrupted("interrupted (SIGINT)"))
    with pytest.raises(Interrupted) as raised:
        run(world, capsys)
    assert "same command again" in raised.value.hint


def test_this_host_is_worked_on_from_another_one(capsys):
    with pytest.raises(BadInput, match="this host"):
        run(World(THERE), capsys, name="n1")


def test_who_may_not_hold_the_lock_is_told_so(tmp_path):
    (tmp_path / "run").touch()  # in the place of /run/backstay
    with (
        pytest.raises(CannotAsk, match="cannot be opened") as raised,
        drills.alone(f"{tmp_path}/run/host.lock"),
    ):
        pass
    assert raised.value.hint == "run it as root"


def test_two_at_once_on_one_host(monkeypatch, capsys):
    monkeypatch.setattr(hosts, "drills", SimpleNamespace(alone=lambda _path: nullcontext(False)))
    with pytest.raises(Refused, match="at work"):
        run(World(NEW), capsys)


def test_a_machine_with_the_old_ones_address_is_examined_when_that_is_off(capsys):
    """Until then it is the old one that answers."""
    bad = Finding(ERROR, "its clock is wrong", "mend it")
    world = World(replace(THERE, changed=True, busy=("web1",), keyless=("n4",)), found=(bad,))
    with pytest.raises(Findings, match="its clock is wrong"):
        run(world, capsys, "replace", replacing)
    assert [step.verb for step in world.done] == [
        Verb.SET_ASIDE,
        Verb.EMPTY,
        Verb.OFF,
        Verb.APPLY,
        Verb.PROVE,
    ]


def test_what_was_begun_is_told_with_its_failure(capsys):
    """One member is written to and the next cannot be reached: what is half done is said, and how to go on."""
    world = World(NEW)
    done = world.do

    def do(step):
        if step.verb is Verb.PROVE:
            raise CannotAsk("n2 cannot be reached by ssh", hint="ssh root@n2 true has to work")
        done(step)

    world.do = do
    with pytest.raises(CannotAsk) as raised:
        run(world, capsys)
    assert raised.value.hint.startswith("ssh root@n2 true has to work; then run the same command again")
    said = json.loads(capsys.readouterr().out)
    assert (said["changed"], said["done"]) == (True, False)


def test_a_refusal_is_told_in_json_as_well(monkeypatch, capsys):
    monkeypatch.setattr(hosts, "draining", lambda *_: (Refusal("no room for web1"),))
    with pytest.raises(Refused) as raised:
        run(World(replace(THERE, busy=("web1",), changed=True)), capsys, "remove", leaving)
    assert "same command again" not in raised.value.hint
    said = json.loads(capsys.readouterr().out)
    assert (said["changed"], said["done"], said["refusals"]) == (False, False, ["no room for web1"])


@pytest.mark.parametrize("name", ["n4']|//*[@id='n1", "-oProxyCommand=x", "", "a\nb"])
def test_a_name_that_no_host_can_have_reaches_nobody(name):
    with pytest.raises(BadInput, match="no host's name"):
        hosts._going(hosts.Asked(name, "", "text", 60.0, yes=True, only_plan=False, settings=False))


@pytest.fixture
def asked(monkeypatch):
    """Corosync's side of three hosts of which n3 is away, as the tools tell it."""
    nodes = [SimpleNamespace(name=name, unclean=name == "n4") for name in ("n1", "n3", "n4")]
    told = SimpleNamespace(nodes=nodes, node=lambda name: next(n for n in nodes if n.name == name))
    monkeypatch.setattr(hosts.crm_mon, "cluster", lambda _time: told)
    monkeypatch.setattr(hosts.crm_mon, "votes", lambda _time: Votes(2, 2, {}))


@pytest.mark.usefixtures("asked")
def test_what_corosync_says_speaks_against_it(capsys):
    world = World(replace(THERE, stale=("n1",)))
    cloud = SimpleNamespace(members=range(4), quorum=SimpleNamespace(device=None), pair=False)
    world.description = SimpleNamespace(cloud=cloud)
    code, said = run(world, capsys, plan=True)
    assert (code, said["refusals"]) == (1, [
        "n3 is away, and would come back with an old corosync.conf",
        "with 4 members a quorum needs 3 votes, more than are there",
        "a setting would be lost (insist with --replace-settings)"])  # fmt: skip


@pytest.mark.usefixtures("asked")
def test_who_is_not_known_to_be_off_is_not_forgotten(capsys):
    world = World(replace(THERE, joined=False, active=False, reached=False))
    with pytest.raises(Refused, match="n4 is unclean"):
        run(world, capsys, "remove", leaving)
    assert world.done == []
