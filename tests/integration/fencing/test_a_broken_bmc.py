# SPDX-License-Identifier: GPL-2.0-or-later
"""fence_backstay_ipmi against BMCs that are dead, slow, busy or lying: it ends in time and says which it was.

Each case has a simulator and an agent of its own and all of them wait at the same time, because what takes long here
is patience, not work.
"""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest

from tests.integration.fencing.conftest import MAKERS, Bmc, Spoken

# A dead BMC costs ipmitool 6 s, and only its last words tell the reason: the rest is for a busy machine.
SHORT = {"login_timeout": 20, "power_timeout": 3}
# What is seen to come of a command, or to be worth waiting for, takes a few calls: on a busy machine each needs seconds.
LONGER = {"login_timeout": 20, "power_timeout": 6}
PATIENT = {"login_timeout": 40, "power_timeout": 60}

AT_THE_SAME_TIME = 16
# The same for a session that falls silent.
MUTE = "(opens a session but leaves the request to power off unanswered|gave no complete answer in the time that it has)"
SLOW = "(begins a session and then does not answer in time|gave no complete answer in the time that it has)"


@dataclass(frozen=True)
class Case:
    """How a BMC is broken, and what is asked of it."""

    fault: str
    value: str = ""
    action: str = "off"
    settings: Mapping[str, object] | None = None
    maker: str = "ours"

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
    slack: float  # seconds that a busy machine is granted: what begins in 0.1 s there needs more


EVERYBODY = tuple(MAKERS)
# The others' faults lie in their chassis and in the network before them (conftest.py, udp_proxy.py). What OpenIPMI's
# cannot be: busy. A proxy cannot either, since what a session carries is signed.
NOT_OPENIPMI = ("ours", "pyghmi")
SILENT = "does not answer on UDP port"
LAPSED = "timed out waiting for n2 to be powered off"
BREAKS = [
    (Case("ignore-set", settings=LONGER), LAPSED, 16, EVERYBODY),
    (Case("delay-off", "60", settings=LONGER), LAPSED, 16, EVERYBODY),
    (Case("drop", settings=SHORT), SILENT, 28, EVERYBODY),
    (Case("drop-session", settings=SHORT), MUTE, 28, EVERYBODY),
    (Case("drop-control", settings=SHORT), "a session but leaves the request to power off unanswered", 28, EVERYBODY),
    (Case("dies", settings=SHORT), "whether n2 is powered off is not known", 28, EVERYBODY),
    (Case("maxsess", settings=SHORT), "has no session slot free", 28, EVERYBODY),
    (Case("busy", settings=SHORT), "IPMI completion code 0xc0: node busy", 28, NOT_OPENIPMI),
    (Case("fail-get", "ff", settings=SHORT), r"refused to power off \(IPMI completion code 0xff", 28, EVERYBODY),
    # On a busy machine our own patience may end before ipmitool's: then the other of the two sentences is true.
    (Case("latency", "1.2", settings=SHORT), SLOW, 28, EVERYBODY),
    (Case("latency", "3", settings=SHORT), SLOW, 28, EVERYBODY),
    (Case("SIGSTOP", settings=SHORT), SILENT, 28, EVERYBODY),
    (Case("SIGKILL", action="monitor", settings=SHORT), SILENT, 28, EVERYBODY),
]  # fmt: skip
GIVEN_UP = [
    (replace(case, maker=maker), reason, seconds)
    for case, reason, seconds, makers in BREAKS
    for maker in makers
]
WAITED_FOR = [
    *(Case("delay-off", "2", maker=maker, settings=PATIENT) for maker in MAKERS),
    *(Case("busy", "3", maker=maker, settings=PATIENT) for maker in NOT_OPENIPMI),
    *(Case("codes", "c3 ce d1 d2", maker=maker, settings=PATIENT) for maker in NOT_OPENIPMI),
    *(Case("lost-answer", maker=maker, settings=PATIENT) for maker in MAKERS),
    *(Case("ignore-set", "1", maker=maker, settings=LONGER) for maker in MAKERS),
    *(Case("latency", "0.1", maker=maker, settings=PATIENT) for maker in MAKERS),
    *(Case("loss", nth, maker=maker, settings=PATIENT) for maker in MAKERS for nth in ("5", "9")),
]
ON_FAILS = [Case("delay-on", "60", "reboot", maker=maker) for maker in MAKERS]
CASES = [case for case, _, _ in GIVEN_UP] + WAITED_FOR + ON_FAILS


def name(given: object) -> str:
    """A case as the name of its test."""
    return (
        f"{given.maker}-{given.fault}-{given.value}-{given.action}".replace("--", "-")
        if isinstance(given, Case)
        else ""
    )


@pytest.fixture(scope="module")
def ends(fence: Callable[..., Spoken], need, tmp_path_factory) -> dict[str, End]:
    """What came of every case, by its name."""
    need("ipmitool", "ipmi_sim")

    def play(case: Case, bmc: Bmc) -> End:
        spoken = fence(bmc, case.action, **(case.settings or {}))
        return End(spoken, bmc.power, bmc.commands(), 10 * fence(None, "metadata").took)

    with contextlib.ExitStack() as running, ThreadPoolExecutor(AT_THE_SAME_TIME) as pool:
        base = tmp_path_factory.mktemp("bmcs")
        bmcs = {name(case): running.enter_context(MAKERS[case.maker](base / name(case))) for case in CASES}
        for case in CASES:
            if case.maker == "openipmi":
                fence(bmcs[name(case)], "monitor")  # it listens
        for case in CASES:
            case.breaks(bmcs[name(case)])
        begun = {name(case): pool.submit(play, case, bmcs[name(case)]) for case in CASES}
        return {case: end.result() for case, end in begun.items()}


@pytest.mark.parametrize(("case", "reason", "at_most"), GIVEN_UP, ids=name)
def test_it_is_given_up_in_time_with_its_own_reason(ends, case, reason, at_most):
    end = ends[name(case)]
    spoken = end.spoken
    assert (spoken.code, len(spoken.errors)) == (1, 1)
    assert re.search(reason, spoken.err)
    assert spoken.took < at_most + end.slack
    assert ("imed out" in spoken.err) == (case.fault in ("ignore-set", "delay-off"))


@pytest.mark.parametrize("case", WAITED_FOR, ids=name)
def test_a_slow_or_busy_one_is_waited_for(ends, case):
    end = ends[name(case)]
    assert (end.spoken.code, end.power) == (0, "off")


@pytest.mark.parametrize("case", ON_FAILS, ids=name)
def test_a_reboot_whose_on_fails_is_done_with_a_warning(ends, case):
    end = ends[name(case)]
    assert end.spoken.code == 0
    assert "off was seen, so the reboot counts as done" in end.spoken.err
    assert end.power == "off"
    assert end.commands[:2] == ["off", "on"]
