# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo's last page: its figures are the audit's, it fits 80 columns, and it does not hide what went wrong."""

from __future__ import annotations

import pytest

from backstay.lab import records, summary
from backstay.lab.actions import Action, Fencing
from backstay.lab.audit import Evidence, Finding, Period, Silence, Verdict
from backstay.lab.performance import Act
from backstay.lab.stories import STORIES, Scene
from backstay.lab.timeline import Event

POWER = next(story for story in STORIES if story.name == "power")
GUESTS = {"u1": "web1", "u2": "db1"}


def act(problem=""):
    return Act(POWER, Scene(("n3",), ("web1",)), 100.0, 112.5, 113.0, 140.0, problem)


def evidence(testimony, deeds=()):
    return Evidence(GUESTS, testimony, {}, tuple(deeds), 90.0, 150.0)


def page(testimony, *, findings=(), silences=(), deeds=(), problem="", events=()):
    verdict = Verdict(tuple(findings), tuple(silences), 0.5, 2.5)
    performed = act(problem)
    period = Period(POWER.title, performed.begin, performed.end, POWER.expected(performed.scene))
    found = evidence(testimony, deeds)
    return summary.text([performed], [period], verdict, found, events, todays_agents=False)


@pytest.fixture
def testimony():
    return records.Testimony()


def test_the_figures_of_a_story(testimony):
    deeds = [
        Fencing(106.0, "n3", "n1", "reboot", "OK", "e1"),
        Action(108.0, "n1", "web1", "start", "ok"),
        Action(108.0, "n1", "db1", "start", "error"),
        Action(109.0, "n1", "fence-n2", "start", "ok"),
        Action(145.0, "n1", "web1", "start", "ok"),
    ]
    silences = [
        Silence("web1", 100.0, 112.0, 11.5, "n3", "n1"),
        Silence("db1", 120.0, 124.0, 3.5, "n2", "n2"),
    ]
    events = [Event(112.0, "n1", "guest", "web1 speaks again after 12.0 s")]
    told = page(testimony, deeds=deeds, silences=silences, events=events)
    (row,) = [line for line in told.splitlines() if line.startswith(POWER.title)]
    assert row.split()[len(POWER.title.split()) :] == ["15.0", "s", "2", "1", "1", "Pacemaker", "12", "s"]
    assert "All of it held" in told


def test_what_went_wrong_is_said(testimony):
    findings = [Finding("ran twice", "web1", 110.0, "web1 ran twice: ...")]
    told = page(testimony, findings=findings, problem="waited in vain for peace")
    assert "Not all of it held" in told
    assert "- ran twice: web1 ran twice: ..." in told
    assert f"- {POWER.title}: waited in vain for peace" in told
    assert "All of it held" not in told
    assert "never" in told


def test_the_page_fits_80_columns(testimony):
    told = page(testimony, silences=[Silence("web1", 100.0, 112.0, 1111.5, "n3", "n1")])
    assert max(len(line) for line in told.splitlines()) <= 80
