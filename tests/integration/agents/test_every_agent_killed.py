# SPDX-License-Identifier: GPL-2.0-or-later
"""What OCF wants of every agent: each of its actions is killed and repeated.

The kills of an agent whose resource cannot run on a private host are in another place (ELSEWHERE). The moments are parts
of what the action took without a kill.
"""

from __future__ import annotations

import pytest

from backstay.ocf import codes
from tests.integration.agents.everything import (
    BRIEF,
    DEFINED,
    RESOURCES,
    SHIPPED,
    TOP,
    agent_of,
    everything,
    given,
    installed,
    place,
)
from tests.integration.agents.kills import EARLIEST, KILLS, kill_after, moments
from tests.integration.agents.private_host import wait
from tests.integration.agents.whole_host import SERVING, Installed, Step, course

__all__ = ["everything", "installed", "place"]  # fixtures

pytestmark = pytest.mark.usefixtures("tools")
ELSEWHERE = {"drbd": "tests/kernel/test_drbd_kills.py"}
LONGEST = 1.1  # of what an action took without a kill


def test_each_agent_is_killed_where_it_runs() -> None:
    assert set(SHIPPED) == {*RESOURCES, *ELSEWHERE}
    for agent, path in ELSEWHERE.items():
        text = (TOP / path).read_text()
        assert f"backstay.agents.{agent} import AGENT" in text
        assert "def test_no_action_is_left_out" in text


def runs_as_told(host: Installed, agent: str, step: Step) -> None:
    """There is one of it after a start, and none after a stop, whatever became of the action before."""
    if step.name not in ("start", "stop") or agent not in RESOURCES:
        return
    here = int(step.name == "start")
    if agent == "domain":
        assert len(host.host.emulators()) == here
    if agent == "frontend":
        wait(lambda: host.count(SERVING) == here, f"{here} processes of the unit")
    if agent == "libvirtd":
        assert host.count("libvirtd --listen") == here


# ---- kills


def take(host: Installed, agent: str, kills: int) -> list[tuple[str, int, list[str]]]:
    """Go the whole course; before each step, the same one is killed so many times. Gives what each step said."""
    assert host.call(agent, "stop", host.environ(agent, given(agent, host.place))).code == codes.SUCCESS
    host.forget()
    said = []
    patience = 30.0 if agent in RESOURCES else BRIEF
    for step in course(agent_of(agent)):
        environ = host.environ(agent, given(agent, host.place), step.interval, step.level, patience)
        for part in moments(f"{agent} {step.title}", LONGEST, kills):
            whole = TOOK[agent, step.title]
            kill_after(host.begin(agent, step.name, environ), max(EARLIEST, part * whole))
        answer = host.call(agent, step.name, environ)
        TOOK.setdefault((agent, step.title), answer.seconds)
        print(agent, step.title, answer)
        assert answer.out == "", answer
        assert answer.err.count("\n") <= 1, answer
        runs_as_told(host, agent, step)
        said.append((step.title, answer.code, sorted(host.kept())))
    return said


TOOK: dict[tuple[str, str], float] = {}


def killed_and_repeated(host: Installed, agent: str, kills: int) -> None:
    whole = take(host, agent, 0)
    for step, (title, code, _) in zip(course(agent_of(agent)), whole, strict=True):
        assert code in DEFINED, title
        if agent in RESOURCES and step.expected is not None:
            assert code == step.expected, title
    fields = host.kept()
    assert take(host, agent, kills) == whole
    assert host.kept() == fields


@pytest.mark.parametrize("agent", SHIPPED)
def test_each_action_killed_and_repeated(everything: Installed, agent: str) -> None:
    killed_and_repeated(everything, agent, 1)


@pytest.mark.long
@pytest.mark.parametrize("agent", SHIPPED)
def test_each_action_killed_many_times_and_repeated(everything: Installed, agent: str) -> None:
    killed_and_repeated(everything, agent, 2 * KILLS)
