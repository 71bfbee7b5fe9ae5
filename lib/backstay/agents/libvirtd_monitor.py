# SPDX-License-Identifier: GPL-2.0-or-later
"""The libvirtd agent's monitor: a probe that only looks, and the recurring watch that heals and gives up.

Decides, from what was seen and remembered, the answer and what is done beside it. Never waits for a heal, and never
says "failed" where it would only move trouble: no other host known to be healthy, the cluster not to be asked.
"""

from __future__ import annotations

from backstay.agents import libvirtd_health as health
from backstay.agents.libvirtd_memory import Memory, read
from backstay.agents.libvirtd_observe import observe
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

TOOL_TIME = 4.0  # seconds that a tool of the cluster or of systemd gets


def probe(context: Context[LibvirtdParameters], host: Host) -> Outcome:
    """Say what is seen, without changing anything; doubt is "degraded", never "failed".

    So is a libvirtd that went down by itself beside running guests. After "not running", which a cleanup or a restart
    of Pacemaker would bring about, Pacemaker starts it; that fails, and the guests have to leave, on all hosts if it
    broke on all. Whether they should is for the recurring monitor to say.
    """
    memory = recall(host)
    if memory.attribute:
        memory.attribute = ""  # Pacemaker may just have started, and then the attribute is gone
        host.remember(memory.text())
    try:
        seen = observe(host, context.parameters.answer_within, context.deadline)
    except CannotAsk as error:
        return degraded(f"libvirtd does not answer, and why is not known: {error}")
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
    try:
        seen = observe(host, context.parameters.answer_within, context.deadline, _earlier(memory))
    except CannotAsk as error:
        publish(context, host, memory, "degraded:unknown")
        host.remember(memory.text())
        return degraded(f"libvirtd does not answer, and why is not known: {error}")
    kind = health.diagnose(seen)
    if kind in health.WELL:
        outcome = _well(context, host, memory, kind, seen)
    else:
        outcome = _trouble(context, host, memory, kind, seen)
    if memory.text() != before:
        host.remember(memory.text())
    return outcome


def _well(context: Context[LibvirtdParameters], host: Host, memory: Memory, kind: str, seen: Seen) -> Outcome:
    if memory.first:
        lost = sorted(set(host.emulators()) - set(seen.ping.domains))
        context.note(f"libvirtd is well again after {host.now() - memory.first:.0f} s ({memory.kind})")
        if lost:
            context.warn(
                f"libvirtd came back without guests that run: {', '.join(lost)}; restart it to adopt them"
            )
    memory.well()
    said = health.describe(kind, seen)
    if kind == health.SLOW:
        context.warn(said)
    publish(context, host, memory, kind if kind == health.HEALTHY else f"degraded:{kind}")
    return running(said)


def _trouble(
    context: Context[LibvirtdParameters], host: Host, memory: Memory, kind: str, seen: Seen
) -> Outcome:
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
        return _give_up(context, host, memory, decision, said)
    publish(context, host, memory, f"degraded:{kind}")
    if decision.step == health.HEAL:
        return degraded(f"{said}; {_heal(context, host, memory, decision.how)}")
    return degraded(f"{said}; {_waiting(kind, decision)}")


def _waiting(kind: str, decision: Decision) -> str:
    if decision.why:
        return (
            f"nothing is done to it because {decision.why}" if "heal=" not in decision.why else decision.why
        )
    if kind == health.STOPPED:
        return "start it with systemctl start libvirtd, or disable this resource"
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
    now = host.now()
    publish(context, host, memory, f"broken:{memory.kind}")
    if decision.how and now - memory.heal >= health.RETRY:
        _heal(context, host, memory, decision.how)
    if context.parameters.unhealable == "degrade":
        outcome = degraded(f"{said}; it cannot be healed here, and unhealable=degrade")
    else:
        outcome = _leave_or_stay(context, host, memory, said)
    if not memory.alerted or now - memory.alerted >= health.ALARM_AGAIN:
        context.journal.alert(outcome.reason)
        memory.alerted = now
    return outcome


def _leave_or_stay(context: Context[LibvirtdParameters], host: Host, memory: Memory, said: str) -> Outcome:
    try:
        others = host.healthy_elsewhere(context.node, min(TOOL_TIME, context.deadline.left() / 4))
        why = "no other host is known to be healthy"
    except CannotAsk as error:
        others, why = (), str(error)
    if not others:
        memory.stayed = host.now()
        return degraded(f"{said}; it cannot be healed here, and nothing is moved: {why}")
    if memory.stayed:
        # what broke everywhere is being mended elsewhere, so it may be mended here in a moment: once more from the
        # beginning, before everybody moves to the host that was mended first
        memory.stayed, memory.heal, memory.since = 0.0, 0.0, host.now()
        return degraded(f"{said}; {', '.join(others)} is healthy again, so healing it is tried once more")
    return failed(f"{said}; it cannot be healed here, {', '.join(others)} can take its guests")


def publish(context: Context[LibvirtdParameters], host: Host, memory: Memory, value: str) -> None:
    """Set the node attribute if it changed; that it cannot be set fails nothing."""
    if memory.attribute == value:
        return
    try:
        host.publish(value, min(TOOL_TIME, context.deadline.left() / 2))
        memory.attribute = value
    except CannotAsk as error:
        context.warn(f"other hosts are not told that libvirtd is {value or 'stopped'} here: {error}")


def recall(host: Host) -> Memory:
    """Give what was remembered."""
    return read(host.recall(), host.now())


def _note_look(memory: Memory, look: Daemon | None) -> None:
    memory.pid, memory.start, memory.ticks, memory.when, memory.blocked = 0, 0, 0, 0.0, ""
    if look:
        memory.pid, memory.start, memory.ticks, memory.when = look.pid, look.start, look.ticks, look.when
        memory.blocked = " ".join(look.blocked)


def _earlier(memory: Memory) -> Daemon | None:
    if not memory.pid:
        return None
    return Daemon(memory.pid, memory.start, memory.ticks, memory.when, tuple(memory.blocked.split()))
