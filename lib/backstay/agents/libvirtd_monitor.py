# SPDX-License-Identifier: GPL-2.0-or-later
"""The libvirtd agent's monitor: a probe that only looks, and the recurring watch that heals and gives up.

Decides, from what was seen and remembered, the answer and what is done beside it. Never waits for a heal, and never
says "failed" where it would only move trouble: no other host known to be healthy, the cluster not to be asked.
"""

from __future__ import annotations

from backstay.agents import libvirtd_health as health
from backstay.agents import remembered
from backstay.agents.libvirtd_memory import Memory
from backstay.agents.libvirtd_observe import observe
from backstay.agents.remembered import LEAST, TOOL_TIME
from backstay.errors import CannotAsk
from backstay.host.daemon import Daemon
from backstay.ocf import codes
from backstay.ocf.outcome import Outcome, degraded, failed, running, stopped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.agents.libvirtd import LibvirtdParameters
    from backstay.agents.libvirtd_health import Decision, Seen
    from backstay.host.libvirtd import Host
    from backstay.ocf.context import Context


def probe(context: Context[LibvirtdParameters], host: Host) -> Outcome:
    """Say what is seen, without changing anything; doubt is "degraded", never "failed".

    So is a libvirtd that went down by itself beside running guests. After "not running", which a cleanup or a restart
    of Pacemaker would bring about, Pacemaker starts it; that fails, and the guests have to leave, on all hosts if it
    broke on all. Whether they should is for the recurring monitor to say.
    """
    memory = recall(host)
    if memory.attribute or memory.guests or memory.strays or memory.around:
        memory.unpublished()
        host.remember(memory.text())
    try:
        seen = observe(host, context.parameters.answer_within, context.deadline)
    except CannotAsk as error:
        return degraded(f"libvirt does not answer, and why is not known: {error}")
    kind = health.diagnose(seen)
    said = health.describe(kind, seen)
    if kind in health.WELL:
        return running(said)
    if kind in (health.NOT_INSTALLED, health.CRASHED, health.START_LIMIT) and host.emulators():
        return degraded(f"{said}; guests run here, so the recurring monitor decides what becomes of it")
    if kind == health.NOT_INSTALLED:
        return failed(said, codes.NOT_INSTALLED)
    if kind in (health.STOPPED, health.CRASHED, health.START_LIMIT):
        return stopped(said)
    return degraded(said)


def watch(context: Context[LibvirtdParameters], host: Host) -> Outcome:
    """Observe, decide, act; remember what the next monitor has to know."""
    memory = recall(host)
    before = memory.text()
    outcome = _watch(context, host, memory)
    if memory.text() != before:
        host.remember(memory.text())
    return outcome


def watch_deeply(context: Context[LibvirtdParameters], host: Host) -> Outcome:
    """Do the same, then report the guests that nobody knows and those that run twice."""
    from backstay.agents.libvirtd_strays import report

    memory = recall(host)
    outcome = _watch(context, host, memory)
    found = report(context, host, memory)
    host.remember(memory.text())
    return degraded(found) if found and outcome.code == codes.SUCCESS else outcome


def _watch(context: Context[LibvirtdParameters], host: Host, memory: Memory) -> Outcome:
    try:
        seen = observe(host, context.parameters.answer_within, context.deadline, _earlier(memory))
    except CannotAsk as error:
        publish(context, host, memory, "degraded:unknown")
        return degraded(f"{memory.daemon or 'libvirt'} does not answer, and why is not known: {error}")
    if seen.service:
        memory.daemon = health.daemon_name(seen)
    kind = health.diagnose(seen)
    if kind in health.WELL:
        return _well(context, host, memory, kind, seen)
    return _trouble(context, host, memory, kind, seen)


def _well(context: Context[LibvirtdParameters], host: Host, memory: Memory, kind: str, seen: Seen) -> Outcome:
    memory.ended = ""
    if memory.first or memory.lost:
        incomplete = _back(context, host, memory, seen)
        if incomplete:
            return incomplete
    said = health.describe(kind, seen)
    if kind == health.SLOW:
        context.warn(said)
    publish(context, host, memory, kind if kind == health.HEALTHY else f"degraded:{kind}")
    _tell_surroundings(context, host, memory)
    return running(said)


def _tell_surroundings(context: Context[LibvirtdParameters], host: Host, memory: Memory) -> None:
    """Let the others know what guests find here, before they send one."""
    now = host.surroundings()
    if now == memory.around:
        return
    try:
        host.publish_surroundings(now, min(TOOL_TIME, max(context.deadline.left() / 2, LEAST)))
        memory.around = now
    except CannotAsk as error:
        context.note(f"other hosts are not told what is mounted here: {error}")


def _back(context: Context[LibvirtdParameters], host: Host, memory: Memory, seen: Seen) -> Outcome | None:
    """Compare what libvirt knows after trouble with what runs; give an outcome when something is missing.

    That is degraded for as long as the budget, then only the attribute says so: the host takes no guests of others.
    """
    now, name = host.now(), memory.daemon or health.daemon_name(seen)
    if memory.first:
        context.note(f"{name} is well again after {now - memory.first:.0f} s ({memory.kind})")
    back = memory.back if memory.lost else now
    memory.well()
    lost = ", ".join(sorted(set(host.emulators()) - set(seen.ping.domains)))
    if not lost:
        return None
    said = f"{name} came back without guests that run: {lost}; it adopts none, so restart them through the cluster"
    if back == now:
        context.warn(said)
    memory.back, memory.lost = back, lost
    publish(context, host, memory, f"degraded:{health.INCOMPLETE}")
    return degraded(said) if now - back < context.parameters.heal_budget else running(said)


def _trouble(
    context: Context[LibvirtdParameters], host: Host, memory: Memory, kind: str, seen: Seen
) -> Outcome:
    if kind == health.STOPPED and memory.ended:
        return stopped(f"{memory.daemon or health.daemon_name(seen)} was stopped by this resource")
    now = host.now()
    memory.first = memory.first or now
    if memory.kind != kind:
        context.warn(health.describe(kind, seen))
    memory.kind = kind
    forbidden = host.forbidden()
    if forbidden or kind in health.PATIENT or not memory.since:
        memory.since = now
    _note_look(memory, seen.after)
    memory.heals = tuple(when for when in memory.heals if now - when < health.HEALS_WITHIN)
    decision = health.decide(
        kind,
        lasting=now - memory.since,
        budget=context.parameters.heal_budget,
        heal=context.parameters.heal,
        forbidden=forbidden,
        job=seen.job,
        recent_heals=len(memory.heals),
    )
    said = health.describe(kind, seen)
    if now - memory.first >= 1:
        said += f", for {now - memory.first:.0f} s"
    if decision.step == health.GIVE_UP:
        said += f"; {decision.why}" if decision.why else ""
        return _give_up(context, host, memory, decision, said)
    publish(context, host, memory, f"degraded:{kind}")
    if now - memory.since >= context.parameters.heal_budget / 2:
        from backstay.agents.leaving import better_place

        better_place(context, host, memory)
    if decision.step == health.HEAL:
        return degraded(f"{said}; {_heal(context, host, memory, decision.how)}")
    return degraded(f"{said}; {_waiting(kind, decision, memory)}")


def _waiting(kind: str, decision: Decision, memory: Memory) -> str:
    if decision.why:
        return (
            f"nothing is done to it because {decision.why}" if "heal=" not in decision.why else decision.why
        )
    if kind == health.STOPPED:
        return f"start it with systemctl start {memory.daemon}, or disable this resource"
    if kind == health.BLOCKED:
        return "it goes on by itself when the storage answers"
    return "waiting for it"


def _heal(context: Context[LibvirtdParameters], host: Host, memory: Memory, how: str) -> str:
    parameters = context.parameters
    now = host.now()
    left = max(parameters.heal_budget - (now - memory.since), 2 * parameters.answer_within)
    try:
        looked = (memory.pid, memory.start, memory.ticks, memory.when)
        launched = host.launch_healer(
            how, parameters.answer_within, left, looked, min(TOOL_TIME, context.deadline.left())
        )
    except CannotAsk as error:
        context.warn(f"the healer cannot be started: {error}")
        return f"it cannot be healed: {error}"
    if launched:
        if not memory.heal:
            memory.heals += (now,)
        memory.heal = now
    return "healing it"


def _give_up(
    context: Context[LibvirtdParameters], host: Host, memory: Memory, decision: Decision, said: str
) -> Outcome:
    """Say that it cannot be healed here; "failed" only when the guests have a better place to go to."""
    from backstay.agents.libvirtd_leaving import leave_or_stay

    now = host.now()
    publish(context, host, memory, f"broken:{memory.kind}")
    if decision.how and now - memory.heal >= health.RETRY:
        _heal(context, host, memory, decision.how)
    if context.parameters.unhealable == "degrade":
        outcome = degraded(f"{said}; it cannot be healed here, and unhealable=degrade")
    else:
        outcome = leave_or_stay(context, host, memory, said)
    if not memory.alerted or now - memory.alerted >= health.ALARM_AGAIN:
        context.journal.alert(outcome.reason)
        memory.alerted = now
    return outcome


def publish(context: Context[LibvirtdParameters], host: Host, memory: Memory, value: str) -> None:
    """Set the node attribute if it changed; that it cannot be set fails nothing."""
    remembered.publish(context, host, memory, value, f"libvirtd is {value or 'stopped'} here")


def recall(host: Host) -> Memory:
    """Give what was remembered."""
    return Memory.read(host.recall(), host.now())


def _note_look(memory: Memory, look: Daemon | None) -> None:
    memory.pid, memory.start, memory.ticks, memory.when, memory.blocked = 0, 0, 0, 0.0, ""
    if look:
        memory.pid, memory.start, memory.ticks, memory.when = look.pid, look.start, look.ticks, look.when
        memory.blocked = " ".join(look.blocked)


def _earlier(memory: Memory) -> Daemon | None:
    if not memory.pid:
        return None
    return Daemon(memory.pid, memory.start, memory.ticks, memory.when, tuple(memory.blocked.split()))
