# SPDX-License-Identifier: GPL-2.0-or-later
"""fence_backstay_ipmi against BMCs that are dead, slow, busy or lying: it ends in time and says which it was.

Each case has a simulator and an agent of its own and all of them wait at the same time, because what takes long here
is patience, not work.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.integration.fencing.conftest import Bmc, Spoken, simulator

# A dead BMC costs ipmitool 6 s, and only its last words tell the reason: half as much again for a busy machine.
SHORT = {"login_timeout": 9, "power_timeout": 3}


@dataclass(frozen=True)
class Case:
    """How a BMC is broken, and what is asked of it."""

    fault: str
    value: str = ""
    action: str = "off"
    settings: Mapping[str, object] | None = None

    def breaks(self, bmc: Bmc) -> None:
        """Break it."""
        if self.fault in signal.Signals.__members__:
            bmc.process.send_signal(signal.Signals[self.fault])
        else:
            bmc.faults.set(self.fault, self.value)


@dataclass(frozen=True)
class End:
    """What came of a case."""

    spoken: Spoken
    power: str
    commands: list[str]


GIVEN_UP = [
    (Case("ignore-set", settings=SHORT), "timed out waiting for n2 to be powered off", 12),
    (Case("delay-off", "60", settings=SHORT), "timed out waiting for n2 to be powered off", 12),
    (Case("drop", settings=SHORT), "does not answer on UDP port", 18),
    (Case("drop-session", settings=SHORT), "opens a session but leaves the request to power off unanswered", 18),
    (Case("drop-control", settings=SHORT), "opens a session but leaves the request to power off unanswered", 18),
    (Case("maxsess", settings=SHORT), "has no session slot free", 18),
    (Case("busy", settings=SHORT), "IPMI completion code 0xc0: node busy", 18),
    (Case("fail-get", "ff", settings=SHORT), "refused to power off (IPMI completion code 0xff", 5),
    (Case("latency", "1.2", settings=SHORT), "answers too slowly for a session", 18),
    (Case("latency", "3", settings=SHORT), "gave no complete answer in the time that it has", 18),
    (Case("SIGSTOP", settings=SHORT), "does not answer on UDP port", 18),
    (Case("SIGKILL", action="monitor", settings=SHORT), "does not answer on UDP port", 18),
]  # fmt: skip
WAITED_FOR = [Case("delay-off", "2"), Case("busy", "3"), Case("latency", "0.1")]
ON_FAILS = Case("delay-on", "60", "reboot")
CASES = [case for case, _, _ in GIVEN_UP] + WAITED_FOR + [ON_FAILS]


def name(given: object) -> str:
    """A case as the name of its test."""
    return f"{given.fault}-{given.value}-{given.action}".replace("--", "-") if isinstance(given, Case) else ""


@pytest.fixture(scope="module")
def ends(fence: Callable[..., Spoken], need, tmp_path_factory) -> dict[str, End]:
    """What came of every case, by its name."""
    need("ipmitool")

    def play(case: Case, bmc: Bmc) -> End:
        spoken = fence(bmc, case.action, **(case.settings or {}))
        return End(spoken, bmc.power, bmc.commands())

    with contextlib.ExitStack() as running, ThreadPoolExecutor(len(CASES)) as pool:
        base = tmp_path_factory.mktemp("bmcs")
        bmcs = {name(case): running.enter_context(simulator(base / name(case))) for case in CASES}
        for case in CASES:
            case.breaks(bmcs[name(case)])
        begun = {name(case): pool.submit(play, case, bmcs[name(case)]) for case in CASES}
        return {case: end.result() for case, end in begun.items()}


@pytest.mark.parametrize(("case", "reason", "at_most"), GIVEN_UP, ids=name)
def test_it_is_given_up_in_time_with_its_own_reason(ends, case, reason, at_most):
    spoken = ends[name(case)].spoken
    assert (spoken.code, len(spoken.errors)) == (1, 1)
    assert reason in spoken.err
    assert spoken.took < at_most
    assert ("imed out" in spoken.err) == (case.fault in ("ignore-set", "delay-off"))


@pytest.mark.parametrize("case", WAITED_FOR, ids=name)
def test_a_slow_or_busy_one_is_waited_for(ends, case):
    end = ends[name(case)]
    assert (end.spoken.code, end.power) == (0, "off")


def test_a_reboot_whose_on_fails_is_done_with_a_warning(ends):
    end = ends[name(ON_FAILS)]
    assert end.spoken.code == 0
    assert "off was seen, so the reboot counts as done" in end.spoken.err
    assert end.commands[:2] == ["off", "on"]


def test_a_lie_of_the_other_bmc(ipmi_sim, fence):
    fence(ipmi_sim, "monitor")
    (ipmi_sim.directory / "ignore-set").touch()
    spoken = fence(ipmi_sim, "off", **SHORT)
    assert spoken.code == 1
    assert "timed out waiting for n2 to be powered off" in spoken.err
