# SPDX-License-Identifier: GPL-2.0-or-later
"""Another account for the BMCs: proven from every host before the cluster uses it.

Decides what speaks against a rotation, when every host has proven the new account, and what changes in the CIB. A BMC
has one password for an account, so the old one stays valid only if the new one belongs to a second account: that is
what is asked for. Nothing is set on a BMC and no file is copied: that is the admin's, with the tools that he has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from types import MappingProxyType

from lxml import etree

from backstay.errors import BadInput, Refused
from backstay.fencing.check import Question, World, ask
from backstay.fencing.completeness import KNOWN
from backstay.fencing.configuration import Device, Fencing
from backstay.fencing.identity import Belongs, Identity
from backstay.fencing.readiness import Cell, State, cell, packed, unpacked

CANDIDATE, TRIAL = "backstay-fence-candidate", "backstay-fence-trial"
"""Private node attributes: what is to be proven (of the host that asks for it), and what each host found."""

USER, FILE = "username", "password_file"
OTHER_WAYS = ("password", "passwd", "password_script", "passwd_script", "login")
SEPARATORS = frozenset(' "|;,\t\n')


@dataclass(frozen=True, slots=True)
class Candidate:
    """An account that is to be proven for some devices. `token` tells one rotation from another."""

    token: str
    user: str
    file: str
    devices: tuple[str, ...]

    def text(self) -> str:
        """The value of the attribute; BadInput for names that cannot stand in it."""
        for name in (self.user, self.file, *self.devices):
            if not name or SEPARATORS & set(name):
                raise BadInput(f"{name!r} has a blank, a quotation mark or a separator in it, or is empty")
        return "|".join([self.token, self.user, self.file, ",".join(self.devices)])


def candidates(told: Mapping[str, str]) -> dict[str, Candidate]:
    """The candidates by the host that asks for the proof; what cannot be read is none."""
    parts = {host: text.split("|") for host, text in told.items()}
    return {
        host: Candidate(part[0], part[1], part[2], tuple(part[3].split(",")))
        for host, part in parts.items()
        if len(part) == 4 and all(part)
    }


def changed(device: Device, candidate: Candidate) -> Device:
    """The device as it would be with the new account."""
    return replace(
        device,
        options=MappingProxyType({**device.options, USER: candidate.user, FILE: candidate.file}),
    )


def trial(candidate: Candidate, fencing: Fencing, here: str, world: World) -> tuple[Cell, ...]:
    """What the new account comes to from this host: each device is asked as it would be asked with it."""
    found = []
    for device in fencing.devices:
        if device.name in candidate.devices:
            for target in device.targets or ():
                answer = ask(Question(changed(device, candidate), target), world)
                at = world.now()
                found.append(cell(here, device.name, target, at, "", answer, Identity(Belongs.UNKNOWN)))
    return tuple(found)


def told(candidate: Candidate, cells: Iterable[Cell]) -> str:
    """The cells of one host for the attribute TRIAL."""
    return f"{candidate.token} {packed(cells)}"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the proof is: hosts that have not told anything yet, and what speaks against the new account."""

    missing: tuple[str, ...]
    bad: tuple[str, ...]

    @property
    def proven(self) -> bool:
        """Whether every host has proven everything."""
        return not (self.missing or self.bad)


def progress(candidate: Candidate, fencing: Fencing, answers: Mapping[str, str]) -> Progress:
    """What the hosts have told so far; one that could not ask because of a fencing has not told anything."""
    missing, bad = [], []
    wanted = {
        (device.name, target)
        for device in fencing.devices
        if device.name in candidate.devices
        for target in device.targets or ()
    }
    for host in fencing.hosts:
        token, _, rest = answers.get(host, "").partition(" ")
        cells = {(one.device, one.target): one for one in unpacked(host, rest)}
        if token != candidate.token or not wanted <= set(cells):
            missing.append(host)
            continue
        waiting = [cells[pair] for pair in wanted if cells[pair].state is State.UNPROVEN]
        if waiting:
            missing.append(host)
        bad += [
            f"{one.device} for {one.target}, from {host}: {one.state.value}"
            for one in (cells[pair] for pair in sorted(wanted))
            if not one.state.good and one not in waiting
        ]
    return Progress(tuple(missing), tuple(bad))


def chosen(fencing: Fencing, names: tuple[str, ...]) -> tuple[Device, ...]:
    """The devices of these names, or all that are in use; BadInput for a name that none has."""
    known = {device.name: device for device in fencing.devices}
    for name in names:
        if name not in known:
            there = ", ".join(sorted(known)) or "none"
            raise BadInput(f"there is no fence device {name}", hint=f"there are: {there}")
    return tuple(known[name] for name in names) if names else tuple(d for d in fencing.devices if d.enabled)


def objections(candidate: Candidate, devices: Iterable[Device]) -> Iterator[str]:
    """What speaks against the rotation as far as the configuration tells; a sentence each."""
    for device in devices:
        other = [name for name in OTHER_WAYS if device.options.get(name)]
        if device.agent not in KNOWN:
            yield f"{device.name}: {device.agent} is not known to take a password_file"
        elif other or not (device.options.get(FILE) and device.options.get(USER)):
            found = f" (it has {', '.join(other)})" if other else ""
            yield f"{device.name} does not take its account from username and password_file{found}: let it do so first"
        elif device.options[USER] == candidate.user:
            yield (
                f"{device.name} uses the account {candidate.user} already: a BMC has one password for an account, so "
                "the old one would not be valid until then; set the new one on a second account with the same role"
            )
        elif device.options[FILE] == candidate.file:
            yield f"{device.name} uses {candidate.file} already: write the new password into another file"
        elif device.targets is None:
            yield f"{device.name} does not say whom it fences: set its pcmk_host_list"


def rotated(cib: etree._Element, candidate: Candidate) -> etree._Element:
    """A copy of the CIB in which the devices use the new account; Refused when they have it from somewhere else."""
    copy = deepcopy(cib)
    for name in candidate.devices:
        path = f"configuration/resources//primitive[@id='{name}']"
        for option, value in ((USER, candidate.user), (FILE, candidate.file)):
            pairs = copy.findall(f"{path}/instance_attributes/nvpair[@name='{option}']")
            if len(pairs) != 1 or pairs[0].get("id-ref"):
                hint = "write it into the resource itself"
                raise Refused(f"{name} does not have its {option} in one place of its own", hint=hint)
            pairs[0].set("value", value)
    return copy
