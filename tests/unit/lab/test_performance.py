# SPDX-License-Identifier: GPL-2.0-or-later
"""How a story is carried out: what was broken is mended and the cloud put in order, also after a bad end."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from backstay.errors import CannotAsk
from backstay.lab import performance
from backstay.lab.layout import Layout
from backstay.lab.stage import Stage
from backstay.lab.stories import STORIES

HUNG = next(story for story in STORIES if story.name == "hung")


@pytest.fixture
def log(monkeypatch):
    """What was done to the lab, in order."""
    done = []
    monkeypatch.setattr(
        performance.catalogue, "inject", lambda _, fault, host: done.append(("inject", fault, host))
    )
    monkeypatch.setattr(
        performance.catalogue, "heal", lambda _, fault, host: done.append(("heal", fault, host))
    )
    monkeypatch.setattr(performance, "settle", lambda *_: done.append(("settle",)) or "")
    return done


@pytest.fixture
def stage(monkeypatch, tmp_path):
    for host in ("n1", "n2"):
        (tmp_path / "nodes" / host).mkdir(parents=True)
    monkeypatch.setattr(Stage, "places", lambda self: {"web1": "n2", "db1": "n2", "mail1": "n1"})
    return Stage(Layout(tmp_path, tmp_path), {})


def told(story, *, seen="", **changes):
    return replace(story, seen=lambda scene: lambda stage: seen, limit=0.0, **changes)


def test_a_story_breaks_the_busiest_host_and_mends_it(stage, log):
    act = performance.perform(stage, told(HUNG), lambda _: None)
    assert log == [("inject", "hang-libvirtd", "n2"), ("heal", "hang-libvirtd", "n2"), ("settle",)]
    assert act.scene.hosts == ("n2",)
    assert act.scene.guests == ("db1", "web1")
    assert act.problem == ""
    assert act.begin <= act.seen <= act.healed <= act.end <= time.monotonic()


def test_everywhere_means_all_hosts(stage, log):
    act = performance.perform(stage, told(HUNG, everywhere=True), lambda _: None)
    assert [entry[2] for entry in log if entry[0] == "inject"] == ["n1", "n2"]
    assert act.scene.guests == ("mail1", "db1", "web1")


def test_a_bad_end_is_mended_and_put_in_order_too(stage, log):
    act = performance.perform(stage, told(HUNG, seen="still hung"), lambda _: None)
    assert log[1:] == [("heal", "hang-libvirtd", "n2"), ("settle",)]
    assert act.problem.endswith("last seen: still hung")


def test_a_host_that_is_not_back_is_mended_when_it_is(stage, log, monkeypatch):
    answers = [CannotAsk("n2 is off"), None]

    def heal(_layout, fault, host):
        answer = answers.pop(0)
        if answer:
            raise answer
        log.append(("heal", fault, host))

    monkeypatch.setattr(performance.catalogue, "heal", heal)
    assert performance.mend(stage, "break-libvirtd", "n2", lambda _: None) == ""
    assert log == [("heal", "break-libvirtd", "n2")]
