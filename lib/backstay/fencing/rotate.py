# SPDX-License-Identifier: GPL-2.0-or-later
"""Another account for the BMCs: proven from every host before the cluster uses it.

Decides what speaks against a rotation, when every host has proven the new account, and what changes in the CIB. A BMC
has one password for an account, so the old one stays valid only if the new one belongs to a second account: that is
what is asked for. Nothing is set on a BMC and no file is copied: that is the admin's, with the tools that he has.
Wherever a device has its password from (file, script, CIB, CIB secret), afterwards it is the new file or script.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from types import MappingProxyType

from lxml import etree

from backstay.errors import BadInput, Refused
from backstay.fencing.asking import Question, World, ask
from backstay.fencing.configuration import Device, Fencing, read
from backstay.fencing.identity import Belongs, Identity
from backstay.fencing.ours import OURS
from backstay.fencing.primitives import by_rule
from backstay.fencing.readiness import Cell, State, cell, packed, unpacked
from backstay.host.fence_agents import KEPT_ELSEWHERE

CANDIDATE, TRIAL = "backstay-fence-candidate", "backstay-fence-trial"
"""Private node attributes: what is to be proven (of the host that asks for it), and what each host found."""

USER, FILE, SCRIPT = "username", "password_file", "password_script"
USERS = (USER, "login")
WAYS = (FILE, SCRIPT, "passwd_script", "password", "passwd")
BY_HAND = "crm_resource --resource DEVICE --set-parameter NAME --parameter-value VALUE"
ELSEWHERE = (
    "write it into the resource itself, and take it out of its template, its group or what it refers to"
)
SEPARATORS = frozenset(' "|;,\t\n')


@dataclass(frozen=True, slots=True)
class Candidate:
    """An account that is to be proven for some devices. `token` tells one rotation from another.

    `file` holds the password or, where `way` is SCRIPT, is the program that prints it.
    """

    token: str
    user: str
    file: str
    devices: tuple[str, ...]
    way: str = FILE

    def text(self) -> str:
        """The value of the attribute; BadInput for names that cannot stand in it."""
        for name in (self.user, self.file, *self.devices):
            if not name or SEPARATORS & set(name):
                raise BadInput(f"{name!r} has a blank, a quotation mark or a separator in it, or is empty")
        told = [self.token, self.user, self.file, ",".join(self.devices)]
        return "|".join(told if self.way == FILE else [*told, self.way])  # older versions know a file only


def candidates(told: Mapping[str, str]) -> dict[str, Candidate]:
    """The candidates by the host that asks for the proof; what cannot be read is none."""
    parts = {host: text.split("|") for host, text in told.items()}
    return {
        host: Candidate(part[0], part[1], part[2], tuple(part[3].split(",")), *part[4:])
        for host, part in parts.items()
        if (len(part) == 4 or part[4:] == [SCRIPT]) and all(part)
    }


def changed(device: Device, candidate: Candidate) -> Device:
    """The device as it would be with the new account."""
    rest = {name: value for name, value in device.options.items() if name not in (*USERS, *WAYS)}
    return replace(
        device, options=MappingProxyType({**rest, USER: candidate.user, candidate.way: candidate.file})
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
        users = [name for name in USERS if device.options.get(name)]
        ways = [name for name in WAYS if device.options.get(name)]
        if device.agent not in OURS:
            yield (
                f"{device.name}: nobody can prove an account for {device.agent} from every host; change its parameters "
                f"by hand, one host at a time ({BY_HAND}), and run backstay fence check on each host"
            )
        elif device.ruled:
            yield f"{device.name}: {by_rule(device.ruled)}; change that by hand, or set it without a rule first"
        elif not users:
            yield f"{device.name} names no account; set its {USER}: {BY_HAND}"
        elif not ways:
            yield f"{device.name} has no password; set its {FILE}: {BY_HAND}"
        elif len(users) + len(ways) > 2:
            has = " and ".join((*users, *ways))
            yield f"{device.name} has {has}: leave it one account and one way to its password first"
        elif device.options[users[0]] == candidate.user:
            yield (
                f"{device.name} uses the account {candidate.user} already: a BMC has one password for an account, so "
                "the old one would not be valid until then; set the new one on a second account with the same role"
            )
        elif device.options[ways[0]] == candidate.file:
            what = "file" if candidate.way == FILE else "script"
            yield f"{device.name} uses {candidate.file} already: take another {what} for the new password"
        elif device.targets is None:
            yield f"{device.name} does not say whom it fences: set its pcmk_host_list"


def rotated(cib: etree._Element, candidate: Candidate) -> etree._Element:
    """A copy of the CIB in which the devices use the new account, and no other does.

    Refused when they have their account from somewhere else, or something else would count all the same.
    """
    copy = deepcopy(cib)
    for name in candidate.devices:
        user, way = account(copy, name)
        user.set("value", candidate.user)
        way.set("name", candidate.way)
        way.set("value", candidate.file)
    for before, after in zip(read(cib).devices, read(copy).devices, strict=True):
        meant = changed(before, candidate) if before.name in candidate.devices else before
        if dict(after.options) != dict(meant.options):
            raise Refused(_astray(before.name, candidate), hint=ELSEWHERE)
    return copy


def _astray(name: str, candidate: Candidate) -> str:
    if name in candidate.devices:
        return f"{name} would not use the new account alone: what it has besides would still count"
    return f"{name} would change, too: it refers to what {' or '.join(candidate.devices)} has"


def restored(now: etree._Element, old: etree._Element, candidate: Candidate) -> etree._Element:
    """A copy of the CIB of now with the old account: what others changed meanwhile stays. Refused as `rotated`."""
    copy = deepcopy(now)
    for name in candidate.devices:
        for pair, before in zip(account(copy, name), account(old, name), strict=True):
            pair.set("name", before.get("name", ""))
            pair.set("value", before.get("value", ""))
    return copy


def account(cib: etree._Element, name: str) -> tuple[etree._Element, etree._Element]:
    """Where a device has its account, and the way to its password; Refused for what is not in one place of its own."""
    path = f"configuration/resources//primitive[@id='{name}']/instance_attributes"
    found = [
        pair
        for holder in cib.findall(path)
        if holder.find("rule") is None
        for pair in holder.findall("nvpair")
    ]
    places = []
    for what, names in (("account", USERS), ("password", WAYS)):
        pairs = [pair for pair in found if pair.get("name") in names]
        if len(pairs) != 1 or pairs[0].get("id-ref"):
            raise Refused(f"{name} does not have its {what} in one place of its own", hint=ELSEWHERE)
        places.append(pairs[0])
    return places[0], places[1]


def secrets_left(cib: etree._Element, candidate: Candidate) -> tuple[str, ...]:
    """The CIB secrets that nobody needs after the change: `DEVICE PARAMETER`, as cibsecret calls them."""
    places = ((name, account(cib, name)[1]) for name in candidate.devices)
    return tuple(f"{name} {pair.get('name')}" for name, pair in places if pair.get("value") == KEPT_ELSEWHERE)
