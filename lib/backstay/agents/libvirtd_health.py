# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong with libvirtd, and what follows from it: tables without effects.

Decides the kind of trouble from what was seen, and from the kind and the time that it lasts whether to wait, to
heal or to give up. Never looks at anything itself.

A daemon is called hung only after two questions without an answer between which it used next to no CPU, and wanted
none: on a host without a processor to spare nothing makes progress. One that waits in D state is never aborted:
nothing would come of it, and it recovers by itself when the storage does. What an admin stopped, or is stopping, is
never started, whatever else is seen.

"libvirtd" stands here for whichever daemon serves QEMU's domains; messages name it by its unit.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstay.host.daemon import Daemon
    from backstay.host.jobs import Job
    from backstay.host.libvirt_ping import Ping
    from backstay.host.systemd import Unit

HEALTHY, SLOW, BUSY, HUNG, BLOCKED, DEAF = "healthy", "slow", "busy", "hung", "blocked", "deaf"
DRIVERLESS, CRASHED, START_LIMIT, RESTARTING = "driverless", "crashed", "start-limit", "restarting"
STOPPED, STOPPING, NOT_INSTALLED, UNASKED = "stopped", "stopping", "not-installed", "unasked"
INCOMPLETE = "incomplete"  # it answers, but does not know all guests that run; said in the attribute only

WELL = (HEALTHY, SLOW)
PATIENT = (
    STOPPED,
    STOPPING,
    UNASKED,
)  # never healed and never given up: somebody's decision, or nothing known
START, RESTART, ABORT = "start", "restart", "abort"
# a driver is loaded at the start only; a socket whose file is gone is a new one only when it is restarted itself
REMEDY = {CRASHED: START, START_LIMIT: START, DRIVERLESS: RESTART, DEAF: RESTART, HUNG: ABORT}
ENDING = (RESTART, ABORT)  # what ends a daemon that runs, and a job of a guest with it
OVERDUE = "overdue"  # told to the healer instead of ABORT: abort it even though it works on something
PERMITTED = {"never": (), "start": (START,), "abort": (START, RESTART, ABORT)}  # by the parameter `heal`
LIMITS = ("start-limit-hit", "service-start-limit-hit", "trigger-limit-hit")

TICK = 0.01  # seconds; Linux shows CPU time in hundredths whatever it counts in
IDLE_TICKS, IDLE_SHARE = (
    3,
    0.02,
)  # CPU that taking connections costs one that answers nobody: ours, all of them
JOB_PATIENCE = 10.0  # times the budget that a job that advances is waited for
HEALS_AT_MOST, HEALS_WITHIN = 8, 600.0  # more heals than that in so many seconds are a crash loop
RETRY = 120.0  # seconds between heals of what was given up, for when the cause is mended
ALARM_AGAIN = 600.0  # seconds after which an alarm is repeated

WAIT, HEAL, GIVE_UP = "wait", "heal", "give up"


class Seen:
    """Everything that was looked at: the last answer, the units, the daemon at two points in time.

    `asked` is how many questions went unanswered in a row; `before` is None when there was one look only. `job` names
    a guest's job that advanced meanwhile.
    """

    __slots__ = ("after", "asked", "before", "job", "ping", "service", "sockets")

    def __init__(
        self,
        ping: Ping,
        service: Unit | None = None,
        sockets: Sequence[Unit] = (),
        before: Daemon | None = None,
        after: Daemon | None = None,
        asked: int = 0,
        job: str = "",
    ) -> None:
        self.ping = ping
        self.service = service
        self.sockets = tuple(sockets)
        self.before = before
        self.after = after
        self.asked = asked
        self.job = job


def diagnose(seen: Seen) -> str:
    """Name the kind of trouble, or that there is none."""
    kind = seen.ping.kind
    if kind == "answered":
        return SLOW if seen.asked else HEALTHY
    service = seen.service
    if kind == "unasked" or service is None:
        return UNASKED
    if not service.installed:
        return NOT_INSTALLED
    if service.masked and service.down:
        return STOPPED
    if service.moving:
        return STOPPING if service.stopping else RESTARTING
    if kind == "driverless":
        return DRIVERLESS
    if service.down:
        return _down(service, seen.sockets)
    if kind == "silent":
        return _silent(seen)
    return STOPPED if _is_shut(service, seen.sockets) else DEAF


def _down(service: Unit, sockets: Sequence[Unit]) -> str:
    failed = [unit for unit in (service, *sockets) if unit.active == "failed"]
    if any(unit.result in LIMITS for unit in failed):
        return START_LIMIT
    if failed == [service] and service.ended_by_force and not any(unit.listening for unit in sockets):
        return STOPPED  # it hung when it was told to stop
    # a socket that listens for a service that does not come means that it cannot, not that it should not
    if failed or any(unit.listening for unit in sockets):
        return CRASHED
    return STOPPED


def _is_shut(service: Unit, sockets: Sequence[Unit]) -> bool:
    """Whether somebody stopped the socket of a daemon that runs; one that opens its socket itself has it masked."""
    own = socket_of(service)
    return any(unit.name == own and unit.loaded == "loaded" and unit.active == "inactive" for unit in sockets)


def wanted(sockets: Sequence[Unit]) -> list[str]:
    """Name the sockets that are enabled and do not listen.

    The service brings its local ones along, not those by which other hosts reach it to migrate (-tcp, -tls), and a
    service that runs keeps them from starting. Without them every guest that is to come here is restarted instead.
    """
    return [u.name for u in sockets if u.enabled == "enabled" and not u.masked and not u.listening]


def socket_of(service: Unit) -> str:
    """Name the socket on which the service is asked."""
    return service.name.replace(".service", ".socket")


def daemon_name(seen: Seen) -> str:
    """Give the daemon's name; libvirt's own when its units were not looked at."""
    return seen.service.name.removesuffix(".service") if seen.service else "libvirt"


def _silent(seen: Seen) -> str:
    before, after = seen.before, seen.after
    if before is None or after is None or not after.same_as(before):
        return BUSY  # one look says nothing about progress
    if before.blocked and after.blocked:
        return BLOCKED
    if after.runnable:
        return BUSY  # it is kept from its work, and works as soon as it gets a processor
    idle = IDLE_TICKS + (after.when - before.when) * IDLE_SHARE / TICK
    return BUSY if after.ticks - before.ticks > idle else HUNG


def describe(kind: str, seen: Seen) -> str:
    """Say what is wrong in the admin's words."""
    service, name = seen.service, daemon_name(seen)
    pid = f" (pid {seen.after.pid})" if seen.after else ""
    story = service.story() if service else ""
    sentences = {
        HEALTHY: f"{name} answers",
        SLOW: f"{name} answered only when it was asked again, after {seen.ping.seconds:.1f} s",
        BUSY: f"{name}{pid} does not answer yet",
        HUNG: f"{name}{pid} hangs: {'it is stopped' if _is_stopped(seen) else 'no answer and no progress'}",
        BLOCKED: f"{name}{pid} waits for storage that does not answer (D state in {_where(seen)})",
        DEAF: f"{name}{pid} runs but takes no connections: {seen.ping.text}",
        DRIVERLESS: f"{name} runs without its QEMU driver: {seen.ping.text}",
        CRASHED: f"{name} crashed ({story})",
        START_LIMIT: f"{name} crashed again and again until systemd gave up ({story})",
        RESTARTING: f"systemd is restarting {name} ({service.sub if service else ''})",
        STOPPED: f"{name}{_what_is_down(service)} stopped by an admin",
        STOPPING: f"{name} is being stopped by an admin, or with its host ({service.sub if service else ''})",
        NOT_INSTALLED: f"{name} is not installed",
        UNASKED: f"whether {name} works cannot be asked: {seen.ping.text}",
    }
    return sentences[kind]


def _what_is_down(service: Unit | None) -> str:
    return " and its sockets were" if service is None or service.down else " runs, but its socket was"


def _is_stopped(seen: Seen) -> bool:
    return seen.after is not None and seen.after.stopped


def _where(seen: Seen) -> str:
    return ", ".join(seen.after.blocked) if seen.after else "?"


def advancing(first: Sequence[Job], second: Sequence[Job]) -> str:
    """Name a job whose emulator worked between two looks, or give an empty text."""
    used = {(job.guest, job.kind): job.work for job in first}
    for job in second:
        if job.work > used.get((job.guest, job.kind), job.work):
            return f"{job.kind} of {job.guest}"
    return ""


class Decision:
    """What to do about a kind of trouble; `how` names the remedy of a heal, `why` what keeps from one."""

    __slots__ = ("how", "step", "why")

    def __init__(self, step: str, how: str = "", why: str = "") -> None:
        self.step = step
        self.how = how
        self.why = why

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Decision):
            return NotImplemented
        return (self.step, self.how, self.why) == (other.step, other.how, other.why)

    def __hash__(self) -> int:
        return hash((self.step, self.how, self.why))

    def __repr__(self) -> str:
        return f"Decision({self.step}, {self.how!r}, {self.why!r})"


def decide(
    kind: str,
    *,
    lasting: float,
    budget: float,
    heal: str,
    forbidden: str = "",
    job: str = "",
    recent_heals: int = 0,
) -> Decision:
    """Say what follows from a kind of trouble that has lasted for so many seconds.

    `heal` is the parameter; `forbidden` says why nothing may be done at all (an inhibit file, a package manager at
    work); `job` names a guest's job that advances; `recent_heals` are those of the last HEALS_WITHIN seconds.
    """
    if kind in PATIENT:
        return Decision(WAIT)
    if forbidden:
        return Decision(WAIT, why=forbidden)
    late = lasting >= budget
    # what answers nobody for half of the budget is as good as hung, whatever it works on
    overdue = kind == BUSY and lasting >= budget / 2
    remedy = ABORT if overdue else REMEDY.get(kind, "")
    if job and remedy in ENDING and lasting < budget * JOB_PATIENCE:
        return Decision(WAIT, why=f"a {job} still advances")
    permitted = remedy if remedy in PERMITTED[heal] else ""
    if recent_heals > HEALS_AT_MOST:
        return Decision(GIVE_UP, why="it was healed too often")
    if late:
        return Decision(GIVE_UP, OVERDUE if permitted and overdue else permitted)
    if permitted:
        return Decision(HEAL, OVERDUE if overdue else permitted)
    return Decision(WAIT, why=f"heal={heal}" if remedy else "")
