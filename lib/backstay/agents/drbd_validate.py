# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether this host and the clone are what the DRBD agent needs: validate-all at check level 10 and above.

Decides what is wrong on this host (5, 2) and what on every one (6). Changes nothing, and needs no module in the kernel.
What Pacemaker did not tell (a call by hand tells nothing of the clone) is not guessed.
"""

from __future__ import annotations

from backstay.agents.drbd_roles import LOOK, unfit
from backstay.errors import CannotAsk
from backstay.host.process import ToolMissing
from backstay.ocf import codes
from backstay.ocf.outcome import Outcome, done, failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.agents.drbd_parameters import DrbdParameters
    from backstay.host.drbd_configured import Configured
    from backstay.host.drbd_host import Host
    from backstay.ocf.context import Context

MEMBERS_OF_8, NINE = 2, 9  # hosts that a resource of DRBD 8.4 has; the version from which there may be more


def validate(context: Context[DrbdParameters], host: Host, notifications: str) -> Outcome:
    """Judge the module, the configuration and the clone; `notifications` is the complaint about notify, or empty."""
    try:
        version = host.version() or host.available(LOOK)
        if not version:
            return failed("DRBD's module is not there for this kernel", codes.NOT_INSTALLED)
        wrong = unfit(version, context.parameters)
        if wrong:
            return failed(wrong, codes.NOT_INSTALLED)
        there = host.configured(min(LOOK, context.deadline.left()))
    except ToolMissing as missing:
        return failed(str(missing), codes.NOT_INSTALLED)
    except CannotAsk as unreadable:
        return failed(str(unreadable), codes.ARGUMENTS)
    wrong = clone(context, version, there) or notifications
    if wrong:
        return failed(wrong, codes.NOT_CONFIGURED)
    if there.fencing == "dont-care" and host.name:
        context.warn(
            f"{host.name} has no fencing policy: after a split of the network both sides may be written"
        )
    return done(f"{host.name} can be managed here")


def clone(context: Context[DrbdParameters], version: tuple[int, ...], there: Configured) -> str:
    """Say what is wrong with the clone's own settings; empty when nothing is, or when they are not known."""
    per_host = _number(context, "clone_node_max")
    members = _number(context, "clone_max")
    both = _number(context, "promoted_max") or _number(context, "master_max")  # LINBIT's time
    if per_host and per_host != 1:
        return f"clone-node-max is {per_host}, and a host has the resource once"
    if both and both > MEMBERS_OF_8:
        return f"promoted-max is {both}, and DRBD has two promoted sides at most"
    if members and members > MEMBERS_OF_8 and (version[0] < NINE or both == MEMBERS_OF_8):
        why = "a resource of DRBD 8.4" if version[0] < NINE else "a resource with two promoted sides"
        return f"clone-max is {members}, and {why} has two hosts"
    if both == MEMBERS_OF_8 and not there.two_primaries:
        return "promoted-max is 2, and DRBD's configuration has no allow-two-primaries"
    return ""


def _number(context: Context[DrbdParameters], name: str) -> int:
    given = context.meta(name)
    return int(given) if given.isdecimal() else 0
