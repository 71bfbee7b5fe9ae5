# SPDX-License-Identifier: GPL-2.0-or-later
"""How a guest is: libvirt is asked, or who else can tell while it does not say so.

Decides whom to believe. A libvirtd that is dead leaves the emulator's own monitor socket free: QEMU says how the guest
is, and its words become those that libvirt would use for them. A libvirtd that hangs holds that socket. Then its last
written word stands where it was that the guest does not run; that it runs is an old word, and counts only if a
processor of the guest is seen to run now. If none is within a few seconds, whether the guest is paused is not known:
an idle guest under software emulation looks the same. That is degraded, never failed: a libvirtd in trouble restarts
no guest.
"""

from __future__ import annotations

from backstay.agents.domain_world import scan
from backstay.errors import BackstayError
from backstay.host import libvirt
from backstay.host.libvirt import Answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.agents.domain_state import Seen
    from backstay.agents.domain_world import World
    from backstay.host.clock import Deadline

NOBODY = (0, 0)
ASKING = 4.0  # seconds that a monitor gives libvirt for its answer
TWICE = 0.5  # seconds between two questions
TALKING = 2.0  # seconds for a conversation with the emulator
WATCHING = 4.0  # seconds for which its processors are watched at most
BETWEEN = 0.5  # seconds between two looks at them
LEAST = 0.1  # seconds; that nobody could watch for longer is no proof that it runs

# QEMU's run states (RunState of its QMP reference) as libvirt's state and reason for them (what libvirtd itself makes
# of them when it comes back, qemuMonitorVMStatusToPausedReason). What is not here is paused, and nobody knows why.
RUN_STATES = {
    "running": ("running", ""),
    "shutdown": ("shutdown", ""),
    "guest-panicked": ("crashed", ""),
    "suspended": ("pmsuspended", ""),
    "io-error": ("paused", "ioerror"),
    "watchdog": ("paused", "watchdog"),
    "paused": ("paused", "user"),
    "prelaunch": ("paused", "user"),
    "inmigrate": ("paused", "migration"),
    "finish-migrate": ("paused", "migration"),
    "postmigrate": ("paused", "migration"),
    "save-vm": ("paused", "save"),
}
UNKNOWN = ("paused", "unknown")
SPLIT, SPLIT_STATE = "postcopy-paused", ("paused", "postcopy-failed")  # of a migration; on both sides


def answer(world: World, seen: Seen, uuid: str, name: str, deadline: Deadline) -> Answer:
    """Give how the guest is that runs as the first emulator of `seen`.

    libvirt is asked again when it does not know the guest: it may have just started. It is not woken only to be asked:
    while no libvirtd lives, its sockets may, and one that crashes at each start would soon be given up by systemd.
    """
    if world.writer() == NOBODY and (
        said := _of_emulator(world, seen, name, "no libvirtd attends", deadline)
    ):
        return said
    asked = world.libvirt.describe(uuid, "", deadline.at_most(ASKING).left())
    if asked.answered and not asked.active:
        world.pause(min(TWICE, deadline.left()))
        asked = world.libvirt.describe(uuid, "", deadline.at_most(ASKING).left())
    if asked.answered:
        world.answered()
        return asked
    return unheard(world, seen, name, asked, deadline)


def unheard(world: World, seen: Seen, name: str, asked: Answer, deadline: Deadline) -> Answer:
    """Give how the guest is while libvirt gives no answer (`asked`): the emulator's word, or what is known besides."""
    silence = f"libvirt was not asked with success: {asked.kind}"
    return _of_emulator(world, seen, name, silence, deadline) or _of_processors(
        world, seen.emulators[0].pid, name, asked, deadline
    )


def of_run_state(status: str, migration: str, wrote: tuple[str, str]) -> tuple[str, str]:
    """Give libvirt's words for a run state; who paused a guest and why, libvirt may have written before."""
    if migration == SPLIT:
        return SPLIT_STATE
    told = RUN_STATES.get(status, UNKNOWN)
    return wrote if told == RUN_STATES["paused"] and wrote[0] == "paused" else told


def _of_emulator(world: World, seen: Seen, name: str, silence: str, deadline: Deadline) -> Answer | None:
    """Give the emulator's own word; None when it cannot be asked. `silence` says why libvirt was not."""
    living = scan(world, seen.identity, deadline).emulators  # with its arguments, which name the socket
    monitor = world.monitor(living[0]) if living else None
    if monitor is None:
        return None
    try:
        said = monitor.run_state(deadline.at_most(TALKING).left())
    except BackstayError:
        return None
    state, reason = of_run_state(*said, world.written(name, living[0].pid))
    return Answer(libvirt.KNOWN, state=state, reason=reason, by=f"its emulator ({silence})")


def _of_processors(world: World, pid: int, name: str, asked: Answer, deadline: Deadline) -> Answer:
    """Add to libvirt's silence what it wrote last, and for how long none of the guest's processors ran."""
    asked.state, asked.reason = world.written(name, pid)
    asked.still = _still(world, pid, deadline)
    return asked


def _still(world: World, pid: int, deadline: Deadline) -> float:
    """Watch the guest's processors until one is seen to run; give the seconds in vain, 0.0 when one was."""
    if world.watch is None:
        return 0.0
    began, before = world.monotonic(), world.watch(pid)
    while not before.running:
        watched = world.monotonic() - began
        if watched >= WATCHING or deadline.expired:
            return max(watched, LEAST)
        world.pause(min(BETWEEN, max(LEAST, deadline.left())))
        now = world.watch(pid)
        if now.shows_running_since(before):
            return 0.0
        before = now
    return 0.0
