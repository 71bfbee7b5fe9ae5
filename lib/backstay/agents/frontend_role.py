# SPDX-License-Identifier: GPL-2.0-or-later
"""Taking a frontend role on this host, and leaving it: each done only when a fresh look says so.

Decides the steps, the lease, and when to give up. The lease is written before anything is started and after everything
is proven gone, so that its tenures are never shorter than the role was here.
"""

from __future__ import annotations

from backstay.agents import frontend_lease as leases
from backstay.agents import recovery_watch
from backstay.agents.frontend_profile import NOWHERE, SYSTEMD_TIME, WHOLLY
from backstay.errors import CannotAsk
from backstay.ocf.outcome import Outcome, done, failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.agents.frontend import FrontendParameters
    from backstay.agents.frontend_profile import Profile
    from backstay.host.clock import Deadline
    from backstay.host.frontend import Host
    from backstay.ocf.context import Context

    Call = Context[FrontendParameters]  # the one that every function here is given

POLL = 0.5  # seconds between two looks
LEASE_TIME = 5.0  # seconds to read and write the lease
RENEWED = (
    15.0  # seconds within which a host that holds the role writes its lease again (it does at each monitor)
)
KILL_TIME = 8.0  # seconds of a stop that are kept for killing what does not end by itself
ENABLED = ("enabled", "enabled-runtime", "alias", "linked-runtime", "generated")


def bring_up(context: Call, host: Host, profile: Profile) -> Outcome:
    """Take the role; done when every required probe is answered."""
    try:
        why_not = somebody_else(context, host)
        if why_not:
            context.journal.alert(why_not)
            return failed(why_not)
        profile.check(host, context.deadline, context.note)
        write_lease(context, host, leases.take)
        profile.take(host, context.deadline, context.note)
        for unit in profile.units:
            trouble = _started(context, host, unit, unit in profile.if_installed)
            if trouble:
                return failed(trouble)
    except CannotAsk as error:
        return failed(f"the role of {profile.name} cannot be taken: {error}")
    return _until_it_answers(context, host, profile)


def _started(context: Call, host: Host, unit: str, may_lack: bool) -> str:
    """Start a unit; say what is wrong, or nothing."""
    left = context.deadline.left()
    seen = host.units([unit], min(SYSTEMD_TIME, left))[unit]
    if not seen.installed:
        return "" if may_lack else f"there is no unit {unit} on this host"
    if seen.masked:
        return "" if may_lack else f"{unit} is masked by an admin; systemctl unmask {unit}"
    if seen.active == "failed":
        host.reset_failed(unit, min(SYSTEMD_TIME, left))
    begun = host.start(unit, max(context.deadline.left(), 1.0))
    return "" if begun.ok else f"{unit} does not start: {begun.complaint()}; see journalctl --unit {unit}"


def _until_it_answers(context: Call, host: Host, profile: Profile) -> Outcome:
    said = "no time was left to ask"
    required = [probe for probe in profile.probes if probe.required]
    while True:
        answers = host.ask(required, max(context.deadline.left(), 1.0))
        silent = [f"{answer.name}: {answer.trouble}" for answer in answers if answer.trouble]
        silent += _missing(profile, host, context.deadline)
        if not silent:
            return done(f"the role of {profile.name} is taken, and answers")
        ended = _ended(profile, host, context.deadline)
        if ended:
            return failed(f"{profile.name} was started, and {ended}")
        said = "; ".join(silent)
        if context.deadline.left() < 2 * POLL:
            return failed(f"{profile.name} is started, but does not answer: {said}")
        host.pause(POLL)


def _ended(profile: Profile, host: Host, until: Deadline) -> str:
    """Say which unit is down again and will not be started by systemd: to wait for it any longer is in vain."""
    try:
        units = host.units(profile.units, min(SYSTEMD_TIME, max(until.left(), 1.0)))
    except CannotAsk:
        return ""
    down = [unit for name, unit in units.items() if unit.down and name not in profile.absent]
    said = [f"{unit.name} has ended ({unit.story()}); see journalctl --unit {unit.name}" for unit in down]
    return "; ".join(said)


def _missing(profile: Profile, host: Host, until: Deadline) -> list[str]:
    """Say what of a role is not there yet."""
    try:
        where, said = profile.present(host, until)
    except CannotAsk as error:
        return [str(error)]
    return [said] if where != WHOLLY else []


def somebody_else(context: Call, host: Host) -> str:
    """Say who holds the role by its lease, or nothing.

    A lease that nobody gave up may be that of a host that died; Pacemaker had it fenced before it started anything
    here. So it counts only while its host is online in the cluster and still writes: it is looked at for a while.
    """
    path = context.parameters.lease
    if not path:
        return ""
    first = leases.holder(leases.parse(host.read_lease(path, LEASE_TIME)))
    if first is None or first.host == here(context, host):
        return ""
    if first.host not in host.members(SYSTEMD_TIME):
        return ""
    wait = min(RENEWED, max(context.deadline.left() / 3, 1.0))
    context.note(
        f"the lease names {first.host}, which is online; waiting {wait:.0f} s to see whether it still writes"
    )
    host.pause(wait)
    again = leases.holder(leases.parse(host.read_lease(path, LEASE_TIME)))
    if again is None or again.held == first.held:
        return ""
    return f"{again.host} holds the role and still writes its lease {path}; it is not taken here"


def here(context: Call, host: Host) -> str:
    """Give the name of this host, as the lease has it."""
    return context.node or host.nodename()


def write_lease(context: Call, host: Host, change: leases.Change) -> str:
    """Change the lease and this host's own record; give who else holds the role. Raises CannotAsk."""
    name, boot, now = here(context, host), host.boot(), host.clock()

    def changed(text: str) -> tuple[str, str]:
        return change(text, name, boot, now)

    try:
        host.record(changed)
    except OSError as error:
        context.warn(f"the record of the role cannot be written on this host: {error}")
    path = context.parameters.lease
    return host.lease(path, changed, min(LEASE_TIME, max(context.deadline.left(), 1.0))) if path else ""


def bring_down(context: Call, host: Host, profile: Profile) -> Outcome:
    """Stop the units in the opposite order, kill what does not end, and prove that nothing is left."""
    try:
        # Also for a profile that recovers nothing by now: the service goes on with the one that it was started with.
        recovery_watch.end(host, context.deadline)
    except CannotAsk as error:
        return failed(f"what recovers hosts is not proven to have ended: {error}")
    for unit in reversed(profile.units):
        host.stop(unit, min(SYSTEMD_TIME, max(context.deadline.left(), 1.0)))
        _wait(host, unit, context.deadline.at_most(max(context.deadline.left() - KILL_TIME, 0.0)))
    for unit in reversed(profile.units):
        if not _is_down(host, unit, gone=True):
            context.warn(f"{unit} has processes that do not end by themselves; they are killed")
            host.kill(unit, SYSTEMD_TIME)
            _wait(host, unit, context.deadline.at_most(KILL_TIME / 2), gone=True)
    try:
        profile.withdraw(host, context.deadline, context.note)
    except CannotAsk as error:
        context.warn(f"what belongs to {profile.name} does not end: {error}")
    left, said = profile.present(host, context.deadline)
    if left != NOWHERE:
        return failed(f"the role of {profile.name} is not proven to be gone: {said}")
    try:
        profile.leave(host, context.deadline, context.note)
    except CannotAsk as error:
        return failed(f"the role of {profile.name} cannot be left: {error}")
    try:
        write_lease(context, host, leases.leave)
    except CannotAsk as error:
        context.warn(f"the lease still names this host: {error}")
    return done(f"the role of {profile.name} is not here any more")


def _wait(host: Host, unit: str, until: Deadline, gone: bool = False) -> None:
    """Wait until a unit is down; with `gone` also until no process of it is left, which nobody else sees to."""
    while not _is_down(host, unit, gone):
        if until.expired:
            return
        host.pause(POLL)


def _is_down(host: Host, unit: str, gone: bool) -> bool:
    seen = host.units([unit], SYSTEMD_TIME)[unit]
    return seen.down and not seen.pid and not (gone and host.leftovers(seen))


def started_at_boot(host: Host, profile: Profile, timeout: float) -> tuple[str, ...]:
    """Give the units that the init system would start by itself, behind the cluster's back."""
    units = host.units(profile.not_at_boot, timeout)
    return tuple(name for name, unit in units.items() if unit.enabled in ENABLED)
