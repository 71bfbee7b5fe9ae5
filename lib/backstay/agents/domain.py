# SPDX-License-Identifier: GPL-2.0-or-later
"""ocf:backstay:domain: one libvirt domain (QEMU/KVM, or an LXC container) as a cluster resource.

Reads top to bottom: the parameters, the actions, the host that they act on. What is seen and what follows from it is
in domain_state; starting, stopping and migrating have a module each, loaded only when they are wanted, because a
monitor of every domain runs every few seconds on every host.

What a monitor costs, and why no truth is traded for it. A recurring monitor that finds nothing changed ends before
this module is even loaded (host/unchanged.py). It has seen the same process alive and not stopped by a signal,
libvirt's own written word that it runs, the libvirtd that wrote it alive, and under KVM a processor of the guest at
work; libvirt writes that file anew at each change of state, so a guest that was paused, suspended or crashed, and an
emulator that is gone, are seen by the very next monitor. Anything that is not exactly as before, an answer that was
not 0, and every five minutes without an answer of libvirt itself, lead here. Where libvirt cannot answer, the emulator
is asked, or its processors are watched (domain_asked).
"""

from __future__ import annotations

import os
import time

from backstay.agents import domain_container
from backstay.agents.domain_container import is_container
from backstay.agents.domain_definition import normal_uuid
from backstay.agents.domain_parameters import DomainParameters
from backstay.agents.domain_state import RUNNING, STOPPED, condition, judged, monitor, probe
from backstay.agents.domain_world import (
    World,
    glance,
    insist,
    lasted,
    limits_trouble,
    remember,
    survey,
    unknown_for,
)
from backstay.host import libvirt
from backstay.host.child import ask
from backstay.host.clock import pause
from backstay.host.definitions import Definitions
from backstay.host.emulator import Emulators, monitor_socket_of, name_of, uuid_of
from backstay.host.libvirt import Answer, Libvirt
from backstay.host.libvirt_status import says_running, writer, written
from backstay.host.records import Records
from backstay.host.state import State
from backstay.host.unchanged import Unchanged
from backstay.host.vcpus import look as processors
from backstay.ocf import codes
from backstay.ocf.agent import Action, Agent
from backstay.ocf.outcome import Outcome, done, failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from backstay.agents.domain_state import Condition, Seen
    from backstay.agents.domain_world import Elsewhere, Monitor
    from backstay.host.clock import Deadline
    from backstay.host.definition_copies import Copies
    from backstay.host.proc import Process
    from backstay.ocf.context import Context

ABSENT = """Parameters of ocf:heartbeat:VirtualDomain that are not here, and what to do instead.
save_config_on_stop: config is what all hosts start from, and a stop is the wrong moment to replace it with what happens
to run; write changes into config: virsh dumpxml --inactive --security-info shows those of a running guest.
sync_config_on_stop: let config lie on shared storage; while that is away, each host has a copy.
copyindirs: a start cannot wait for libguestfs; put the files into the backing image, or into a disk for cloud-init.
autoset_utilization_cpu, autoset_utilization_host_memory, autoset_utilization_hv_memory, unset_utilization_cpu,
unset_utilization_host_memory, unset_utilization_hv_memory: a monitor that writes into the cluster's configuration
begins a transition, and a balloon that moves would move guests.
What a guest uses is known before it runs: backstay render writes it from the cloud description; without that,
crm_resource --resource NAME --utilization --set-parameter memory --parameter-value MIB does it once."""
DEEP = 10  # check level from which a monitor looks inside
TWICE = 0.5  # seconds between two looks at an emulator that seems to be gone


def start(context: Context[DomainParameters]) -> Outcome:
    """Start the domain."""
    from backstay.agents import domain_around, domain_birth, domain_start

    world = world_of(context)
    domain_around.before_start(context, world)
    birth = domain_birth.birth_of(context, world)
    outcome = domain_start.start(world, context.deadline, birth, context.parameters.guard)
    outcome = domain_around.after_start(context, world, outcome)
    if outcome.code != codes.SUCCESS:
        _forbid(context)
    return remarked(context, outcome)


def stop(context: Context[DomainParameters]) -> Outcome:
    """Stop the domain."""
    from backstay.agents import domain_stop

    given, world = context.parameters, world_of(context)
    modes = domain_stop.modes_of(given.shutdown_mode)
    if _forbid(context):
        modes = domain_container.modes(modes)
    save = None
    if given.snapshot and not given.force_stop and not is_container(given.hypervisor):
        from backstay.agents import domain_birth

        save = domain_birth.save_of(context, world)
    return domain_stop.stop(world, context.deadline, given.force_stop, modes, save)


def migrate_to(context: Context[DomainParameters]) -> Outcome:
    """Move the domain to the host that Pacemaker names."""
    from backstay.agents import domain_around, domain_migration
    from backstay.agents.domain_migration_way import contradiction, way
    from backstay.host.libvirt_migration import Migrations
    from backstay.host.libvirt_preflight import Preflight

    given, target = context.parameters, context.migrate_target
    if is_container(given.hypervisor):
        return failed(f"{context.instance} is a container, and libvirt migrates none: it goes on here")
    if not target:
        return failed("migrate_to was called without a target")
    chosen = way(given, target)
    if doubt := contradiction(given):
        context.warn(f"{doubt}; migrate_options wins")
    world = world_of(context)
    insists = given.guard == "lock"
    hosts = Migrations(given.hypervisor, chosen.remote), Preflight(given.hypervisor, chosen.remote, insists)
    return domain_migration.migrate_to(
        world,
        *hosts,
        context.deadline,
        target,
        chosen,
        lambda: domain_around.before_departure(context, world, chosen.remote),
    )


def migrate_from(context: Context[DomainParameters]) -> Outcome:
    """Wait for the domain that another host sent."""
    from backstay.agents import domain_around, domain_arrival, domain_birth

    world = world_of(context)
    outcome = domain_arrival.migrate_from(world, context.deadline, context.migrate_source)
    if outcome.code == codes.SUCCESS:
        domain_birth.birth_of(context, world).arrived(context.deadline)
    return domain_around.after_arrival(context, world, outcome)


def reload(context: Context[DomainParameters]) -> Outcome:
    """Set changed limits in the running domain."""
    from backstay.agents import domain_around

    Unchanged(os.environ).take()  # a limit that could not be set is the next monitor's business
    return domain_around.take_over(context, world_of(context))


def check(context: Context[DomainParameters]) -> Outcome:
    """Probe or monitor; a probe never goes deeper, because its failure would stop the guest where it runs well."""
    if context.is_probe:
        from backstay.agents.domain_autostart import for_the_next_boot

        return look(world_of(context), context.deadline, lambda seen: for_the_next_boot(context, seen))
    return remarked(context, checked(context))


def checked(context: Context[DomainParameters]) -> Outcome:
    """Do a recurring monitor, as deep as it is asked to."""
    unchanged = Unchanged(os.environ)
    unchanged.take()
    world, given = world_of(context), context.parameters
    world.says_running, world.answered = unchanged.says_running, unchanged.answered
    seen, found, outcome = watched(world, context.deadline, given.degraded_limit)
    if found is None or outcome.code not in (codes.SUCCESS, codes.DEGRADED):
        return outcome
    scripts = given.monitor_scripts and given.monitor_scripts_depth <= context.check_level
    if context.check_level >= DEEP or scripts:
        from backstay.agents import domain_inside

        outcome = domain_inside.look(world, seen, outcome, domain_inside.tools_of(context), context.deadline)
    trouble = limits_trouble(world)
    if given.wrong or trouble:  # said last: it hides nothing of what is wrong inside
        from backstay.agents import domain_around

        outcome = domain_around.beside(context, world, outcome, trouble)
    if found.counts or (given.monitor_scripts and not given.monitor_scripts_depth):
        return outcome  # the short way would neither see the end of what is counted nor run them
    record = world.records.read(context.instance) if outcome.code == codes.SUCCESS else None
    if record is not None:
        unchanged.keep(record.name, record.pid, record.start)
    return outcome


def remarked(context: Context[DomainParameters], outcome: Outcome) -> Outcome:
    """Remember that a start or a monitor failed: a memory that holds the failure is not saved by the stop to come."""
    if outcome.code == codes.GENERIC and context.parameters.snapshot:
        from backstay.agents import domain_snapshot

        domain_snapshot.mark(world_of(context), outcome.reason)
    return outcome


def look(world: World, deadline: Deadline, besides: Callable[[Seen], None] = lambda _seen: None) -> Outcome:
    """Do a probe; in doubt it takes all its time, as a failed one makes Pacemaker stop the guest where it runs well."""
    seen = insist(world, deadline)
    if seen.truth == RUNNING:
        _remember(world, seen)
    besides(seen)
    return probe(seen, world.unseen)


def watched(world: World, deadline: Deadline, limit: float = 0.0) -> tuple[Seen, Condition | None, Outcome]:
    """Do a recurring monitor: processes first, then what libvirt says about how the guest runs.

    Gives what was seen, how the guest is (None when it does not run, or nobody knows) and the answer. After `limit`
    seconds a condition that ages is a failure (0: never).
    """
    seen = glance(world, deadline)
    if seen.truth == STOPPED:
        world.pause(min(TWICE, deadline.left()))
        seen = survey(world, deadline)
    if seen.truth != RUNNING:
        return seen, None, monitor(seen, Answer(libvirt.NOT_ASKED), unknown_for(world, seen))
    _remember(world, seen)
    found = condition(seen, _ask(world, seen, deadline))
    age = lasted(world, seen.emulators[0], found.kind if found.counts else "")
    return seen, found, judged(seen, found, age, limit)


def _ask(world: World, seen: Seen, deadline: Deadline) -> Answer:
    """Give how the guest runs; nobody is asked when libvirt's last written word is that all is well."""
    process = seen.emulators[0]
    name = seen.identity.name or name_of(process.arguments)
    if world.says_running(name, process.pid):
        return Answer(libvirt.KNOWN, state="running")
    from backstay.agents import domain_asked

    return domain_asked.answer(world, seen, _uuid(seen), name, deadline)


def _remember(world: World, seen: Seen) -> None:
    remember(world, seen, _uuid(seen), seen.identity.name)


def _uuid(seen: Seen) -> str:
    return uuid_of(seen.emulators[0].arguments) or seen.identity.uuid


def validate(context: Context[DomainParameters]) -> Outcome:
    """Read the definition on this host (validate-all at level 10)."""
    from backstay.agents import domain_birth

    contradiction = context.parameters.contradiction()
    if contradiction:
        return failed(contradiction, codes.NOT_CONFIGURED)
    seen = survey(world_of(context), context.deadline, definition_first=True)
    identity = seen.identity
    if identity.contradiction:
        return failed(identity.contradiction, codes.NOT_CONFIGURED)
    if identity.definition is None or identity.copied:
        return failed(identity.trouble, codes.NOT_INSTALLED)
    if context.parameters.guard == "lock" and not elsewhere_of(context).lock_manager():
        complaint = (
            "guard=lock, but libvirt here has no lock manager: set lock_manager in /etc/libvirt/qemu.conf"
        )
        return failed(complaint, codes.ARGUMENTS)
    if not (identity.definition.uuid or context.parameters.uuid):
        context.warn(f"{context.parameters.config} has no <uuid>: the domain is recognised by its name alone")
    findings = domain_birth.findings(context, seen)
    if findings:
        return failed(f"{context.parameters.config} defines {identity.name}, but {'; '.join(findings)}")
    return done(f"{context.parameters.config} defines {identity.name}")


def world_of(context: Context[DomainParameters]) -> World:
    """Give this host as the modules of this agent want it."""
    given = context.parameters
    emulators, here = _driver(context)
    return World(
        instance=context.instance,
        host=context.node or os.uname().nodename,
        config=given.config or "",
        uuid=normal_uuid(given.uuid) if given.uuid else "",
        emulators=emulators,
        libvirt=here,
        libvirt_at=Libvirt,
        elsewhere=lambda: elsewhere_of(context),
        monitor=monitor_of,
        records=Records(emulators.boot()),
        memory=State(),
        copies=copies_of,
        read=Definitions().read,
        says_running=says_running,
        writer=writer,
        written=written,
        watch=None if is_container(given.hypervisor) else processors,
        pause=pause,
        monotonic=time.monotonic,
        warn=context.warn,
        note=context.note,
        unseen=_unseen(given.rejected.get("hypervisor", "")),
    )


def _driver(context: Context[DomainParameters]) -> tuple[Emulators, Libvirt]:
    """Give the host's side and libvirt's side of the hypervisor that the domain is for."""
    given = context.parameters
    uri, refused = given.hypervisor, given.rejected.get("hypervisor")
    if not is_container(uri) and not refused:
        return Emulators(ask=ask), Libvirt(uri)
    from backstay.host.container import Containers, Everything
    from backstay.host.libvirt_lxc import Gate, Lxc

    there = Everything(ask=ask) if refused else Containers(ask=ask)
    return there, Lxc(uri, Gate(context.instance)) if is_container(uri) else Libvirt(uri)


def _unseen(refused: str) -> str:
    if not refused:
        return ""
    from backstay.agents.domain_hypervisor import hidden

    return hidden(refused)


def _forbid(context: Context[DomainParameters]) -> bool:
    """Let libvirt carry out nothing any more that it was asked to create, if it is a container; whether it is one."""
    if not is_container(context.parameters.hypervisor):
        return False
    from backstay.host.libvirt_lxc import Gate

    domain_container.forbid(Gate(context.instance), pause, context.warn)
    return True


def elsewhere_of(context: Context[DomainParameters]) -> Elsewhere:
    """Give the other hosts as the guard of a start wants them."""
    from backstay.agents.domain_migration_way import remote
    from backstay.host.elsewhere import Elsewhere as Hosts

    given = context.parameters
    own = context.node or os.uname().nodename
    return Hosts(own, given.hypervisor, lambda host: remote(given, host))


def copies_of() -> Copies:
    """Give this host's copies of definitions; what a monitor of a known emulator never loads."""
    from backstay.host.definition_copies import Copies

    return Copies()


def monitor_of(process: Process) -> Monitor | None:
    """Give the control socket of an emulator; None when its arguments do not say where that is."""
    from backstay.host.qmp import Monitor

    socket = monitor_socket_of(process.arguments)
    return Monitor(socket, uuid_of(process.arguments)) if socket else None


AGENT = Agent(
    "domain",
    "A libvirt domain (QEMU/KVM virtual machine, or LXC container)",
    "Starts, stops, watches and live-migrates one virtual machine that libvirt runs on QEMU or KVM. The process of "
    "the machine is the truth: a libvirtd that is dead or hung makes no monitor fail and no stop, and a "
    "machine is said to be stopped only when its process is seen gone. How it is (paused by an I/O error, say) the "
    "emulator tells beside a dead libvirtd; beside a hung one it is degraded unless its processors are seen to run. A "
    "container (hypervisor lxc:///system) is kept in the same way, without live migration.\n\n"
    "Every host must have the same definition (config) and see the same disks. Set migration with the meta "
    "attribute allow-migrate=true.\n\n"
    "A guest with UEFI or an emulated TPM takes its variables and its TPM's state to another host only if they lie on "
    "shared storage; validate-all at level 10 says where they lie. Nothing here removes them, and a TPM's state is "
    "kept also where libvirt would delete it when the guest ends. A persistent definition that libvirt has is left "
    "as it is.\n\n"
    "Check levels (OCF_CHECK_LEVEL of a monitor operation): 10 looks into libvirt and the emulator (the same process, "
    "an emulator that answers, disks with errors, block jobs), 20 asks the guest agent besides. A probe never goes "
    "deeper than whether the domain runs.\n\n"
    "A guest that reboots is running, and its monitor says so: its emulator stays, and neither libvirt nor the "
    "emulator has a state for it. The only trace is an event that nobody hears who does not listen all the time. One "
    "that powers itself off to be started again by libvirt (on_poweroff=restart, virsh reboot) is well while that "
    "passes.\n\n"
    "Before a migration both hosts' libvirt are asked, and what is bound to fail or to harm is refused in one "
    "sentence. The target's libvirtd agent tells where shared storage is mounted and which lock manager is at work: a "
    "disk on a share that the target has not mounted is refused, and with guard=lock another lock manager too "
    "(without it that is a warning).\n\n"
    "Limits (limit_disk, limit_cpu, cpu_shares, limit_memory, limit_network) and most other parameters may be changed "
    "while the domain runs: Pacemaker calls reload-agent, and the guest goes on.\n\n"
    f"{ABSENT}",
    DomainParameters,
    (
        Action("start", 90, start),
        Action("stop", 120, stop),
        Action("monitor", 30, check, interval=10),
        Action("monitor", 60, check, interval=60, depth=10),
        Action("monitor", 90, check, interval=120, depth=20),
        Action("migrate_to", 300, migrate_to),
        Action("migrate_from", 60, migrate_from),
        Action("reload-agent", 30, reload),
    ),
    validate=validate,
)
