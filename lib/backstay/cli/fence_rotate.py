# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay fence rotate`: the cluster changes over to another account of its BMCs, once every host has proven it.

Decides words, and what an exit code means: 0 changed over, 1 not proven or undone again, 3 the cluster could not be
asked, 4 refused. Nothing in the cluster changes before the last host has proven the account.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import click
from lxml import etree

from backstay.cib import document
from backstay.cli import options
from backstay.errors import BackstayError, BadInput, CannotAsk, Findings, Refused
from backstay.fencing import rotate
from backstay.fencing.asking import World
from backstay.fencing.configuration import Fencing, read
from backstay.fencing.readiness import Cell
from backstay.fencing.rotate import CANDIDATE, TRIAL, Candidate
from backstay.host import crm_mon
from backstay.host.attributes import Attributes
from backstay.host.clock import Deadline, pause
from backstay.host.interrupt import interruptible, undisturbed
from backstay.host.pacemaker import Pacemaker
from backstay.host.secret_files import changeable, exposed

ANSWER = 10.0
EVERY, TELL = 2.0, 10.0  # seconds between two looks, and between two words about it
SETTLING = 120.0
FINDINGS = 1
Worlds = Callable[[str], World]


def trials(fencing: Fencing, here: str, world: World) -> None:
    """Prove from this host whatever account another host (or this one) asks to be proven, and tell it the cluster."""
    attributes = Attributes()
    wanted = rotate.candidates(attributes.values(CANDIDATE, ANSWER))
    for asker, candidate in sorted(wanted.items()):
        world.say(f"{asker} asks for a proof of the account {candidate.user}")
        cells = rotate.trial(candidate, fencing, here, world)
        attributes.whisper(TRIAL, rotate.told(candidate, cells), ANSWER)
        for each in cells:
            if not each.state.good:
                world.say(f"{each.device} for {each.target} with {candidate.user}: {each.reason}")


def change_over(
    user: str,
    way: str,
    file: str,
    devices: tuple[str, ...],
    seconds: float,
    worlds: Worlds,
    output: str,
    *,
    only_plan: bool,
    yes: bool,
) -> int:
    """Everything that the command does; the exit code."""
    data = Pacemaker().live()
    cib = document.parse(data, "the live CIB")
    fencing = read(cib)
    picked = rotate.chosen(fencing, devices)
    if not picked:
        raise BadInput("there is no fence device that is in use")
    candidate = Candidate(f"{time.time():.0f}", user, file, tuple(device.name for device in picked), way)
    candidate.text()
    here = Attributes().local(ANSWER)
    against = [*rotate.objections(candidate, picked), *_file(way, file), *_others(fencing, here)]
    against += [] if against else _places(cib, candidate)
    _show_plan(candidate, fencing, against)
    if only_plan:
        data_ = {**asdict(candidate), "hosts": list(fencing.hosts), "objections": against}
        options.show(output, "Nothing was changed.", data_)
        return FINDINGS if against else 0
    _permit(candidate, against, yes=yes)
    _prove(candidate, fencing, here, worlds(here), seconds)
    _switch(candidate, data, cib, worlds(here), here)
    left = rotate.secrets_left(cib, candidate)
    options.show(
        output,
        _done(candidate, left),
        {**asdict(candidate), "hosts": list(fencing.hosts), "done": True, "secrets": left},
    )
    return 0


def _places(cib: etree._Element, candidate: Candidate) -> list[str]:
    """Whether the CIB could be changed at all: found out before anybody proves anything."""
    try:
        rotate.rotated(cib, candidate)
    except Refused as error:
        return [f"{error}; {error.hint}"]
    return []


def _file(way: str, name: str) -> list[str]:
    """What is wrong with the password's file or script on this host; the others find it out when they try it."""
    if not name.startswith("/"):
        return [f"{name} is no absolute path, and every host looks for it at the same place"]
    if way == rotate.SCRIPT:
        usable = Path(name).is_file() and os.access(name, os.X_OK)
        if not usable:
            return [f"{name} is no program that can be run on this host"]
        said = changeable(Path(name))
        return [said] if said else []
    said = exposed(Path(name))
    return [said] if said else []


def _others(fencing: Fencing, here: str) -> list[str]:
    now = crm_mon.cluster(ANSWER)
    away = [node.name for node in now.nodes if not node.online or node.pending or node.unclean]
    found = [
        f"{name} is not in the cluster, so nobody knows whether it could use the account" for name in away
    ]
    asked = rotate.candidates(Attributes().values(CANDIDATE, ANSWER))
    found += [
        f"{host} is changing over to {one.user} at this moment" for host, one in asked.items() if host != here
    ]
    return found if fencing.hosts else [*found, "the CIB names no host"]


def _show_plan(candidate: Candidate, fencing: Fencing, against: list[str]) -> None:
    lines = [
        f"{', '.join(candidate.devices)}: account {candidate.user}, its password {_from(candidate)}",
        f"  proven from {', '.join(fencing.hosts)} before the cluster uses it; the old account stays in use until then",
    ]
    lines += [f"  ! {text}" for text in against]
    click.echo("\n".join(lines), err=True)


def _permit(candidate: Candidate, against: list[str], *, yes: bool) -> None:
    if against:
        raise Refused(f"nothing was changed: {options.first_of(against)}")
    question = f"Change over to {candidate.user} when it is proven?"
    options.agree(question, "change over", "nothing was changed", yes=yes)


def _prove(candidate: Candidate, fencing: Fencing, here: str, world: World, seconds: float) -> None:
    """Ask every host for a proof and wait for it; Findings when one has found otherwise, or says nothing in time."""
    attributes, deadline, spoken = Attributes(), Deadline(seconds), Deadline(0.0)
    with interruptible():
        try:
            attributes.whisper(CANDIDATE, candidate.text(), ANSWER)
            cells = rotate.trial(candidate, fencing, here, world)
            attributes.whisper(TRIAL, rotate.told(candidate, cells), ANSWER)
            _stop_if_bad([each for each in cells if not each.state.good])
            while True:
                found = rotate.progress(candidate, fencing, attributes.values(TRIAL, ANSWER))
                if found.bad:
                    raise Findings(f"nothing was changed: {'; '.join(found.bad)}", hint=WHY)
                if found.proven:
                    return
                if deadline.expired:
                    names = ", ".join(found.missing)
                    raise Findings(f"nothing was changed: no proof from {names} in {seconds:.0f} s", hint=HOW)
                if spoken.expired:
                    spoken = Deadline(TELL)
                    spent = seconds - deadline.left()
                    click.echo(
                        f"{spent:5.0f} s  waiting for the proof of {', '.join(found.missing)}; {HOW}",
                        err=True,
                    )
                pause(EVERY)
        finally:
            with undisturbed(), suppress(BackstayError):
                attributes.publish(CANDIDATE, "", ANSWER, private=True)


WHY = "backstay fence check --publish on that host says why while a rotation waits"
HOW = "run `backstay fence check --publish` there, or wait for its timer"


def _stop_if_bad(bad: list[Cell]) -> None:
    if bad:
        first = bad[0]
        raise Findings(f"nothing was changed: {first.device} for {first.target}, from here: {first.reason}")


def _switch(candidate: Candidate, before: bytes, cib: etree._Element, world: World, here: str) -> None:
    """Change the CIB in one transaction, look whether the devices work with it, and change it back if not."""
    pacemaker = Pacemaker()
    after = document.write(rotate.rotated(cib, candidate))
    with undisturbed():
        pacemaker.replace(before, after)
        click.echo("changed; looking whether the devices work with it", err=True)
        problem = _problem(candidate, pacemaker, world, here)
        if not problem:
            return
        try:
            now = pacemaker.live()
            old = rotate.restored(document.parse(now, "the live CIB"), cib, candidate)
            pacemaker.replace(now, document.write(old))
        except BackstayError as error:
            hint = f"set the account and the password of the devices to what they were: {rotate.BY_HAND}"
            raise CannotAsk(f"{problem}, and changing back failed: {error}", hint=hint) from error
    raise Findings(f"changed back to the old account: {problem}", hint="backstay fence check says more")


def _problem(candidate: Candidate, pacemaker: Pacemaker, world: World, here: str) -> str:
    """What does not work with the account that the CIB has now; empty when all does."""
    try:
        if not pacemaker.settled(SETTLING):
            return f"the cluster has not come to rest within {SETTLING:.0f} s"
        fencing = read(document.parse(pacemaker.live(), "the live CIB"))
        bad = [each for each in rotate.trial(candidate, fencing, here, world) if not each.state.good]
        if bad:
            return f"{bad[0].device} for {bad[0].target}: {bad[0].reason}"
        active = crm_mon.cluster(ANSWER).active
        wanted = [device.name for device in fencing.devices if device.enabled]
        idle = [name for name in candidate.devices if name in wanted and not active.get(name)]
        return f"{', '.join(idle)} did not start with it" if idle else ""
    except BackstayError as error:
        return str(error)


def _from(candidate: Candidate) -> str:
    return f"{'in' if candidate.way == rotate.FILE else 'from'} {candidate.file}"


def _done(candidate: Candidate, left: tuple[str, ...]) -> str:
    lines = [
        f"The cluster uses the account {candidate.user} now ({', '.join(candidate.devices)}).",
        f"Write username: {candidate.user} and {candidate.way}: {candidate.file} into the cloud description,",
        "if there is one: the next apply would return to the old account. That one still works; disable it.",
    ]
    if left:
        lines += ["Its CIB secrets are no longer used; take each away when you disable it:"]
        lines += [f"  cibsecret delete {each}" for each in left]
    return "\n".join(lines)
