# SPDX-License-Identifier: GPL-2.0-or-later
"""What belongs to a domain besides its running: the resources it needs first, its limits, its scripts at start.

Decides what becomes of a trouble with them: none ever stops a guest. Pacemaker 2.1.5 stops and starts the guest after a
reload-agent that answers anything but 0, 190 included (seen with crm_simulate). So it answers 0 whatever libvirt says;
what could not be set is degraded at the next monitor, which tries again now and then, until it is set or the parameter
is corrected.
"""

from __future__ import annotations

from backstay.agents.domain_limits import NAMESPACE, PARAMETERS, Shape, Wanted, plan, record
from backstay.agents.domain_state import RUNNING
from backstay.agents.domain_world import glance, limits_trouble, survey
from backstay.host import libvirt
from backstay.host.emulator import uuid_of
from backstay.ocf import codes
from backstay.ocf.context import number
from backstay.ocf.outcome import Outcome, degraded, done

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Protocol

    from backstay.agents.domain_inside import Tools
    from backstay.agents.domain_limits import Plan, Step
    from backstay.agents.domain_world import World
    from backstay.host.clock import Deadline
    from backstay.ocf.context import Context

    class Limits(Protocol):
        """Limits of running domains (host.libvirt_limits)."""

        def look(self, uuid: str, timeout: float) -> dict[str, Any]: ...
        def apply(
            self, uuid: str, calls: Sequence[tuple[str, str, dict[str, int]]], timeout: float
        ) -> dict[str, Any]: ...
        def write(self, uuid: str, record: str, namespace: str, timeout: float) -> dict[str, Any]: ...


ASKING = 5.0  # seconds for one question to libvirt
AGAIN = 60.0  # seconds until a monitor tries again to set what could not be set
START_SHARE = 0.25  # of the time of a start or a migration, at most, for networks and pools


# ---- limits


def limit(world: World, limits: Limits, wanted: Wanted, deadline: Deadline) -> str:
    """Set and lift limits of a guest that runs; gives what went wrong in one sentence, or an empty text."""
    seen = glance(world, deadline)
    if seen.truth != RUNNING:
        return ""
    uuid = uuid_of(seen.emulators[0].arguments) or seen.identity.uuid
    looked = limits.look(uuid, deadline.at_most(ASKING).left())
    if looked["kind"] != libvirt.KNOWN:
        return f"libvirt could not be asked ({looked['kind']}: {looked['text']})"
    try:
        live = Shape(looked["xml"])
    except ValueError as error:
        return f"what libvirt says of its limits cannot be understood: {error}"
    if wanted.empty and not live.applied:
        return ""
    made = plan(wanted, live, _defined(world, deadline), looked["shares"])
    troubles = made.troubles + _carry_out(world, limits, uuid, made, live.applied, deadline)
    return "; ".join(dict.fromkeys(troubles))


def _carry_out(
    world: World, limits: Limits, uuid: str, made: Plan, applied: Mapping[str, int], deadline: Deadline
) -> list[str]:
    """Do the steps, and write down what is limited; give what went wrong.

    What is going to be limited is written down before: a limit of an agent that is killed can be lifted all the same.
    """
    if not made.steps:
        return []
    begun = record(applied, [step for step in made.steps if not step.lifts])
    if begun != record(applied, []):
        limits.write(uuid, begun, NAMESPACE, deadline.at_most(ASKING).left())
    calls = [(step.what, step.which, step.values) for step in made.steps]
    answer = limits.apply(uuid, calls, deadline.at_most(ASKING).left())
    if answer["kind"] != libvirt.KNOWN:
        return [f"libvirt did not answer ({answer['kind']}: {answer['text']})"]
    troubles = [
        f"{_named(step)}: {said}" for step, said in zip(made.steps, answer["said"], strict=True) if said
    ]
    succeeded = [step for step, said in zip(made.steps, answer["said"], strict=True) if not said]
    for step in succeeded:
        world.note(f"{world.instance}: {_named(step)} was {'lifted' if step.lifts else 'set'}")
    wrote = limits.write(uuid, record(applied, succeeded), NAMESPACE, deadline.at_most(ASKING).left())
    if wrote["kind"] != libvirt.KNOWN:
        troubles.append(f"what was limited could not be written down ({wrote['text']})")
    return troubles


def _named(step: Step) -> str:
    values = " ".join(f"{name}={value}" for name, value in step.values.items() if value)
    return f"the limit of {step.what}{' ' if step.which else ''}{step.which} ({values or 'none'})"


def _defined(world: World, deadline: Deadline) -> Shape | None:
    definition = survey(world, deadline, definition_first=True).identity.definition
    try:
        return Shape(definition.content) if definition is not None else None
    except ValueError:
        return None


def wanted_of(context: Context[Any]) -> Wanted:
    """Give what the parameters of this call say."""
    given = context.parameters
    return Wanted(**{name: getattr(given, name) for name in PARAMETERS}, wrong=given.wrong)


def _limits_of(context: Context[Any]) -> Limits:
    from backstay.host.libvirt_limits import LibvirtLimits

    return LibvirtLimits(context.parameters.hypervisor)


def limit_and_remember(world: World, limits: Limits, wanted: Wanted, deadline: Deadline) -> str:
    """Set limits, and leave a trouble to the monitors in /run/backstay; gives the trouble."""
    trouble = limit(world, limits, wanted, deadline)
    name = trouble_name(world.instance)
    try:
        if trouble:
            world.memory.write(name, f"{world.monotonic():.1f} {trouble}")
        else:
            world.memory.forget(name)
    except OSError as error:
        world.warn(f"a trouble with the limits of {world.instance} cannot be remembered: {error}")
    if trouble:
        world.warn(f"not all limits of {world.instance} are set: {trouble}")
    return trouble


def trouble_name(instance: str) -> str:
    """Give the name of the text in which a trouble with limits waits for the monitors."""
    return f"domain-{instance}.limits"


def reload(world: World, limits: Limits, wanted: Wanted, deadline: Deadline) -> Outcome:
    """Take over changed parameters; always 0, see above."""
    trouble = limit_and_remember(world, limits, wanted, deadline)
    if trouble:
        return done(
            f"the limits of {world.instance} could not all be set: {trouble}; its monitor tries again"
        )
    return done("the limits are set, and the other new parameters are used from the next action on")


def with_limits(
    world: World, limits: Limits, wanted: Wanted, outcome: Outcome, before: str, deadline: Deadline
) -> Outcome:
    """Add to a monitor's outcome that limits are not set; `before` is the text of the last attempt.

    It tries again when the last attempt is long enough ago.
    """
    since, _, trouble = before.partition(" ")
    if outcome.code == codes.SUCCESS and world.monotonic() - number(since, 0.0) >= AGAIN:
        trouble = limit_and_remember(world, limits, wanted, deadline.at_most(2 * ASKING))
    if not trouble or outcome.code not in (codes.SUCCESS, codes.DEGRADED):
        return outcome
    said = f"not all limits of {world.instance} are set: {trouble}"
    return degraded(said if outcome.code == codes.SUCCESS else f"{outcome.reason}; {said}")


# ---- the actions


def before_start(context: Context[Any], world: World) -> None:
    """Start the networks and storage pools that the definition names, if the admin wants that."""
    _start_resources(context, world, context.parameters.hypervisor, world.host)


def before_departure(context: Context[Any], world: World, remote: str) -> None:
    """Do the same at the target of a migration, whose libvirt is at `remote`."""
    _start_resources(context, world, remote, context.migrate_target)


def _start_resources(context: Context[Any], world: World, uri: str, host: str) -> None:
    if not context.parameters.start_resources:
        return
    from backstay.agents.domain_resources import start_needed
    from backstay.host.libvirt_resources import LibvirtResources

    definition = survey(world, context.deadline, definition_first=True).identity.definition
    if definition is not None:
        share = context.deadline.part(START_SHARE)
        start_needed(world, LibvirtResources(uri), definition.content, share, host)


def after_start(context: Context[Any], world: World, outcome: Outcome) -> Outcome:
    """Set the limits of a guest that runs now, and wait for the scripts that say that it is well."""
    if outcome.code != codes.SUCCESS:
        return outcome
    wanted = wanted_of(context)
    if not wanted.empty or limits_trouble(
        world
    ):  # one of before the last stop, with limits that are not wanted now
        limit_and_remember(world, _limits_of(context), wanted, context.deadline.at_most(3 * ASKING))
    if not context.parameters.monitor_scripts:
        return outcome
    from backstay.agents.domain_inside import gate, tools_of

    seen = glance(world, context.deadline)
    tools: Tools = tools_of(context)
    return gate(world, seen, tools, context.deadline) if seen.truth == RUNNING else outcome


def after_arrival(context: Context[Any], world: World, outcome: Outcome) -> Outcome:
    """Set the limits of a guest that has arrived from another host."""
    if outcome.code == codes.SUCCESS:
        limit_and_remember(
            world, _limits_of(context), wanted_of(context), context.deadline.at_most(3 * ASKING)
        )
    return outcome


def take_over(context: Context[Any], world: World) -> Outcome:
    """Do reload-agent."""
    return reload(world, _limits_of(context), wanted_of(context), context.deadline)


def beside(context: Context[Any], world: World, outcome: Outcome, before: str) -> Outcome:
    """Do what a monitor does about limits that are not set."""
    wanted = wanted_of(context)
    if wanted.untouched:
        before = f"{world.monotonic():.1f} {'; '.join(wanted.untouched.values())}"
    return with_limits(world, _limits_of(context), wanted, outcome, before, context.deadline)
