# SPDX-License-Identifier: GPL-2.0-or-later
"""The role's monitor looks at the cluster: is there a host to be recovered, or one to be given back?

Decides nothing that `recovery` does not: it starts the service that does the work, at most one at a time and without
waiting for it, and says what is recovered, and what is not and why, in the journal and in a node attribute.
"""

from __future__ import annotations

from backstay.agents.recovery import GIVE_BACK, NOTE, RECOVER, Decision, decide, sentences
from backstay.agents.recovery_seen import hosts, looked, returned
from backstay.errors import CannotAsk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.agents.frontend import FrontendParameters
    from backstay.agents.frontend_memory import Memory
    from backstay.agents.frontend_profile import Profile
    from backstay.host.clock import Deadline
    from backstay.host.frontend import Host
    from backstay.ocf.context import Context

TOOL_TIME = 4.0  # seconds that a tool of the cluster gets
WORK = (NOTE, RECOVER, GIVE_BACK)
PROGRESS = "-recovery"
ENDING = 10.0  # seconds that the service gets to end when the role leaves


def decisions(host: Host, profile: Profile) -> list[Decision]:
    """Look, and decide for each host; raises CannotAsk."""
    seen = host.look(TOOL_TIME)
    notes = host.guest_notes(TOOL_TIME) if profile.on_libvirt and returned(seen) else {}
    found = hosts(seen, looked(notes))
    for each in found:
        # What libvirt says of a host means nothing to a manager that has its own way to run guests.
        each.well = each.well if profile.on_libvirt else ""
    return [decide(each) for each in found]


def watch(context: Context[FrontendParameters], host: Host, profile: Profile, memory: Memory) -> None:
    """Start what has to be done, and say what is; whatever cannot be asked is asked again by the next monitor."""
    if not profile.recovers_hosts or context.deadline.left() < 3 * TOOL_TIME:
        return
    try:
        found = decisions(host, profile)
        if any(each.verb in WORK for each in found):
            host.launch_recovery([profile.name], TOOL_TIME)
        said = sentences(found)
    except CannotAsk as error:
        said = f"whether a host has to be recovered is not known: {error}"
    progress = host.recall(PROGRESS)
    tell(context, host, memory, f"{said} ({progress})" if said and progress else said)


def tell(context: Context[FrontendParameters], host: Host, memory: Memory, said: str) -> None:
    """Say a sentence when it is another one than before; empty ends it."""
    if said == memory.recovery:
        return
    if said:
        context.warn(said)
    try:
        host.say_recovery(said, min(TOOL_TIME, max(context.deadline.left() / 2, 0.5)))
        memory.recovery = said
    except CannotAsk as error:
        context.warn(f"other hosts are not told about recovery: {error}")


def end(host: Host, until: Deadline) -> None:
    """End the service that recovers, as the role leaves; whoever takes the role goes on. Raises CannotAsk."""
    unit = host.recovery_unit
    if _has_ended(host, unit):
        return
    host.stop(unit, TOOL_TIME)
    for within in (until.at_most(ENDING), until.at_most(ENDING / 2)):
        while True:
            if _has_ended(host, unit):
                return
            if within.expired:
                break
            host.pause(0.2)
        host.kill(unit, TOOL_TIME)
    raise CannotAsk(f"{unit} does not end")


def _has_ended(host: Host, unit: str) -> bool:
    seen = host.units([unit], TOOL_TIME)[unit]
    return seen.down and not host.leftovers(seen)
