# SPDX-License-Identifier: GPL-2.0-or-later
"""One fence device is asked from one host: its power state, its GUID, whether it would accept a power-off.

Decides when it is asked at all, how often, and with what. Never switches anything. What an answer means is decided in
readiness.py and identity.py.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from backstay.errors import BackstayError
from backstay.fencing import rehearsal
from backstay.fencing.configuration import Device
from backstay.fencing.drill_marks import Record
from backstay.fencing.ours import OURS, Proof
from backstay.fencing.parameters import Values
from backstay.fencing.power import passing
from backstay.fencing.primitives import by_rule
from backstay.fencing.readiness import Answer, State, of_trouble
from backstay.fencing.surroundings import Surroundings
from backstay.fencing.wording import Named
from backstay.host.bmc import Trouble

AGENT_TIME = 20.0  # seconds for an action of somebody else's agent
PATIENCE = 10.0  # seconds for each answer of a BMC
AGAIN = 2.0  # seconds until a passing trouble is asked about once more


class Agents(rehearsal.Agents, Protocol):
    """The installed agents, and the secrets that Pacemaker keeps beside the CIB."""

    def with_secrets(self, device: str, parameters: Mapping[str, str]) -> dict[str, str]:
        """The parameters, secrets included; BackstayError for one that Pacemaker would not get either."""

    def changed(self, agent: str) -> float:
        """When an agent came or was changed last, in seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class World:
    """What a check needs of the host that it runs on. `known` are system UUIDs by host, `busy` the hosts
    that are being fenced at this moment. `simulator` is given an agent and what is configured.
    `around` is what fencing runs in, None where nobody can say; `drilled` are the drills that really fenced.
    """

    agents: Agents
    simulator: Callable[[str, Mapping[str, str]], AbstractContextManager[rehearsal.Bmc]]
    reach: Callable[[str, Values, Named, list[str]], Proof]
    pause: Callable[[float], None]
    now: Callable[[], float]
    say: Callable[[str], None]
    known: Mapping[str, str] = field(default_factory=dict)
    busy: Callable[[], tuple[str, ...]] = tuple
    remembered: Mapping[str, str] = field(default_factory=dict)
    around: Surroundings | None = None
    drilled: Sequence[Record] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """One device, one host that it is to fence."""

    device: Device
    target: str


def ask(question: Question, world: World) -> Answer:
    """Ask one device: our own agent's through its library, another one by running it as Pacemaker does.

    What stands in the way (settings, a secret, a fencing under way, the BMC) is the state of the answer.
    """
    device = question.device
    if device.ruled:
        why = f"{by_rule(device.ruled)}, so what it would do now is not known; set it without one"
        return Answer(State.UNPROVEN, why)
    try:
        given = _given(question, world)
    except BackstayError as error:
        return _unusable(error)
    try:
        fenced = world.busy()
    except BackstayError as error:
        return Answer(State.UNPROVEN, f"whether a fencing is under way is not known: {error}")
    if fenced:
        why = f"a fencing of {', '.join(fenced)} is under way, so no BMC is asked; try again later"
        return Answer(State.UNPROVEN, why)
    world.say(f"asking {device.name} about {question.target}")
    answer = _ask_ours if device.agent in OURS else _ask_foreign
    return answer(device.agent, given, world)


def _given(question: Question, world: World) -> dict[str, str]:
    """What the agent gets, secrets included; BackstayError for what it cannot get or, one of ours, cannot work with."""
    device = question.device
    given = world.agents.with_secrets(device.name, device.parameters()) | {"nodename": question.target}
    if "plug" not in given and "port" not in given:
        given["plug"] = device.alias(question.target)
    if device.agent in OURS:
        kind = OURS[device.agent]
        kind.check(Values(given, kind.parameters))
    return given


def _unusable(error: BackstayError) -> Answer:
    """It is the configuration that does not work, whatever the agent is like."""
    return Answer(State.SETTINGS, f"{error}; {error.hint}" if error.hint else str(error))


def _ask_ours(agent: str, given: Mapping[str, str], world: World) -> Answer:
    kind, notes = OURS[agent], list[str]()
    values = Values(given, kind.parameters)
    try:
        device = kind.device_of(values)
        with contextlib.closing(world.reach(agent, values, device, notes)) as bmc:
            return _proven(bmc, device, notes, world)
    except BackstayError as error:
        return _unusable(error)


def _proven(bmc: Proof, device: Named, notes: list[str], world: World) -> Answer:
    answer = bmc.power(PATIENCE)
    if isinstance(answer, Trouble) and passing(answer):
        world.pause(AGAIN)
        answer = bmc.power(PATIENCE)
    if isinstance(answer, Trouble):
        return of_trouble(answer, device.cause(answer, "read the power state"))
    guid, hindrance = bmc.guid(PATIENCE), bmc.hindrance(PATIENCE)
    if isinstance(hindrance, Trouble):
        return of_trouble(hindrance, device.cause(hindrance, "switch the power off"))
    known = None if isinstance(guid, Trouble) else guid
    told = [*notes, hindrance] if hindrance else notes
    return Answer(State.READY, note="; ".join(told), power=answer.value, guid=known)


def _ask_foreign(agent: str, given: Mapping[str, str], world: World) -> Answer:
    """Loaded, asked for its metadata, and monitor and status run: it answers, which is no proof of its off."""
    described = world.agents.run(agent, "metadata", {}, AGENT_TIME)
    if described.code != 0 or "<resource-agent" not in described.out:
        return Answer(State.AGENT, f"{agent} cannot tell its metadata: {described.reason}")
    for action in ("monitor", "status"):
        said = world.agents.run(agent, action, given, AGENT_TIME)
        if said.code not in (0, 2):
            return Answer(State.REFUSED, f"its {action} failed: {said.reason}")
    return Answer(State.READY)


def listed(device: Device, hosts: tuple[str, ...], world: World) -> tuple[str, ...]:
    """Whom the device itself says that it can fence (its action `list`)."""
    try:
        given = world.agents.with_secrets(device.name, device.parameters())
    except BackstayError as error:
        world.say(f"{device.name} is not asked whom it fences: {error}")
        return ()
    said = world.agents.run(device.agent, "list", given, AGENT_TIME)
    names = {word.strip() for line in said.out.splitlines() for word in re.split(r"[,=:\s]", line)}
    return tuple(host for host in hosts if said.code == 0 and host in names)
