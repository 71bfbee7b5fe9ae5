# SPDX-License-Identifier: GPL-2.0-or-later
"""A planned fencing of a healthy host: everything that speaks against it, as a table over what was seen.

Decides whether it would hurt. Asks nothing and does nothing: drill_course.py carries one out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from backstay.cloud.problems import counted
from backstay.fencing.drill_situation import Situation
from backstay.fencing.readiness import State

OLD = 7200.0  # seconds after which a proof of readiness is none; the timer asks every quarter of an hour
CHECK = "backstay fence check --publish"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason not to do it, and what to do about it. `insist` is the option that overrules it, if one may."""

    text: str
    hint: str = ""
    insist: str = ""


ALLOW_STOP = "--allow-stop"
ONLY_THESE = "--only-these"
UNTESTED = "--untested"
Rule = Callable[[Situation], Iterator[Refusal]]


def refusals(now: Situation, insisted: Sequence[str] = ()) -> tuple[Refusal, ...]:
    """Everything that speaks against a drill now, but for what the admin insists on."""
    found = [refusal for rule in (*STANDING, *BEFOREHAND) for refusal in rule(now)]
    return tuple(one for one in found if not (one.insist and one.insist in insisted))


def standing(now: Situation, insisted: Sequence[str] = ()) -> tuple[Refusal, ...]:
    """What speaks against switching off the host when it has been drained: all that does not look at its guests."""
    found = (refusal for rule in STANDING for refusal in rule(now))
    return tuple(one for one in found if not (one.insist and one.insist in insisted))


def draining(now: Situation, insisted: Sequence[str] = ()) -> tuple[Refusal, ...]:
    """What speaks against having the target leave for good, with its guests moved away alive.

    Where a fence device is watched from is no room that somebody lacks: of two hosts nobody watches one's own.
    """
    devices = {device.name for device in now.fencing.devices}
    stranded = tuple(name for name in now.foreseen.stranded if name not in devices)
    now = replace(now, foreseen=replace(now.foreseen, stranded=stranded))
    voting = any(host.name == now.target for host in now.hosts)
    rules = (_members, _configured, *((_quorum,) if voting else ()), *BEFOREHAND[1:])
    found = [refusal for rule in rules for refusal in rule(now)]
    return tuple(one for one in found if not (one.insist and one.insist in insisted))


def ready_devices(now: Situation) -> tuple[str, ...]:
    """The devices of the first way in which the others could fence the target now; empty when there is none.

    A way is one device, or all devices of a level of the topology, each proven from a host that remains.
    """
    return _first_way(now, (State.READY,))


def tried_devices(now: Situation) -> tuple[str, ...]:
    """The same; where no way is ready, the first one whose devices answer, though their off is untested."""
    return ready_devices(now) or _first_way(now, (State.READY, State.UNTESTED))


def _first_way(now: Situation, states: Collection[State]) -> tuple[str, ...]:
    askers = {host.name for host in now.others if not host.trouble}
    good = {
        cell.device
        for cell in now.cells
        if cell.target == now.target
        and cell.asker in askers
        and cell.state in states
        and now.at - cell.at <= OLD
    }
    ways = [each.devices for each in now.fencing.levels_of(now.target)] or [(name,) for name in sorted(good)]
    return next((way for way in ways if way and set(way) <= good), ())


def devices_for_the_record(now: Situation) -> str:
    """Who fences the target: `a,b` are both of a level; `a|b` is one of them, since Pacemaker does not tell which."""
    enabled = {each.name for each in now.fencing.devices_of(now.target)}
    off = {each.name for each in now.fencing.devices if not each.enabled}
    levels = [each.devices for each in now.fencing.levels_of(now.target)]
    first = tried_devices(now)
    ways = levels or [(name,) for name in sorted(enabled | set(first))]
    able = [way for way in ways if way and not set(way) & off and way != first]
    return "|".join(",".join(way) for way in (first, *able))


def _members(now: Situation) -> Iterator[Refusal]:
    if now.target == now.here:
        yield Refusal(
            f"{now.target} is this host, and nobody is left here to see it come back",
            "run the drill on another host",
        )
    for host in now.hosts:
        if host.trouble:
            yield Refusal(f"{host.name} is {host.trouble}", "wait until every host is a full member")
    for name in now.fenced:
        yield Refusal(f"{name} is being fenced now", "wait until that has ended")


def _configured(now: Situation) -> Iterator[Refusal]:
    if not now.fencing.flag("stonith-enabled", default=True):
        yield Refusal("stonith-enabled is false, so the cluster fences nobody", "set it to true")
    if now.fencing.flag("maintenance-mode", default=False):
        yield Refusal("the cluster is in maintenance mode, so no guest would move", "leave it first")


def _quorum(now: Situation) -> Iterator[Refusal]:
    left = now.votes.total - now.votes.of.get(now.target, 0)
    if now.target not in now.votes.of:
        yield Refusal(f"Corosync does not name {now.target} among its members")
    elif left < now.votes.quorum:
        yield Refusal(
            f"without {now.target} the others have {left} of the {counted(now.votes.quorum, 'vote')} of a quorum",
            "wait until all hosts are there, or give Corosync two_node or a quorum device",
        )


def _readiness(now: Situation) -> Iterator[Refusal]:
    if ready_devices(now):
        return
    untested = tried_devices(now)
    if untested:
        names = " and ".join(untested)
        yield Refusal(
            f"nothing has proven yet that {names} can switch {now.target} off",
            "this drill would: if it fails, the host serves on, or has to be switched off by hand",
            UNTESTED,
        )
        return
    about = [cell for cell in now.cells if cell.target == now.target and cell.asker != now.target]
    bad = sorted(
        {f"{cell.device} from {cell.asker}: {cell.state.value}" for cell in about if not cell.state.good}
    )
    if bad:
        yield Refusal(
            f"no device is ready to fence {now.target} ({'; '.join(bad)})", f"{CHECK} on each host says why"
        )
    else:
        old = "no proof is younger than two hours" if about else "there is no proof"
        yield Refusal(f"whether {now.target} could be fenced is not known: {old}", f"run {CHECK}")


def _last_copy(now: Situation) -> Iterator[Refusal]:
    others = {host.name for host in now.others if not (host.trouble or host.standby)}
    for name, hosts in sorted(now.copies.items()):
        if now.target in hosts and not hosts & others:
            yield Refusal(
                f"{now.target} has the only current copy of the data of {name} that is known",
                "wait until it is synchronised (drbdadm status)",
            )


def _aside(now: Situation) -> Iterator[Refusal]:
    for host in now.hosts:
        if host.standby:
            yield Refusal(f"{host.name} is in standby: somebody has set it aside", "bring it back first")


def _one_at_a_time(now: Situation) -> Iterator[Refusal]:
    for drill in now.open:
        yield Refusal(
            f"a drill of {drill.target} is not over ({drill})",
            "wait for it, or end it: backstay fence drill --abort",
        )


def _settled(now: Situation) -> Iterator[Refusal]:
    for sentence in now.foreseen.unsettled:
        yield Refusal(f"the cluster has not settled: {sentence}", "wait until it has")
    for name in now.foreseen.stranded:
        yield Refusal(f"{name} would have no place", "make room for it first")


def _harm(now: Situation) -> Iterator[Refusal]:
    for sentence in now.foreseen.harm:
        yield Refusal(f"draining it would hurt: {sentence}", "", ALLOW_STOP)
    for name in now.foreseen.stays:
        yield Refusal(
            f"{name} would not leave {now.target} and die with it", "it is unmanaged, or bound to that host"
        )


def _room(now: Situation) -> Iterator[Refusal]:
    for sentence in now.foreseen.crowded:
        yield Refusal(sentence, "make room first")


def _unmanaged(now: Situation) -> Iterator[Refusal]:
    known = len(now.foreseen.guests)
    if now.seen is None:
        yield Refusal(
            f"what else runs on {now.target} is not known: no ocf:backstay:libvirtd there has said it",
            "it says it once a minute; without it look with virsh list on that host",
            ONLY_THESE,
        )
    elif now.seen > known:
        more = now.seen - known
        yield Refusal(
            f"{more} guest{'s' * (more > 1)} on {now.target} would die with it: the cluster does not manage "
            f"{'them' if more > 1 else 'it'}",
            f"virsh list on {now.target} names {'them' if more > 1 else 'it'}; move "
            f"{'them' if more > 1 else 'it'} away first",
        )


STANDING: tuple[Rule, ...] = (_members, _configured, _quorum, _readiness, _last_copy)
BEFOREHAND: tuple[Rule, ...] = (_aside, _one_at_a_time, _settled, _harm, _room, _unmanaged)
