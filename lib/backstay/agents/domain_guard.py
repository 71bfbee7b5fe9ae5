# SPDX-License-Identifier: GPL-2.0-or-later
"""The guard of a start: does the domain run elsewhere, or does somebody hold its disks?

Why there is one although Pacemaker starts a resource on one host only: Pacemaker knows what it was told. Somebody
migrates a guest by hand; the monitor on the host that it left says, truthfully, that it does not run; Pacemaker
starts it again, and two copies write to the same disks. The same happens after a cluster that runs without fencing
has split.

`peers`, the default, asks libvirt on the other hosts of the cluster. Only a positive sighting refuses: a missed
double costs the disks, but a start that is refused because some host does not answer costs every recovery, as in a
recovery there is always one that does not. No answer is a warning, so an admin without a way between the libvirts
(migration_transport) learns that nothing guards the start. The price is one tenth of a second where all answer, and
at most six seconds or a tenth of the budget where one does not.

`lock` leaves it to libvirt's lock manager, which is stronger (it also sees hosts outside the cluster, and holds
while the guest runs) but has to be set up by the admin on every host; the guard insists that it is. Locks that refuse a
start are recognised whatever the guard is: see domain_lock.

A libvirtd that hung in the middle of a start carries out the creation when it goes on, long after the start was given
up. What it created stays paused for ever; it is told by the mark that a creation has until an agent lets the guest
run, and by CPUs that never did anything. That is no guest that runs: if it stays like that for as long as a start
that is under way there would need to let it run, it is a warning.

After a refusal (code 1) Pacemaker tries its other hosts; on the one where the domain runs, the start finds it running
and is done. Where it is not allowed to run, or where a failed start is not fatal, nobody looks there until the admin
makes Pacemaker look: that command is in the message.
"""

from __future__ import annotations

from backstay.errors import CannotAsk
from backstay.host import libvirt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstay.agents.domain_state import Seen
    from backstay.agents.domain_world import World
    from backstay.host.clock import Deadline
    from backstay.host.elsewhere import Sighting

NONE, PEERS, LOCK = "none", "peers", "lock"
FREE, MOVING, RUNS, LEFTOVER, SILENT = "free", "moving", "runs", "leftover", "silent"
HELD = "held"
# paused for these reasons without a job, a guest never ran there: it waits for a memory that does not come
NEVER_RAN = ("migration", "starting-up")
SHARE, MOST = 0.1, 6.0  # of the budget, and seconds, for asking the others
CLUSTER = 3.0  # seconds of these for asking the cluster who they are
MOVES_FOR = 15.0  # seconds in which a migration between other hosts, or a start on one of them, may end
AGAIN = 1.0  # seconds


def verdict(sighting: Sighting) -> str:
    """Decide what one host's answer means for a start here."""
    if sighting.kind == libvirt.ABSENT:
        return FREE
    if sighting.kind != libvirt.KNOWN:
        return SILENT
    if sighting.state not in libvirt.ACTIVE:
        return FREE
    if sighting.state == "paused" and sighting.reason in NEVER_RAN:
        return MOVING if sighting.busy else LEFTOVER
    if sighting.state == "paused" and sighting.held and not sighting.busy:
        return HELD
    return RUNS


def refusal(world: World, seen: Seen, guard: str, deadline: Deadline) -> str:
    """Say why the domain must not be started here; empty when nothing speaks against it."""
    if guard == LOCK:
        return _without_a_lock(world, seen)
    if guard != PEERS:
        return ""
    patience = deadline.part(SHARE).at_most(MOST)
    try:
        hosts = world.elsewhere().hosts(patience.at_most(CLUSTER).left())
    except CannotAsk as error:
        world.warn(f"whether {seen.identity} runs on another host was not checked: {error}")
        return ""
    found = _look(world, seen, hosts, patience.left())
    moves = deadline.part(0.5).at_most(MOVES_FOR)
    while any(verdict(one) in (MOVING, HELD) for one in found) and not moves.expired:
        world.pause(AGAIN)
        found = _look(world, seen, hosts, deadline.part(SHARE).at_most(MOST).left())
    _warn(world, seen, found)
    return next((_sentence(world, seen, one) for one in found if verdict(one) in (RUNS, MOVING)), "")


def _look(world: World, seen: Seen, hosts: Sequence[str], seconds: float) -> tuple[Sighting, ...]:
    us = seen.identity
    return world.elsewhere().look(hosts, us.uuid, us.name, seconds) if hosts else ()


def _without_a_lock(world: World, seen: Seen) -> str:
    if world.elsewhere().lock_manager():
        return ""
    return (
        f"{seen.identity} is not started on {seen.host}: guard=lock, but libvirt here has no lock manager; set "
        "lock_manager in /etc/libvirt/qemu.conf and restart libvirtd, or set another guard"
    )


def _sentence(world: World, seen: Seen, there: Sighting) -> str:
    how = f"{there.state} ({there.reason})" if there.reason else there.state
    if verdict(there) == MOVING:
        return f"{seen.identity} is not started on {seen.host}: it is being migrated to {there.host} just now"
    return (
        f"{seen.identity} is not started on {seen.host}: it runs on {there.host} already, {how}; was it moved by hand? "
        f"crm_resource --refresh --resource {world.instance} makes the cluster see it there"
    )


def _warn(world: World, seen: Seen, found: Sequence[Sighting]) -> None:
    silent = [one for one in found if verdict(one) == SILENT]
    if silent:
        names = ", ".join(one.host for one in silent)
        world.warn(
            f"whether {seen.identity} runs on {names} is not known, their libvirt gave no answer ({silent[0].text}); "
            "is migration_transport right?"
        )
    for one in found:
        if verdict(one) in (LEFTOVER, HELD):
            what = "migration" if verdict(one) == LEFTOVER else "start"
            world.warn(
                f"a failed {what} left {seen.identity} paused on {one.host}; it never ran there: "
                f"virsh destroy {seen.identity} on {one.host} ends it"
            )
