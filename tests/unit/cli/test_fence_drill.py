# SPDX-License-Identifier: GPL-2.0-or-later
"""What `backstay fence drill` says: before it asks, when it refuses, and afterwards."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest

from backstay.cli import fence_drill
from backstay.errors import Refused
from backstay.fencing.configuration import Fencing
from backstay.fencing.drill import ALLOW_STOP, Refusal
from backstay.fencing.drill_course import Outcome
from backstay.fencing.drill_marks import DRAINING, FENCING, Open, Record
from backstay.fencing.drill_situation import Foreseen, Host, Situation, Votes
from backstay.fencing.readiness import Cell, State
from backstay.host import crm_mon
from backstay.plan.transition import Step

NOW = Situation(
    "n2",
    "n1",
    1000.0,
    (Host("n1"), Host("n2"), Host("n3")),
    Votes(3, 2, {"n1": 1, "n2": 1, "n3": 1}),
    Fencing(("n1", "n2", "n3"), (), (), MappingProxyType({})),
    (Cell("n1", "fence-n2", "n2", State.READY, 1000.0),),
    Foreseen(moves=(("db1", "n3"),), guests=("db1", "web1"), unmeasured=("web1",)),
    seen=2,
)
HARM = Refusal("draining it would hurt: db1 stops on n2", "", ALLOW_STOP)
FULL = Refusal("n3 is full", "make room first")
GOOD = Outcome(12.3, 2.44, 3.0, 41.04)
ALIVE = [Step("migrate", "db1", "n2", "n3")]


def test_the_plan_says_everything_before_anything_is_touched() -> None:
    assert fence_drill._plan(NOW, (HARM, FULL)).splitlines() == [
        "drill of n2, from n1",
        "  db1 moves live to n3",
        "  the cluster fences n2 with fence-n2",
        "  n2 boots and comes back",
        "  nobody configured how much memory web1 needs: whether there is room is not known",
        "what speaks against it:",
        "  ! draining it would hurt: db1 stops on n2",
        "  ! n3 is full; make room first",
    ]


@pytest.mark.parametrize(
    ("against", "text", "hint"),
    [
        ((HARM,), "a reason speaks against it", f"insist with {ALLOW_STOP}"),
        ((HARM, FULL), "2 reasons speak against it", ""),
        ((FULL,), "a reason speaks against it", ""),
    ],
)
def test_a_refusal_says_how_to_insist_when_that_would_do(
    against: tuple[Refusal, ...], text: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Refused, match=text) as refused:
        fence_drill._permit(NOW, against, "json", yes=True)
    assert refused.value.hint == hint
    said = json.loads(capsys.readouterr().out)
    assert (said["done"], [one["text"] for one in said["refusals"]]) == (False, [one.text for one in against])


def test_nobody_is_asked_in_a_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(Refused, match="nobody is there to be asked"):
        fence_drill._permit(NOW, (), "text", yes=False)
    fence_drill._permit(NOW, (), "text", yes=True)


@pytest.mark.parametrize(
    ("found", "steps", "settled", "good", "text"),
    [
        (GOOD, ALIVE, True, True, "known to be off after 2.4 s, back in the cluster after 41.0 s"),
        (GOOD, [Step("restart", "db1", "n2")], True, False, "! db1 stops and starts again on n2"),
        (GOOD, [Step("stop", "db1", "n2")], True, False, "! db1 stops on n2"),
        (GOOD, ALIVE, False, False, "! the cluster has not come to rest"),
        (Outcome(1.0, problems=("it failed",)), [], True, False, "! it failed"),
        (
            Outcome(1.0, 2.0, problems=("late",)),
            [],
            True,
            False,
            "n2 was fenced: known to be off after 2.0 s.",
        ),
    ],
)
def test_what_came_of_it(found: Outcome, steps: list[Step], settled: bool, good: bool, text: str) -> None:
    said: dict[str, Any] = fence_drill._result(NOW, found, steps, settled=settled)
    assert said["good"] is good
    assert said["done"] is (found.off is not None)
    story = fence_drill._story(NOW, found, steps, settled=settled)
    assert text in story
    assert ("no guest was interrupted" in story) is (not said["interrupted"])


class Marks:
    """The cluster as an interrupted drill is ended in it: what is written down, and what was fenced at 2000."""

    def __init__(self) -> None:
        self.kept: list[Record] = []

    def keep(self, record: Record) -> None:
        self.kept.append(record)


@pytest.mark.parametrize(
    ("phase", "since", "kept", "said"),
    [
        (FENCING, 1000.0, 1, "the host was fenced all the same"),
        (FENCING, 3000.0, 0, "it did not fence the host"),
        (DRAINING, 1000.0, 0, "it did not fence the host"),
    ],
)
def test_only_a_drill_that_had_come_to_the_fencing_is_kept_as_one(
    phase: str, since: float, kept: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = Marks()
    monkeypatch.setattr(fence_drill.real, "Cluster", lambda: marks)
    monkeypatch.setattr(fence_drill.real, "live", lambda: None)
    monkeypatch.setattr(fence_drill.real, "recorded", lambda _: ())
    monkeypatch.setattr(fence_drill, "take_over", lambda *_, **__: None)
    event = crm_mon.Event("n2", "reboot", "success", 2000.0, "pacemaker", "n1")
    now = crm_mon.Cluster((), {}, (event,))
    assert said in fence_drill._finish(Open("n2", since, "n1", phase), now, alive=False)
    assert len(marks.kept) == kept
