# SPDX-License-Identifier: GPL-2.0-or-later
"""The frontend agent's looks: the units, then the questions, then the lease.

Decides what they come to: up when every required probe is answered, degraded when an optional one is not, or while a
required one has not been for a short time.
"""

from __future__ import annotations

from backstay.agents import frontend_lease as leases
from backstay.agents import recovery_watch, remembered
from backstay.agents.frontend_memory import Memory
from backstay.agents.frontend_profile import COMMAND, NOWHERE, PARTLY
from backstay.agents.frontend_role import started_at_boot, write_lease
from backstay.agents.remembered import TOOL_TIME, keep
from backstay.errors import CannotAsk
from backstay.ocf.outcome import Outcome, degraded, failed, running, stopped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstay.agents.frontend import FrontendParameters
    from backstay.agents.frontend_profile import Profile
    from backstay.host.frontend import Host
    from backstay.host.probes import Answer
    from backstay.ocf.context import Context

    Call = Context[FrontendParameters]  # the one that every function here is given

RESERVE = 8.0  # seconds of a monitor that are kept for what follows the questions


def probe(context: Call, host: Host, profile: Profile) -> Outcome:
    """Say whether the role is here: not running only on proof, and never "failed"."""
    memory = Memory.read(host.recall(), host.now())
    if memory.attribute or memory.recovery:
        # Pacemaker may just have started, and then other hosts know nothing.
        memory.attribute = memory.recovery = ""
        keep(context, host, memory)
    try:
        where, said = profile.present(host, context.deadline)
    except CannotAsk as error:
        return degraded(f"whether the role of {profile.name} is here is not known: {error}")
    if where == NOWHERE:
        return stopped(said)
    return (
        degraded(f"the role of {profile.name} is here in part: {said}") if where == PARTLY else running(said)
    )


def watch(context: Call, host: Host, profile: Profile) -> Outcome:
    """Look, ask, renew the lease, remember."""
    memory = Memory.read(host.recall(), host.now())
    before = memory.text()
    try:
        outcome = _watch(context, host, profile, memory)
    except CannotAsk:
        publish(context, host, memory, "degraded")
        keep(context, host, memory)
        raise
    value = {0: "up", 7: "", 190: "degraded"}.get(outcome.code, "failed")
    publish(context, host, memory, value)
    if outcome.code not in (0, 7) and memory.trouble != outcome.reason:
        context.warn(outcome.reason)
    memory.trouble = "" if outcome.code == 0 else outcome.reason
    if memory.text() != before:
        keep(context, host, memory)
    return outcome


def _watch(context: Call, host: Host, profile: Profile, memory: Memory) -> Outcome:
    try:
        where, said = profile.present(host, context.deadline)
    except CannotAsk as error:
        return _unseen(context, host, profile, memory, error)
    if where == NOWHERE:
        return stopped(said)
    remark, other = _renew(context, host)
    if other:
        context.journal.alert(
            f"the lease says that {other} holds the role of {profile.name}, which runs here"
        )
        return failed(f"{other} holds the role of {profile.name} by its lease")
    answers = _ask(context, host, profile, memory)
    if where == PARTLY and not _moving(host, profile):
        return failed(f"the role of {profile.name} is here in part: {said}")
    trouble = [said] if where == PARTLY else []
    trouble += [_said(answer) for answer in answers if answer.trouble and answer.required]
    if trouble:
        return _silent(context, host, memory, "; ".join(trouble))
    memory.first = 0.0
    remarks = [_said(answer) for answer in answers if answer.trouble or answer.slow]
    remarks += [remark] if remark else []
    _boots(context, host, profile, memory)
    recovery_watch.watch(context, host, profile, memory)
    if remarks:
        return degraded("; ".join(remarks))
    return running(f"the role of {profile.name} is here, and answers")


def _unseen(context: Call, host: Host, profile: Profile, memory: Memory, why: CannotAsk) -> Outcome:
    """Say what is known where the units cannot be looked at: a role that answers is here, whatever systemd does.

    Else CannotAsk: the guard of every agent makes "degraded" of it for ten minutes, and not for ever.
    """
    said = f"how the units of {profile.name} are is not known: {why}"
    required = [answer for answer in _ask(context, host, profile, memory) if answer.required]
    if required and not any(answer.trouble for answer in required) and not _renew(context, host)[1]:
        return degraded(f"{said}; it answers")
    raise CannotAsk(said) from why


def _said(answer: Answer) -> str:
    return f"{answer.name}: {answer.trouble or f'slow, it took {answer.seconds:.1f} s to answer'}"


def _moving(host: Host, profile: Profile) -> bool:
    """Whether systemd is about to change what is not as it should be (a restart of its own)."""
    try:
        units = host.units(profile.units, TOOL_TIME)
    except CannotAsk:
        return True
    return all(
        unit.active == "active" or unit.moving or name in profile.absent for name, unit in units.items()
    )


def _silent(context: Call, host: Host, memory: Memory, said: str) -> Outcome:
    """A required probe is not answered: degraded at first, for a service that is busy is not one that is down."""
    now = host.now()
    memory.first = memory.first or now
    lasting = now - memory.first
    if lasting < context.parameters.patience:
        return degraded(f"{said}; counts as up for {context.parameters.patience - lasting:.0f} s more")
    return failed(f"{said}, for {lasting:.0f} s")


def _ask(context: Call, host: Host, profile: Profile, memory: Memory) -> Sequence[Answer]:
    """Ask what is not known to hang still: a command that waits in D state is not run a second time."""
    late = memory.late.split("|") if memory.late else []
    held = [
        each
        for each in profile.probes
        if each.name in late and each.kind == COMMAND and host.hangs(each.words)
    ]
    asked = [each for each in profile.probes if each not in held and each.unit not in profile.absent]
    answers = list(host.ask(asked, max(context.deadline.left() - RESERVE, 1.0)))
    from backstay.host.probes import Answer

    answers += [
        Answer(each.name, each.required, "its last command still waits for storage", late=True)
        for each in held
    ]
    memory.late = "|".join(answer.name.replace("|", "/") for answer in answers if answer.late)
    return answers


def _renew(context: Call, host: Host) -> tuple[str, str]:
    """Write that the role is held; give what is wrong with that, and who else holds it."""
    try:
        return "", write_lease(context, host, leases.hold)
    except CannotAsk as error:
        return f"the lease cannot be written: {error}", ""


def _boots(context: Call, host: Host, profile: Profile, memory: Memory) -> None:
    """Warn, once, of units that the init system starts by itself."""
    try:
        found = " ".join(started_at_boot(host, profile, TOOL_TIME))
    except CannotAsk:
        return
    if found and found != memory.boots:
        context.warn(f"the init system starts {found} by itself, on any host; systemctl disable {found}")
    memory.boots = found


def publish(context: Call, host: Host, memory: Memory, value: str) -> None:
    """Set the node attribute if it changed; that it cannot be set fails nothing."""
    remembered.publish(context, host, memory, value, f"the role is {value or 'not here'}")
