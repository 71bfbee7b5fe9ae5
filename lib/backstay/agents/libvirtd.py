# SPDX-License-Identifier: GPL-2.0-or-later
"""ocf:backstay:libvirtd: libvirtd answers on this host, or is made to, without touching a guest.

Decides what Pacemaker is told. The recurring monitor heals: it starts a healer beside itself and says "degraded"
(190) while that may still succeed. Only then, and only when another host is known to be healthy, it says "failed",
so that the guests leave. Nothing else heals: not a probe, not a forced check, not start or stop.

Never says "failed" in a probe, never fails a stop (that would have the host fenced while its guests run well), and
never touches a guest.
"""

from __future__ import annotations

from backstay.agents import libvirtd_health as health
from backstay.agents.libvirtd_memory import Memory
from backstay.agents.libvirtd_memory import read as read_memory
from backstay.agents.libvirtd_observe import observe
from backstay.errors import CannotAsk
from backstay.host.libvirtd import HEALER, Host
from backstay.ocf import codes
from backstay.ocf.agent import Action, Agent, reload_agent
from backstay.ocf.outcome import Outcome, degraded, done, failed, running, stopped
from backstay.ocf.parameters import Parameters, choice, seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.agents.libvirtd_health import Decision, Seen
    from backstay.host.daemon import Daemon
    from backstay.ocf.context import Context

TOOL_TIME = 4.0  # seconds that a tool of the cluster or of systemd gets
JOB_LOOK = 0.5  # seconds between two looks at the guests' jobs


class LibvirtdParameters(Parameters):
    """What an admin may choose."""

    heal = choice(
        "what the recurring monitor may do to a libvirtd that is in trouble",
        ("never", "start", "abort"),
        default="abort",
        reloadable=True,
        longdesc="""never: nothing. start: start one that crashed or that systemd has given up. abort: also abort one
        that hangs, so that systemd starts it again; its guests keep running. Whatever is chosen, nothing is done to
        a libvirtd that an admin stopped, while /run/backstay/inhibit or /etc/backstay/inhibit exists, while a
        package manager is at work, while a migration or a block job still advances, or to one that waits for
        storage in D state.""",
    )
    heal_budget = seconds(
        "how long trouble is only degraded (190) before it counts as one that cannot be healed",
        default="60s",
        reloadable=True,
    )
    answer_within = seconds(
        "how long libvirtd may take for an answer",
        default="5s",
        reloadable=True,
        longdesc="""A question that goes through an ordinary worker of libvirtd and its QEMU driver, asked twice
        before it is called hung. The monitor's timeout should be at least four times as long.""",
    )
    unhealable = choice(
        "what happens when libvirtd cannot be healed",
        ("leave", "fence", "degrade"),
        default="leave",
        reloadable=True,
        longdesc="""leave: the monitor fails, and the guests that are colocated with this resource leave the host by
        an orderly stop. fence: the monitor fails as well, for configurations that say on-fail=fence there. degrade:
        the monitor says degraded (190) for as long as it lasts. In every case the monitor fails only when another
        host in the same partition says that its libvirtd is healthy: what breaks on all hosts at once must not
        move or fence anything.""",
    )


LONGDESC = """Watches libvirtd on a host, and heals it where it runs without touching a guest. To be cloned over all
hosts. Guests depend on it with start-only and stop-only ordering and a colocation; with a symmetrical order a failed
monitor would stop every guest.

The monitor asks libvirtd a question that needs an ordinary worker and the QEMU driver. A socket-activated libvirtd
that has ended because it was idle is healthy: the question starts it.

Trouble is reported as degraded (190) while it may be healed. Pacemaker treats 190 as running, without a failure
count, and shows it as a failed action until "crm_resource --cleanup --resource NAME --node HOST", also when all is
well again: this agent does not clean up, because that would wipe the history of real failures. What is true now
stands in the transient node attribute backstay-libvirtd: healthy, degraded:WORD or broken:WORD.

start is done when libvirtd answers. stop ends the daemon and its sockets, never a guest, and does not fail."""


def start(context: Context[LibvirtdParameters]) -> Outcome:
    """Start libvirtd and wait until it answers; fail as soon as it is clear that it will not."""
    from backstay.agents.libvirtd_service import bring_up

    host = Host()
    outcome = bring_up(host, context.parameters.answer_within, context.deadline)
    if outcome.code == codes.SUCCESS:
        memory = _recall(host)
        memory.well()
        _publish(context, host, memory, "healthy")
        host.remember(memory.text())
    return outcome


def stop(context: Context[LibvirtdParameters]) -> Outcome:
    """End the daemon and its sockets; whatever comes of it, the host is not to be fenced for it."""
    from backstay.agents.libvirtd_service import bring_down

    host = Host()
    guests = host.emulators()
    if guests:
        context.warn(f"{len(guests)} guests keep running without libvirtd: {', '.join(guests)}")
    memory = _recall(host)
    memory.well()
    if not memory.attribute.startswith("broken"):
        _publish(context, host, memory, "")
    host.remember(memory.text())
    try:
        return bring_down(host, HEALER, context.deadline, context.warn)
    except CannotAsk as error:
        context.warn(f"whether libvirtd stopped is not known: {error}")
        return done("libvirtd was told to stop as far as possible")


def monitor(context: Context[LibvirtdParameters]) -> Outcome:
    """Answer a probe or a forced check by what is seen; a recurring monitor also heals."""
    host = Host()
    return probe(context, host) if context.is_probe else watch(context, host)


def probe(context: Context[LibvirtdParameters], host: Host) -> Outcome:
    """Say what is seen, without changing anything; doubt is "degraded", never "failed"."""
    memory = _recall(host)
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
    if kind == health.NOT_INSTALLED:
        return failed(said, codes.NOT_INSTALLED)
    if kind in (health.STOPPED, health.CRASHED, health.START_LIMIT):
        return stopped(said)
    return degraded(said)


def watch(context: Context[LibvirtdParameters], host: Host) -> Outcome:
    """Observe, decide, act; remember what the next monitor has to know."""
    memory = _recall(host)
    before = memory.text()
    try:
        seen = observe(host, context.parameters.answer_within, context.deadline, _earlier(memory))
    except CannotAsk as error:
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
    _publish(context, host, memory, kind if kind == health.HEALTHY else f"degraded:{kind}")
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
        job=_job(host, kind),
        recent_heals=len(memory.heals),
    )
    said = health.describe(kind, seen)
    if now - memory.first >= 1:
        said += f", for {now - memory.first:.0f} s"
    if decision.step == health.GIVE_UP:
        return _give_up(context, host, memory, decision, said)
    _publish(context, host, memory, f"degraded:{kind}")
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
        return f"the healer cannot be started: {error}"
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
    _publish(context, host, memory, f"broken:{memory.kind}")
    if decision.how and now - memory.heal >= health.RETRY:
        _heal(context, host, memory, decision.how)
    if context.parameters.unhealable == "degrade":
        outcome = degraded(f"{said}; it cannot be healed here, and unhealable=degrade")
    else:
        outcome = _leave_or_stay(context, host, said)
    if not memory.alerted or now - memory.alerted >= health.RETRY:
        context.journal.alert(outcome.reason)
        memory.alerted = now
    return outcome


def _leave_or_stay(context: Context[LibvirtdParameters], host: Host, said: str) -> Outcome:
    try:
        others = host.healthy_elsewhere(context.node, min(TOOL_TIME, context.deadline.left() / 4))
    except CannotAsk as error:
        return degraded(f"{said}; it cannot be healed here, and nothing is moved: {error}")
    if not others:
        return degraded(
            f"{said}; it cannot be healed here, and nothing is moved: no other host is known to be healthy"
        )
    return failed(f"{said}; it cannot be healed here, {', '.join(others)} can take its guests")


def _publish(context: Context[LibvirtdParameters], host: Host, memory: Memory, value: str) -> None:
    """Set the node attribute if it changed; that it cannot be set fails nothing."""
    if memory.attribute == value:
        return
    try:
        host.publish(value, min(TOOL_TIME, context.deadline.left() / 2))
        memory.attribute = value
    except CannotAsk as error:
        context.warn(f"other hosts are not told that libvirtd is {value or 'stopped'} here: {error}")


def _job(host: Host, kind: str) -> str:
    if health.REMEDY.get(kind, "") != health.ABORT and kind != health.BUSY:
        return ""
    first = host.jobs()
    if not first:
        return ""
    host.pause(JOB_LOOK)
    return health.advancing(first, host.jobs())


def _recall(host: Host) -> Memory:
    return read_memory(host.recall(), host.now())


def _note_look(memory: Memory, look: Daemon | None) -> None:
    memory.pid, memory.start, memory.ticks, memory.when, memory.blocked = 0, 0, 0, 0.0, ""
    if look:
        memory.pid, memory.start, memory.ticks, memory.when = look.pid, look.start, look.ticks, look.when
        memory.blocked = " ".join(look.blocked)


def _earlier(memory: Memory) -> Daemon | None:
    if not memory.pid:
        return None
    from backstay.host.daemon import Daemon

    return Daemon(memory.pid, memory.start, memory.ticks, memory.when, tuple(memory.blocked.split()))


def validate(context: Context[LibvirtdParameters]) -> Outcome:
    """Say whether this host has what the agent needs (validate-all at level 10)."""
    from backstay.agents.libvirtd_service import equipped

    return equipped(Host(), context.deadline)


AGENT = Agent(
    "libvirtd",
    "Watches libvirtd on a host and heals it without touching a guest",
    LONGDESC,
    LibvirtdParameters,
    (
        Action("start", 120, start),
        Action("stop", 120, stop),
        Action("monitor", 30, monitor, 10),
        Action("reload-agent", 20, reload_agent),
    ),
    validate=validate,
)
