# SPDX-License-Identifier: GPL-2.0-or-later
"""Which steps lead a host into the cluster, out of it, and a new machine into its place: tables over what is seen now.

Decides the order, and that nothing is done twice: a step is there because what it makes is not, so that whatever was
interrupted goes on where it stopped. The one rule behind the order: a host may run something only when every full
member has proven that it could fence it. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum

from backstay import steps


class Phase(Enum):
    """What is under way with a host, as its permanent node attribute says."""

    JOINING = "joining"
    LEAVING = "leaving"
    REPLACING = "replacing"
    REPLACED = "replaced"  # the old machine is known to be off


@dataclass(frozen=True, slots=True)
class Mark:
    """A phase, and since when (seconds since the epoch)."""

    phase: Phase
    since: int

    def text(self) -> str:
        """The value of the attribute."""
        return f"{self.phase.value} {self.since}"


def mark(text: str) -> Mark | None:
    """What an attribute says; None for what cannot be read."""
    word, _, since = text.partition(" ")
    known = {phase.value: phase for phase in Phase}
    return Mark(known[word], int(since)) if word in known and since.isdecimal() else None


class Verb(Enum):
    """What a step does; the sentence for it, with {host}, {where} and {here}."""

    WRITE = "write {host} into the description"
    STRIKE = "take {host} out of the description"
    APPLY = "load what the description says (fence device, connection, capacity, constraints)"
    PROVE = "prove from {where} that it could fence {host}"
    PROVE_OTHERS = "prove from {host} that it could fence every host"
    CLEAR = "set aside what an earlier cluster left on {host}"
    KEY = "copy the cluster's key to {where}"
    MOUNTS = "tell systemd on {host} what Pacemaker needs mounted"
    HOLD = "let {host} begin in standby"
    CONF = "write corosync.conf on {where}"
    RELOAD = "have Corosync of all members read it"
    OMIT = "write corosync.conf without the old {host} on {where}"
    PART = "have Corosync of all members let go of the old {host}'s address"
    START = "start the cluster's services on {host}"
    JOIN = "wait until all see {host}"
    RELEASE = "end the standby of {host}: from now on guests may run there"
    SET_ASIDE = "set {host} aside; its guests move away alive"
    EMPTY = "wait until nothing runs on {host}"
    DISCONNECT = "end the connection to {host}"
    STOP = "stop the cluster's services on {host}, for good"
    TIDY = "take the cluster's key and files away from {host}"
    FORGET = "let the cluster forget {host}"
    OFF = "switch the old {host} off through its fence device, and see it off"


WAITS = frozenset({Verb.PROVE, Verb.PROVE_OTHERS, Verb.JOIN, Verb.EMPTY})
"""Steps that change nothing."""


class Step(steps.Step[Verb]):
    """One step of a host on its way."""

    __slots__ = ()


def changes(steps: Iterable[Step]) -> bool:
    """Whether one of them does more than to wait."""
    return any(step.verb not in WAITS for step in steps)


@dataclass(frozen=True, slots=True)
class Now:
    """What is seen of one host and of what the cluster has for it.

    `written`: the description is as it is to be; `loaded`: the CIB says of this host what the description says;
    `joined`: every member sees it; `standby`, `mark`, `held`: why nothing runs on it yet; `keyless`: who lacks the
    cluster's key; `leftovers`: files of a cluster on it that are not to be there; `mounts`: systemd knows what to
    mount; `stale`: whose corosync.conf is not as it is to be; `running`: what Corosync runs with is; `moved`: it runs
    with another address of the host than the described one; `naming`: whose corosync.conf still has the host then;
    `active`: its services run; `connected`: a connection to the remote host is there; `busy`: what runs on it;
    `listed`: the cluster knows its name; `proven`: from where its fencing was proven just now; `changed`: the machine
    in the cluster is not the described one.
    """

    host: str
    remote: bool = False
    members: tuple[str, ...] = ()
    reached: bool = True
    written: bool = True
    loaded: bool = True
    joined: bool = False
    standby: bool = False
    mark: Mark | None = None
    held: bool = False
    keyless: tuple[str, ...] = ()
    leftovers: bool = False
    mounts: bool = True
    stale: tuple[str, ...] = ()
    running: bool = True
    moved: bool = False
    naming: tuple[str, ...] = ()
    active: bool = False
    connected: bool = False
    busy: tuple[str, ...] = ()
    listed: bool = False
    proven: frozenset[str] = frozenset()
    changed: bool = False

    @property
    def open(self) -> bool:
        """Whether somebody began with it and did not come to the end."""
        return self.held or self.mark is not None

    def at(self, phase: Phase) -> bool:
        """Whether it is in that phase, and set aside."""
        return self.standby and self.mark is not None and self.mark.phase is phase


def joining(now: Now) -> tuple[Step, ...]:
    """What is still to be done until the host runs guests; nothing when it does."""
    return tuple(_written(now, Verb.WRITE)) + tuple(_in_remotely(now) if now.remote else _in(now))


def leaving(now: Now) -> tuple[Step, ...]:
    """What is still to be done until the cluster does not know the host any more."""
    return tuple(_out_remotely(now) if now.remote else _out(now)) + tuple(_written(now, Verb.STRIKE))


def replacing(now: Now) -> tuple[Step, ...]:
    """What is still to be done until a new machine is the host; nothing when the described one is a member."""
    if not (now.changed or not now.joined or now.open):
        return tuple(_written(now, Verb.WRITE))
    if now.mark is not None and now.mark.phase in (Phase.REPLACED, Phase.JOINING):
        return joining(now)
    steps = [Step(Verb.SET_ASIDE)] if not now.at(Phase.REPLACING) else []
    steps += [Step(Verb.EMPTY)] if now.joined and (now.busy or steps) else []
    return (*_written(now, Verb.WRITE), *steps, Step(Verb.OFF), *joining(_after_off(now)))


def _after_off(now: Now) -> Now:
    """What will be seen when the old machine is off, as far as one can know: for the plan."""
    return replace(now, joined=False, active=False, written=True, standby=True, mark=Mark(Phase.REPLACED, 0))


def _written(now: Now, verb: Verb) -> Iterator[Step]:
    if not now.written:
        yield Step(verb)


def _in(now: Now) -> Iterator[Step]:
    if not now.joined:
        if not now.loaded:
            yield Step(Verb.APPLY)
        yield from _proofs(now)
        if now.leftovers:
            yield Step(Verb.CLEAR)
        yield from (Step(Verb.KEY, name) for name in now.keyless)
        if not now.mounts:
            yield Step(Verb.MOUNTS)
        if not now.held:
            yield Step(Verb.HOLD)
    yield from _known(now)
    if not now.joined:
        if not now.active:
            yield Step(Verb.START)
        yield Step(Verb.JOIN)
    elif not now.loaded:
        yield Step(Verb.APPLY)
    if not now.joined or now.open:
        if now.host not in now.proven:
            yield Step(Verb.PROVE_OTHERS)
        yield Step(Verb.RELEASE)


def _in_remotely(now: Now) -> Iterator[Step]:
    begun = not now.joined or now.open
    if begun:
        yield from (Step(Verb.KEY, name) for name in now.keyless)
        if not now.mounts:
            yield Step(Verb.MOUNTS)
        if not (now.standby and now.mark):
            yield Step(Verb.HOLD)
        if not now.active:
            yield Step(Verb.START)
    if not now.loaded:
        yield Step(Verb.APPLY)
    if begun:
        if not now.joined:
            yield Step(Verb.JOIN)
        yield from _proofs(now)
        yield Step(Verb.RELEASE)


def _proofs(now: Now) -> Iterator[Step]:
    missing = [name for name in now.members if name not in now.proven]
    if missing:
        yield Step(Verb.PROVE, ", ".join(missing))


def _known(now: Now) -> Iterator[Step]:
    """Every member's Corosync knows the same members; it takes another address only of one that it does not know."""
    if now.moved:
        yield from (Step(Verb.OMIT, name) for name in now.naming)
        yield Step(Verb.PART)
    yield from (Step(Verb.CONF, name) for name in now.stale)
    if not now.running or set(now.stale) - {now.host}:
        yield Step(Verb.RELOAD)


def _aside(now: Now) -> Iterator[Step]:
    if now.joined:
        if not now.at(Phase.LEAVING):
            yield Step(Verb.SET_ASIDE)
        if now.busy or not now.at(Phase.LEAVING):
            yield Step(Verb.EMPTY)


def _out(now: Now) -> Iterator[Step]:
    yield from _aside(now)
    yield from _off_the_machine(now)
    yield from _known(now)
    if now.listed:
        yield Step(Verb.FORGET)
    if not now.loaded:
        yield Step(Verb.APPLY)


def _out_remotely(now: Now) -> Iterator[Step]:
    yield from _aside(now)
    if now.connected:
        yield Step(Verb.DISCONNECT)
    yield from _off_the_machine(now)
    if not now.loaded:
        yield Step(Verb.APPLY)
    if now.listed:
        yield Step(Verb.FORGET)


def _off_the_machine(now: Now) -> Iterator[Step]:
    if now.reached and now.active:
        yield Step(Verb.STOP)
    if now.reached and (now.leftovers or now.active):
        yield Step(Verb.TIDY)
