# SPDX-License-Identifier: GPL-2.0-or-later
"""Starting a domain: never a second time, never beside an emulator that nobody accounts for.

The domain is created transient from its config, as ocf:heartbeat:VirtualDomain does: libvirt then neither starts it
by itself at boot nor restores an old managed-save image into it (verified with libvirt 9.0: createXML leaves the
image of a persistent definition of that name unread).

It is created paused, and let run only when its emulator has been seen. A libvirtd that waits for something inside
createXML (storage, a hook) carries it out later, long after the start was given up and a stop found nothing to stop;
by then the guest may run on another host (seen with libvirt 9.0). What comes so late stays paused for ever.

Why a failed start is almost always 1. In Pacemaker 2.1.5 (seen with crm_simulate) 2 and 5 ban the resource from the
host and 6 from every host as long as the failure stands in the status, whatever start-failure-is-fatal and
migration-threshold say; 1 leaves the next attempt to what the admin configured there. A share that is not mounted, a
libvirtd that is down or a half-written config passes, so it must not ban by itself. 6 is left for the one thing that
is wrong everywhere: uuid and config name different domains.
"""

from __future__ import annotations

from backstay.agents.domain_state import RUNNING, UNKNOWN
from backstay.agents.domain_world import remember, scan, survey
from backstay.host import libvirt
from backstay.host.emulator import uuid_of
from backstay.ocf import codes
from backstay.ocf.outcome import Outcome, done, failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.agents.domain_state import Seen
    from backstay.agents.domain_world import World
    from backstay.host.clock import Deadline
    from backstay.host.libvirt import Answer

DONE, REFUSE, CREATE, WAIT, DOUBT = "done", "refuse", "create", "wait", "doubt"
DOUBT_FOR = 10.0  # seconds in which libvirt and the processes may come to agree (libvirtd has just started)
ASKING = 10.0  # seconds for one question
EVERY = 0.5  # seconds between two looks
TOO_LATE = 1.0  # seconds; with less than that left, a question would only end for want of time
LEFTOVER = ("migration", "starting-up", "postcopy-failed")  # paused: an incoming guest that never came
HELD = ("user", "starting-up")  # paused: created and not yet let run


def verdict(seen: Seen, answer: Answer) -> tuple[str, str]:
    """Decide what a start does next, with the sentence that says why.

    WAIT: until the deadline. DOUBT: for DOUBT_FOR seconds, then it is a refusal.
    """
    if seen.truth == UNKNOWN:
        return WAIT, f"whether {seen.where} runs already is unknown: {seen.trouble}"
    if seen.truth == RUNNING:
        return _beside_an_emulator(seen, answer)
    if not answer.answered:
        return WAIT, f"{seen.where} cannot be started: libvirt gave no answer ({answer.kind}: {answer.text})"
    clash = _clash(seen, answer)
    if clash:
        return REFUSE, clash
    if answer.active:
        return DOUBT, f"libvirt says that {seen.where} is {answer.state}, but no emulator of it exists"
    return CREATE, f"{seen.where} does not run"


def _beside_an_emulator(seen: Seen, answer: Answer) -> tuple[str, str]:
    if len(seen.emulators) > 1:
        return REFUSE, f"{seen.where} runs more than once on this host already; stop it through the cluster"
    if not answer.answered:
        return DONE, f"{seen.where} runs already; libvirt did not say how ({answer.kind})"
    if not answer.active:
        return (
            DOUBT,
            f"{seen.where} runs as an emulator that libvirt does not know; a stop through the cluster ends it",
        )
    if answer.state == "paused" and answer.reason in (*LEFTOVER, *HELD):
        # not let run: its disks may have been in use on another host since it read them
        return (
            DOUBT,
            f"{seen.where} is what a failed start or migration left, paused; a stop through the cluster ends it",
        )
    return DONE, f"{seen.where} runs already"


def _clash(seen: Seen, answer: Answer) -> str:
    """Say why libvirt could not start this domain beside one that it knows; empty when it could."""
    if answer.kind != libvirt.KNOWN:
        return ""
    us = seen.identity
    if us.uuid and answer.uuid != us.uuid:
        return (
            f"libvirt on {seen.host} knows {answer.name} with another UUID, {answer.uuid} ({answer.state}); the "
            f"config says {us.uuid}: undefine that one or correct the config"
        )
    if answer.name != us.name:
        return (
            f"libvirt on {seen.host} knows {us.uuid} as {answer.name} ({answer.state}), the config says {us.name}: "
            "undefine that one or correct the config"
        )
    return ""


def start(world: World, deadline: Deadline) -> Outcome:
    """Start the domain, or find it running; done when a fresh look sees its emulator and libvirt agrees."""
    seen = survey(world, deadline, definition_first=True)
    identity = seen.identity
    if identity.contradiction:
        return failed(identity.contradiction, codes.NOT_CONFIGURED)
    if identity.definition is None and seen.truth != RUNNING:
        return failed(f"{identity} cannot be started on {world.host}: {identity.trouble}")
    doubt = deadline.at_most(DOUBT_FOR)
    while True:
        answer = world.libvirt.describe(identity.uuid, identity.name, deadline.at_most(ASKING).left())
        what, sentence = verdict(seen, answer)
        if what == CREATE:
            return _create(world, seen, answer, deadline)
        if what == DONE:
            remember(world, seen, _uuid(seen), identity.name)
            return done(sentence)
        if what == REFUSE or deadline.left() < TOO_LATE or (what == DOUBT and doubt.expired):
            return failed(sentence)
        world.pause(min(EVERY, deadline.left()))
        seen = scan(world, identity, deadline)


def _create(world: World, seen: Seen, known: Answer, deadline: Deadline) -> Outcome:
    identity = seen.identity
    assert identity.definition is not None
    _warn_of_traps(world, seen, known)
    answer = world.libvirt.create(identity.definition.xml(identity.uuid), deadline.part(0.9).left())
    while True:
        now = scan(world, identity, deadline)
        if now.truth == RUNNING and _held(answer):
            answer = world.libvirt.resume(answer.uuid, deadline.at_most(ASKING).left())
        if now.truth == RUNNING and answer.active and not _held(answer):
            remember(world, now, answer.uuid, answer.name)
            return done(f"{now.where} was started")
        if answer.kind == libvirt.ERROR and now.truth != RUNNING:
            return failed(f"libvirt could not start {seen.where}: {answer.text}")
        if deadline.left() < TOO_LATE:
            return failed(f"{now.where} was not seen running in time; libvirt: {answer.kind} {answer.text}")
        world.pause(min(EVERY, deadline.left()))
        answer = world.libvirt.describe(identity.uuid, identity.name, deadline.at_most(ASKING).left())


def _held(answer: Answer) -> bool:
    return answer.state == "paused" and answer.reason in HELD


def _warn_of_traps(world: World, seen: Seen, known: Answer) -> None:
    """Say what could start the guest behind the cluster's back, or with an old memory, later."""
    if known.saved:
        world.warn(
            f"{seen.where} has a managed-save image, which virsh start would restore onto a newer disk: "
            f"virsh managedsave-remove {known.name}"
        )
    if known.autostart:
        world.warn(f"libvirt itself starts {seen.where} at boot: virsh autostart --disable {known.name}")


def _uuid(seen: Seen) -> str:
    return seen.identity.uuid or uuid_of(seen.emulators[0].arguments)
