# SPDX-License-Identifier: GPL-2.0-or-later
"""The rehearsal of a fence agent: its real code against a BMC that is not there, step by step.

Decides what a step is, how it is taken, and what a failure means. The process, the simulator and the directory are
given to it; which steps an agent has to take, and with which parameters, is decided in ipmi_rehearsal.py,
redfish_rehearsal.py and foreign.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

STEP_TIME = 60.0  # seconds: what Pacemaker gives a fencing by default
BROKEN = (
    "the agent itself is broken",
    "Traceback (most recent call last)",
)  # protocol.py's words, and Python's
ON, FAILED, OFF = 0, 1, 2
DEEDS = {
    "drop": "answers nothing",
    "drop-control": "ignores the command",
    "silent": "answers nothing",
    "password": "has another password",
    "ignore-set": "accepts and does nothing",
    "dies": "dies of the command",
    "task": "says that its task failed",
    "only": "offers no hard power-off",
    "only-info": "offers no hard power-off",
    "impostor": "is somebody else's",
}


class Spoken(Protocol):
    """What a run of an agent came to; `code` is None when it did not end in time or could not be run."""

    @property
    def code(self) -> int | None: ...

    @property
    def out(self) -> str: ...

    @property
    def err(self) -> str: ...

    @property
    def reason(self) -> str: ...


class Agents(Protocol):
    """The installed agents."""

    def run(self, agent: str, action: str, parameters: Mapping[str, str], timeout: float) -> Spoken:
        """Run one action of one of them."""


class Bmc(Protocol):
    """The BMC of the rehearsal."""

    address: str
    port: int
    user: str
    password: str
    password_file: str

    def power(self) -> str:
        """`on` or `off`."""

    def become(self, state: str) -> None:
        """Put the chassis into a state."""

    def commands(self) -> list[str]:
        """Every chassis command that it was sent."""

    def left(self) -> int:
        """How many sessions somebody opened and did not close."""

    def fault(self, name: str, value: str | None) -> None:
        """Break it, or heal it with None."""


@dataclass(frozen=True, slots=True)
class Step:
    """One action: from which power state, to which exit code and power state, against which fault of the BMC.

    `says` stands in what the agent says: a no without its reason, or a document without its contents, is wrong.
    """

    action: str
    before: str
    code: int
    after: str
    fault: str = ""
    value: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    says: str = ""

    @property
    def name(self) -> str:
        """`off`, or `off (ignore-set)`."""
        return f"{self.action} ({self.fault})" if self.fault else self.action


@dataclass(frozen=True, slots=True)
class Script:
    """How one agent is rehearsed. All three are given what is configured.

    `steps` are played in their order; `parameters` says what the agent is given with a BMC (of the kind that the
    script is for); devices with the same `signature` share one rehearsal.
    """

    steps: Callable[[Mapping[str, str]], tuple[Step, ...]]
    parameters: Callable[[Mapping[str, str], Any], dict[str, str]]
    signature: Callable[[Mapping[str, str]], tuple[tuple[str, str], ...]]


def rehearse(agent: str, configured: Mapping[str, str], agents: Agents, bmc: Bmc, script: Script) -> str:
    """What went wrong, in one sentence, or nothing."""
    for step in script.steps(configured):
        wrong = play(step, agent, script.parameters(configured, bmc), agents, bmc)
        if wrong and not any(words in wrong for words in BROKEN):
            # On a host that has no time for it a good agent is too late as well: a bad one fails again.
            wrong = play(patiently(step), agent, script.parameters(configured, bmc), agents, bmc)
        if wrong:
            return f"{agent} {step.action} {wrong}"
    return ""


def patiently(step: Step) -> Step:
    """The same step with four times the waits that it has of its own, so far as they end within the step's time."""
    settings = tuple(
        (name, f"{min(float(value) * 4, STEP_TIME / 2):g}" if name.endswith("_timeout") else value)
        for name, value in step.settings
    )
    return replace(step, settings=settings)


def play(step: Step, agent: str, given: Mapping[str, str], agents: Agents, bmc: Bmc) -> str:
    """Take one step with these parameters; what is wrong with what came of it, or nothing."""
    bmc.become(step.before)
    if step.fault:
        bmc.fault(step.fault, step.value)
    sent = len(bmc.commands())
    said = agents.run(agent, step.action, {**given, **dict(step.settings)}, STEP_TIME)
    if step.fault:
        bmc.fault(step.fault, None)
    if bmc.password in f"{said.out}\n{said.err}":
        return "shows the password"
    if bmc.left() and not step.fault:  # a broken one may have kept it from being closed
        return "leaves a session open"
    return wrong(step, said, bmc.power(), bmc.commands()[sent:])


def wrong(step: Step, said: Spoken, power: str, sent: list[str]) -> str:
    """Compare what happened with what must: the exit code, the power, the commands and what was said."""
    if said.code is None:
        return f"did not end: {said.reason}"
    if step.code == FAILED and said.code == 0:
        return f"says that it is done while the BMC {_deed(step)} and the power is {power}"
    if said.code != step.code:
        return f"ended with exit code {said.code} instead of {step.code}: {said.reason}"
    if any(words in said.err for words in BROKEN):
        return f"ended with exit code {said.code}, but {said.reason}"
    if step.code == FAILED and not said.err.strip():
        return "fails without a word on standard error"
    if step.says not in (said.err if step.code == FAILED else said.out):
        return f"does not say {step.says!r} but: {said.reason}"
    if power != step.after:
        return f"left the power {power} instead of {step.after}"
    if step.code == FAILED:
        return ""
    if step.action == "off" and {"cycle", "reset"} & set(sent):
        return f"sent {', '.join(sent)}: the power would come back"
    if step.action == "reboot" and not {"off", "cycle", "reset"} & set(sent):
        return f"sent no off (but {', '.join(sent) or 'nothing'})"
    return ""


def _deed(step: Step) -> str:
    return DEEDS.get(step.fault, "refuses")
