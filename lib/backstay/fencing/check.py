# SPDX-License-Identifier: GPL-2.0-or-later
"""One check of fencing from one host: ask each device, rehearse each agent, compare whose it is, judge.

Decides the order, and which questions there are; how a device is asked is decided in asking.py, what it means in
readiness.py, identity.py and completeness.py. Never switches anything but the rehearsal's own BMC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from backstay.errors import BackstayError
from backstay.fencing import rehearsal, surroundings
from backstay.fencing.asking import Question, World, ask, listed
from backstay.fencing.completeness import findings
from backstay.fencing.completeness_devices import settings
from backstay.fencing.configuration import Device, Fencing
from backstay.fencing.finding import ERROR, NOTE, WARNING, Finding
from backstay.fencing.foreign import proof, script_of
from backstay.fencing.identity import Belongs, judge
from backstay.fencing.ours import OURS
from backstay.fencing.readiness import Answer, Cell, cell
from backstay.fencing.rehearsal import Script

AT_ONCE = 6  # devices; each has one session at a time


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
        # An agent of ours refuses settings that cannot work, which says nothing against it.
        rehearsals = _rehearsals((each for each in enabled if not any(settings(each))), world, pool)
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
        script = script_of(device.agent)
        if script:
            key = (device.agent, script.signature(device.parameters()))
            if key not in begun:
                begun[key] = pool.submit(_rehearse, device, script, world)
            found[device.name] = begun[key]
    return found


def _rehearse(device: Device, script: Script, world: World) -> str:
    world.say(f"rehearsing {device.agent} on loopback, with the parameters of {device.name}")
    configured = device.parameters()
    try:
        with world.simulator(device.agent, configured) as bmc:
            return rehearsal.rehearse(device.agent, configured, world.agents, bmc, script)
    except BackstayError as error:
        return f"{device.agent} could not be rehearsed: {error}"


def _questions(
    devices: Iterable[Device], hosts: tuple[str, ...], world: World
) -> tuple[list[Question], list[Finding]]:
    """Each device with each host that it fences; a device that does not tell is a finding."""
    asked, unasked = [], []
    for device in devices:
        targets = device.targets if device.targets is not None else listed(device, hosts, world)
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


def _place(question: Question) -> tuple[str, ...]:
    """Where a device is reached, as far as its parameters say it."""
    options = question.device.options
    names = ("ip", "ipaddr", "ipport", "devices")
    return (*(options.get(name, "") for name in names), "" if options.get("ip") else question.target)


def _one_by_one(questions: list[Question], world: World) -> list[tuple[Question, Answer]]:
    return [(question, ask(question, world)) for question in questions]


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
        wrong, told = _proof(question, answer, failed, world)
        cells.append(cell(here, device.name, question.target, at, wrong, told, identity))
        if answer.guid and identity.belongs in (Belongs.FIRST, Belongs.PROVEN):
            memory[f"{kind}{question.target}"] = answer.guid.hex()
    return tuple(sorted(cells, key=lambda each: (each.target, each.device))), memory


def _proof(
    question: Question, answer: Answer, failed: Mapping[str, str], world: World
) -> tuple[str | None, Answer]:
    """What the rehearsal said; where there is none, a drill takes its place, or nothing does (None)."""
    device, target = question.device, question.target
    if device.name in failed:
        return failed[device.name], answer
    record = proof(device.name, target, world.drilled, world.agents.changed(device.agent))
    if record is None:
        return None, answer
    days = max(0.0, world.now() - record.at) / 86400
    return "", replace(answer, note=f"a drill {days:.0f} days ago proved that it switches {target} off")


def _memory(question: Question) -> str:
    return OURS[question.device.agent].memory if question.device.agent in OURS else ""


def _is(kind: str, remembered: str) -> bool:
    """Whether something remembered is of this kind; no host has a colon in its name."""
    return remembered.startswith(kind) if kind else ":" not in remembered


def _foreign(devices: Iterable[Device]) -> Iterable[Finding]:
    others = sorted({device.agent for device in devices if device.agent not in OURS})
    for agent in others:
        known = script_of(agent) is not None
        text = f"{agent} is rehearsed, but" if known else f"the off of {agent} cannot be rehearsed, and"
        text += " does not tell whose BMC it reaches: swapped addresses would not be found"
        yield Finding(WARNING, text, f"where they fit, {' and '.join(OURS)} prove both")


def _doubled(cells: Iterable[Cell]) -> Iterable[Finding]:
    """BMCs that cannot be told apart."""
    doubled = sorted({each.target for each in cells if each.belongs is Belongs.DOUBLED})
    if doubled:
        text = f"the BMCs of {', '.join(doubled)} give the same GUID, so swapped ones would not be found"
        yield Finding(NOTE, text, "set different ones, if their maker lets you")
