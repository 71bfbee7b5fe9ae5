# SPDX-License-Identifier: GPL-2.0-or-later
"""What speaks against a host that is added, removed or replaced: a table over what is seen now.

Decides what is refused, and when the machine is examined before anything is done to it. Pure: what has to be asked of
the cluster besides is asked only where `Case` says that it matters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from backstay.cloud.problems import counted
from backstay.members.candidate import NOTE, Finding
from backstay.members.steps import Now, Phase, Step, Verb

ADD, REMOVE, REPLACE = "add", "remove", "replace"
SETTINGS = "--replace-settings"
OLD_IS_OFF = "--old-is-off"
ON_THE_MACHINE = frozenset({Verb.CLEAR, Verb.KEY, Verb.MOUNTS, Verb.HOLD, Verb.START})
"""What is done to the new machine: it is examined before."""


@dataclass(frozen=True, slots=True)
class Corosync:
    """What a new corosync.conf depends on.

    `nodes` are the names of all members that Pacemaker knows, `votes` those that are there now, `members` how many the
    description has. `majority`: more than half of their votes are a quorum, since there is neither a quorum device nor
    the rule for two. `losses` are sentences: what of the present file the description does not say.
    """

    nodes: tuple[str, ...]
    votes: int
    members: int
    majority: bool
    losses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """One verb (ADD, REMOVE, REPLACE) for one host, and what is seen of it.

    `address` is the described one; `settings` and `old_is_off` are what the admin insists on. The rest is empty where
    its question (`rewrites`, `drains`, `may_be_unclean`) says no: `harm` are the sentences against having its guests
    move away.
    """

    verb: str
    now: Now
    steps: tuple[Step, ...]
    address: str
    settings: bool = False
    old_is_off: bool = False
    corosync: Corosync | None = None
    harm: tuple[str, ...] = ()
    unclean: bool = False

    @property
    def verbs(self) -> frozenset[Verb]:
        """What is to be done, in no order."""
        return frozenset(step.verb for step in self.steps)

    @property
    def rewrites(self) -> bool:
        """Whether the members get another corosync.conf."""
        return Verb.CONF in self.verbs

    @property
    def drains(self) -> bool:
        """Whether guests are about to move away; a drain that has begun is not judged again."""
        return Verb.SET_ASIDE in self.verbs and self.now.joined

    @property
    def may_be_unclean(self) -> bool:
        """Whether a host is to be forgotten that is away."""
        return self.verb == REMOVE and not self.now.joined and self.now.listed

    @property
    def examines(self) -> bool:
        """Whether the machine that answers is the one that something is done to.

        With the address of the old machine it is the old one that answers until it is off.
        """
        other = Verb.OFF in self.verbs and self.now.joined and self.now.active
        return self.now.reached and not other and any(is_examined(self.verb, step) for step in self.steps)


def is_examined(verb: str, step: Step) -> bool:
    """Whether a machine has to be examined before this step is done to it."""
    return verb != REMOVE and step.verb in ON_THE_MACHINE


Rule = Callable[[Case], Iterator[str]]


def refusals(case: Case) -> tuple[str, ...]:
    """Everything that would hurt, a sentence each."""
    return tuple(text for rule in RULES for text in rule(case))


def left_behind(case: Case) -> Iterator[Finding]:
    """What stays on a host that leaves and cannot be reached."""
    if case.verb == REMOVE and case.steps and not case.now.reached:
        todo = "take them away before it boots in this network again: it would ask to be let in"
        yield Finding(NOTE, f"{case.now.host} cannot be reached: its key and configuration stay on it", todo)


def _away(case: Case) -> Iterator[str]:
    for name in case.corosync.nodes if case.corosync else ():
        if name not in (*case.now.members, case.now.host):
            yield f"{name} is away, and would come back with an old corosync.conf"


def _quorum(case: Case) -> Iterator[str]:
    """The vote of a host that goes, or is replaced while it is there, does not count; that of a new one not yet."""
    if case.corosync is None or not case.corosync.majority:
        return
    total, quorum = case.corosync.members, case.corosync.members // 2 + 1
    if case.corosync.votes - (case.verb != ADD and case.now.joined) < quorum:
        yield f"with {counted(total, 'member')} a quorum needs {counted(quorum, 'vote')}, more than are there"


def _losses(case: Case) -> Iterator[str]:
    if case.corosync is not None and not case.settings:
        yield from (f"{text} (insist with {SETTINGS})" for text in case.corosync.losses)


def _another_address(case: Case) -> Iterator[str]:
    """Corosync would have to let go of the old machine, which nobody has seen off."""
    replaced = case.now.mark is not None and case.now.mark.phase is Phase.REPLACED
    if case.verb == ADD and case.now.moved and not replaced:
        name = case.now.host
        yield f"{name} is a member with another address than the described one: backstay host replace {name}"


def _harm(case: Case) -> Iterator[str]:
    yield from case.harm


def _unclean(case: Case) -> Iterator[str]:
    if case.unclean:
        yield f"{case.now.host} is unclean: the cluster does not know yet that it is off"


def _which_machine(case: Case) -> Iterator[str]:
    """Who is switched off has to be known: a host of the cluster, and the old machine."""
    now = case.now
    if case.verb != REPLACE or Verb.OFF not in case.verbs:
        return
    if not now.listed:
        yield (
            f"the cluster does not know {now.host}, so there is nothing to replace: backstay host add {now.host}"
        )
    elif now.reached and not (now.changed or case.old_is_off):
        yield (
            f"a machine answers at {case.address} that is no member, and its BMC has the same address as the old "
            f"one's: whether the old machine is off cannot be asked; insist with {OLD_IS_OFF} when you have seen it"
        )


RULES: tuple[Rule, ...] = (_away, _quorum, _losses, _another_address, _harm, _unclean, _which_machine)
