# SPDX-License-Identifier: GPL-2.0-or-later
"""Changing what a DRBD resource is on this host: started, promoted, demoted, stopped.

Decides the steps and when to give up. Every one of them ends before the action's deadline with a sentence, and is done
when a fresh look says so, not when its last step returned. Where the device is held open, who holds it is said: at once
in the log, and at the end as the reason. Taking it down needs no configuration, so a broken one stops nobody.
"""

from __future__ import annotations

from backstay.errors import CannotAsk
from backstay.host import drbd_state
from backstay.ocf import codes
from backstay.ocf.outcome import Outcome, done, failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from backstay.agents.drbd_parameters import DrbdParameters
    from backstay.host.clock import Deadline
    from backstay.host.drbd_state import State
    from backstay.host.process import Completed

    class World(Protocol):
        """The resource on this host (host.drbd_host.Host). Times are in seconds; methods may raise CannotAsk."""

        name: str

        def loaded(self) -> bool: ...
        def load(self, timeout: float) -> Completed: ...
        def version(self) -> tuple[int, ...]: ...
        def look(self, timeout: float) -> State | None: ...
        def adm(self, *words: str, timeout: float) -> Completed: ...
        def down(self, timeout: float) -> Completed: ...
        def secondary(self, state: State, timeout: float) -> Completed: ...
        def holders(self, state: State, timeout: float) -> str: ...
        def pause(self, seconds: float) -> None: ...

    Say = Callable[[str], None]

LOOK = 5.0  # seconds for one look
TOOL = 30.0  # seconds for a step that talks to the kernel and a disk
HELD = 4.0  # seconds to find out who holds a device; kept at the end of an action
AGAIN = 0.5  # seconds between two tries
# Each refusal of a device that is held open is a line or more in the kernel's log, so the pause grows up to this (s).
SELDOM = 5.0
CALM = 15.0  # seconds that a promotion that fails takes at least, so that Pacemaker's next try is not the next moment
NINE, LOCAL_8 = 9, "attach"
IN_USE = ("held open", "in use", "open by", "Device is busy")
NO_GOOD_DATA = 17  # drbdadm primary: there is no data here that is up to date


def start(world: World, given: DrbdParameters, deadline: Deadline, note: Say, warn: Say) -> Outcome:
    """Make it run unpromoted, connect it, and wait a little for its peers."""
    if not world.loaded():
        loading = world.load(min(TOOL, deadline.left()))
        if not world.loaded():
            return failed(f"DRBD's module cannot be loaded: {loading.complaint()}", codes.NOT_INSTALLED)
    wrong = unfit(world.version(), given)
    if wrong:
        return failed(wrong, codes.NOT_INSTALLED)
    state = world.look(LOOK)
    if state and state.promoted:
        warn(f"{world.name} is promoted already, and a start has to leave it unpromoted: it is demoted")
        demoted = demote(world, deadline.part(0.5), warn)
        if demoted.code != codes.SUCCESS:
            return failed(f"a start has to leave it unpromoted; {demoted.reason}")
    if state and _half_made(state):
        warn(f"{world.name} is half made, by a start that was killed: it is made anew")
        world.down(min(TOOL, deadline.left()))
        state = world.look(LOOK)
    trouble = _bring_up(world, deadline, warn) if state is None else ""
    if trouble:
        return failed(f"{world.name} cannot be started: {trouble}")
    if not given.connect_only_after_promote:
        joined = world.adm("adjust", timeout=min(TOOL, deadline.left()))
        if not joined.ok:
            warn(f"drbdadm adjust: {joined.complaint()}")
    return _started(world, _settled(world, given, deadline, note), state is None)


def _half_made(state: State) -> bool:
    """Whether a start ended between its steps: no peer is connected to yet, and a volume or its disk is missing."""
    lacking = [device for device in state.devices if device.disk == drbd_state.DISKLESS and not device.client]
    return not state.promoted and not state.connections and (not state.devices or bool(lacking))


def unfit(version: tuple[int, ...], given: DrbdParameters) -> str:
    """Say why this version of the module is not the one that is wanted; empty when it is, or cannot be told."""
    from backstay.agents.drbd_parameters import version_of

    shown = ".".join(map(str, version))
    lowest, below = given.require_drbd_module_version_ge, given.require_drbd_module_version_lt
    if version and lowest and version < version_of(lowest):
        return f"DRBD's module has the version {shown}, and at least {lowest} is wanted"
    if version and below and version >= version_of(below):
        return f"DRBD's module has the version {shown}, and one below {below} is wanted"
    return ""


def _bring_up(world: World, deadline: Deadline, warn: Say) -> str:
    """Make the resource and attach its disks; say what went wrong, and leave nothing half made."""
    moved = world.adm("check-resize", timeout=min(TOOL, deadline.left()))
    if not moved.ok:
        warn(f"drbdadm check-resize: {moved.complaint()}")
    attach = ("adjust", "--skip-net") if world.version()[:1] >= (NINE,) else (LOCAL_8,)
    for words in (("new-resource",), ("new-minor",), attach):
        step = world.adm(*words, timeout=min(TOOL, deadline.left()))
        if not step.ok and words == attach:
            # The disk may have been let go of by somebody else a moment ago (a scan of volumes).
            world.pause(AGAIN * 2)
            step = world.adm(*words, timeout=min(TOOL, deadline.left()))
        if not step.ok:
            world.down(min(TOOL, max(deadline.left(), AGAIN)))
            return f"drbdadm {' '.join(words)}: {step.complaint()}"
    return ""


def _settled(world: World, given: DrbdParameters, deadline: Deadline, note: Say) -> State | None:
    """Wait until the peers are there and the disks have found their state, as long as it is worth it."""
    patience = deadline.at_most(0.0 if given.connect_only_after_promote else given.patience)
    while True:
        state = world.look(LOOK)
        waits_for = _waits_for(state)
        if not waits_for:
            return state
        if patience.expired:
            note(f"{world.name} goes on without waiting for {waits_for}")
            return state
        world.pause(AGAIN)


def _waits_for(state: State | None) -> str:
    """Say what a resource that was just started still needs; empty when nothing."""
    if state is None:
        return "the resource"
    away = [f"{peer.name} ({peer.state})" for peer in state.connections if not peer.connected]
    turning = [
        f"volume {one.volume} ({one.disk})" for one in state.devices if one.disk in drbd_state.IN_TRANSIT
    ]
    return ", ".join([*away, *turning])


def _started(world: World, state: State | None, made: bool) -> Outcome:
    if state is None:
        return failed(f"{world.name} was started, and is not there")
    lacking = [
        device for device in state.devices if device.disk in ("Diskless", "Failed") and not device.client
    ]
    if state.promoted:
        return failed(f"{world.name} was promoted by somebody else while it was started")
    if lacking and made:
        numbers = ", ".join(str(device.volume) for device in lacking)
        return failed(
            f"{world.name} lost the disk of volume {numbers} as soon as it was started: see the kernel's log"
        )
    return done(f"{world.name} runs unpromoted")


def promote(world: World, given: DrbdParameters, deadline: Deadline, warn: Say, alone: bool) -> Outcome:
    """Promote it; `alone` says that only one side may be promoted at a time."""
    patience = deadline.at_most(CALM)
    outcome = _promote(world, given, deadline, warn, alone)
    if outcome.code != codes.SUCCESS:
        world.pause(min(patience.left(), max(deadline.left() - AGAIN, 0.0)))
    return outcome


def _promote(world: World, given: DrbdParameters, deadline: Deadline, warn: Say, alone: bool) -> Outcome:
    said = ""
    while True:
        state = world.look(LOOK)
        if state is None:
            return failed(f"{world.name} is not started, so it cannot be promoted", codes.NOT_RUNNING)
        if state.promoted:
            if given.connect_only_after_promote:
                joined = world.adm("adjust", timeout=min(TOOL, deadline.left()))
                if not joined.ok:
                    warn(f"drbdadm adjust: {joined.complaint()}")
            return done(f"{world.name} is promoted")
        if deadline.left() <= AGAIN:
            return failed(f"{world.name} was not promoted in time: {said or 'there was no time to try'}")
        try:
            tried = world.adm("primary", timeout=deadline.left())
        except CannotAsk as late:
            why = f"{late} (the handler fence-peer may still be at work)"
            return failed(f"{world.name} was not promoted in time: {said or why}")
        if tried.ok:
            continue
        said = _refusal(world, state, tried, deadline)
        if tried.returncode == NO_GOOD_DATA:
            return failed(f"{world.name} cannot be promoted: {said}")
        rival = _rival(world) if alone and given.fail_promote_early_if_peer_primary else ""
        if rival:
            return failed(f"{world.name} cannot be promoted while {rival} is promoted: {said}")
        world.pause(min(AGAIN * 2, deadline.left()))


def _rival(world: World) -> str:
    """Name the peer that is promoted now: the try itself may have found out that one is dead."""
    state = world.look(LOOK)
    return next((peer.name for peer in state.connections if peer.role == "Primary"), "") if state else ""


def _refusal(world: World, state: State, tried: Completed, deadline: Deadline) -> str:
    """Give why DRBD refused, with who holds the device where that is the reason."""
    # The last line names the command; what the kernel said stands before it.
    said = [line for line in tried.stderr.splitlines() if "State change failed" in line]
    why = said[0].strip() if said else tried.complaint()
    if is_held(tried):
        return f"{why}; {world.holders(state, min(HELD, deadline.left()))}"
    disks = ", ".join(f"volume {device.volume} is {device.disk}" for device in state.devices)
    return f"{why} ({disks})" if disks else why


def is_held(tried: Completed) -> bool:
    """Whether DRBD refused because the device is open."""
    said = f"{tried.stdout} {tried.stderr}"
    return any(word in said for word in IN_USE)


def demote(world: World, deadline: Deadline, warn: Say) -> Outcome:
    """Give the promoted role up; wait for whoever still holds the device, and name them."""
    held, said, calm = "", "there was no time to try", AGAIN
    while True:
        state = world.look(LOOK)
        if state is None:
            return failed(f"{world.name} is not started", codes.NOT_RUNNING)
        if not state.promoted:
            return done(f"{world.name} is unpromoted")
        if deadline.left() <= AGAIN:
            return failed(f"{world.name} was not demoted in time: {held or said}")
        tried = _give_up_role(world, state, deadline)
        if isinstance(tried, str):
            said = tried
        elif not tried.ok:
            said = tried.complaint()
            held = _held(world, state, tried, deadline, held, warn)
            calm = _pause(world, deadline, calm, grows=bool(held))


def _pause(world: World, deadline: Deadline, seconds: float, grows: bool) -> float:
    """Wait before the next try, and keep the time for a last one; give how long the next pause is."""
    world.pause(min(seconds, max(deadline.left() - HELD, min(AGAIN, deadline.left()))))
    return min(seconds * 2, SELDOM) if grows else AGAIN


def _held(world: World, state: State, tried: Completed, deadline: Deadline, before: str, warn: Say) -> str:
    """Name who holds the device; look again when there is time for a closer look or when it is the last moment."""
    if not is_held(tried):
        return ""
    if before and deadline.left() > HELD * 2:
        return before
    held = f"it is held open by {world.holders(state, min(HELD, deadline.left()))}"
    if held != before:
        warn(f"{world.name} cannot be demoted yet: {held}")
    return held


def _give_up_role(world: World, state: State, deadline: Deadline) -> Completed | str:
    return _bounded(lambda: world.secondary(state, _share(deadline)))


def _share(deadline: Deadline) -> float:
    """Give the seconds for one try: most of what is left, so that there is a moment to say why."""
    return max(min(TOOL, deadline.left() - HELD), min(AGAIN, deadline.left()))


def _bounded(act: Callable[[], Completed]) -> Completed | str:
    """Do something that may not answer; what it said instead is kept as a text."""
    try:
        return act()
    except CannotAsk as late:
        return str(late)


def stop(world: World, deadline: Deadline, warn: Say) -> Outcome:
    """Take it down; done only when it is not there any more."""
    said, held, calm = "there was no time to try", "", AGAIN
    while True:
        state = _look(world, deadline, warn)
        if state is None:
            return done(f"{world.name} is stopped")
        if deadline.left() <= AGAIN:
            return failed(f"{world.name} was not stopped in time: {held or said}")
        if isinstance(state, str):
            said = state
            tried = _bounded(lambda: world.down(_share(deadline)))
        elif state.promoted:
            tried = _give_up_role(world, state, deadline)
        else:
            tried = _take_down(world, deadline, warn)
        if isinstance(tried, str):
            said = tried
        elif not tried.ok:
            said = tried.complaint()
            held = "" if isinstance(state, str) else _held(world, state, tried, deadline, held, warn)
            calm = _pause(world, deadline, calm, grows=bool(held))


def _look(world: World, deadline: Deadline, warn: Say) -> State | str | None:
    """Look; a text says why that was not possible."""
    try:
        return world.look(min(LOOK, max(deadline.left(), AGAIN)))
    except CannotAsk as unknown:
        warn(f"{world.name}: {unknown}; it is taken down all the same")
        world.pause(min(AGAIN, deadline.left()))
        return str(unknown)


def _take_down(world: World, deadline: Deadline, warn: Say) -> Completed | str:
    """Take an unpromoted one down by its configuration, and without it where that cannot be used."""
    orderly = _bounded(lambda: world.adm("down", timeout=_share(deadline)))
    if not isinstance(orderly, str) and (orderly.ok or is_held(orderly)):
        return orderly
    why = orderly if isinstance(orderly, str) else orderly.complaint()
    warn(f"drbdadm down {world.name}: {why}; it is taken down without its configuration")
    return _bounded(lambda: world.down(_share(deadline)))
