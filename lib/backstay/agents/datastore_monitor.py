# SPDX-License-Identifier: GPL-2.0-or-later
"""The datastore agent's looks: observe without being caught, then say what follows.

Decides, from what was seen and remembered, the answer and what other hosts are told. Degraded comes before failed, and
failed only where another host is known to reach the same datastore: what hangs for all must fence nobody.
"""

from __future__ import annotations

from backstay.agents import datastore_health as health
from backstay.agents import remembered
from backstay.agents.datastore_memory import Memory
from backstay.agents.leaving import better_place, places
from backstay.agents.remembered import keep
from backstay.errors import CannotAsk
from backstay.host.datastore import Stuck
from backstay.ocf.outcome import Outcome, degraded, failed, running, stopped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.agents.datastore import DatastoreParameters
    from backstay.agents.datastore_health import Seen
    from backstay.host.datastore import Host
    from backstay.ocf.context import Context

    Call = Context[DatastoreParameters]  # the one that every function here is given

RESERVE = 8.0
ALARM_AGAIN = 600.0  # seconds after which an alarm is repeated
ALARMING = (*health.FAILURES, health.FULL, health.SOFT, health.VOLUME)
VOLUME_TIME, QUESTIONS = 40.0, 4  # seconds at most for all questions to GlusterFS, and how many there are


def reserve(context: Call) -> float:
    """Give the seconds of an action that are kept for the cluster's tools."""
    return min(RESERVE, context.deadline.left() / 2)


def probe(context: Call, host: Host) -> Outcome:
    """Say whether this resource was started here, and how the datastore is; never "failed"."""
    memory = recall(host)
    if not memory.started:
        hidden = host.hidden()
        if hidden:
            return degraded(f"whether this datastore is watched here cannot be told: {hidden}")
        return stopped("this datastore is not watched here")
    memory.attribute = ""  # Pacemaker may just have started, and then it is gone
    seen = observe(context, host, memory)
    keep(context, host, memory)
    kind, said = health.diagnose(seen, context.parameters)
    return running(said) if kind == health.HEALTHY else degraded(said)


def watch(context: Call, host: Host) -> Outcome:
    """Observe, decide, remember. A memory that was lost is no stop: that would take down what stands on it."""
    memory = recall(host)
    if memory.ended:
        return stopped("this datastore is not watched here any more")
    memory.started = "yes"
    outcome = _judge(context, host, memory, observe(context, host, memory))
    keep(context, host, memory)
    return outcome


def watch_deeply(context: Call, host: Host) -> Outcome:
    """Look at the bricks of a GlusterFS volume as well; what is wrong with them stays said until the next look."""
    memory = recall(host)
    look_at_volume(context, host, memory)
    keep(context, host, memory)
    return watch(context, host)


def look_at_volume(context: Call, host: Host, memory: Memory) -> None:
    """Ask GlusterFS, where the datastore is one of its volumes; without an answer nothing new is known."""
    from backstay.agents.datastore_bricks import judge

    mount = None if health.is_device(context.parameters) else host.mount(context.parameters.directory)
    if mount is None or mount.kind != "fuse.glusterfs":
        memory.volume = ""
        return
    name = mount.source.rpartition(":")[2].strip("/").partition("/")[0]
    left = context.deadline.left() - context.parameters.answer_within - reserve(context)
    try:
        volume = host.volume(name, max(min(left, VOLUME_TIME) / QUESTIONS, 1.0))
    except CannotAsk as error:
        context.note(f"the bricks of {name} are not looked at now: {error}")
        return
    found = judge(volume, context.parameters.quota == "allowed")
    memory.volume, memory.looked = "|".join(one.replace("|", "/") for one in found), host.now()


def observe(context: Call, host: Host, memory: Memory) -> Seen:
    """Look at the mount, then at the storage; while an abandoned child waits, no other is started."""
    parameters = context.parameters
    device = health.is_device(parameters)
    mount = None if device else host.mount(parameters.directory)
    source = parameters.source
    fits = health.same_source(source, mount.source) if mount else True
    if mount and not fits and source.startswith("/dev/"):
        fits = host.same_device(source, mount.source)
    volume = memory.volume.split("|") if memory.volume else ()
    seen = health.Seen(mount, source_fits=fits, volume=volume)
    if health.misplaced(seen, parameters)[0]:
        return seen
    if memory.pid:
        stuck = Stuck(memory.pid, memory.start, memory.asked)
        seen.waits = host.waits(stuck)
        if seen.waits:
            seen.silent = host.now() - stuck.since
            return seen

    def begun(child: Stuck) -> None:
        memory.pid, memory.start, memory.asked = child.pid, child.start, child.since
        keep(context, host, memory)

    answer = host.ask(
        parameters.directory,
        parameters.write and not device,
        min(parameters.answer_within, context.deadline.left() - reserve(context)),
        begun,
    )
    if isinstance(answer, Stuck):
        seen.waits, seen.silent = host.waits(answer) or "the storage", host.now() - answer.since
    else:
        memory.pid, memory.start, memory.asked = 0, 0, 0.0
        seen.answer = answer
    return seen


def _judge(context: Call, host: Host, memory: Memory, seen: Seen) -> Outcome:
    kind, said = health.diagnose(seen, context.parameters)
    if kind != memory.kind:
        memory.alerted = 0.0
        if kind != health.HEALTHY:
            context.warn(said)
        elif memory.kind:
            context.note(f"{said}; it was {memory.kind}")
    memory.kind = "" if kind == health.HEALTHY else kind
    if kind not in health.FAILURES:
        memory.well()
        publish(context, host, memory, word(kind))
        if kind == health.HEALTHY:
            return running(said)
        if kind in ALARMING:
            _alarm(context, host, memory, said)
        return degraded(said)
    return _failing(context, host, memory, said)


def word(kind: str) -> str:
    """Give what other hosts are told of a kind of trouble that is no failure."""
    if kind == health.HEALTHY:
        return kind
    return f"healthy:{kind}" if kind in health.REMARKS else f"degraded:{kind}"


def _failing(context: Call, host: Host, memory: Memory, said: str) -> Outcome:
    """Say that it cannot be used from here: degraded while that may pass, then as the reaction wants it."""
    now, parameters = host.now(), context.parameters
    memory.first = memory.first or now
    lasting = now - memory.first
    _alarm(context, host, memory, said)
    if lasting < parameters.patience:
        publish(context, host, memory, f"degraded:{memory.kind}")
        if lasting >= parameters.patience / 2:
            better_place(context, host, memory)
        return degraded(f"{said}; counts as usable for {parameters.patience - lasting:.0f} s more")
    publish(context, host, memory, f"broken:{memory.kind}")
    if parameters.reaction == "degrade":
        return degraded(f"{said}, for {lasting:.0f} s, and reaction=degrade")
    return _leave_or_stay(context, host, memory, f"{said}, for {lasting:.0f} s")


def _leave_or_stay(context: Call, host: Host, memory: Memory, said: str) -> Outcome:
    others, why = better_place(context, host, memory)
    if not others:
        memory.stayed = host.now()
        return degraded(f"{said}; nothing is moved or fenced for it: {why}")
    if memory.stayed:
        # What failed everywhere is well elsewhere again, so it may be well here in a moment.
        memory.stayed, memory.first = 0.0, host.now()
        return degraded(f"{said}; {others} reaches it again, so it is waited for once more")
    if host.now() - memory.better_since < context.interval + 2 * context.parameters.answer_within:
        return degraded(f"{said}; {others} is looked at once more before anything is moved there")
    return failed(f"{said}; {others} reaches it")


def start_failed(context: Call, host: Host, said: str) -> Outcome:
    """Give what is said of a start at which the datastore does not answer: failed when it answers elsewhere.

    Pacemaker takes 190 from a start for a success without a failure count (seen with 2.1.5): what stands on it stays
    where it is, and the monitor goes on.
    """
    others, why = places(context, host)
    if others:
        return failed(f"{said}; {', '.join(sorted(others))} reaches it")
    context.journal.alert(f"{said}; {why}")
    return degraded(f"{said}; nothing is kept away from here for it: {why}")


def _alarm(context: Call, host: Host, memory: Memory, said: str) -> None:
    now = host.now()
    if not memory.alerted or now - memory.alerted >= ALARM_AGAIN:
        context.journal.alert(said)
        memory.alerted = now


def publish(context: Call, host: Host, memory: Memory, value: str) -> None:
    """Set the node attribute if it changed; that it cannot be set fails nothing."""
    remembered.publish(context, host, memory, value, f"the datastore is {value or 'not watched'} here")


def recall(host: Host) -> Memory:
    """Give what was remembered."""
    return Memory.read(host.recall(), host.now())


def forget(host: Host) -> None:
    """Remember nothing."""
    try:
        host.remember("")
    except OSError:
        return
