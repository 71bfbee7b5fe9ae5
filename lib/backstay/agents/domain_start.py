# SPDX-License-Identifier: GPL-2.0-or-later
"""Starting a domain: never a second time, never beside an emulator that nobody accounts for.

The domain is created transient from its config, as ocf:heartbeat:VirtualDomain does: libvirt then neither starts it
by itself at boot nor restores an old managed-save image into it (verified with libvirt 9.0: createXML leaves the
image of a persistent definition of that name unread).

It is created paused, and let run only when its emulator has been seen. A libvirtd that waits for something inside
createXML (storage, a hook) carries it out later, long after the start was given up and a stop found nothing to stop;
by then the guest may run on another host (seen with libvirt 9.0). What comes so late stays paused for ever.

An emulator that runs here while libvirt does not know it (it lost its state) is adopted: the start succeeds, with a
loud warning, when its UUID is the domain's and its own monitor says that the guest runs. A refusal would make Pacemaker
stop a guest that runs well, for the sake of starting it. The monitor goes on saying (190) that libvirt does not know
it, and the stop ends it without libvirt. What does not run, or cannot be asked, is refused.

A libvirt that gives no answer says nothing about a guest whose emulator is here. Its emulator is asked then, else
libvirt's last written word counts (domain_asked): a guest that is said to be paused there is no more started than one
of which libvirt itself says so, and one that runs is left alone, whatever libvirtd does.

What a failed migration left here, waiting for a memory that will not come, is ended and the domain started afresh,
once it is proven to be that: an emulator that was made to receive a guest, paused since, with no job of libvirt about
it in two looks, and the guard has nothing against it. So is what a start left here that was killed, or that libvirtd
carried out late: it still has the mark of a creation, and none of its CPUs ever did anything. Pacemaker would end
either with the stop that follows a failed start; this saves the round.

Why a failed start is almost always 1. In Pacemaker 2.1.5 (seen with crm_simulate) 2 and 5 ban the resource from the
host and 6 from every host as long as the failure stands in the status, whatever start-failure-is-fatal and
migration-threshold say; 1 leaves the next attempt to what the admin configured there. A share that is not mounted, a
libvirtd that is down or a half-written config passes, so it must not ban by itself. 6 is left for the one thing that
is wrong everywhere: uuid and config name different domains.
"""

from __future__ import annotations

from backstay.agents.domain_birth import HELD
from backstay.agents.domain_guard import LEFTOVER as LEFT_THERE
from backstay.agents.domain_guard import NEVER_RAN, NONE, refusal
from backstay.agents.domain_guard import verdict as there_is
from backstay.agents.domain_state import RUNNING, STOPPED, UNKNOWN
from backstay.agents.domain_world import remember, scan, survey
from backstay.errors import BackstayError
from backstay.host import libvirt
from backstay.host.emulator import INIT, is_incoming, lacks, name_of, uuid_of
from backstay.ocf import codes
from backstay.ocf.outcome import Outcome, done, failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.agents.domain_birth import Birth
    from backstay.agents.domain_state import Seen
    from backstay.agents.domain_world import World
    from backstay.host.clock import Deadline
    from backstay.host.libvirt import Answer
    from backstay.host.proc import Process

DONE, REFUSE, CREATE, WAIT, DOUBT, ADOPT, LEFT = "done", "refuse", "create", "wait", "doubt", "adopt", "left"
DOUBT_FOR = 10.0  # seconds in which libvirt and the processes may come to agree (libvirtd has just started)
SETTLED = 2.0  # seconds between two looks of which each saw the same leftover
ASKING = 10.0  # seconds for one question
HALF = 0.5  # of what is left: the most of it for a question that others may answer as well
TALKING = 2.0  # seconds for one conversation with an emulator
RETRYING = 0.8  # of what is left: how long a start that a lock refuses is tried again
ROOM = 2.0  # times what the last attempt took: what another one needs, and the word about it
EVERY = 0.5  # seconds between two looks
TOO_LATE = 1.0  # seconds; with less than that left, a question would only end for want of time
LEFTOVER = ("migration", "starting-up", "postcopy-failed")  # paused: an incoming guest that never came


def verdict(seen: Seen, answer: Answer) -> tuple[str, str]:
    """Decide what a start does next, with the sentence that says why.

    WAIT: until the deadline. DOUBT: for DOUBT_FOR seconds, then it is a refusal; so are ADOPT and LEFT, unless the
    emulator proves to be a running guest, or what a failed migration left.
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
    lacking = lacks(seen.emulators[0])
    if lacking == INIT or (lacking and answer.answered):
        return (
            REFUSE,
            f"{seen.where} is what is left of a container, without its {lacking}; stop it through the cluster",
        )
    if not answer.answered and answer.state != "paused":
        return _unheard(seen, answer)
    if answer.answered and not answer.active:
        return (
            ADOPT,
            f"{seen.where} runs as an emulator that libvirt does not know; a stop through the cluster ends it",
        )
    if answer.state == "paused" and answer.reason in (*LEFTOVER, *HELD):
        # not let run: its disks may have been in use on another host since it read them
        return (
            LEFT
            if answer.answered and (answer.reason in HELD or _is_waiting(seen, answer.reason))
            else DOUBT,
            f"{seen.where} is what a failed start or migration left, paused; a stop through the cluster ends it, or "
            f"virsh destroy {answer.name or seen.identity} on {seen.host}{_who_says_so(answer)}",
        )
    return DONE, f"{seen.where} runs already{_who_says_so(answer)}"


def _unheard(seen: Seen, answer: Answer) -> tuple[str, str]:
    """Decide about an emulator here of which libvirt says nothing now, and did not write that it is paused."""
    if not answer.state and answer.still:
        return (
            WAIT,
            f"whether the guest of {seen.where} runs is unknown: libvirt gave no answer ({answer.kind}: {answer.text}) "
            f"and has written nothing about it, and none of its processors was seen to run for {answer.still:.0f} s",
        )
    return DONE, f"{seen.where} runs already; libvirt did not say how ({answer.kind})"


def _who_says_so(answer: Answer) -> str:
    """Say who does, when libvirt does not."""
    if not answer.answered:
        return f" (so libvirt wrote before it gave no answer: {answer.kind})"
    return "" if answer.by == libvirt.LIBVIRT else f" (so says {answer.by})"


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


def start(world: World, deadline: Deadline, birth: Birth, guard: str = NONE) -> Outcome:
    """Start the domain, or find it running; done when a fresh look sees its emulator and libvirt agrees."""
    seen = survey(world, deadline, definition_first=True)
    identity = seen.identity
    if identity.contradiction:
        return failed(identity.contradiction, codes.NOT_CONFIGURED)
    if identity.definition is None and seen.truth != RUNNING:
        return failed(f"{identity} cannot be started on {world.host}: {identity.trouble}")
    doubt = deadline.at_most(DOUBT_FOR)
    since: float | None = None  # when it was first seen to be a leftover
    guarded = False
    while True:
        answer = _describe(world, seen, deadline)
        what, sentence = verdict(seen, answer)
        since = _left_since(world, seen, since, deadline) if what == LEFT else None
        settled = since is not None and world.monotonic() - since >= SETTLED
        if (what == CREATE or settled) and not guarded:
            against = refusal(world, seen, guard, deadline)
            if against:
                return failed(against)
            guarded = True
        if what == CREATE:
            return _create(world, seen, answer, birth, guard, deadline)
        if what == DONE:
            remember(world, seen, _uuid(seen), identity.name)
            return done(sentence)
        if settled:
            world.warn(
                f"{seen.where} is what a failed start or migration left, and never ran; it is ended and started afresh"
            )
            _end(world, seen, deadline)
        elif what == REFUSE or deadline.left() < TOO_LATE or (what in (DOUBT, LEFT) and doubt.expired):
            return failed(sentence)
        elif what == ADOPT and doubt.expired:
            return _adopt(world, seen, sentence, deadline)
        world.pause(min(EVERY, deadline.left()))
        seen = scan(world, identity, deadline)


def _describe(world: World, seen: Seen, deadline: Deadline) -> Answer:
    """Give how the domain is here; the silence of libvirt leaves the time to ask others about an emulator."""
    us = seen.identity
    if seen.truth != RUNNING:
        return world.libvirt.describe(us.uuid, us.name, deadline.at_most(ASKING).left())
    answer = world.libvirt.describe(us.uuid, us.name, deadline.part(HALF).at_most(ASKING).left())
    if answer.answered:
        return answer
    from backstay.agents.domain_asked import unheard

    return unheard(world, seen, us.name or name_of(seen.emulators[0].arguments), answer, deadline)


def _left_since(world: World, seen: Seen, since: float | None, deadline: Deadline) -> float | None:
    """Give when the emulator here was first seen as a leftover; None when a job of it shows that it is none."""
    there = world.elsewhere().here(_uuid(seen), "", deadline.at_most(ASKING).left())
    held = there.held and not there.busy
    if not held and not (_is_waiting(seen, there.reason) and there_is(there) == LEFT_THERE):
        return None
    return world.monotonic() if since is None else since


def _is_waiting(seen: Seen, reason: str) -> bool:
    """Whether the guest here, paused for that reason, waits for the memory that a migration brings."""
    return reason in NEVER_RAN and is_incoming(seen.emulators[0])


def _adopt(world: World, seen: Seen, sentence: str, deadline: Deadline) -> Outcome:
    """Take over an emulator that libvirt lost, when it is ours beyond doubt and its guest runs."""
    process, us = seen.emulators[0], seen.identity
    status = "not asked, its UUID is not known"
    if us.uuid and uuid_of(process.arguments) == us.uuid:
        status = _status(world, process, deadline)
    if status != "running":
        return failed(f"{sentence}; its own monitor: {status}")
    remember(world, seen, us.uuid, us.name)
    said = f"{seen.where} runs already, and libvirt does not know it: it is taken over as it is"
    world.warn(f"{said}; it can be stopped, not migrated: restart it when that suits you")
    return done(said)


def _status(world: World, process: Process, deadline: Deadline) -> str:
    monitor = world.monitor(process)
    if monitor is None:
        return "it has none"
    try:
        return monitor.status(deadline.at_most(TALKING).left())
    except BackstayError as error:
        return str(error)


def _end(world: World, seen: Seen, deadline: Deadline) -> None:
    """End an emulator whose guest does not run, through libvirt; waits until it is gone, for a while."""
    world.libvirt.destroy(_uuid(seen), deadline.at_most(ASKING).left())
    patience = deadline.at_most(ASKING)
    while scan(world, seen.identity, deadline).truth != STOPPED and not patience.expired:
        world.pause(EVERY)


def _create(world: World, seen: Seen, known: Answer, birth: Birth, guard: str, deadline: Deadline) -> Outcome:
    """Create the domain; again and again while a lock refuses it, as one of a fenced host goes away."""
    from backstay.agents import domain_lock

    against = birth.refusal(seen, known, deadline)
    if against:
        return failed(against)
    retrying = deadline.part(RETRYING)
    told = False
    while True:
        began = world.monotonic()
        outcome, refused_by = _attempt(world, seen, birth, deadline)
        if not domain_lock.is_locked(refused_by):
            return outcome
        wait = min(domain_lock.EVERY, retrying.left())
        if retrying.expired or deadline.left() - wait < ROOM * (world.monotonic() - began):
            birth.put_off(seen, deadline)
            return failed(domain_lock.sentence(world, seen, refused_by, guard, deadline))
        if not told:
            world.warn(f"the disks of {seen.where} are locked, the start tries again: {refused_by}")
        told = True
        world.pause(wait)


def _attempt(world: World, seen: Seen, birth: Birth, deadline: Deadline) -> tuple[Outcome, str]:
    """Create the domain once; the second value is libvirt's refusal when nothing of it is left."""
    identity = seen.identity
    answer = birth.create(seen, deadline.part(0.9))
    ours = answer.kind != libvirt.ERROR  # else what is paused here was made by somebody else meanwhile
    while True:
        now = scan(world, identity, deadline)
        if ours and now.truth == RUNNING and birth.is_held(answer):
            answer = world.libvirt.resume(answer.uuid, deadline.at_most(ASKING).left())
            if _is_lock(answer):
                _end(world, now, deadline)
                now = scan(world, identity, deadline)
        if now.truth == RUNNING and answer.active and not birth.is_held(answer):
            remember(world, now, answer.uuid, answer.name)
            birth.born(now, answer.uuid, deadline)
            return done(f"{now.where} was started"), ""
        if answer.kind == libvirt.ERROR and now.truth != RUNNING:
            return failed(f"libvirt could not start {seen.where}: {answer.text}"), answer.text
        if deadline.left() < TOO_LATE:
            said = f"{now.where} was not seen running in time; libvirt: {answer.kind} {answer.text}"
            return failed(said), ""
        world.pause(min(EVERY, deadline.left()))
        answer = world.libvirt.describe(identity.uuid, identity.name, deadline.at_most(ASKING).left())


def _is_lock(answer: Answer) -> bool:
    from backstay.agents.domain_lock import is_locked

    return answer.kind == libvirt.ERROR and is_locked(answer.text)


def _uuid(seen: Seen) -> str:
    return seen.identity.uuid or uuid_of(seen.emulators[0].arguments)
