# SPDX-License-Identifier: GPL-2.0-or-later
"""What a story sees: every look is empty exactly when nothing is missing, and a wait says what it last saw."""

from __future__ import annotations

import time

import pytest

from backstay.errors import CannotAsk
from backstay.host.process import Completed
from backstay.lab import cluster, records, stage, witness
from backstay.lab.cluster import Failure, Member, Resource, State
from backstay.lab.layout import Layout
from backstay.lab.node import Node
from backstay.lab.stage import Stage

HOSTS = ("n1", "n2", "n3")


def member(name, online=True):
    return Member(name, online, False, not online, False, False, False)


def resource(name, active=True, failed=False, managed=True, orphaned=False):
    return Resource(
        name, "ocf:backstay:domain", "Started", "", ("n1",), active, failed, managed, False, orphaned
    )


def state(offline=(), resources=(), failures=(), attributes=None):
    members = tuple(member(name, name not in offline) for name in HOSTS)
    return State("n1", members, tuple(resources), tuple(failures), (), True, attributes or {})


@pytest.fixture
def scene(monkeypatch, tmp_path):
    """A stage of two guests; `scene.say(guest, host, ago)` and `scene.state` are what there is to see."""
    for name in HOSTS:
        (tmp_path / "nodes" / name).mkdir(parents=True)
    here = Stage(Layout(tmp_path, tmp_path), {"u1": "web1", "u2": "db1"})
    heard = []

    class Scene:
        stage = here
        state = state()

        def say(self, uuid, host, ago=1.0):
            now = time.monotonic()
            heard.append(records.Heard(records.Record(uuid, "b", len(heard), "run"), host, now - ago, 0.0))

    told = Scene()
    monkeypatch.setattr(
        witness, "read", lambda layout: records.Testimony(tuple(sorted(heard, key=lambda h: h.at)))
    )
    monkeypatch.setattr(cluster, "ask", lambda layout, among=(): told.state)
    return told


def test_a_guest_is_where_it_was_heard_last(scene):
    scene.say("u1", "n1", ago=3.0)
    scene.say("u1", "n2", ago=1.0)
    scene.say("u2", "n3", ago=stage.FRESH + 1.0)
    scene.say("stranger", "n3")
    assert scene.stage.places() == {"web1": "n2"}
    assert stage.everybody_speaks(scene.stage) == "silent: db1"
    assert stage.nobody_speaks_from("n2")(scene.stage) == "still on n2: web1"
    assert stage.nobody_speaks_from("n1")(scene.stage) == ""


def test_the_busiest_host(scene):
    assert scene.stage.busiest() == "n3"
    scene.say("u1", "n1")
    scene.say("u2", "n1")
    assert scene.stage.busiest() == "n1"
    assert scene.stage.guests_on("n1") == ("db1", "web1")


@pytest.mark.parametrize(
    ("said", "missing"),
    [
        ({"n1": "degraded:hung"}, ""),
        ({"n1": "healthy"}, "n1: healthy"),
        ({}, "n1: -"),
    ],
)
def test_what_the_agent_says(scene, said, missing):
    scene.state = state(attributes={host: {stage.ATTRIBUTE: value} for host, value in said.items()})
    assert stage.libvirtd_is(["n1"], "degraded")(scene.stage) == missing


@pytest.mark.parametrize(
    ("shown", "missing"),
    [
        (state(), ""),
        (state(offline=["n2"]), "not online: n2"),
        (state(resources=[resource("web1", active=False)]), "not running: web1"),
        (state(resources=[resource("web1", failed=True)]), "not running: web1"),
        (state(resources=[resource("web1", active=False, managed=False)]), ""),
        (state(resources=[resource("old", active=False, orphaned=True)]), ""),
        (state(failures=[Failure("web1_start_0", "n2", 1, "")]), "failed: web1_start_0 on n2"),
    ],
)
def test_all_well(scene, shown, missing):
    scene.say("u1", "n1")
    scene.say("u2", "n1")
    scene.state = shown
    assert stage.all_well(scene.stage) == missing


def test_whole_does_not_mind_what_is_remembered(scene):
    scene.say("u1", "n1")
    scene.say("u2", "n1")
    scene.state = state(failures=[Failure("web1_start_0", "n2", 1, "")])
    assert stage.whole(scene.stage) == ""
    scene.state = state(offline=["n3"])
    assert stage.whole(scene.stage) == "not online: n3"


def test_libvirtd_that_does_not_answer(scene, monkeypatch):
    answers = {"n1": Completed(["virsh"], 0, "", ""), "n2": Completed(["virsh"], 137, "", "killed")}
    monkeypatch.setattr(Node, "run", lambda self, command, timeout: answers[self.name])
    assert stage.libvirtd_answers(["n1"])(scene.stage) == ""
    assert stage.libvirtd_answers(["n1", "n2"])(scene.stage) == "libvirtd on n2 does not answer (killed)"


def test_the_first_thing_that_is_missing_is_said(scene):
    looks = [lambda _: "", lambda _: "second", lambda _: "third"]
    assert stage.both(*looks)(scene.stage) == "second"
    assert stage.both()(scene.stage) == ""


def test_a_wait_says_what_it_last_saw(scene):
    told = []
    problem = stage.wait(scene.stage, lambda _: "n2 is off", 0.0, "peace", told.append)
    assert problem == "waited in vain for peace, last seen: n2 is off"
    assert told == ["waiting for peace: n2 is off"]
    assert stage.wait(scene.stage, lambda _: "", 0.0, "peace", told.append) == ""


def test_nobody_to_ask_is_one_way_of_missing_it(scene):
    def look(_):
        raise CannotAsk("n1 is off")

    assert stage.missing_now(scene.stage, look) == "n1 is off"
