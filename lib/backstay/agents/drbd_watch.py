# SPDX-License-Identifier: GPL-2.0-or-later
"""Watching a DRBD resource: its monitor, its promotion score, its node attribute, and what is mended beside that.

Decides when the cluster is told something: only what has changed, compared with what the attribute daemon itself has. A
daemon that is slow or away costs a line in the log, never a monitor.
"""

from __future__ import annotations

from backstay.agents import drbd_health as health
from backstay.agents.drbd_roles import LOOK
from backstay.agents.drbd_scores import ATTRIBUTE as SCORE
from backstay.agents.drbd_scores import NONE, score
from backstay.errors import CannotAsk
from backstay.host.drbd_host import ATTRIBUTE, WHOLE
from backstay.host.drbd_state import ANONYMOUS, STANDALONE
from backstay.ocf.outcome import Outcome, degraded, stopped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.agents.drbd_health import Finding
    from backstay.agents.drbd_parameters import DrbdParameters
    from backstay.host.drbd_host import Host
    from backstay.host.drbd_state import Connection, State
    from backstay.ocf.context import Context

DAEMON = (
    3.0  # seconds that a daemon of the cluster gets; three of them fit into a monitor's 20 s beside a look
)
FOR_LOOK = 0.4  # of a monitor's time
SAID, SPLIT = "said", "split"  # what is remembered: the attribute, a split brain


def watch(context: Context[DrbdParameters], host: Host) -> Outcome:
    """Look, tell the cluster what has changed, and answer."""
    if context.is_probe:
        forget(host)  # whatever Pacemaker knew, it asks anew
    try:
        state = host.look(max(context.deadline.left() * FOR_LOOK, LOOK))
    except CannotAsk as unknown:
        if not context.is_probe:
            raise
        return degraded(f"{host.name} cannot be looked at: {unknown}; nothing proves that it is not running")
    if state is None:
        if not context.is_probe:
            offer(context, host, None)
        return stopped(f"{host.name} is not configured in the kernel")
    others = offer(context, host, state)
    around = _around(context, host, state, others)
    found = health.findings(state, around)
    _tell(context, host, found)
    _unfence(context, host, state)
    _let_go_on(context, host, state, around)
    may_fail = not context.is_probe and context.parameters.on_no_data == "failed"
    return health.judge(state, found, around, may_fail)


def offer(context: Context[DrbdParameters], host: Host, state: State | None) -> bool | None:
    """Set the promotion score that this state is worth, unless the attribute daemon has it.

    Gives whether another host has one; None when the daemon does not answer.
    """
    name = SCORE + context.instance.partition(":")[0]
    try:
        here = context.node or host.local(DAEMON)
        there = host.values(name, min(DAEMON, context.deadline.left()))
        wanted = (
            NONE if state is None else score(state, context.parameters.scores, _yields(context, host, state))
        )
        if wanted is not None and (there.get(here, "") or "0") != str(wanted):
            host.publish(name, str(wanted) if wanted else "", min(DAEMON, context.deadline.left()))
    except CannotAsk as error:
        context.warn(f"the promotion score of {host.name} stays what it is: {error}")
        return None
    return any(_positive(value) for other, value in there.items() if other != here)


def _positive(value: str) -> bool:
    return (value.lstrip("+").isdecimal() and int(value) > 0) or value in ("INFINITY", "+INFINITY")


def _yields(context: Context[DrbdParameters], host: Host, state: State) -> bool:
    """Whether a promoted peer costs this host its score."""
    when = context.parameters.yields
    if not when or state.promoted or all(peer.role != "Primary" for peer in state.connections):
        return False
    if when == "always":
        return True
    # One promoted side only, and the cluster knows of none: it cannot hear the host that has it.
    return not expects_two(context) and not host.promoted(context.instance.partition(":")[0], DAEMON)


def expects_two(context: Context[DrbdParameters]) -> bool:
    """Whether more than one side may be promoted."""
    most = context.meta("promoted_max") or context.meta("master_max") or "1"  # LINBIT's time called it so
    return most.isdecimal() and int(most) > 1


def _around(context: Context[DrbdParameters], host: Host, state: State, others: bool | None) -> health.Around:
    apart = any(peer.state == STANDALONE for peer in state.connections)
    if not apart and all(peer.connected for peer in state.connections):
        host.remember(SPLIT, "")
    split = apart and host.split(min(DAEMON, context.deadline.left()))
    if split:
        host.remember(SPLIT, "yes")
    return health.Around(Names(host, context), split, others)


class Names:
    """The hosts behind connections. 8.4 calls every peer "peer": then the configuration is read, if need be."""

    __slots__ = ("_context", "_host", "_known")

    def __init__(self, host: Host, context: Context[DrbdParameters]) -> None:
        self._host = host
        self._context = context
        self._known = ""

    def __call__(self, peer: Connection) -> str:
        """Give the name of a peer's host."""
        if peer.name != ANONYMOUS:
            return peer.name
        if not self._known:
            self._known = self._ask()
        return self._known

    def _ask(self) -> str:
        try:
            there = self._host.configured(min(DAEMON, self._context.deadline.left())).hosts
        except CannotAsk:
            return "its peer"
        others = [name for name in there if name != self._host.uname()]
        return others[0] if len(others) == 1 else "its peer"


def _tell(context: Context[DrbdParameters], host: Host, found: list[Finding]) -> None:
    """Keep the node attribute what it should be; the daemon is asked only when that has changed."""
    value = health.attribute(found)
    if host.recall(SAID) == f"={value}":
        return
    for one in found:
        context.note(f"{host.name}: {one.sentence}")
    _publish(context, host, value)


def take_back(context: Context[DrbdParameters], host: Host) -> None:
    """Remove the node attribute: what was stopped is in no trouble any more."""
    if host.recall(SAID) != "=":
        _publish(context, host, "")


def _publish(context: Context[DrbdParameters], host: Host, value: str) -> None:
    try:
        host.publish(ATTRIBUTE + host.name, value, min(DAEMON, context.deadline.left()))
        host.remember(SAID, f"={value}")
    except CannotAsk as error:
        context.warn(f"the attribute {ATTRIBUTE}{host.name} stays what it is: {error}")


def _unfence(context: Context[DrbdParameters], host: Host, state: State) -> None:
    """Remove a stale fencing constraint, once each time that everything has become up to date."""
    if not (state.promoted and state.redundant and context.parameters.unfence_if_all_uptodate):
        host.remember(WHOLE, "")
        return
    if host.recall(WHOLE) or context.is_probe:
        return
    from backstay.agents.drbd_fence import unfence

    try:
        done = unfence(host, context.deadline.at_most(DAEMON * 2), context.note)
    except CannotAsk as error:
        context.warn(f"whether a stale fencing constraint of {host.name} is left is not known: {error}")
        return
    if done:
        context.note(done)
    host.remember(WHOLE, "yes")


def _let_go_on(context: Context[DrbdParameters], host: Host, state: State, around: health.Around) -> None:
    """Let I/O go on that waits for a fencing which was only seen after the handler had given up: DRBD asks it once.

    I/O that waits for something else as well is left alone: resume-io would end every wait.
    """
    if context.is_probe or not state.promoted or state.suspended != ("fencing",):
        return
    from backstay.agents.drbd_fence import again

    away = [around.name(peer) for peer in state.storing if not peer.connected]
    good = [around.name(peer) for peer in state.good_peers]
    try:
        answer = again(host, away, good, min(DAEMON * 2, context.deadline.left() / 2))
        if answer.place:
            resumed = host.adm("resume-io", timeout=max(min(LOOK, context.deadline.left() / 2), 1.0))
            said = "I/O goes on" if resumed.ok else f"drbdadm resume-io: {resumed.complaint()}"
            context.note(f"{host.name}: {answer.why}; {said}")
    except CannotAsk as error:
        context.warn(f"whether the I/O of {host.name} may go on is not known: {error}")


def forget(host: Host) -> None:
    """Forget what the cluster was told: it may have forgotten as well."""
    host.remember(SAID, "")
    host.remember(WHOLE, "")


def uname_list(context: Context[DrbdParameters], which: str) -> list[str]:
    """Give the hosts that a notification names; Pacemaker says each role in both vocabularies, or in one of them."""
    older = {"promoted": "master", "unpromoted": "slave"}  # LINBIT's time
    said = context.meta(f"notify_{which}_uname") or context.meta(f"notify_{older.get(which, which)}_uname")
    return said.split()


def outdate_if_passed(context: Context[DrbdParameters], host: Host) -> bool:
    """Mark the own data as outdated when another host is promoted and this one does not hear it (if that is wanted).

    Gives whether it did.
    """
    if not context.parameters.stop_outdates_secondary:
        return False
    stopping = uname_list(context, "stop")
    rivals = [
        name for name in uname_list(context, "promoted") if name != context.node and name not in stopping
    ]
    if not rivals:
        return False
    try:
        state = host.look(min(LOOK, context.deadline.left()))
        if state and state.promoted:
            context.journal.alert(
                f"{host.name} is promoted here and on {rivals[0]}, and they are not connected"
            )
            return False
        marked = host.adm("outdate", timeout=max(min(LOOK, context.deadline.left()), 1.0))
    except CannotAsk as error:
        context.warn(f"{host.name} was not marked as outdated: {error}")
        return False
    if marked.ok:
        context.note(f"{host.name} was marked as outdated, since {rivals[0]} is promoted")
    else:
        context.warn(f"{host.name} was not marked as outdated: drbdadm outdate: {marked.complaint()}")
    return marked.ok
