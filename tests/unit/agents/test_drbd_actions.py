# SPDX-License-Identifier: GPL-2.0-or-later
"""What an action tells the cluster beside what it does, and what it leaves to the handlers and the next monitor."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from backstay.agents import drbd_actions, drbd_fence
from backstay.agents.drbd_fence import Answer
from backstay.agents.drbd_parameters import DrbdParameters
from backstay.host import drbd_host
from backstay.ocf import codes
from tests.unit.agents.drbd_fake import Fake
from tests.unit.agents.test_drbd_health import AWAY, state

RUNS = state("UpToDate", "Secondary")
WAITS = state("UpToDate", "Primary", AWAY, suspended=("fencing",))


class Host(Fake):
    """With the attribute daemon and the memory that an action uses."""

    def __init__(self, now=None, **how):
        super().__init__(now, **how)
        self.attributes, self.memory, self.waits = {}, {}, []

    def values(self, name, _timeout):
        return {"n1": self.attributes[name]} if name in self.attributes else {}

    def publish(self, name, value, _timeout):
        self.attributes[name] = value

    def recall(self, about):
        return self.memory.get(about, "")

    def remember(self, about, text):
        self.memory[about] = text

    def promoting(self, seconds):
        self.waits.append(seconds)

    def split(self, _timeout):
        return False


@pytest.fixture
def act(monkeypatch):
    """`act("start", host, **meta)` runs an action; `given` are parameters."""

    def run(name, host, resource="web1", given=None, **meta):
        monkeypatch.setattr(drbd_actions, "host_of", lambda _context: host)
        context = SimpleNamespace(
            parameters=DrbdParameters(drbd_resource=resource, **(given or {})), deadline=host.deadline(60), instance="web1:0", node="n1",
            meta=lambda word: meta.get(word, ""), note=host.warn, warn=host.warn, is_probe=meta.get("probe", False),
            interval=10.0, action=name, journal=SimpleNamespace(alert=host.warn),
        )  # fmt: skip
        return getattr(drbd_actions, name)(context)

    return run


@pytest.mark.parametrize("name", ["start", "promote"])
def test_what_was_done_stays_done_when_drbd_does_not_answer_afterwards(act, name):
    host = Host(RUNS)
    whole = host.adm

    def adm(*words, timeout):
        done = whole(*words, timeout=timeout)
        host.blind_after = words[0] in ("adjust", "primary")
        return done

    looks = host.look

    def look(timeout):
        seen = looks(timeout)
        if getattr(host, "blind_after", False):  # the action's own look still has its answer
            host.blind_after, host.blind = False, 1
        return seen

    host.adm, host.look = adm, look
    assert act(name, host).code == codes.SUCCESS
    assert "next monitor" in host.said[-1]


def test_a_promotion_tells_the_handler_how_long_it_waits(act):
    host = Host(RUNS)
    assert act("promote", host).code == codes.SUCCESS
    assert host.waits == [pytest.approx(56, abs=1), None]


def test_how_long_a_promotion_still_waits(monkeypatch):
    host, memory = drbd_host.Host("web1"), {}
    monkeypatch.setattr(drbd_host.Host, "recall", lambda _self, about: memory.get(about, ""))
    monkeypatch.setattr(drbd_host.Host, "remember", lambda _self, about, text: memory.update({about: text}))
    assert host.promotion_left() is None
    host.promoting(30)
    assert 10 < host.promotion_left() <= 30.1
    host.promoting(-2)
    assert host.promotion_left() == 0.0, "about to end: the handler answers at once"
    host.promoting(-60)
    assert host.promotion_left() is None, "its agent was killed long ago"
    host.promoting(None)
    assert host.promotion_left() is None


@pytest.mark.parametrize("left,waited", [(None, 180), (40.0, 40), (0.0, 0)])
def test_the_handler_answers_before_the_promotion_ends(monkeypatch, left, waited):
    asked = []
    monkeypatch.setattr(drbd_host.Host, "promotion_left", lambda _self: left)
    monkeypatch.setattr(drbd_fence, "Log", lambda *_: SimpleNamespace(note=str, alert=str))
    monkeypatch.setattr(
        drbd_fence,
        "fence",
        lambda _h, _c, _o, _w, until, _n: asked.append(until.left()) or Answer(4, "it answers"),
    )
    assert drbd_fence.handle("fence", {"DRBD_RESOURCE": "web1", "DRBD_PEERS": "n2"}) == 4
    assert asked == [pytest.approx(waited, abs=1)]


@pytest.mark.parametrize(
    "now,probe,told",
    [
        (WAITS, False, ["resume-io"]),
        (WAITS, True, []),
        (replace(WAITS, role="Secondary"), False, []),
        (replace(WAITS, suspended=("user", "fencing")), False, []),
        (replace(WAITS, suspended=()), False, []),
    ],
    ids=["waits", "a probe", "unpromoted", "an admin suspended it as well", "does not wait"],
)
def test_io_goes_on_when_the_fencing_was_seen_after_the_handler_had_given_up(
    monkeypatch, act, now, probe, told
):
    asked = []

    def again(_host, away, good, _seconds):
        asked.append((away, good))
        return Answer(7, "the peer is down", place=True)

    monkeypatch.setattr(drbd_fence, "again", again)
    host = Host(now)
    act("monitor", host, probe=probe)
    assert host.told == told
    assert asked == [(["n2"], [])] * len(told)


def test_io_keeps_waiting_while_nothing_is_known(monkeypatch, act):
    monkeypatch.setattr(drbd_fence, "again", lambda *_: Answer(0, "n2 does not answer"))
    host = Host(WAITS)
    assert act("monitor", host).code == codes.DEGRADED_PROMOTED
    assert host.told == []


def test_what_was_taken_out_of_the_configuration_is_demoted_by_its_stop(act):
    """Pacemaker gives its demote no parameters, and would repeat one that fails for ever."""
    host = Host(state("UpToDate", "Primary"))
    assert act("demote", host, resource="").code == codes.SUCCESS
    assert host.told == []
    assert act("stop", host).code == codes.SUCCESS
    assert host.told == ["secondary", "down"]


def test_what_is_stopped_is_in_no_trouble(act):
    """Its attribute would stand until the host leaves the cluster."""
    host = Host(state("Diskless", "Secondary", AWAY))
    act("monitor", host)
    assert host.attributes["backstay-drbd-web1"].startswith("degraded:")
    assert act("stop", host).code == codes.SUCCESS
    assert host.attributes["backstay-drbd-web1"] == ""
