# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay host add|remove|replace`: a machine becomes a host of the cluster, leaves it, or takes another's place.

Decides words, what is refused, and what an exit code means: 0 it is so (changed or not), 1 findings about the machine,
or a step that came to nothing, 3 something could not be asked, 4 refused. What was interrupted goes on with the same
command.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace as replace_fields
from functools import partial

import click

from backstay.cli import fence_drill_world as cluster
from backstay.cli import hosts_description, hosts_options, options
from backstay.cli.hosts_description import Description
from backstay.cli.hosts_words import GO_ON, Asked, Wish, answer, show
from backstay.cli.hosts_world import World
from backstay.cloud.entry import block, entry_of
from backstay.cloud.names import HOST_NAME, HOST_NAME_EXPECTED
from backstay.errors import BackstayError, BadInput, Findings, Refused
from backstay.fencing.drill import ALLOW_STOP, draining
from backstay.host import crm_mon, drills, far, membership
from backstay.host.interrupt import interruptible
from backstay.members.candidate import ERROR, Finding
from backstay.members.course import go
from backstay.members.refusals import ADD, REMOVE, REPLACE, Case, Corosync, is_examined, left_behind, refusals
from backstay.members.steps import Now, Step, changes, joining, leaving, replacing
from backstay.members.undescribed import undescribed

FINDINGS = 1


@click.group()
def host() -> None:
    """Hosts that come, go, or are replaced by another machine.

    Run on a full member, as root. The other members and the new machine are reached by ssh as root with a key, without
    a question. Each step looks first and does only what is missing.
    """


@host.command("add")
@hosts_options.entry
@hosts_options.shared
def add(asked: Asked, entry: str | None, given: tuple[str, ...]) -> int:
    """Make the described machine HOST a full member or a remote host, as the description says.

    The machine is examined first. It joins in standby; guests may run there when every full member has proven that it
    could fence it.
    """
    description = hosts_description.including(asked.path, asked.name, _given(asked.name, entry, given))
    return _carry_out(Wish(ADD, asked, joining), lambda: _coming(asked, description))


@host.command("remove")
@hosts_options.only_these
@hosts_options.shared
def remove(asked: Asked) -> int:
    """Let HOST leave for good: its guests move away alive, then the cluster forgets it.

    Refused when there is no room for its guests, or quorum would be lost. Before it has stopped, the way back is
    `backstay host add HOST`.
    """
    return _carry_out(Wish(REMOVE, asked, leaving), lambda: _going(asked))


@host.command("replace")
@hosts_options.old_is_off
@hosts_options.only_these
@hosts_options.entry
@hosts_options.shared
def replace(asked: Asked, entry: str | None, given: tuple[str, ...], old_is_off: bool) -> int:
    """Put the described machine, with its own BMC, into the place of the one that is called HOST now.

    The old machine's guests move away alive; then it is switched off through the fence device that the cluster has for
    it, and seen off, before anything of it is changed.
    """
    description = hosts_description.including(asked.path, asked.name, _given(asked.name, entry, given))

    def world() -> World:
        made = _coming(asked, description)
        made.replacing, made.old_is_off = True, old_is_off
        return made

    return _carry_out(Wish(REPLACE, asked, replacing), world)


def _given(name: str, entry: str | None, given: tuple[str, ...]) -> str:
    if entry and given:
        raise BadInput("--entry and --set exclude each other")
    if entry:
        data, file = options.read_input(entry)
        with hosts_description.said_of(file):
            return entry_of(data.decode("utf-8", "replace"), name)
    words = [word.partition("=") for word in given]
    for key, sign, _ in words:
        if not key or not sign:
            raise BadInput(
                "--set takes KEY=VALUE", hint="--set address=192.0.2.14 --set bmc.address=192.0.2.114"
            )
    return block({key: value for key, _, value in words}) if words else ""


def _coming(asked: Asked, description: Description) -> World:
    found = description.host(asked.name)
    assert found is not None  # `including` saw to it
    return _world(asked, description, found.address, remote=found.remote, leaving=False)


def _world(asked: Asked, description: Description, address: str, *, remote: bool, leaving: bool) -> World:
    may_stop = ALLOW_STOP in asked.insisted
    return World(asked.name, description, address, remote, leaving, asked.seconds, may_stop)


def _going(asked: Asked) -> World:
    """The address is that of the description, or what the cluster knows of a host that is no longer described."""
    path, name = asked.path, asked.name
    if HOST_NAME.fullmatch(name) is None:
        raise BadInput(f"{name!r} is no host's name", hint=f"expected: {HOST_NAME_EXPECTED}")
    files = options.read_described(path)
    before = options.as_cloud(files, path)
    numbers = {each.name: each.nodeid for each in before.members}
    description = hosts_description.excluding(path, name, numbers)
    found = next((each for each in before.hosts if each.name == name), None)
    if found is not None:
        return _world(asked, description, found.address, remote=found.remote, leaving=True)
    conf = far.secret(far.CONF).decode("utf-8", "replace")
    address, remote = undescribed(name, conf, cluster.live())
    return _world(asked, description, address, remote=remote, leaving=True)


def _carry_out(wish: Wish, make: Callable[[], World]) -> int:
    with interruptible(), drills.alone(membership.LOCK) as mine:
        if not mine and not wish.asked.only_plan:
            raise Refused("backstay host is at work on this host", hint="wait until it is over")
        world = make()
        if wish.name == world.here:
            raise BadInput(f"{wish.name} is this host", hint="run it on another full member")
        now = world.now()
        steps = wish.table(now)
        case = _case(wish, world, now, steps)
        against = refusals(case)
        findings = _examined(wish, world) if case.examines else tuple(left_behind(case))
        say = partial(answer, wish, world.here, steps, findings)
        show(wish, world.here, steps, findings, against)
        errors = [each for each in findings if each.severity == ERROR]
        if wish.asked.only_plan:
            say(against, changed=changes(steps), done=False)
            return FINDINGS if errors or against else 0
        try:
            if steps:
                _permit(wish, errors, against)
                go(world, wish.table, steps, wish.begun, partial(_begin, wish, world))
        except BackstayError as error:
            if wish.begun and GO_ON not in error.hint:
                error.hint = f"{error.hint}; then {GO_ON}" if error.hint else GO_ON
            if wish.output == "json":
                say(against, changed=changes(wish.begun), done=False)
            raise
        say((), changed=changes(steps), done=True)
        return 0


def _case(wish: Wish, world: World, now: Now, steps: tuple[Step, ...]) -> Case:
    """What the refusals depend on; the cluster is asked for what matters to these steps alone."""
    seen = Case(wish.verb, now, steps, world.address, wish.asked.settings, world.old_is_off)
    return replace_fields(
        seen,
        corosync=_corosync(world) if seen.rewrites else None,
        harm=_harm(wish, world) if seen.drains else (),
        unclean=seen.may_be_unclean and _unclean(wish.name),
    )


def _corosync(world: World) -> Corosync:
    cloud = world.description.cloud
    return Corosync(
        tuple(node.name for node in crm_mon.cluster(cluster.ANSWER).nodes),
        crm_mon.votes(cluster.ANSWER).total,
        len(cloud.members),
        cloud.quorum.device is None and not cloud.pair,
        world.losses(),
    )


def _harm(wish: Wish, world: World) -> tuple[str, ...]:
    situation = cluster.situation(wish.name, world.here, cluster.live())
    wish.moves = situation.foreseen.moves
    against = draining(situation, wish.asked.insisted)
    return tuple(f"{one.text}; {one.hint}" if one.hint else one.text for one in against)


def _unclean(name: str) -> bool:
    node = crm_mon.cluster(cluster.ANSWER).node(name)
    return node is not None and node.unclean


def _examined(wish: Wish, world: World) -> tuple[Finding, ...]:
    wish.examined = True
    return world.findings()


def _permit(wish: Wish, errors: Sequence[Finding], against: Sequence[str]) -> None:
    if against:
        raise Refused(f"nothing was done: {options.first_of(against)}")
    _stop_at(errors)
    options.agree("Do it?", "do it", "nothing was done", yes=wish.asked.yes)


def _stop_at(errors: Sequence[Finding]) -> None:
    if errors:
        said = options.first_of([each.text for each in errors])
        raise Findings(f"nothing is done on it: {said}", hint=errors[0].todo)


def _begin(wish: Wish, world: World, step: Step) -> None:
    """Before a step is done: examine the machine that it is done to, and say what is done."""
    if is_examined(wish.verb, step) and not wish.examined:
        _stop_at([each for each in _examined(wish, world) if each.severity == ERROR])
    click.echo(f"  {step.text(host=wish.name, here=world.here)}", err=True)
