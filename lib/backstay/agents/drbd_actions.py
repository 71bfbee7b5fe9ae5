# SPDX-License-Identifier: GPL-2.0-or-later
"""What each action of ocf:backstay:drbd does.

Decides the order: the resource itself first, then what the cluster is told of it.
"""

from __future__ import annotations

from backstay.agents import drbd_roles as roles
from backstay.agents.drbd_watch import (
    expects_two,
    forget,
    offer,
    outdate_if_passed,
    take_back,
    uname_list,
    watch,
)
from backstay.errors import CannotAsk
from backstay.host.drbd_host import Host
from backstay.ocf import codes
from backstay.ocf.outcome import Outcome, done

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.agents.drbd_parameters import DrbdParameters
    from backstay.ocf.context import Context


def host_of(context: Context[DrbdParameters]) -> Host:
    """Give the host, with the resource that the parameters name."""
    return Host(context.parameters.drbd_resource, context.parameters.drbdconf)


def start(context: Context[DrbdParameters]) -> Outcome:
    """Start it unpromoted."""
    host = host_of(context)
    forget(host)
    if missing_notifications(context):
        context.warn(missing_notifications(context))
    outcome = roles.start(host, context.parameters, context.deadline, context.note, context.warn)
    if outcome.code == codes.SUCCESS:
        offer_anew(context, host)
    return outcome


def stop(context: Context[DrbdParameters]) -> Outcome:
    """Take it down, whatever its configuration looks like."""
    host = host_of(context)
    outcome = roles.stop(host, context.deadline, context.warn)
    if outcome.code == codes.SUCCESS:
        outdate_if_passed(context, host)
        offer(context, host, None)
        take_back(context, host)
        forget(host)
    return outcome


def promote(context: Context[DrbdParameters]) -> Outcome:
    """Promote it."""
    host = host_of(context)
    alone = not expects_two(context)
    # The handler fence-peer, which DRBD may call for this, has to answer while there is time to hear it.
    host.promoting(max(context.deadline.left() - roles.HELD, 0.0))
    try:
        outcome = roles.promote(host, context.parameters, context.deadline, context.warn, alone)
    finally:
        host.promoting(None)
    if outcome.code == codes.SUCCESS:
        offer_anew(context, host)
    return outcome


def demote(context: Context[DrbdParameters]) -> Outcome:
    """Demote it.

    Pacemaker 2.1.5 demotes what was taken out of its configuration without the parameters, again and again while that
    fails, and stops it afterwards with those that it was started with (both seen). So the stop does both then.
    """
    if not context.parameters.drbd_resource:
        return done(
            "it was taken out of the configuration, and its name with it: its stop demotes it as well"
        )
    return roles.demote(host_of(context), context.deadline, context.warn)


def monitor(context: Context[DrbdParameters]) -> Outcome:
    """Look, and tell the cluster what has changed."""
    return watch(context, host_of(context))


def notify(context: Context[DrbdParameters]) -> Outcome:
    """Hear what became of the others: meet one that starts, and offer this host anew after every change.

    Its result means nothing to Pacemaker, and so it never fails.
    """
    host, operation = host_of(context), context.meta("notify_operation")
    try:
        if operation == "start" and not context.parameters.connect_only_after_promote:
            joined = host.adm("adjust", timeout=min(roles.TOOL, context.deadline.left()))
            if not joined.ok:
                context.warn(f"drbdadm adjust: {joined.complaint()}")
        if context.meta("notify_type") == "post":
            state = host.look(min(roles.LOOK, context.deadline.left()))
            if (
                state
                and any(not peer.connected for peer in state.storing)
                and outdate_if_passed(context, host)
            ):
                state = host.look(min(roles.LOOK, context.deadline.left()))
            offer(context, host, state)
    except CannotAsk as error:
        context.warn(f"after {operation} of another side: {error}")
    return done("heard")


def reload(context: Context[DrbdParameters]) -> Outcome:
    """Offer this host by the new scores; everything else is used from the next action on."""
    offer_anew(context, host_of(context))
    return done("the new parameters are used from the next action on")


def offer_anew(context: Context[DrbdParameters], host: Host) -> None:
    """Offer this host by how the resource is now; what has been done is done, also where DRBD does not answer then."""
    try:
        offer(context, host, host.look(min(roles.LOOK, context.deadline.left())))
    except CannotAsk as error:
        context.warn(f"the promotion score of {host.name} is set at the next monitor: {error}")


def missing_notifications(context: Context[DrbdParameters]) -> str:
    """Say that the clone has no notify=true; empty when it has, when nobody cares, or when Pacemaker did not tell."""
    tells = context.meta("clone_max") or context.meta("notify_start_uname")
    heard = context.meta("notify").lower() in ("true", "yes", "on", "y", "1") or uname_list(context, "start")
    if context.parameters.ignore_missing_notifications or not tells or heard:
        return ""
    return f"the clone of {context.instance} has no notify=true: a side learns of the others at its next monitor only"


def validate(context: Context[DrbdParameters]) -> Outcome:
    """Say whether this host and the clone are what the agent needs (validate-all at level 10)."""
    from backstay.agents.drbd_validate import validate as judged

    return judged(context, host_of(context), missing_notifications(context))
