# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay host add|remove|replace`: a machine becomes a host of the cluster, leaves it, or takes another's place.

Decides words, what is refused, and what an exit code means: 0 it is so (changed or not), 1 findings about the machine,
or a step that came to nothing, 3 something could not be asked, 4 refused. What was interrupted goes on with the same
command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace as replace_fields
from functools import partial, wraps
from typing import TypeVar

import click
from lxml import etree

from backstay.cib import corosync_text
from backstay.cli import fence_drill_world as cluster
from backstay.cli import hosts_description, options
from backstay.cli.hosts_description import Description
from backstay.cli.hosts_words import GO_ON, Asked, Wish, answer, show
from backstay.cli.hosts_world import World
from backstay.cloud.entry import block, entry_of
from backstay.cloud.names import HOST_NAME, HOST_NAME_EXPECTED
from backstay.errors import BackstayError, BadInput, Findings, Refused
from backstay.fencing.drill import ALLOW_STOP, ONLY_THESE, Situation, draining
from backstay.host import crm_mon, drills, far, membership
from backstay.lab.interrupt import interruptible
from backstay.members.preflight import ERROR, NOTE, Finding
from backstay.members.steps import WAITS, Now, Step, Verb, joining, leaving, replacing

F = TypeVar("F", bound=Callable[..., object])
FINDINGS = 1
OFTEN = 3  # a step that is to be done once more after so many times does not help
DESCRIPTION = "/etc/backstay/cloud.yaml"
SETTINGS = "--replace-settings"
ON_THE_MACHINE = frozenset({Verb.CLEAR, Verb.KEY, Verb.MOUNTS, Verb.HOLD, Verb.START})
"""What is done to the new machine: it is examined before."""


@click.group()
def host() -> None:
    """Hosts that come, go, or are replaced by another machine.

    Run on a full member, as root. The other members and the new machine are reached by ssh as root with a key, without
    a question. Each step looks first and does only what is missing.
    """


def _shared(function: Callable[..., int]) -> Callable[..., int]:
    """The options that all three have, given to the command as one Asked; what a command has besides stays."""

    @wraps(function)
    def collected(
        *,
        name: str,
        path: str,
        yes: bool,
        only_plan: bool,
        allow_stop: bool,
        settings: bool,
        seconds: float,
        output: str,
        only_these: bool = False,
        **besides: object,
    ) -> int:
        insisted = [word for word, said in ((ALLOW_STOP, allow_stop), (ONLY_THESE, only_these)) if said]
        return function(
            Asked(name, path, output, seconds, yes, only_plan, settings, tuple(insisted)), **besides
        )

    for option in (
        options.waiting(
            600.0, "How long guests may take to leave, the host to join, and the cluster to settle."
        ),
        click.option(
            SETTINGS,
            "settings",
            is_flag=True,
            help="Also when corosync.conf says of members or quorum what the description does not.",
        ),
        click.option(
            ALLOW_STOP, "allow_stop", is_flag=True, help="Also when something that runs would be stopped."
        ),
        click.option("--plan", "only_plan", is_flag=True, help="Say what would be done, and change nothing."),
        options.unasked,
        click.option("--cloud", "path", default=DESCRIPTION, show_default=True, help="The description."),
        click.argument("name", metavar="HOST"),
        options.common,
    ):
        collected = option(collected)
    return collected


def _entry(function: F) -> F:
    """The options that write an entry."""
    for option in (
        click.option("--set", "given", multiple=True, metavar="KEY=VALUE", help="The same, key by key."),
        click.option(
            "--entry", metavar="FILE", help="The host's entry, for a description that does not have it."
        ),
    ):
        function = option(function)
    return function


_only_these = click.option(
    ONLY_THESE, is_flag=True, help="Nothing runs there that the cluster does not manage: you looked."
)


@host.command("add")
@_entry
@_shared
def add(asked: Asked, entry: str | None, given: tuple[str, ...]) -> int:
    """Make the described machine HOST a full member or a remote host, as the description says.

    The machine is examined first. It joins in standby; guests may run there when every full member has proven that it
    could fence it.
    """
    description = hosts_description.including(asked.path, asked.name, _given(asked.name, entry, given))
    return _carry_out(Wish("add", asked, joining), lambda: _coming(asked, description))


@host.command("remove")
@_only_these
@_shared
def remove(asked: Asked) -> int:
    """Let HOST leave for good: its guests move away alive, then the cluster forgets it.

    Refused when there is no room for its guests, or quorum would be lost. Before it has stopped, the way back is
    `backstay host add HOST`.
    """
    return _carry_out(Wish("remove", asked, leaving), lambda: _going(asked))


@host.command("replace")
@click.option("--old-is-off", is_flag=True, help="You have seen the old machine off; its BMC is not asked.")
@_only_these
@_entry
@_shared
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

    return _carry_out(Wish("replace", asked, replacing), world)


def _given(name: str, entry: str | None, given: tuple[str, ...]) -> str:
    if entry and given:
        raise BadInput("--entry and --set exclude each other")
    if entry:
        return entry_of(options.read_input(entry)[0].decode("utf-8", "replace"), name)
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
    files = options.read_files(path)
    before = options.as_cloud(files, path)
    numbers = {each.name: each.nodeid for each in before.members}
    description = hosts_description.excluding(path, name, numbers)
    found = next((each for each in before.hosts if each.name == name), None)
    if found is not None:
        return _world(asked, description, found.address, remote=found.remote, leaving=True)
    conf = corosync_text.members(far.secret(far.CONF).decode("utf-8", "replace"))
    server = cluster.live().find(f"configuration/resources//primitive[@id='{name}'][@type='remote']")
    pair = server.find("instance_attributes/nvpair[@name='server']") if server is not None else None
    address = conf.get(name, {}).get("ring0_addr") or (pair.get("value", "") if pair is not None else "")
    return _world(asked, description, address or name, remote=server is not None, leaving=True)


def _carry_out(wish: Wish, make: Callable[[], World]) -> int:
    with interruptible(), drills.alone(membership.LOCK) as mine:
        if not mine and not wish.asked.only_plan:
            raise Refused("backstay host is at work on this host", hint="wait until it is over")
        world = make()
        if wish.name == world.here:
            raise BadInput(f"{wish.name} is this host", hint="run it on another full member")
        now = world.now()
        steps = wish.table(now)
        findings, against = _against(wish, world, now, steps)
        say = partial(answer, wish, world.here, steps, findings)
        show(wish, world.here, steps, findings, against)
        errors = [each for each in findings if each.severity == ERROR]
        if wish.asked.only_plan:
            say(against, changed=_changes(steps), done=False)
            return FINDINGS if errors or against else 0
        try:
            if steps:
                _permit(wish, errors, against)
                _go(wish, world, steps)
        except BackstayError as error:
            if wish.begun and GO_ON not in error.hint:
                error.hint = f"{error.hint}; then {GO_ON}" if error.hint else GO_ON
            if wish.output == "json":
                say(against, changed=_changes(wish.begun), done=False)
            raise
        say((), changed=_changes(steps), done=True)
        return 0


def _changes(steps: Sequence[Step]) -> bool:
    return any(step.verb not in WAITS for step in steps)


def _against(
    wish: Wish, world: World, now: Now, steps: Sequence[Step]
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """What is wrong with the machine, and what would hurt."""
    verbs = {step.verb for step in steps}
    against: list[str] = []
    if Verb.CONF in verbs:
        against += _corosync(wish, world, now)
    if Verb.SET_ASIDE in verbs and now.joined:
        situation = _without_devices(cluster.situation(wish.name, world.here, cluster.live()), cluster.live())
        wish.moves = situation.foreseen.moves
        against += [
            f"{one.text}{f'; {one.hint}' if one.hint else ''}"
            for one in draining(situation, wish.asked.insisted)
        ]
    if wish.verb == "remove" and not now.joined and now.listed and _unclean(wish.name):
        against.append(f"{wish.name} is unclean: the cluster does not know yet that it is off")
    if wish.verb == "replace" and Verb.OFF in verbs and not now.listed:
        against.append(
            f"the cluster does not know {wish.name}, so there is nothing to replace: backstay host add {wish.name}"
        )
    elif (
        wish.verb == "replace" and Verb.OFF in verbs and not (now.changed or world.old_is_off) and now.reached
    ):
        against.append(
            f"a machine answers at {world.address} that is no member, and its BMC has the same address as the old "
            "one's: whether the old machine is off cannot be asked; insist with --old-is-off when you have seen it"
        )
    # With the address of the old machine it is the old one that answers until it is off.
    other = Verb.OFF in verbs and now.joined and now.active
    if wish.verb != "remove" and verbs & ON_THE_MACHINE and now.reached and not other:
        return _examined(wish, world), tuple(against)
    return tuple(_left_behind(wish, now, steps)), tuple(against)


def _left_behind(wish: Wish, now: Now, steps: Sequence[Step]) -> Iterator[Finding]:
    if wish.verb == "remove" and steps and not now.reached:
        todo = "take them away before it boots in this network again: it would ask to be let in"
        yield Finding(NOTE, f"{wish.name} cannot be reached: its key and configuration stay on it", todo)


def _without_devices(now: Situation, cib: etree._Element) -> Situation:
    """Where a fence device is watched from is no room that somebody lacks: of two hosts nobody watches one's own."""
    devices = {one.get("id") for one in cib.iterfind("configuration/resources//primitive[@class='stonith']")}
    stranded = tuple(name for name in now.foreseen.stranded if name not in devices)
    return replace_fields(now, foreseen=replace_fields(now.foreseen, stranded=stranded))


def _examined(wish: Wish, world: World) -> tuple[Finding, ...]:
    wish.examined = True
    return world.findings()


def _unclean(name: str) -> bool:
    node = crm_mon.cluster(cluster.ANSWER).node(name)
    return node is not None and node.unclean


def _corosync(wish: Wish, world: World, now: Now) -> list[str]:
    """Every member has to be there, and quorum has to stay."""
    state = crm_mon.cluster(cluster.ANSWER)
    away = [node.name for node in state.nodes if node.name not in (*now.members, wish.name)]
    against = [f"{name} is away, and would come back with an old corosync.conf" for name in away]
    votes = crm_mon.votes(cluster.ANSWER)
    total = len(world.description.cloud.members)
    alone = world.description.cloud.quorum.device is None and not world.description.cloud.pair
    if alone and votes.total - (wish.verb != "add" and now.joined) < total // 2 + 1:
        against.append(f"with {total} members a quorum needs {total // 2 + 1} votes, more than are there")
    if not wish.asked.settings:
        against += [f"{text} (insist with {SETTINGS})" for text in world.losses()]
    return against


def _permit(wish: Wish, errors: Sequence[Finding], against: Sequence[str]) -> None:
    if against:
        raise Refused(f"nothing was done: {options.first_of(against)}")
    _stop_at(errors)
    options.agree("Do it?", "do it", "nothing was done", yes=wish.asked.yes)


def _stop_at(errors: Sequence[Finding]) -> None:
    if errors:
        said = options.first_of([each.text for each in errors])
        raise Findings(f"nothing is done on it: {said}", hint=errors[0].todo)


def _go(wish: Wish, world: World, steps: Sequence[Step]) -> None:
    """Do the first step, look again, until nothing is left."""
    while steps:
        step = steps[0]
        if wish.begun.count(step) >= OFTEN:
            raise Findings(f"this does not take effect: {step.text(wish.name, world.here)}")
        if step.verb in ON_THE_MACHINE and wish.verb != "remove" and not wish.examined:
            _stop_at([each for each in _examined(wish, world) if each.severity == ERROR])
        click.echo(f"  {step.text(wish.name, world.here)}", err=True)
        wish.begun.append(step)
        world.do(step)
        now = world.now()
        steps = wish.table(now)
