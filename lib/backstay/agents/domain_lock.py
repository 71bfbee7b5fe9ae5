# SPDX-License-Identifier: GPL-2.0-or-later
"""A start that a lock refuses: recognised by libvirt's words, tried again, and failed with who holds it.

Decides which refusals mean "somebody has these disks in use". They are tried again for as long as the start may take,
as the lock of a host that was fenced a moment ago goes away by itself: a server of NFS waits for its client, sanlock
for its lease. Each time the guest is created afresh. libvirt takes the lock of a guest that was created paused only
when it is let run, and what its emulator has read from the disk by then may be old.

Sources of the words: libvirt 9.0, virlockspace.c ("Lockspace resource '%s' is locked", VIR_ERR_RESOURCE_BUSY; seen
with virtlockd), lock_driver_sanlock.c ("Failed to acquire lock: ..."); QEMU 7.2, block/file-posix.c ("Failed to get
"write" lock" and the hint "Is another process using the image [...]?"; seen).
"""

from __future__ import annotations

from backstay.agents.domain_guard import CLUSTER, HELD, LEFTOVER, MOST, PEERS, RUNS, verdict
from backstay.errors import BackstayError, CannotAsk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.agents.domain_state import Seen
    from backstay.agents.domain_world import World
    from backstay.host.clock import Deadline

WORDS = (
    ("Lockspace resource ", " is locked"),
    ("Failed to acquire lock",),
    ("Failed to get ", " lock"),
    ("Failed to lock byte ",),
)
BEFORE_THE_FILE = ("using the image [", "Lockspace resource '")
EVERY = 3.0  # seconds between two attempts


def is_locked(text: str) -> bool:
    """Whether libvirt says that the domain was not started because of a lock."""
    return any(all(word in text for word in words) for words in WORDS)


def file_of(text: str) -> str:
    """Give the file that is locked as far as the refusal names it, or an empty text."""
    for before in BEFORE_THE_FILE:
        rest = text.partition(before)[2]
        if rest.startswith("/"):
            return rest.partition("]" if before.endswith("[") else "'")[0]
    return ""


def sentence(world: World, seen: Seen, text: str, guard: str, deadline: Deadline) -> str:
    """Say that a lock refused the start, and who holds it as far as somebody knows."""
    held = _holder(world, seen, file_of(text), guard, deadline)
    who = f"held by {held}" if held else "by whom is not known; look who else uses its disks"
    return f"{seen.identity} cannot be started on {seen.host}: its disks are locked, {who}; libvirt: {text}"


def _holder(world: World, seen: Seen, path: str, guard: str, deadline: Deadline) -> str:
    here = _local_holder(world, path, deadline) if path else ""
    return here or (_remote_holder(world, seen, deadline) if guard == PEERS else "")


def _local_holder(world: World, path: str, deadline: Deadline) -> str:
    from backstay.host.emulator import name_of

    try:
        everyone = world.emulators.all(deadline.at_most(MOST).left())
    except (OSError, BackstayError):
        return ""
    for process in everyone:
        if path in world.emulators.files(process):
            return f"{name_of(process.arguments) or 'an emulator'} (pid {process.pid}) on this host"
    return ""


def _remote_holder(world: World, seen: Seen, deadline: Deadline) -> str:
    us, there = seen.identity, world.elsewhere()
    try:
        hosts = there.hosts(deadline.at_most(CLUSTER).left())
    except CannotAsk:
        return ""
    for one in there.look(hosts, us.uuid, us.name, deadline.at_most(MOST).left()) if hosts else ():
        if verdict(one) in (RUNS, LEFTOVER, HELD):
            return f"the same domain on {one.host}, {one.state} ({one.reason})"
    return ""
