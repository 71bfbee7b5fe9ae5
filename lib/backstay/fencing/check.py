# SPDX-License-Identifier: GPL-2.0-or-later
"""One check of fencing from one host: ask each device, rehearse each agent, compare whose it is, judge.

Decides the order and what is asked; what it means is decided in readiness.py, identity.py and completeness.py. Never
switches anything but the rehearsal's own BMC: a real one is asked for its power state and its GUID.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from backstay.errors import BackstayError
from backstay.fencing import rehearsal, surroundings
from backstay.fencing.completeness import ERROR, NOTE, WARNING, Finding, findings
from backstay.fencing.configuration import Device, Fencing
from backstay.fencing.identity import Belongs, judge
from backstay.fencing.ours import OURS, Proof
from backstay.fencing.parameters import Values
from backstay.fencing.power import passing
from backstay.fencing.readiness import Answer, Cell, State, cell, of_trouble
from backstay.fencing.surroundings import Surroundings
from backstay.fencing.wording import Named
from backstay.host.bmc import Trouble

AT_ONCE = 6  # devices; each has one session at a time
AGENT_TIME = 20.0  # seconds for an action of somebody else's agent
PATIENCE = 10.0
AGAIN = 2.0  # seconds until a passing trouble is asked about once more


class Agents(rehearsal.Agents, Protocol):
    """The installed agents, and the secrets that Pacemaker keeps beside the CIB."""

    def with_secrets(self, device: str, parameters: Mapping[str, str]) -> dict[str, str]:
        """The parameters, secrets included; BackstayError for one that Pacemaker would not get either."""


@dataclass(frozen=True, slots=True)
class World:
    """What a check needs of the host that it runs on. `known` are system UUIDs by host, `busy` the hosts
    that are being fenced at this moment. `simulator` is given an agent and what is configured.
    `around` is what fencing runs in, None where nobody can say.
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


@dataclass(frozen=True, slots=True)
class Report:
    """What one check found. `memory` is what is to be remembered: GUIDs by host."""

    here: str
    at: float
    cells: tuple[Cell, ...]
    findings: tuple[Finding, ...]
    rehearsals: Mapping[str, str]
    memory: Mapping[str, str]

    @property
    def ready(self) -> bool:
        """Whether nothing speaks against a fencing from here."""
        return all(each.state.good for each in self.cells) and not any(
            f.severity == ERROR for f in self.findings
        )


@dataclass(frozen=True, slots=True)
class Question:
    """One device, one host that it is to fence."""

    device: Device
    target: str


def check(fencing: Fencing, here: str, world: World) -> Report:
    """Everything that can be known from here, now."""
    at = world.now()
    enabled = [device for device in fencing.devices if device.enabled]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        asked, unasked = _questions(enabled, fencing.everybody, world)
        places = [_place(question) for question in asked]
        # One session at a time for each BMC: the questions to one place are asked one after another.
        rounds = {
            place: [q for q, where in zip(asked, places, strict=True) if where == place] for place in places
        }
        answered = [
            pair for pairs in pool.map(partial(_one_by_one, world=world), rounds.values()) for pair in pairs
        ]
        # Afterwards: what a rehearsal costs this host must not make a BMC look slow.
        rehearsals = _rehearsals(enabled, world, pool)
        failed = {name: found.result() for name, found in rehearsals.items()}
    cells, memory = _judged(here, at, answered, failed, world)
    fits = surroundings.findings(fencing, world.around) if world.around else ()
    found = (*findings(_as_told(fencing, asked)), *fits, *_foreign(enabled), *_doubled(cells), *unasked)
    return Report(here, at, cells, found, failed, memory)


def _rehearsals(devices: Iterable[Device], world: World, pool: ThreadPoolExecutor) -> dict[str, Future[str]]:
    """One rehearsal for all devices with the same agent and comfort; the future sentence by the device's name."""
    begun: dict[object, Future[str]] = {}
    found = {}
    for device in devices:
        if device.agent in OURS:
            key = (device.agent, OURS[device.agent].script.signature(device.parameters()))
            if key not in begun:
                begun[key] = pool.submit(_rehearse, device, world)
            found[device.name] = begun[key]
    return found


def _rehearse(device: Device, world: World) -> str:
    world.say(f"rehearsing {device.agent} on loopback, with the parameters of {device.name}")
    configured = device.parameters()
    try:
        with world.simulator(device.agent, configured) as bmc:
            script = OURS[device.agent].script
            return rehearsal.rehearse(device.agent, configured, world.agents, bmc, script)
    except BackstayError as error:
        return f"{device.agent} could not be rehearsed: {error}"


def _questions(
    devices: Iterable[Device], hosts: tuple[str, ...], world: World
) -> tuple[list[Question], list[Finding]]:
    """Each device with each host that it fences; a device that does not tell is a finding."""
    asked, unasked = [], []
    for device in devices:
        targets = device.targets if device.targets is not None else _listed(device, hosts, world)
        asked += [Question(device, target) for target in targets if target in hosts or device.targets]
        if not targets:
            hint = "set pcmk_host_list: then nobody has to ask it while a host is lost"
            unasked.append(Finding(ERROR, f"{device.name} does not say whom it can fence", hint))
    return asked, unasked


def _as_told(fencing: Fencing, asked: Sequence[Question]) -> Fencing:
    """The configuration with whom each device has said that it fences, where only it could say that."""
    told = {device.name: tuple(q.target for q in asked if q.device is device) for device in fencing.devices}
    return replace(
        fencing,
        devices=tuple(
            replace(device, targets=told[device.name])
            if device.targets is None and told[device.name]
            else device
            for device in fencing.devices
        ),
    )


def _listed(device: Device, hosts: tuple[str, ...], world: World) -> tuple[str, ...]:
    """Whom the device itself says that it can fence (its action `list`)."""
    try:
        given = world.agents.with_secrets(device.name, device.parameters())
    except BackstayError as error:
        world.say(f"{device.name} is not asked whom it fences: {error}")
        return ()
    said = world.agents.run(device.agent, "list", given, AGENT_TIME)
    names = {word.strip() for line in said.out.splitlines() for word in re.split(r"[,=:\s]", line)}
    return tuple(host for host in hosts if said.code == 0 and host in names)


def _place(question: Question) -> tuple[str, ...]:
    """Where a device is reached, as far as its parameters say it."""
    options = question.device.options
    names = ("ip", "ipaddr", "ipport", "devices")
    return (*(options.get(name, "") for name in names), "" if options.get("ip") else question.target)


def _one_by_one(questions: list[Question], world: World) -> list[tuple[Question, Answer]]:
    return [(question, ask(question, world)) for question in questions]


def ask(question: Question, world: World) -> Answer:
    """Ask one device: our own agent's through its library, another one by running it as Pacemaker does."""
    device = question.device
    try:
        fenced = world.busy()
    except BackstayError as error:
        return Answer(State.UNPROVEN, f"whether a fencing is under way is not known: {error}")
    if fenced:
        why = f"a fencing of {', '.join(fenced)} is under way, so no BMC is asked; try again later"
        return Answer(State.UNPROVEN, why)
    world.say(f"asking {device.name} about {question.target}")
    try:
        given = world.agents.with_secrets(device.name, device.parameters())
    except BackstayError as error:
        return Answer(State.SETTINGS, f"{error}; {error.hint}" if error.hint else str(error))
    given |= {"nodename": question.target}
    if "plug" not in given and "port" not in given:
        given["plug"] = device.alias(question.target)
    answer = _ask_ours if device.agent in OURS else _ask_foreign
    return answer(device.agent, given, world)


def _ask_ours(agent: str, given: Mapping[str, str], world: World) -> Answer:
    kind, notes = OURS[agent], list[str]()
    values = Values(given, kind.parameters)
    try:
        kind.check(values)
        device = kind.device_of(values)
        with contextlib.closing(world.reach(agent, values, device, notes)) as bmc:
            return _proven(bmc, device, notes, world)
    except BackstayError as error:
        return Answer(State.SETTINGS, f"{error}; {error.hint}" if error.hint else str(error))


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
    """At least loaded, asked for its metadata, and monitor and status run."""
    described = world.agents.run(agent, "metadata", {}, AGENT_TIME)
    if described.code != 0 or "<resource-agent" not in described.out:
        return Answer(State.AGENT, f"{agent} cannot tell its metadata: {described.reason}")
    for action in ("monitor", "status"):
        said = world.agents.run(agent, action, given, AGENT_TIME)
        if said.code not in (0, 2):
            return Answer(State.REFUSED, f"its {action} failed: {said.reason}")
    return Answer(State.ANSWERS)


def _judged(
    here: str,
    at: float,
    answered: Sequence[tuple[Question, Answer]],
    failed: Mapping[str, str],
    world: World,
) -> tuple[tuple[Cell, ...], dict[str, str]]:
    """The cells, and what is remembered of whose BMC is whose."""
    cells, memory = [], dict(world.remembered)
    for question, answer in answered:
        device = question.device
        # By IPMI and by Redfish a machine may have different GUIDs: like is compared with like.
        kind = _memory(question)
        seen = {q.target: a.guid.hex() for q, a in answered if a.guid and _memory(q) == kind}
        before = {host.removeprefix(kind): guid for host, guid in world.remembered.items() if _is(kind, host)}
        identity = judge(question.target, answer.guid, world.known, before, seen)
        cells.append(
            cell(here, device.name, question.target, at, failed.get(device.name, ""), answer, identity)
        )
        if answer.guid and identity.belongs in (Belongs.FIRST, Belongs.PROVEN):
            memory[f"{kind}{question.target}"] = answer.guid.hex()
    return tuple(sorted(cells, key=lambda each: (each.target, each.device))), memory


def _memory(question: Question) -> str:
    return OURS[question.device.agent].memory if question.device.agent in OURS else ""


def _is(kind: str, remembered: str) -> bool:
    """Whether something remembered is of this kind; no host has a colon in its name."""
    return remembered.startswith(kind) if kind else ":" not in remembered


def _foreign(devices: Iterable[Device]) -> Iterable[Finding]:
    others = sorted({device.agent for device in devices if device.agent not in OURS})
    for agent in others:
        text = f"the off of {agent} is not rehearsed, only its metadata, monitor and status"
        yield Finding(WARNING, text, f"where they fit, {' and '.join(OURS)} can be rehearsed")


def _doubled(cells: Iterable[Cell]) -> Iterable[Finding]:
    """BMCs that cannot be told apart."""
    doubled = sorted({each.target for each in cells if each.belongs is Belongs.DOUBLED})
    if doubled:
        text = f"the BMCs of {', '.join(doubled)} give the same GUID, so swapped ones would not be found"
        yield Finding(NOTE, text, "set different ones, if their maker lets you")
