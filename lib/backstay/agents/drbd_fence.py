# SPDX-License-Identifier: GPL-2.0-or-later
"""backstay-drbd-fence: DRBD asks the cluster that a peer, whose data becomes old now, is not promoted.

DRBD calls it (handlers fence-peer, unfence-peer, after-resync-target, split-brain) while I/O waits for its answer.
Decides the answer by what the cluster knows of the peers. I/O goes on only when the peer cannot be promoted any more:
the constraint stands in the CIB, and the peer is known to be dead, or answers as a member of the same cluster. Where
the cluster fences hosts, nothing is answered that this has not been seen for: a host that cannot be reached may be
the one that goes on, and what were written here then would be lost.

Exit codes are DRBD's own (drbd.conf(5), fence-peer): 3 the peer's data is no good, 4 it was fenced off, 5 it cannot be
reached, 6 it is the one that goes on, 7 its host was fenced; 1 says nothing, and I/O keeps waiting where it waits. 5 is
no "I do not know": where one volume is up to date here, DRBD takes the peer for outdated at it, and goes on.

DRBD asks once. An answer that came too late for the handler is given by the agent's monitor (`again`).
"""

from __future__ import annotations

import os
import sys
import time

from lxml import etree

from backstay.cib import drbd_fencing as cibs
from backstay.cib.drbd_fencing import Peer
from backstay.errors import BackstayError, CannotAsk, Refused
from backstay.host import drbd_state
from backstay.host.clock import Deadline
from backstay.host.drbd import CONFIGURATION
from backstay.host.drbd_cluster import Cluster
from backstay.host.drbd_host import WHOLE, Host
from backstay.ocf.log import Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Protocol

    from backstay.host.drbd_state import State

    class World(Protocol):
        """What is asked and changed: the resource, and the cluster's configuration."""

        name: str

        def look(self, timeout: float) -> State | None: ...

    class Live(Protocol):
        """The cluster (host.drbd_cluster.Cluster); raises CannotAsk, `replace` Refused when the CIB has moved."""

        def cib(self) -> bytes: ...
        def replace(self, old: bytes, new: bytes) -> bool: ...
        def local(self) -> str: ...
        def answers(self, host: str) -> bool: ...
        def pause(self, seconds: float) -> None: ...


NOTHING, INCONSISTENT, FENCED, UNREACHABLE, ACTIVE, DEAD = 1, 3, 4, 5, 6, 7
WAIT = 0  # no answer yet
PATIENCE = 180.0  # seconds: longer than a cluster usually needs to see that a host is lost, and to fence it
EVERY = 1.0  # seconds between two looks
LOOK = 5.0
GOOD = (drbd_state.UP_TO_DATE,)
PERHAPS = (drbd_state.UP_TO_DATE, drbd_state.CONSISTENT)


class Seen:
    """What the answer depends on. `peers` by name: what the cluster knows, and whether it answered just now."""

    __slots__ = ("answering", "expired", "fences", "peers", "quorate", "rejected", "state")

    def __init__(
        self,
        state: State | None,
        peers: Mapping[str, Peer],
        answering: frozenset[str] = frozenset(),
        quorate: bool = True,
        fences: bool = True,
        rejected: bool = False,
        expired: bool = False,
    ) -> None:
        self.state = state
        self.peers = peers
        self.answering = answering
        self.quorate = quorate
        self.fences = fences
        self.rejected = rejected
        self.expired = expired


class Answer:
    """An exit code for DRBD, whether the constraint is placed first, and why."""

    __slots__ = ("code", "place", "why")

    def __init__(self, code: int, why: str, place: bool = False) -> None:
        self.code = code
        self.why = why
        self.place = place

    def __repr__(self) -> str:
        return f"Answer({self.code}, {self.why!r}, place={self.place})"


def decide(seen: Seen) -> Answer:
    """Give the answer, or WAIT."""
    state = seen.state
    if state is None or not state.devices:
        return Answer(NOTHING, "the resource is not configured here")
    if state.redundant:
        return Answer(NOTHING, "every peer is connected and up to date again")
    if seen.rejected:
        return Answer(
            ACTIVE, "another side was faster: the cluster already keeps this one from being promoted"
        )
    if _worthless(state):
        return Answer(INCONSISTENT, "no peer has usable data")
    if not seen.quorate:
        return _late(seen, Answer(NOTHING, "this part of the cluster has no quorum"))
    if not seen.peers:
        return Answer(NOTHING, "which peer it is about is not known")
    if all(known is Peer.DEAD for known in seen.peers.values()):
        if state.local(*GOOD):
            return Answer(DEAD, "the peer is down, and the data here is up to date", place=True)
        return _not_alone(state, "the peer is down, but whether the data here is the newest nobody knows")
    members = [name for name, known in seen.peers.items() if known is Peer.MEMBER]
    if len(members) + sum(known is Peer.DEAD for known in seen.peers.values()) == len(seen.peers) and all(
        name in seen.answering for name in members
    ):
        if state.local(*PERHAPS):
            return Answer(
                FENCED, f"{', '.join(members)} answers in the cluster, and will not be promoted", place=True
            )
        return _not_alone(state, "the data here is not consistent")
    return _late(seen, _unclear(seen, state))


def _late(seen: Seen, answer: Answer) -> Answer:
    return answer if seen.expired else Answer(WAIT, answer.why)


def _unclear(seen: Seen, state: State) -> Answer:
    unclear = [
        name for name, known in seen.peers.items() if known is not Peer.DEAD and name not in seen.answering
    ]
    why = f"{', '.join(unclear) or 'a peer'} does not answer, and is not known to be dead"
    if seen.fences:
        return Answer(
            NOTHING, f"{why}: I/O keeps waiting until it is fenced, or confirmed to be dead by an admin"
        )
    if state.local(*GOOD):
        return Answer(UNREACHABLE, f"{why}; the cluster fences nobody, so it is taken for dead", place=True)
    return _not_alone(state, why)


def _not_alone(state: State, why: str) -> Answer:
    """The data here is not good enough to go on without the peer, and no constraint keeps the peer back.

    Then it must not be taken for outdated: with one volume that is up to date, 5 would mean just that.
    """
    good = any(device.disk in GOOD for device in state.devices)
    return Answer(NOTHING if good else UNREACHABLE, why)


def _worthless(state: State) -> bool:
    """Whether it is known that no storing peer has consistent data of every volume."""
    bad = (drbd_state.INCONSISTENT, drbd_state.DISKLESS, drbd_state.FAILED)
    return bool(state.storing) and all(
        peer.volumes and any(each.disk in bad for each in peer.volumes) for peer in state.storing
    )


def fence(
    world: World,
    live: Live,
    outdated: Sequence[str],
    whole: Sequence[str],
    deadline: Deadline,
    note: Callable[[str], None],
) -> Answer:
    """Ask until there is an answer. `outdated` are the peers by DRBD's names, `whole` have the newest data."""
    said = ""
    while True:
        answer = _try(world, live, outdated, whole, deadline)
        if answer.code != WAIT:
            return answer
        if answer.why != said:
            note(f"{world.name}: waiting, since {answer.why}")
            said = answer.why
        live.pause(EVERY)


def _try(
    world: World, live: Live, outdated: Sequence[str], whole: Sequence[str], deadline: Deadline
) -> Answer:
    try:
        raw = live.cib()
        cib = etree.fromstring(raw)
        me, names = live.local(), cibs.hosts(cib)
        clone = cibs.clone_of(cib, world.name)
        if not clone:
            return Answer(NOTHING, f"no clone of the cluster manages {world.name}")
        found = cibs.constraint(cib, world.name, clone)
        leaves = frozenset(names.get(name.lower(), name) for name in whole) | {me}
        before = cibs.allowed(found) if found is not None else None
        peers = {names.get(name.lower(), name): Peer.UNCLEAR for name in outdated}
        known = {name: cibs.peer(cib, name) for name in peers if name != me}
        answering = frozenset(
            name for name, what in known.items() if what is Peer.MEMBER and live.answers(name)
        )
        answer = decide(
            Seen(
                world.look(LOOK), known, answering, cibs.quorate(cib), cibs.fences(cib),
                before is not None and me not in before, deadline.expired,
            )
        )  # fmt: skip
        after = leaves if before is None else leaves & before
        if answer.place and after != before:
            live.replace(raw, etree.tostring(cibs.with_constraint(cib, world.name, clone, after)))
        return answer
    except (CannotAsk, Refused) as error:
        last = Answer(NOTHING, f"the cluster cannot be asked: {error}")
        return last if deadline.expired else Answer(WAIT, last.why)


def unfence(world: World, deadline: Deadline, note: Callable[[str], None], live: Live | None = None) -> str:
    """Remove the constraint where every side is up to date; say what was done, or nothing.

    The CIB is read before the resource is looked at, and changed only if nobody has changed it since: a constraint that
    is placed meanwhile, for a connection that has just been lost, stays. Raises CannotAsk.
    """
    there = Cluster(deadline) if live is None else live
    while True:
        raw = there.cib()
        cib = etree.fromstring(raw)
        clone = cibs.clone_of(cib, world.name)
        found = cibs.constraint(cib, world.name, clone) if clone else None
        if found is None:
            return ""
        state = world.look(min(LOOK, max(deadline.left(), EVERY)))
        before = cibs.allowed(found)
        after = _allowed_now(state, before, cibs.hosts(cib))
        whole = state is not None and state.redundant
        if after == before and not whole:
            return ""
        changed = (
            cibs.without_constraint(cib, world.name, clone)
            if whole
            else cibs.with_constraint(cib, world.name, clone, after)
        )
        try:
            there.replace(raw, etree.tostring(changed))
        except Refused:
            if deadline.expired:
                raise
            note(f"{world.name}: the cluster's configuration has moved, once more")
            continue
        if whole and not _still_whole(world, deadline):
            # A handler may have seen the constraint stand, and let I/O go on for it, just before it went.
            _put_back(world, there, before, deadline)
            return f"{world.name} has lost a side again: its fencing constraint was put back"
        if whole:
            return f"{world.name} is up to date on every side: it may be promoted anywhere again"
        return f"{world.name} may be promoted on {', '.join(sorted(after))}"


def _still_whole(world: World, deadline: Deadline) -> bool:
    state = world.look(min(LOOK, max(deadline.left(), EVERY)))
    return state is not None and state.redundant


def _put_back(world: World, live: Live, leaves: frozenset[str], deadline: Deadline) -> None:
    """Place the constraint again unless a handler has done so meanwhile; Refused when somebody is always faster."""
    while True:
        raw = live.cib()
        cib = etree.fromstring(raw)
        clone = cibs.clone_of(cib, world.name)
        if not clone or cibs.constraint(cib, world.name, clone) is not None:
            return
        try:
            live.replace(raw, etree.tostring(cibs.with_constraint(cib, world.name, clone, leaves)))
        except Refused:
            if deadline.expired:
                raise
        else:
            return


def again(
    world: World, outdated: Sequence[str], whole: Sequence[str], seconds: float, live: Live | None = None
) -> Answer:
    """Ask once more for a promoted side whose I/O still waits after the handler gave up; never waits for anything.

    The peer may have been fenced since, or confirmed dead by an admin. Where the answer has `place`, the constraint
    stands, and I/O may go on. `seconds` is what the questions may take. What only the handler's patience decides
    (a peer that is silent where nobody fences) stays undecided.
    """
    there = Cluster(Deadline(seconds)) if live is None else live
    return _try(world, there, outdated, whole, Deadline(PATIENCE))


def _allowed_now(state: State | None, before: frozenset[str], names: Mapping[str, str]) -> frozenset[str]:
    """Give the hosts that may be promoted: those that might before, and those that are up to date again."""
    if state is None or not state.local(*GOOD):
        return before
    if state.redundant:
        return frozenset()
    good = [peer.name for peer in state.good_peers if peer.name != drbd_state.ANONYMOUS]
    return before | {names.get(name.lower(), name) for name in good}


def about(environ: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Give the peers to be kept out and those that have the newest data, by what DRBD put into the environment.

    DRBD 9 gives a mask of node-ids (UP_TO_DATE_NODES) and the name for each; 8.4 the name of the one peer.
    """
    mask = environ.get("UP_TO_DATE_NODES", "")
    if not mask:
        return (environ.get("DRBD_PEERS") or environ.get("DRBD_PEER", "")).split(), []
    good = int(mask, 16)
    names = {
        int(key.rpartition("_")[2]): name.split()[0]
        for key, name in environ.items()
        if key.startswith("DRBD_NODE_ID_") and key.rpartition("_")[2].isdecimal() and name.split()
    }
    out = [name for number, name in sorted(names.items()) if not good >> number & 1]
    return out, [name for number, name in sorted(names.items()) if good >> number & 1]


def handle(verb: str, environ: Mapping[str, str], patience: float = PATIENCE) -> int:
    """Do what DRBD asks for; gives the exit code."""
    resource = environ.get("DRBD_RESOURCE", "")
    journal = Log("drbd-fence", resource)
    host = Host(resource, environ.get("DRBD_CONF") or CONFIGURATION)
    if verb == "fence":
        out, whole = about(environ)
        # The connection may be back, and the monitor never see it gone: it looks for this constraint all the same.
        host.remember(WHOLE, "")
        left = host.promotion_left()
        until = Deadline(patience if left is None else min(left, patience))
        answer = fence(host, Cluster(), out, whole, until, journal.note)
        say = journal.alert if answer.code in (NOTHING, ACTIVE) else journal.note
        say(f"fence-peer: {answer.why} (exit code {answer.code})")
        return answer.code
    if verb == "unfence":
        done = unfence(host, Deadline(LOOK * 4), journal.note)
        journal.note(done or "the fencing constraint stays, or there is none")
        return 0
    if verb == "split-brain":
        host.remember("split", f"{time.time():.0f}")
        journal.alert(f"split brain: {resource} was written on both sides, and they do not connect any more")
        return 0
    journal.error(f"there is no {verb!r}; there are fence, unfence and split-brain")
    return 2


def main() -> None:
    """Be the handler: the exit code is the answer, and whatever goes wrong is none."""
    journal = Log("drbd-fence", os.environ.get("DRBD_RESOURCE", ""))
    code = NOTHING
    try:
        code = handle(sys.argv[1] if len(sys.argv) > 1 else "", os.environ)
    except BackstayError as error:
        journal.error(str(error))
    except Exception as error:  # noqa: BLE001  (the one guard of this process)
        journal.traceback(error)
    sys.exit(code)


if __name__ == "__main__":
    main()
