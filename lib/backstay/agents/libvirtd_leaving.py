# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether guests may leave a host whose libvirtd cannot be healed: only when another host is known to be healthy.

Decides between "failed", upon which Pacemaker moves or fences, and "degraded". What broke on all hosts, at once or on
one shortly after the other, must move nothing. A host is to be fenced only for guests that run on it: somebody else
has placed them and may start them elsewhere only when it is dead. Never does anything itself.
"""

from __future__ import annotations

from backstay.agents.leaving import better_place, places
from backstay.ocf.outcome import Outcome, degraded, failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.agents.libvirtd import LibvirtdParameters
    from backstay.agents.libvirtd_memory import Memory
    from backstay.host.libvirtd import Host
    from backstay.ocf.context import Context


FENCE = "fence"  # of unhealable, and of on-fail, which Pacemaker tells a monitor (seen with 2.1.5)


def leave_or_stay(context: Context[LibvirtdParameters], host: Host, memory: Memory, said: str) -> Outcome:
    """Say that it is given up: failed when other hosts were healthy at two looks, else degraded."""
    fences = context.parameters.unhealable == FENCE
    guests = host.emulators() if fences else ()
    if fences and not guests:
        return degraded(
            f"{said}; it cannot be healed here, and no guest runs here for which it would be fenced"
        )
    others, why = better_place(context, host, memory)
    if not others:
        memory.stayed = host.now()
        return degraded(f"{said}; it cannot be healed here, and nothing is moved: {why}")
    if memory.stayed:
        # what broke everywhere is being mended elsewhere, so it may be mended here in a moment: once more from the
        # beginning, before everybody moves to the host that was mended first
        memory.stayed, memory.heal, memory.since = 0.0, 0.0, host.now()
        return degraded(f"{said}; {others} is healthy again, so healing it is tried once more")
    if host.now() - memory.better_since < context.interval + 2 * context.parameters.answer_within:
        return degraded(
            f"{said}; it cannot be healed here, and {others} is looked at once more to take its guests"
        )
    given_up = f"{said}; it cannot be healed here, {others} can take its guests"
    if not fences:
        return failed(given_up)
    if context.meta("on_fail") != FENCE:
        return failed(f"{given_up}; unhealable=fence fences nobody, for this monitor has no on-fail=fence")
    return failed(f"{given_up} when it is fenced: {', '.join(guests)}")


def start_failed(
    context: Context[LibvirtdParameters], host: Host, memory: Memory, outcome: Outcome
) -> Outcome:
    """Give what is said of a start that failed: degraded while guests run here that have nowhere to go.

    Pacemaker takes 190 from a start for a success without a failure count (seen with 2.1.5), so the guests stay and
    the monitor goes on; the attribute does not claim anything.
    """
    if not host.emulators():
        return outcome
    others, why = places(context, host)
    if others:
        return outcome
    memory.stayed = host.now()
    said = f"{outcome.reason}; its guests stay, for they have no better place: {why}"
    context.journal.alert(said)
    return degraded(said)
