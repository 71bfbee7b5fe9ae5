# SPDX-License-Identifier: GPL-2.0-or-later
"""ocf:backstay:domain: one libvirt domain (QEMU/KVM) as a cluster resource.

Reads top to bottom: the parameters, the actions, the host that they act on. What is seen and what follows from it is
in domain_state; starting, stopping and migrating have a module each, loaded only when they are wanted, because a
monitor of every domain runs every few seconds on every host.
"""

from __future__ import annotations

import os
import time

from backstay.agents.domain_definition import normal_uuid
from backstay.agents.domain_state import RUNNING, STOPPED, monitor, probe
from backstay.agents.domain_world import World, glance, insist, remember, survey, unknown_for
from backstay.host import libvirt
from backstay.host.child import ask
from backstay.host.clock import pause
from backstay.host.definitions import Definitions
from backstay.host.emulator import Emulators, monitor_socket_of, name_of, uuid_of
from backstay.host.libvirt import Answer, Libvirt
from backstay.host.libvirt_status import says_running
from backstay.host.records import Records
from backstay.host.state import State
from backstay.ocf import codes
from backstay.ocf.agent import Action, Agent, reload_agent
from backstay.ocf.outcome import Outcome, done, failed
from backstay.ocf.parameters import Parameters, boolean, path, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.agents.domain_state import Seen
    from backstay.agents.domain_world import Monitor
    from backstay.host.clock import Deadline
    from backstay.host.proc import Process
    from backstay.ocf.context import Context

HYPERVISORS = ("qemu:///system", "qemu:///session")
TRANSPORTS = ("", "ssh", "tls", "tcp", "libssh2", "unix")
ASKING = 4.0  # seconds that a monitor gives libvirt for its answer
TWICE = 0.5  # seconds between two looks at an emulator that seems to be gone


def _uuid_complaint(given: str) -> str:
    try:
        normal_uuid(given)
    except ValueError as complaint:
        return str(complaint)
    return ""


def _hypervisor_complaint(given: str) -> str:
    if given.partition("?")[0] in HYPERVISORS:
        return ""
    return f"must be one of {', '.join(HYPERVISORS)}: a domain's emulator is looked for on the host itself"


def _transport_complaint(given: str) -> str:
    return "" if given in TRANSPORTS else f"must be empty or one of {', '.join(TRANSPORTS[1:])}"


def _options_complaint(given: str) -> str:
    from backstay.agents.domain_migration import options

    try:
        options(given)
    except ValueError as complaint:
        return str(complaint)
    return ""


class DomainParameters(Parameters):
    """The parameters; names are those of ocf:heartbeat:VirtualDomain where they mean the same."""

    config = path(
        "file with the definition of the domain (libvirt XML)",
        required=True,
        unique_group="config",
        longdesc="Absolute path of the definition, the same on every host; usually on shared storage. It is needed to "
        "start the domain. A running domain is seen and stopped without it.",
    )
    uuid = text(
        "UUID of the domain",
        check=_uuid_complaint,
        unique_group="uuid",
        longdesc="Says who the domain is while config cannot be read, for example because its share is not mounted on "
        "a host. Must be the UUID that config has.",
    )
    hypervisor = text(
        "libvirt connection URI",
        check=_hypervisor_complaint,
        default="qemu:///system",
        longdesc="The libvirt on this host that runs the domain: qemu:///system or qemu:///session.",
    )
    migration_transport = text(
        "transport to libvirt on the other host",
        check=_transport_complaint,
        reloadable=True,
        longdesc="How libvirt on one host reaches libvirt on another one for a live migration: empty or tls "
        "(certificates), ssh (root's keys), tcp (only in a network that nobody else can enter).",
    )
    migrate_options = text(
        "further options for live migration",
        check=_options_complaint,
        reloadable=True,
        longdesc="Options of virsh migrate: --unsafe, --auto-converge, --compressed, --tunnelled, --abort-on-error, "
        "--parallel, --tls, --undefinesource, --copy-storage-all, --bandwidth=MIBPS, --migrateuri=URI, "
        "--listen-address=ADDRESS. Migration is always live and peer to peer.",
    )
    force_stop = boolean(
        "end the domain without asking the guest",
        reloadable=True,
        longdesc="Stops the domain as if its power were cut. Otherwise the guest is asked to shut down, and gets "
        "60 percent of the stop timeout for it.",
    )


def start(context: Context[DomainParameters]) -> Outcome:
    """Start the domain."""
    from backstay.agents import domain_start

    return domain_start.start(world_of(context), context.deadline)


def stop(context: Context[DomainParameters]) -> Outcome:
    """Stop the domain."""
    from backstay.agents import domain_stop

    return domain_stop.stop(world_of(context), context.deadline, context.parameters.force_stop)


def migrate_to(context: Context[DomainParameters]) -> Outcome:
    """Move the domain to the host that Pacemaker names."""
    from backstay.agents import domain_migration

    given, target = context.parameters, context.migrate_target
    if not target:
        return failed("migrate_to was called without a target")
    to = domain_migration.destination(given.hypervisor, given.migration_transport, target)
    return domain_migration.migrate_to(world_of(context), context.deadline, target, to, given.migrate_options)


def migrate_from(context: Context[DomainParameters]) -> Outcome:
    """Wait for the domain that another host sent."""
    from backstay.agents import domain_migration

    return domain_migration.migrate_from(world_of(context), context.deadline, context.migrate_source)


def check(context: Context[DomainParameters]) -> Outcome:
    """Probe or monitor."""
    world = world_of(context)
    return look(world, context.deadline) if context.is_probe else watch(world, context.deadline)


def look(world: World, deadline: Deadline) -> Outcome:
    """Do a probe; in doubt it takes all its time, as a failed one makes Pacemaker stop the guest where it runs well."""
    seen = insist(world, deadline)
    if seen.truth == RUNNING:
        _remember(world, seen)
    return probe(seen)


def watch(world: World, deadline: Deadline) -> Outcome:
    """Do a recurring monitor: processes first, then what libvirt says about how the guest runs."""
    seen = glance(world, deadline)
    if seen.truth == STOPPED:
        world.pause(min(TWICE, deadline.left()))
        seen = survey(world, deadline)
    answer = Answer(libvirt.NOT_ASKED)
    if seen.truth == RUNNING:
        _remember(world, seen)
        answer = _ask_libvirt(world, seen, deadline)
    return monitor(seen, answer, unknown_for(world, seen))


def _ask_libvirt(world: World, seen: Seen, deadline: Deadline) -> Answer:
    """Ask how the guest runs; when libvirt does not know it, ask again: it may have just started.

    It is not asked when its last written word is that all is well: a question costs more than all else together.
    """
    process = seen.emulators[0]
    if world.says_running(seen.identity.name or name_of(process.arguments), process.pid):
        return Answer(libvirt.KNOWN, state="running")
    uuid = _uuid(seen)
    answer = world.libvirt.describe(uuid, "", deadline.at_most(ASKING).left())
    if answer.answered and not answer.active:
        world.pause(min(TWICE, deadline.left()))
        answer = world.libvirt.describe(uuid, "", deadline.at_most(ASKING).left())
    return answer


def _remember(world: World, seen: Seen) -> None:
    remember(world, seen, _uuid(seen), seen.identity.name)


def _uuid(seen: Seen) -> str:
    return uuid_of(seen.emulators[0].arguments) or seen.identity.uuid


def validate(context: Context[DomainParameters]) -> Outcome:
    """Read the definition on this host (validate-all at level 10)."""
    seen = survey(world_of(context), context.deadline, definition_first=True)
    identity = seen.identity
    if identity.contradiction:
        return failed(identity.contradiction, codes.NOT_CONFIGURED)
    if identity.definition is None:
        return failed(identity.trouble, codes.NOT_INSTALLED)
    if not (identity.definition.uuid or context.parameters.uuid):
        context.warn(f"{context.parameters.config} has no <uuid>: the domain is recognised by its name alone")
    return done(f"{context.parameters.config} defines {identity.name}")


def world_of(context: Context[DomainParameters]) -> World:
    """Give this host as the modules of this agent want it."""
    given = context.parameters
    emulators = Emulators(ask=ask)
    return World(
        instance=context.instance,
        host=context.node or os.uname().nodename,
        config=given.config or "",
        uuid=normal_uuid(given.uuid) if given.uuid else "",
        emulators=emulators,
        libvirt=Libvirt(given.hypervisor),
        libvirt_at=Libvirt,
        monitor=monitor_of,
        records=Records(emulators.boot()),
        memory=State(),
        read=Definitions().read,
        says_running=says_running,
        pause=pause,
        monotonic=time.monotonic,
        warn=context.warn,
        note=context.note,
    )


def monitor_of(process: Process) -> Monitor | None:
    """Give the control socket of an emulator; None when its arguments do not say where that is."""
    from backstay.host.qmp import Monitor

    socket = monitor_socket_of(process.arguments)
    return Monitor(socket, uuid_of(process.arguments)) if socket else None


AGENT = Agent(
    "domain",
    "A libvirt domain (QEMU/KVM virtual machine)",
    "Starts, stops, watches and live-migrates one virtual machine that libvirt runs on QEMU or KVM. The process of "
    "the machine is the truth: a libvirtd that is dead or hung makes no monitor fail and no stop, and a "
    "machine is said to be stopped only when its process is seen gone.\n\n"
    "Every host must have the same definition (config) and see the same disks. Set migration with the meta "
    "attribute allow-migrate=true.",
    DomainParameters,
    (
        Action("start", 90, start),
        Action("stop", 120, stop),
        Action("monitor", 30, check, interval=10),
        Action("migrate_to", 300, migrate_to),
        Action("migrate_from", 60, migrate_from),
        Action("reload-agent", 20, reload_agent),
    ),
    validate=validate,
)
