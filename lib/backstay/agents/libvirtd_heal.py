# SPDX-License-Identifier: GPL-2.0-or-later
"""The healer: a transient service that the monitor starts beside itself, at most one at a time.

    python3 -I -m backstay.agents.libvirtd_heal start|restart|abort|overdue ANSWER_WITHIN SECONDS PID START TICKS WHEN

Decides the next step from a fresh look, every time anew. The last four are the monitor's last look at a daemon that
does not answer; it is hung only if it still does not answer and made no progress since. systemd restarts an
aborted libvirtd by itself, and its sockets start one that ended, so the healer follows systemd's job and starts
something only when nothing is under way. It never outlives SECONDS and never touches a guest.
"""

from __future__ import annotations

import sys

from backstay.agents import libvirtd_health as health
from backstay.agents.libvirtd_observe import RESERVE, SYSTEMD_TIME, observe
from backstay.errors import BackstayError
from backstay.host.clock import Deadline
from backstay.host.daemon import Daemon
from backstay.host.libvirtd import Host
from backstay.ocf.log import Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from backstay.agents.libvirtd_health import Seen

CORE_TIME = 10.0  # seconds that an aborted daemon gets to write its core and to end
DEATH = 3.0  # seconds after SIGKILL
POLL = 0.5
ABORTS_AT_MOST = 2  # one that hangs again at its start is not helped by a third
BETWEEN_STARTS = 5.0  # seconds, so that one that crashes at once is not started in a loop
BETWEEN_RESTARTS = 10.0  # seconds; one that runs and comes back no better needs somebody to mend it


def heal(
    host: Host,
    how: str,
    answer_within: float,
    deadline: Deadline,
    earlier: Daemon | None,
    say: Callable[[str], None],
) -> bool:
    """Work until libvirtd answers (True), until nothing can be done, or until the deadline (False)."""
    permitted = health.PERMITTED[health.START if how == health.START else health.ABORT]
    aborts, next_start, next_restart, name = 0, 0.0, 0.0, "libvirt"
    while not deadline.expired:
        # the time that two questions need is given even when less of the deadline is left
        looking = Deadline(max(deadline.left(), 2 * answer_within + 2 * SYSTEMD_TIME + RESERVE))
        seen = observe(host, answer_within, looking, earlier)
        kind = health.diagnose(seen)
        name = health.daemon_name(seen) if seen.service else name
        if kind in health.WELL:
            say(f"{name} answers again")
            return True
        why_not = host.forbidden()
        overdue = kind == health.BUSY and how == health.OVERDUE and seen.asked > 1
        remedy = health.ABORT if overdue else health.REMEDY.get(kind, "")
        if why_not or (remedy not in permitted and kind not in (health.RESTARTING, health.BUSY)):
            say(f"not healing: {why_not or health.describe(kind, seen)}")
            return False
        if seen.job and remedy in health.ENDING:
            say(f"not ending {name}: a {seen.job} still advances")
            return False
        if remedy == health.START and host.now() >= next_start:
            _start(host, deadline, say)
            next_start = host.now() + BETWEEN_STARTS
        elif remedy == health.RESTART and host.now() >= next_restart:
            say(f"restarting {name} and its sockets: {health.describe(kind, seen)}")
            _restart(host, seen, say)
            next_restart = host.now() + BETWEEN_RESTARTS
        elif remedy == health.ABORT and seen.after is not None:
            aborts += 1
            if aborts > ABORTS_AT_MOST:
                say("not healing: it hangs again as soon as it is started")
                return False
            if not _abort(host, name, seen.after, deadline, say):
                return False
        earlier = seen.after
        host.pause(POLL)
    say(f"{name} could not be healed in time")
    return False


def _start(host: Host, deadline: Deadline, say: Callable[[str], None]) -> None:
    service, sockets = host.units(SYSTEMD_TIME)
    failed = [unit.name for unit in (service, *sockets) if unit.active == "failed"]
    if failed:
        host.reset_failed(failed, SYSTEMD_TIME)
    name = service.name.removesuffix(".service")
    say(f"starting {name} ({service.story()})")
    begun = host.start(service.name, max(deadline.left(), SYSTEMD_TIME), health.wanted(sockets))
    if not begun.ok:
        say(f"{name} did not start: {begun.complaint()}")


def _restart(host: Host, seen: Seen, say: Callable[[str], None]) -> None:
    """Have systemd do it in one go: whatever becomes of this healer, nothing stays stopped."""
    if seen.service is None:
        return
    listening = [unit.name for unit in seen.sockets if unit.listening]
    begun = host.restart([seen.service.name, *listening], SYSTEMD_TIME)
    if not begun.ok:
        say(f"{seen.service.name} is not restarted: {begun.complaint()}")


def _abort(host: Host, name: str, daemon: Daemon, deadline: Deadline, say: Callable[[str], None]) -> bool:
    """End a daemon that hangs; False when that cannot be done."""
    say(f"aborting {name} (pid {daemon.pid})")
    # a stopped process takes the abort only when it is continued
    host.signal(daemon, ("ABRT", "CONT"))
    if _gone(host, daemon, deadline.at_most(CORE_TIME)):
        return True
    say(f"{name} (pid {daemon.pid}) survived its abort and is killed")
    host.signal(daemon, ("KILL",))
    if _gone(host, daemon, Deadline(DEATH)):
        return True
    say(f"{name} (pid {daemon.pid}) cannot be killed")
    return False


def _gone(host: Host, daemon: Daemon, deadline: Deadline) -> bool:
    while True:
        now = host.look(daemon.pid)
        if now is None or now.start != daemon.start:
            return True
        if deadline.expired:
            return False
        host.pause(0.1)


def _looked(words: list[str]) -> Daemon | None:
    pid, start, ticks, when = (float(word) for word in words)
    return Daemon(int(pid), int(start), int(ticks), when) if pid else None


def main() -> None:
    """Heal as the arguments say; the monitor looks at libvirtd, not at what the healer says of itself.

    A failed unit can stay loaded and would keep the next healer from starting, so this never ends with a failure.
    """
    journal = Log("heal-libvirtd")
    try:
        how, answer_within, budget = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
        heal(Host(), how, answer_within, Deadline(budget), _looked(sys.argv[4:]), journal.note)
    except BackstayError as error:
        journal.error(f"it is not healed: {error}")
    except Exception as error:  # noqa: BLE001  (the one guard of this process)
        journal.traceback(error)


if __name__ == "__main__":
    main()
