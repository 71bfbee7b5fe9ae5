# SPDX-License-Identifier: GPL-2.0-or-later
"""Start and stop of libvirtd and its sockets, each done only when a fresh look says so.

Decides the steps and when to give up on them. Never touches a guest, and never waits for a daemon that cannot die.
"""

from __future__ import annotations

from backstay.agents import libvirtd_health as health
from backstay.agents.libvirtd_observe import SYSTEMD_TIME, observe
from backstay.errors import CannotAsk
from backstay.ocf import codes
from backstay.ocf.outcome import Outcome, done, failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from backstay.host.clock import Deadline
    from backstay.host.daemon import Daemon
    from backstay.host.libvirtd import Host
    from backstay.host.systemd import Unit

POLL = 0.3  # seconds between two looks
POLITE = 10.0  # seconds that a daemon gets to end by itself
DEATH = 3.0  # seconds after SIGKILL, after which it is in D state
SETTLED = 1.5  # seconds that a failed unit stays failed before it is believed: systemd restarts after 0.1


def bring_up(host: Host, answer_within: float, deadline: Deadline) -> Outcome:
    """Start what is down and give "done" when libvirtd answers, or the reason as soon as it is known."""
    seen = observe(host, answer_within, deadline)
    kind = health.diagnose(seen)
    if kind in health.WELL:
        return done(f"{health.daemon_name(seen)} answers")
    said = health.describe(kind, seen)
    if kind == health.NOT_INSTALLED:
        return failed(said, codes.NOT_INSTALLED)
    if kind in (health.BLOCKED, health.HUNG, health.DRIVERLESS, health.UNASKED):
        return failed(f"{said}; it has to be stopped before it can be started")
    service, sockets = host.units(SYSTEMD_TIME)
    if service.masked:
        return failed(f"{service.name} is masked by an admin; systemctl unmask {service.name}")
    broken = [unit.name for unit in (service, *sockets) if unit.active == "failed"]
    if broken:
        host.reset_failed(broken, SYSTEMD_TIME)
    if kind in (health.STOPPED, health.DEAF) and not service.down:
        missing = (*health.wanted(sockets), health.socket_of(service))
        own = [unit.name for unit in sockets if unit.listening or unit.name in missing]
        begun = host.restart(
            [service.name, *own], SYSTEMD_TIME
        )  # its sockets start with a service that is down only
    else:
        waiting = max(deadline.left() - SYSTEMD_TIME, SYSTEMD_TIME)
        begun = host.start(service.name, waiting, health.wanted(sockets))
    name = service.name.removesuffix(".service")
    return _until_it_answers(host, name, answer_within, deadline, "" if begun.ok else begun.complaint())


def _until_it_answers(
    host: Host, name: str, answer_within: float, deadline: Deadline, complaint: str
) -> Outcome:
    """Wait for the answer; give up when systemd does not bring the service back, or when it waits for storage."""
    down_since: float | None = None
    said, last = complaint, None
    while not deadline.expired:
        seen = observe(host, answer_within, deadline, last)
        kind, last = health.diagnose(seen), seen.after
        if kind in health.WELL:
            return done(f"{name} answers")
        said = health.describe(kind, seen)
        if kind in (health.BLOCKED, health.DRIVERLESS, health.UNASKED):
            return failed(said)
        if seen.service is None or not seen.service.down:
            down_since = None
        elif down_since is None:
            down_since = host.now()
        elif host.now() - down_since >= SETTLED:
            return failed(f"{name} does not start: {seen.service.story()}; see journalctl --unit {name}")
        host.pause(POLL)
    return failed(f"{name} was started but does not answer in time: {said}")


def bring_down(host: Host, healer: str, deadline: Deadline, warn: Callable[[str], None]) -> Outcome:
    """Stop sockets and service; a daemon that does not end is killed, one that cannot die is reported."""
    service, sockets = host.units(min(SYSTEMD_TIME, deadline.left()))
    daemon = host.look(service.pid)
    # all of them, up or not: the healer may just be about to start one
    host.stop([healer, *(unit.name for unit in sockets), service.name], min(SYSTEMD_TIME, deadline.left()))
    name = service.name.removesuffix(".service")
    polite = deadline.at_most(POLITE).part(0.1 if daemon and (daemon.stopped or daemon.blocked) else 1.0)
    if _down_within(host, polite):
        return done(f"{name} and its sockets are stopped")
    return _kill(host, name, daemon, deadline, warn)


def _kill(
    host: Host, name: str, daemon: Daemon | None, deadline: Deadline, warn: Callable[[str], None]
) -> Outcome:
    if daemon is not None:
        warn(f"{name} (pid {daemon.pid}) does not end by itself and is killed")
        host.signal(daemon, ("KILL",))
    if _down_within(host, deadline.at_most(DEATH)):
        return done(f"{name} was killed, its sockets are stopped")
    left = host.look(daemon.pid) if daemon else None
    where = f"; it waits in {', '.join(left.blocked)}" if left and left.blocked else ""
    warn(f"{name} cannot be ended now{where}; systemd ends it as soon as it can")
    return done(f"{name} was told to stop and takes no more connections")


def _down_within(host: Host, deadline: Deadline) -> bool:
    while True:
        service, sockets = host.units(min(SYSTEMD_TIME, max(deadline.left(), 1.0)))
        if all(_is_down(unit) for unit in (service, *sockets)):
            return True
        if deadline.expired:
            return False
        host.pause(min(POLL, deadline.left()))


def _is_down(unit: Unit) -> bool:
    return unit.down and not unit.pid


def equipped(host: Host, deadline: Deadline) -> Outcome:
    """Say whether libvirtd is installed and can be asked at all."""
    try:
        service, _sockets = host.units(min(SYSTEMD_TIME, deadline.left()))
    except CannotAsk as error:
        return failed(str(error), codes.NOT_INSTALLED)
    if not service.installed:
        return failed("neither libvirtd nor virtqemud is installed", codes.NOT_INSTALLED)
    return done(f"{service.name.removesuffix('.service')} is installed")
