# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is told what of a check: the attribute always, the log once for each change, and without a cluster the log alone."""

from __future__ import annotations

import pytest

from backstay.agents.check import BAD, GOOD
from backstay.agents.check import Cell as AgentCell
from backstay.cli import announcing, fence_announcing
from backstay.errors import CannotAsk
from backstay.fencing.check import Report
from backstay.fencing.finding import ERROR, Finding
from backstay.fencing.readiness import CELLS, Cell, State


class Kept(dict):
    """Texts that are kept."""

    def read(self, name: str) -> str:
        return self.get(name, "")

    def write(self, name: str, text: str) -> None:
        self[name] = text


class Daemon:
    """The attribute daemon and the log, as a test sees them."""

    def __init__(self) -> None:
        self.values_of: dict[str, str] = {}
        self.lines: list[tuple[str, str]] = []
        self.away = False

    def local(self, timeout: float) -> str:
        return "n1"

    def values(self, name: str, timeout: float) -> dict[str, str]:
        if self.away:
            raise CannotAsk("no cluster here")
        return {"n1": self.values_of[name]} if name in self.values_of else {}

    def publish(self, name: str, value: str, timeout: float) -> None:
        self.values_of[name] = value

    whisper = publish

    def alert(self, text: str) -> None:
        self.lines.append(("alert", text))

    def note(self, text: str) -> None:
        self.lines.append(("note", text))

    def told(self) -> list[tuple[str, str]]:
        """What was said since the last time."""
        lines, self.lines = self.lines, []
        return lines


@pytest.fixture
def daemon(monkeypatch) -> Daemon:
    """In place of the real ones."""
    made = Daemon()
    for module in (announcing, fence_announcing):
        monkeypatch.setattr(module, "Attributes", lambda: made)
        monkeypatch.setattr(module, "Log", lambda _: made)
    monkeypatch.setattr(fence_announcing, "memory_left", lambda: "1")
    monkeypatch.setattr(fence_announcing, "system_uuid", lambda: "")
    return made


def agents(state: str) -> list[AgentCell]:
    return [AgentCell("domain", "stop", state, "domain stop broke" if state == BAD else "")]


def test_a_broken_agent_is_said_once_and_its_recovery_as_well(daemon):
    kept, notes = Kept(), []
    announcing.announce(kept, agents(GOOD), "", notes)
    assert (daemon.values_of["backstay-agents"], daemon.told()) == ("ready", [])
    announcing.tell("unproven:domain", notes)
    for _ in range(2):
        announcing.announce(kept, agents(BAD), "", notes)
        assert daemon.values_of["backstay-agents"] == "broken:domain"
    assert daemon.told() == [("alert", "an agent of this host is broken: domain stop broke")]
    announcing.announce(kept, agents(GOOD), "", notes)
    assert daemon.told() == [("note", "every agent of this host does its work again")]


def test_an_upgrade_that_changes_nothing_for_the_worse_is_not_said(daemon):
    kept = Kept()
    announcing.announce(kept, agents(GOOD), "", [])
    announcing.tell("unproven:domain", [])
    announcing.announce(kept, agents(GOOD), "", [])
    assert (daemon.values_of["backstay-agents"], daemon.told()) == ("ready", [])


def test_a_host_without_a_cluster_says_it_in_its_log_all_the_same(daemon):
    daemon.away = True
    notes: list[str] = []
    announcing.announce(Kept(), agents(BAD), "", notes)
    assert [kind for kind, _ in daemon.told()] == ["alert"]
    assert notes == ["the cluster is not told: no cluster here"]


def test_a_refused_version_is_said(daemon):
    announcing.announce(Kept(), agents(GOOD), "2-x: it broke", [])
    assert daemon.values_of["backstay-agents"] == "refused"
    assert "2-x: it broke" in daemon.told()[0][1]


def report(*errors: str, **states: State) -> Report:
    cells = tuple(
        Cell("n1", f"fence-{host}", host, state, 9.0, state.value) for host, state in states.items()
    )
    return Report("n1", 9.0, cells, tuple(Finding(ERROR, text) for text in errors), {}, {})


def test_each_cell_that_changes_is_one_line(daemon):
    kept = Kept()
    for states, state, lines in (
        ({"n2": State.READY, "n3": State.READY}, "ready", []),
        ({"n2": State.SILENT, "n3": State.READY}, "not-ready:fence-n2", ["fence-n2 for n2: no answer"]),
        ({"n2": State.PASSWORD, "n3": State.READY}, "not-ready:fence-n2", ["fence-n2 for n2: password"]),
        ({"n2": State.PASSWORD, "n3": State.READY}, "not-ready:fence-n2", []),
        ({"n2": State.UNPROVEN, "n3": State.UNPROVEN}, "not-ready:fence-n2", []),
        ({"n2": State.READY, "n3": State.READY}, "ready", ["n2 with fence-n2 again"]),
    ):
        fence_announcing.announce(report(**states), kept, None)
        assert daemon.values_of["backstay-fencing"] == state
        said = [text for _, text in daemon.told()]
        assert len(said) == len(lines)
        assert all(text.endswith(line) for text, line in zip(said, lines, strict=True))
    assert daemon.values_of[CELLS] == "9;n2|fence-n2|READY;n3|fence-n3|READY"


def test_what_nobody_tested_is_told_as_that(daemon):
    fence_announcing.announce(report(n2=State.UNTESTED), Kept(), None)
    ((kind, said),) = daemon.told()
    assert (daemon.values_of["backstay-fencing"], kind) == ("not-ready:fence-n2", "alert")
    assert "this host may not be able to fence: fence-n2 for n2: untested" in said


def test_an_error_of_the_configuration_is_said_once_each(daemon):
    kept = Kept()
    for errors, state, kinds in (
        (("no device can fence n3",), "not-ready:configuration", ["alert"]),
        (("no device can fence n3",), "not-ready:configuration", []),
        (("no device can fence n3", "stonith-enabled is false"), "not-ready:configuration", ["alert"]),
        ((), "ready", ["note"]),
    ):
        fence_announcing.announce(report(*errors, n2=State.READY), kept, None)
        assert daemon.values_of["backstay-fencing"] == state
        assert [kind for kind, _ in daemon.told()] == kinds
