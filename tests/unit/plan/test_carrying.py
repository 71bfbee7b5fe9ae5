# SPDX-License-Identifier: GPL-2.0-or-later
"""How a plan is carried out: in which order, what is left when it is refused, and what is said while it goes on."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from backstay.errors import CannotAsk, Refused
from backstay.host.clock import Deadline
from backstay.plan.carrying import Carrier
from backstay.plan.planned import Plan
from backstay.plan.prediction import Prediction
from backstay.plan.transition import Step, Transition

BOTH = '<node_state uname="n1" crmd="online"/><node_state uname="n2" crmd="online">{}</node_state>'
QUIET = BOTH.format("")
WEB1 = '<primitive id="web1" class="ocf" provider="backstay" type="domain"/>'
STARTS, STOPS = Step("start", "web1", target="n1"), Step("stop", "web1", source="n1")


def cib(resources="", status=QUIET):
    """A CIB."""
    return f"<cib><configuration><resources>{resources}</resources></configuration><status>{status}</status></cib>"


@dataclass
class World:
    """A cluster of n1 and n2, its checkpoints and its scheduler; it is at rest after `rest` seconds.

    What is configured and not to be stopped runs on n1; `stuck` stops never. `fails` is raised by a load, and `same`
    finds nothing to load.
    """

    text: str = cib()
    rest: float = 0.0
    fails: Exception | None = None
    same: bool = False
    stuck: bool = False
    now: float = 0.0
    done: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def live(self):
        return self.text.encode()

    def replace(self, _old, new):
        self.done.append("load")
        if self.fails:
            raise self.fails
        if not self.same:
            self.text = new.decode()
        return not self.same

    def settled(self, _seconds):
        self.now += 3.0
        return self.now > self.rest

    def fencings(self):
        return frozenset()

    def take(self, _cib):
        self.done.append("checkpoint")
        return "name"

    def drop(self, name):
        self.done.append(f"drop {name}")

    def present(self, text):
        runs = b"web1" in text and (self.stuck or b"Stopped" not in text)
        return Transition((), {"web1": frozenset({"n1"}) if runs else frozenset()})

    def carry_out(self, *steps, after=WEB1):
        made = Plan("c", self.text, cib(after), Prediction(steps, (), (), frozenset()))
        return Carrier(self, self, self, self.said.append, 10.0).carry_out(made, 60.0)

    def wait(self, every=10.0):
        deadline = Deadline(60, lambda: self.now)
        return Carrier(self, self, self, self.said.append, every).wait(deadline, frozenset({"n1", "n2"}))


def test_a_checkpoint_is_taken_first_and_the_way_back_said():
    world = World()
    came = world.carry_out(STARTS)
    assert (came.as_foreseen, came.happened, world.done) == (True, (STARTS,), ["checkpoint", "load"])
    assert world.said == ["checkpoint name; backstay rollback name returns to it"]


def test_what_was_not_foreseen_is_a_surprise_and_what_did_not_happen_is_missing():
    other = Step("start", "web2", target="n2")
    came = World().carry_out(other)
    assert (came.missing, came.surprising, came.as_foreseen) == ((other,), (STARTS,), False)


def test_what_is_refused_leaves_no_checkpoint():
    world = World(fails=Refused("the live configuration has moved"))
    with pytest.raises(Refused):
        world.carry_out(STARTS)
    assert world.done == ["checkpoint", "load", "drop name"]


def test_a_checkpoint_stays_when_nobody_knows_whether_it_was_loaded():
    world = World(fails=CannotAsk("no answer"))
    with pytest.raises(CannotAsk):
        world.carry_out(STARTS)
    assert (world.done, len(world.said)) == (["checkpoint", "load"], 1)


def test_where_all_is_live_already_nothing_is_waited_for():
    world = World(same=True)
    came = world.carry_out(STARTS)
    assert (came.loaded, came.settled, came.missing, came.as_foreseen) == (False, False, (STARTS,), False)
    assert world.now == 0.0


def test_what_is_removed_is_stopped_first_and_taken_out_when_it_is_down():
    world = World(cib(WEB1))
    came = world.carry_out(STOPS, after="")
    assert (came.as_foreseen, world.done) == (True, ["checkpoint", "load", "load"])
    assert "web1" not in world.text


@pytest.mark.parametrize(("facts", "loads"), [({"stuck": True}, 2), ({"rest": 1e6}, 1)])
def test_what_is_not_down_stays_configured(facts, loads, monkeypatch):
    world = World(cib(WEB1), **facts)
    monkeypatch.setattr(
        "backstay.plan.carrying.Deadline", lambda seconds: Deadline(seconds, lambda: world.now)
    )
    came = world.carry_out(STOPS, after="")
    assert (came.left, came.as_foreseen, world.done.count("load")) == (("web1",), False, loads)
    assert "web1" in world.text


def test_a_log_hears_every_ten_seconds_what_is_waited_for():
    world = World(rest=30.0)
    assert world.wait() == (True, frozenset())
    assert [line.split()[0] for line in world.said] == ["12", "24"]
    assert "waiting for: the last operations" in world.said[0]
    often = World(rest=30.0)
    often.wait(every=0.0)
    assert len(often.said) == 10


def test_what_has_begun_is_waited_for():
    begun = (
        '<lrm><lrm_resources><lrm_resource id="web1"><lrm_rsc_op operation="start" op-status="-1"/></lrm_resource>'
        '<lrm_resource id="web2"><lrm_rsc_op operation="stop" op-status="-1"/></lrm_resource></lrm_resources></lrm>'
    )
    world = World(cib(status=BOTH.format(begun)), rest=15.0)
    world.wait()
    assert world.said == ["   12 s  waiting for: start of web1 on n2 (and 1 more)"]


def test_who_was_there_and_is_away_is_waited_for():
    """A host that was never a member, and a remote one, is none that left."""
    status = (
        '<node_state uname="n1" crmd="online"/><node_state uname="n2" crmd="offline"/>'
        '<node_state uname="n3" crmd="offline"/><node_state uname="n4" remote_node="true"/>'
    )
    world = World(cib(status=status), rest=15.0)
    assert world.wait() == (True, frozenset({"n2"}))
    assert world.said[0].endswith("waiting for: n2, which left the cluster")


def test_a_wait_has_an_end():
    world = World(rest=1000.0)
    assert world.wait() == (False, frozenset())
    assert world.now < 70


def test_who_left_and_came_back_meanwhile_was_away():
    """So a fencing that the fencer's history does not have is seen."""

    class Back(World):
        def settled(self, seconds):
            if super().settled(seconds):
                self.text = cib()
            return self.now > self.rest

    world = Back(cib(status=QUIET.replace('"n2" crmd="online"', '"n2" crmd="offline"')), rest=15.0)
    assert world.wait() == (True, frozenset({"n2"}))
