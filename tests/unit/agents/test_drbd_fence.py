# SPDX-License-Identifier: GPL-2.0-or-later
"""The handlers of DRBD: every answer of fence-peer, the constraint that it places, and the one that is taken away."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lxml import etree

from backstay.agents import drbd_fence as handler
from backstay.agents.drbd_fence import Seen, decide
from backstay.cib import drbd_fencing as cibs
from backstay.cib.drbd_fencing import Peer
from backstay.errors import CannotAsk, Refused
from backstay.host.clock import Deadline
from backstay.host.drbd_state import Device
from tests.unit.agents.test_drbd_health import APART, AWAY, peer, state
from tests.unit.cib.test_drbd_fencing import CIB, CLONE

GOOD = state("UpToDate", "Primary", AWAY)
PERHAPS = state("Consistent", "Secondary", AWAY)
OLD = state("Outdated", "Secondary", AWAY)
MIXED = replace(GOOD, devices=(*GOOD.devices, Device(1, 11, "Inconsistent")))
MEMBER, DEAD, UNCLEAR = Peer.MEMBER, Peer.DEAD, Peer.UNCLEAR
N2 = frozenset({"n2"})
UNCLEAR_CIB = CIB.replace('expected="down"', 'expected="member"')
NOBODY_FENCES = (
    '<crm_config><cluster_property_set id="o"><nvpair id="f" name="stonith-enabled" value="false"/>'
    "</cluster_property_set>"
)
CASES = [
    # what, what is seen, the code, whether the constraint is placed
    ("the peer is dead", Seen(GOOD, {"n2": DEAD}), 7, True),
    ("dead, and the data may be old", Seen(PERHAPS, {"n2": DEAD}), 5, False),
    ("the peer answers", Seen(GOOD, {"n2": MEMBER}, N2), 4, True),
    ("it answers, and both may be promoted", Seen(PERHAPS, {"n2": MEMBER}, N2), 4, True),
    ("it answers, and the data here is old", Seen(OLD, {"n2": MEMBER}, N2), 5, False),
    ("a member that does not answer", Seen(GOOD, {"n2": MEMBER}), 0, False),
    ("it does not answer in time", Seen(GOOD, {"n2": MEMBER}, expired=True), 1, False),
    ("being fenced", Seen(GOOD, {"n2": UNCLEAR}), 0, False),
    ("not fenced in time", Seen(GOOD, {"n2": UNCLEAR}, expired=True), 1, False),
    ("nobody fences", Seen(GOOD, {"n2": UNCLEAR}, fences=False), 0, False),
    ("nobody fences, too late", Seen(GOOD, {"n2": UNCLEAR}, fences=False, expired=True), 5, True),
    ("nobody fences, old data", Seen(PERHAPS, {"n2": UNCLEAR}, fences=False, expired=True), 5, False),
    ("no quorum", Seen(GOOD, {"n2": DEAD}, quorate=False), 0, False),
    ("no quorum, too late", Seen(GOOD, {"n2": DEAD}, quorate=False, expired=True), 1, False),
    ("the other was faster", Seen(GOOD, {"n2": MEMBER}, N2, rejected=True), 6, False),
    ("connected again", Seen(state(), {"n2": MEMBER}, N2), 1, False),
    ("the peer is worthless", Seen(state("UpToDate", "Primary", replace(AWAY, volumes=peer("Inconsistent").volumes)), {"n2": MEMBER}), 3, False),
    ("not configured", Seen(None, {"n2": DEAD}), 1, False),
    ("nobody it could be about", Seen(GOOD, {}), 1, False),
    ("one of two is dead, the other answers", Seen(GOOD, {"n2": MEMBER, "n3": DEAD}, N2), 4, True),
    ("one of two is unclear", Seen(GOOD, {"n2": DEAD, "n3": UNCLEAR}), 0, False),
    # 5 would let the good volume go on, with nothing that keeps the peer from being promoted
    ("dead, and one volume of two is good here", Seen(MIXED, {"n2": DEAD}), 1, False),
    ("it answers, and one volume of two is good here", Seen(MIXED, {"n2": MEMBER}, N2), 1, False),
    ("nobody fences, one volume of two is good here", Seen(MIXED, {"n2": UNCLEAR}, fences=False, expired=True), 1, False),
]  # fmt: skip


@pytest.mark.parametrize("what,seen,code,place", CASES, ids=[case[0] for case in CASES])
def test_the_table(what, seen, code, place):
    answer = decide(seen)
    assert (answer.code, answer.place) == (code, place), answer
    assert answer.why


class Live:
    """A cluster that holds one CIB, on the clock of the test; `moves` is how often somebody else was faster."""

    def __init__(self, cib=CIB, answering=(), moves=0, unwell=0):
        self.raw = cib.encode()
        self.answering = answering
        self.moves = moves
        self.unwell = unwell
        self.clock = 0.0
        self.loaded = 0

    def cib(self):
        if self.unwell:
            self.unwell -= 1
            raise CannotAsk("no DC yet")
        return self.raw

    def replace(self, old, new):
        if self.moves:
            self.moves -= 1
            raise Refused("the live configuration has moved")
        assert old == self.raw
        self.raw = new
        self.loaded += 1
        return True

    def local(self):
        return "n1"

    def answers(self, host):
        self.clock += 0.1
        return host in self.answering

    def pause(self, seconds):
        self.clock += seconds

    def deadline(self, seconds=20):
        return Deadline(seconds, lambda: self.clock)

    @property
    def left(self):
        """The hosts that the constraint leaves; None without one."""
        found = cibs.constraint(etree.fromstring(self.raw), "web1", CLONE)
        return None if found is None else cibs.allowed(found)


class World:
    name = "web1"

    def __init__(self, now):
        self.now = now

    def look(self, _timeout):
        return self.now


def fence(live, now=GOOD, out=("N2",), whole=(), said=None):
    return handler.fence(
        World(now), live, out, whole, live.deadline(), (said if said is not None else []).append
    )


def test_a_dead_peer_is_kept_out():
    live = Live()
    assert fence(live).code == 7
    assert live.left == {"n1"}
    assert fence(live).code == 7
    assert live.loaded == 1, "what stands already is not written again"


def test_a_peer_in_another_case_is_the_same_host():
    assert fence(Live(), out=("n2",)).code == 7


def test_somebody_who_was_faster_or_a_cluster_without_dc_is_waited_for():
    live = Live(moves=2, unwell=3)
    assert fence(live).code == 7
    assert live.left == {"n1"}


def test_a_cluster_that_never_answers_gives_no_answer():
    said = []
    answer = fence(Live(unwell=10**6), said=said)
    assert (answer.code, "no DC yet" in answer.why) == (1, True)
    assert len(said) == 1, "said once, not every second"


def test_the_slower_of_two_promoted_sides_learns_that_it_lost():
    fenced = cibs.with_constraint(etree.fromstring(CIB), "web1", CLONE, frozenset({"N2"}))
    live = Live(etree.tostring(fenced).decode())
    assert fence(live).code == 6
    assert live.left == {"N2"}


def test_a_constraint_is_only_ever_made_narrower():
    fenced = cibs.with_constraint(etree.fromstring(CIB), "web1", CLONE, frozenset({"n1", "n3"}))
    live = Live(etree.tostring(fenced).decode())
    assert fence(live).code == 7
    assert live.left == {"n1"}


def test_three_sides_of_nine():
    environ = {
        "UP_TO_DATE_NODES": "0x5", "DRBD_NODE_ID_0": "n1", "DRBD_NODE_ID_1": "n2", "DRBD_NODE_ID_2": "n3", "DRBD_MY_NODE_ID": "0",
    }  # fmt: skip
    out, whole = handler.about(environ)
    assert (out, whole) == (["n2"], ["n1", "n3"])
    live = Live()
    assert fence(live, out=out, whole=whole).code == 7
    assert live.left == {"n1", "n3"}


@pytest.mark.parametrize("environ", [{"DRBD_PEERS": "n2"}, {"DRBD_PEER": "n2"}])
def test_the_peer_of_8_4(environ):
    assert handler.about(environ) == (["n2"], [])


def test_a_resource_that_no_clone_manages():
    assert fence(Live(CIB.replace('value="web1"', 'value="web9"'))).code == 1


def unfence(live, now):
    return handler.unfence(World(now), live.deadline(), lambda _: None, live)


def fenced(*left):
    return Live(
        etree.tostring(cibs.with_constraint(etree.fromstring(CIB), "web1", CLONE, frozenset(left))).decode()
    )


def test_a_constraint_goes_when_everything_is_up_to_date():
    live = fenced("n1")
    assert "anywhere again" in unfence(live, state())
    assert live.left is None
    assert unfence(live, state()) == ""


@pytest.mark.parametrize(
    "now",
    [
        None,
        GOOD,
        OLD,
        state("UpToDate", "Primary", APART),
        state("UpToDate", "Primary", peer("Inconsistent", replication="SyncSource")),
    ],
)
def test_it_stays_while_anything_is_missing(now):
    live = fenced("n1")
    assert unfence(live, now) == ""
    assert live.left == {"n1"}


def test_one_that_was_placed_meanwhile_stays():
    """The CIB is read first: what a handler has changed since then makes the removal fail, and it is looked at again."""
    live, world = fenced("n1"), World(state())

    def look(_timeout):
        if world.now.redundant:
            live.moves, world.now = 1, GOOD  # the connection broke, and its handler wrote to the CIB
            return state()
        return world.now

    world.look = look
    assert handler.unfence(world, live.deadline(), lambda _: None, live) == ""
    assert live.left == {"n1"}


def test_a_third_side_that_is_whole_again_may_be_promoted_again():
    live = fenced("n1")
    three = state("UpToDate", "Primary", peer(name="N2"), replace(AWAY, name="n3", number=2))
    assert "N2" in unfence(live, three)
    assert live.left == {"n1", "N2"}


def test_one_that_goes_while_the_connection_breaks_is_put_back():
    """A handler saw it stand and wrote nothing, so the CIB has not moved; then it was removed."""
    live, world = fenced("n1"), World(state())
    loaded = live.replace

    def replace_and_break(old, new):
        world.now = GOOD
        return loaded(old, new)

    live.replace = replace_and_break
    assert "put back" in unfence_in(world, live)
    assert live.left == {"n1"}


def unfence_in(world, live):
    return handler.unfence(world, live.deadline(), lambda _: None, live)


WAITS = replace(GOOD, suspended=("fencing",))


@pytest.mark.parametrize(
    "cib,place,left",
    [
        (CIB, True, {"n1"}),
        (UNCLEAR_CIB, False, None),
        (UNCLEAR_CIB.replace("<crm_config>", NOBODY_FENCES), False, None),
    ],
    ids=["fenced since", "not yet", "nobody fences: the handler's patience decides, not a monitor"],
)
def test_what_the_handler_gave_up_is_asked_again(cib, place, left):
    live = Live(cib)
    answer = handler.again(World(WAITS), ["n2"], [], 6.0, live)
    assert (answer.place, live.left) == (place, left)
