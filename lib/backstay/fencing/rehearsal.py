# SPDX-License-Identifier: GPL-2.0-or-later
"""The rehearsal of a fence agent: its real code against a BMC that is not there, step by step.

Decides the steps, what each must come to, and what a failure means. The process, the simulator and the directory are
given to it. An agent is rehearsed with the parameters that it is configured with, except for address, credentials and
waits; the password comes to it the way it is configured, as a file, from a script or as it is. Some steps make sure
that it says no, for the right reason, to a BMC that refuses, to one that accepts and does nothing and to a dead one, so
that the next level of the topology gets its turn; others that it does not give up too early: with a BMC that is slow to
switch, is busy, or lacks the cipher suite.

Which steps are needed was found by breaking the agent in hundreds of ways (bench/mutation-records.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

ELSEWHERE = frozenset(
    {
        "action", "option", "ip", "ipaddr", "ipport", "username", "login", "password", "passwd", "password_file",
        "password_script", "passwd_script", "hexadecimal_kg", "plug", "port", "port_as_ip", "nodename", "target",
        "delay", "power_wait", "verbose", "quiet",
    }
)  # fmt: skip
SIMULATED_SUITES = ("3", "17")
HOST = "rehearsal"
KEY = "72656865617273616c"  # the Kg key of the simulated BMC, where the configured one has a key
STEP_TIME = 60.0  # seconds: what Pacemaker gives a fencing by default
BROKEN = (
    "the agent itself is broken",
    "Traceback (most recent call last)",
)  # protocol.py's words, and Python's
ON, FAILED, OFF = 0, 1, 2
DEEDS = {
    "drop": "answers nothing",
    "silent": "answers nothing",
    "password": "has another password",
    "ignore-set": "accepts and does nothing",
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


PATIENT = (("power_timeout", "20"), ("login_timeout", "10"))
IMPATIENT = (("power_timeout", "2"), ("login_timeout", "5"))
STRANGER = (("username", "stranger"),)
ONOFF = (("method", "onoff"),)  # a cycle needs no on
ANOTHER_SUITE = (("cipher", "16"), ("cipher_fallback", "3"))  # 16 is none of SIMULATED_SUITES
NO_RIGHT = "insufficient privilege"  # what a refusal with d4 is called
STEPS = (
    Step("metadata", "on", ON, "on", says='<action name="off"'),
    Step("list", "on", ON, "on", says=f"{HOST},"),
    Step("monitor", "on", ON, "on"),
    Step("status", "on", ON, "on"),
    Step("off", "on", ON, "off"),
    Step("status", "off", OFF, "off"),
    Step("off", "off", ON, "off"),
    Step("on", "off", ON, "on"),
    Step("reboot", "on", ON, "on"),
    Step("off", "on", ON, "off", "delay-off", "1", PATIENT),
    Step("off", "on", ON, "off", "busy", "1", PATIENT),
    Step("off", "on", ON, "off", settings=ANOTHER_SUITE),
    Step("status", "on", ON, "on", "busy", "1"),
    Step("status", "on", FAILED, "on", "password", "another", says="does not accept the password"),
    Step("status", "on", FAILED, "on", settings=STRANGER, says="has no account stranger"),
    Step("status", "on", FAILED, "on", "fail-get", "d4", says=NO_RIGHT),
    Step("off", "on", FAILED, "on", "fail-set", "d4", says=NO_RIGHT),
    Step("reboot", "on", FAILED, "on", "fail-set", "d4", says=NO_RIGHT),
    Step("reboot", "on", ON, "off", "fail-on", "d4", ONOFF),  # the host was dead: that is a yes
    Step("off", "on", FAILED, "on", "ignore-set", "", IMPATIENT, says="timed out"),
    Step("off", "on", FAILED, "on", "drop", "", IMPATIENT, says="answer"),
)
# Its dark moment is too short to be seen: a plain off has to follow.
CYCLE = Step("reboot", "on", ON, "on", "quick-cycle", "", (("power_timeout", "6"), ("login_timeout", "10")))


@dataclass(frozen=True, slots=True)
class Script:
    """How one agent is rehearsed. All three are given what is configured.

    `steps` are played in their order; `parameters` says what the agent is given with a BMC (of the kind that the
    script is for); devices with the same `signature` share one rehearsal.
    """

    steps: Callable[[Mapping[str, str]], tuple[Step, ...]]
    parameters: Callable[[Mapping[str, str], Any], dict[str, str]]
    signature: Callable[[Mapping[str, str]], tuple[tuple[str, str], ...]]


def parameters(configured: Mapping[str, str], bmc: Bmc) -> dict[str, str]:
    """What the agent is given: the configured comfort, the simulator's address and account."""
    kept = {name: value for name, value in configured.items() if name.replace("-", "_") not in ELSEWHERE}
    if kept.get("cipher", "17") not in SIMULATED_SUITES:
        del kept["cipher"]
    there = {"ip": bmc.address, "ipport": str(bmc.port), "username": bmc.user}
    key = {"hexadecimal_kg": KEY} if key_of(configured) else {}
    return {**kept, **there, **secret_of(configured, bmc), **key, "plug": HOST, "nodename": HOST}


def secret_of(configured: Mapping[str, str], bmc: Bmc) -> dict[str, str]:
    """The simulator's password, on the way on which the configured one comes."""
    way = way_of_password(configured)
    files = {"password_script": f"/bin/cat {bmc.password_file}", "password_file": bmc.password_file}
    return {way: files.get(way, bmc.password)}


def way_of_password(configured: Mapping[str, str]) -> str:
    """By which parameter the agent gets its password, as the agent itself decides (backstay.fencing.password)."""
    if configured.get("password_script") or configured.get("passwd_script"):
        return "password_script"
    return "password_file" if configured.get("password_file") else "password"


def key_of(configured: Mapping[str, str]) -> str:
    """The Kg key that the simulated BMC needs, hexadecimal; "" for none."""
    return KEY if configured.get("hexadecimal_kg", "").strip() else ""


def signature(configured: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """What tells one rehearsal from another: devices that differ in address and account alone share one."""
    comfort = {name: value for name, value in configured.items() if name not in ELSEWHERE}
    ways = {"password": way_of_password(configured), "hexadecimal_kg": key_of(configured)}
    return tuple(sorted({**comfort, **ways}.items()))


def steps(configured: Mapping[str, str]) -> tuple[Step, ...]:
    """What is played; a cycle that nobody sees only where hosts are rebooted by cycles."""
    return (*STEPS, CYCLE) if configured.get("method", "").strip().lower() == "cycle" else STEPS


IPMI = Script(steps, parameters, signature)


def rehearse(
    agent: str, configured: Mapping[str, str], agents: Agents, bmc: Bmc, script: Script = IPMI
) -> str:
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
    if step.action == "reboot" and not {"off", "cycle", "reset"} & set(sent):
        return f"sent no off (but {', '.join(sent) or 'nothing'})"
    return ""


def _deed(step: Step) -> str:
    return DEEDS.get(step.fault, "refuses")
