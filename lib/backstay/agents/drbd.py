# SPDX-License-Identifier: GPL-2.0-or-later
"""ocf:backstay:drbd: one DRBD resource, 8.4 or 9, as a promotable clone.

What it says of itself. What each action does is in drbd_actions, loaded only when there is one: meta-data runs in the
main loop of Pacemaker's controller. What is wrong with a resource and what Pacemaker is told of it is in drbd_health,
how much a host offers itself in drbd_scores, the steps of a change in drbd_roles.

Never fails a monitor for what the cluster's own daemons do, never waits for somebody who holds the device past its own
deadline, and says "not running" only when DRBD's listing came to its end without the resource.
"""

from __future__ import annotations

from backstay.agents.drbd_parameters import DrbdParameters
from backstay.ocf.agent import Action, Agent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.ocf.context import Context
    from backstay.ocf.outcome import Outcome

LONGDESC = """Manages a DRBD resource, 8.4 or 9, as a promotable clone. The resource itself is configured for drbdadm.

The monitor looks at more than the role. A promoted side is failed (9) when nothing of its data can be read or written
any more; where its I/O only waits, for the data or for a quorum, it is failed when another host offers itself. What is
merely less than whole is degraded (190, promoted: 191), with a reason that names the volume and the peer: no disk, data
that is not up to date, a resync that this side needs, a paused one, a connection that stands alone, a split brain, I/O
that waits for fencing or for an admin (it goes on by itself when a fencing is seen that the handler fence-peer did not
wait for). A peer that is away, and a resync that this side gives, are nothing to report;
they stand in the transient node attribute backstay-drbd-NAME, as does every other trouble for as long as it lasts.
Pacemaker shows 190 and 191 as a failed action until "crm_resource --cleanup", also when all is well again.

Promotion scores come from disks, quorum and peers. They are compared with what the attribute daemon has, so they are
set again when a restart of Pacemaker has lost them. An attribute daemon that does not answer fails nothing.

promote, demote and stop end before their timeout, and say who holds the device open: a process, a mount, swap, a device
upon it, or a domain. stop needs no configuration.

Data can only diverge where DRBD may write on both sides without knowing of one another. Against that: "fencing
resource-and-stonith" with the handlers of backstay-drbd-fence and fencing in the cluster, or the quorum of DRBD 9.
Stacked resources are not supported.

The clone needs notify=true. A resource of ocf:linbit:drbd changes its agent in maintenance mode; before that is left,
"crm_resource --refresh" and a look at the promotion scores. The parameter unfence_extra_args has no meaning here."""


def start(context: Context[DrbdParameters]) -> Outcome:
    """Start it unpromoted."""
    from backstay.agents import drbd_actions

    return drbd_actions.start(context)


def stop(context: Context[DrbdParameters]) -> Outcome:
    """Take it down."""
    from backstay.agents import drbd_actions

    return drbd_actions.stop(context)


def promote(context: Context[DrbdParameters]) -> Outcome:
    """Promote it."""
    from backstay.agents import drbd_actions

    return drbd_actions.promote(context)


def demote(context: Context[DrbdParameters]) -> Outcome:
    """Demote it."""
    from backstay.agents import drbd_actions

    return drbd_actions.demote(context)


def notify(context: Context[DrbdParameters]) -> Outcome:
    """Hear what became of the others."""
    from backstay.agents import drbd_actions

    return drbd_actions.notify(context)


def monitor(context: Context[DrbdParameters]) -> Outcome:
    """Look, and tell the cluster what has changed."""
    from backstay.agents import drbd_actions

    return drbd_actions.monitor(context)


def reload(context: Context[DrbdParameters]) -> Outcome:
    """Offer this host by the new scores."""
    from backstay.agents import drbd_actions

    return drbd_actions.reload(context)


def validate(context: Context[DrbdParameters]) -> Outcome:
    """Judge this host and the clone (validate-all at level 10)."""
    from backstay.agents import drbd_actions

    return drbd_actions.validate(context)


AGENT = Agent(
    "drbd",
    "Manages a DRBD resource and sees more of it than its role",
    LONGDESC,
    DrbdParameters,
    (
        Action("start", 240, start),
        Action("stop", 100, stop),
        Action("promote", 90, promote),
        Action("demote", 90, demote),
        Action("notify", 90, notify),
        Action("monitor", 20, monitor, 20, role="Unpromoted"),
        Action("monitor", 20, monitor, 10, role="Promoted"),
        Action("reload-agent", 20, reload),
    ),
    validate=validate,
)
