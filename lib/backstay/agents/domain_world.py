# SPDX-License-Identifier: GPL-2.0-or-later
"""What the domain agent needs of its host, as protocols, and the one way in which it looks at it.

Decides how much has to be looked at: an emulator that was verified before is found again by pid and start time,
anything else takes a scan. Touches the host through the protocols only.
"""

from __future__ import annotations

from backstay.agents.domain_definition import parse
from backstay.agents.domain_state import STOPPED, UNKNOWN, Identity, Seen, identify, sort
from backstay.errors import BackstayError
from backstay.host.emulator import INIT, lacks
from backstay.host.proc import Process
from backstay.host.records import Record
from backstay.ocf.context import number
from backstay.ocf.failure import lasting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from backstay.agents.domain_definition import Definition
    from backstay.host.clock import Deadline
    from backstay.host.elsewhere import Sighting
    from backstay.host.libvirt import Answer
    from backstay.host.vcpus import Look

    class Emulators(Protocol):
        """The emulators of this host (host.emulator)."""

        @property
        def by_pid(self) -> bool: ...
        def all(self, timeout: float = ...) -> tuple[Process, ...]: ...
        def again(self, process: Process) -> Process | None: ...
        def signal(self, process: Process, number: int) -> bool: ...
        def waits_for(self, process: Process) -> str: ...
        def files(self, process: Process) -> str: ...

    class Libvirt(Protocol):
        """libvirt on this host (host.libvirt)."""

        def describe(self, uuid: str, name: str, timeout: float) -> Answer: ...
        def create(self, definition: str, timeout: float) -> Answer: ...
        def resume(self, uuid: str, timeout: float) -> Answer: ...
        def shut_down(self, uuid: str, mode: str, timeout: float) -> Answer: ...
        def destroy(self, uuid: str, timeout: float) -> Answer: ...
        def cancel(self, uuid: str, timeout: float) -> Answer: ...

    class Monitor(Protocol):
        """The control socket of one emulator (host.qmp)."""

        def status(self, timeout: float) -> str: ...
        def run_state(self, timeout: float) -> tuple[str, str]: ...
        def power_down(self, timeout: float) -> None: ...
        def quit(self, timeout: float) -> None: ...

    class Elsewhere(Protocol):
        """The libvirt of other hosts, and what guards the disks between them (host.elsewhere)."""

        def hosts(self, timeout: float) -> tuple[str, ...]: ...
        def look(
            self, hosts: Sequence[str], uuid: str, name: str, timeout: float
        ) -> tuple[Sighting, ...]: ...
        def here(self, uuid: str, name: str, timeout: float) -> Sighting: ...
        def lock_manager(self) -> str: ...

    class Records(Protocol):
        """Which emulator was verified as whose (host.records)."""

        def read(self, instance: str) -> Record | None: ...
        def write(self, instance: str, record: Record) -> None: ...
        def forget(self, instance: str) -> None: ...
        def others(self, instance: str) -> tuple[Record, ...]: ...

    class Copies(Protocol):
        """Copies of definitions on this host (host.definition_copies); both raise CannotAsk."""

        def keep(self, instance: str, config: str, content: bytes, timeout: float) -> None: ...
        def read(self, instance: str, config: str, timeout: float) -> tuple[bytes, str]: ...

    class Memory(Protocol):
        """Small texts between two calls (host.state)."""

        def read(self, name: str) -> str: ...
        def write(self, name: str, text: str) -> None: ...
        def forget(self, name: str) -> None: ...


PATIENCE_READING = 5.0  # seconds for a definition to be read; a share that takes longer counts as not mounted
PATIENCE_COPYING = 2.0  # seconds for this host's own copy of a definition
PATIENCE_SCANNING = 10.0  # seconds for the arguments of all processes
UNCERTAIN = 2.0  # seconds between two looks of which the first saw nothing certain
LAST_LOOK = 0.5  # seconds for a look when the deadline has come; the runtime's margin covers it


class World:
    """A host as one call of the agent sees it.

    `libvirt_at` gives the libvirt behind a URI, `copies` (which a healthy monitor never loads) those of this host,
    `watch` looks at the processors of the guest of a process (None where there are none, as in a container), `unseen`
    says why the domain may run here without a process to be seen (domain_hypervisor; mostly empty),
    `answered` is told when libvirt answered a monitor, `monotonic` gives seconds and `pause` waits for some.
    """

    __slots__ = (
        "answered", "config", "copies", "elsewhere", "emulators", "host", "instance", "libvirt", "libvirt_at", "memory",
        "monitor", "monotonic", "note", "pause", "read", "records", "says_running", "unseen", "uuid", "warn",
        "watch", "writer", "written",
    )  # fmt: skip

    def __init__(
        self,
        *,
        instance: str,
        host: str,
        config: str,
        uuid: str,
        emulators: Emulators,
        libvirt: Libvirt,
        libvirt_at: Callable[[str], Libvirt],
        elsewhere: Callable[[], Elsewhere],
        monitor: Callable[[Process], Monitor | None],
        records: Records,
        memory: Memory,
        copies: Callable[[], Copies],
        read: Callable[[str, float], bytes],
        says_running: Callable[[str, int], bool],
        writer: Callable[[], tuple[int, int]],
        written: Callable[[str, int], tuple[str, str]],
        watch: Callable[[int], Look] | None,
        pause: Callable[[float], None],
        monotonic: Callable[[], float],
        warn: Callable[[str], None],
        note: Callable[[str], None],
        answered: Callable[[], None] = lambda: None,
        unseen: str = "",
    ) -> None:
        self.instance = instance
        self.host = host
        self.config = config
        self.uuid = uuid
        self.emulators = emulators
        self.libvirt = libvirt
        self.libvirt_at = libvirt_at
        self.elsewhere = elsewhere
        self.monitor = monitor
        self.records = records
        self.memory = memory
        self.copies = copies
        self.read = read
        self.says_running = says_running
        self.answered = answered
        self.unseen = unseen
        self.writer = writer
        self.written = written
        self.watch = watch
        self.pause = pause
        self.monotonic = monotonic
        self.warn = warn
        self.note = note


def glance(world: World, deadline: Deadline) -> Seen:
    """Look whether the emulator that was verified before still lives; if not, look at everything."""
    record = world.records.read(world.instance)
    living = again(world, record) if world.emulators.by_pid else None
    if record is None or living is None:
        return survey(world, deadline)
    return Seen(Identity(record.uuid, record.name), [living], host=world.host)


def survey(world: World, deadline: Deadline, definition_first: bool = False) -> Seen:
    """Look at every emulator of this host. The record of a living emulator says who the domain is, unless
    `definition_first`: then the definition is read whatever happens, because the caller needs it.
    """
    record = world.records.read(world.instance)
    if again(world, record) is None or definition_first:
        definition, trouble = _definition(world, deadline)
        identity = identify(world.uuid, definition, trouble, record)
    else:
        assert record is not None
        identity = Identity(record.uuid, record.name)
    return scan(world, identity, deadline)


def insist(world: World, deadline: Deadline) -> Seen:
    """Survey until something certain is seen, or until the deadline: a share may come, a busy host may calm down.

    What cannot be seen now cannot be seen later either.
    """
    seen = survey(world, deadline)
    while seen.truth == UNKNOWN and not world.unseen and not deadline.expired:
        world.warn(f"whether {seen.where} runs is not known yet: {seen.trouble}")
        world.pause(min(UNCERTAIN, deadline.left()))
        seen = survey(world, deadline)
    return seen


def scan(world: World, identity: Identity, deadline: Deadline) -> Seen:
    """Look at every emulator of this host for a domain whose identity is known already.

    The recorded emulator is looked at besides: killed, it has no arguments any more to be recognised by, and may
    still hold its disks in D state and write to them when the storage comes back. Gone, it proves that the domain is
    no guest that cannot be seen.
    """
    own = world.records.read(world.instance)
    try:
        everyone = world.emulators.all(max(LAST_LOOK, deadline.at_most(PATIENCE_SCANNING).left()))
    except (OSError, BackstayError) as error:
        living = again(world, own)
        trouble = f"the processes cannot be listed: {error}"
        return Seen(identity, [living] if living else [], trouble, world.host)
    living = again(world, own)
    if living is not None and living not in everyone:
        everyone += (living,)
    seen = sort(identity, everyone, own, world.records.others(world.instance), world.host)
    if seen.truth == STOPPED and world.unseen and own is None:
        return Seen(identity, trouble=world.unseen, host=world.host)
    return seen


def again(world: World, record: Record | None) -> Process | None:
    """Give the recorded emulator if it still lives; when /proc cannot say, it does not count."""
    if record is None:
        return None
    try:
        return world.emulators.again(Process(record.pid, record.start, "?"))
    except OSError:
        return None


def remember(world: World, seen: Seen, uuid: str, name: str) -> None:
    """Keep who runs as which process, for the time when the definition cannot be read; forget that it was unknown."""
    if len(seen.emulators) != 1 or not uuid or lacks(seen.emulators[0]) == INIT:
        return
    process = seen.emulators[0]
    try:
        world.records.write(world.instance, Record(uuid, name, process.pid, process.start))
        world.memory.forget(_unknown(world))
    except OSError as error:
        world.warn(f"the record of {seen.where} cannot be kept in /run/backstay: {error}")


def unknown_for(world: World, seen: Seen) -> float:
    """Give the seconds since the first look in a row that saw nothing certain; 0.0 when this one did.

    It is 0.0 as well where nothing can be seen: a failure would have the domain stopped, which nobody could prove.
    """
    if seen.truth != UNKNOWN or world.unseen:
        return 0.0
    return lasting(_unknown(world), world.memory, world.monotonic())


def lasted(world: World, process: Process, kind: str, level: int = 0) -> float:
    """Give the seconds since this condition of this emulator was first met in a row; `level` is the monitor's own.

    An empty kind ends the row. One small text for each level is all that is kept; without it nothing lasts.
    """
    name = f"domain-{world.instance}.condition{level or ''}"
    try:
        if not kind:
            world.memory.forget(name)
            return 0.0
        now, whose = world.monotonic(), f"{kind} {process.pid} {process.start}"
        before, _, since = world.memory.read(name).rpartition(" ")
        first = number(since, -1.0) if before == whose else -1.0
        if not 0.0 <= first <= now:
            world.memory.write(name, f"{whose} {now:.1f}")
            return 0.0
    except OSError:
        return 0.0
    return now - first


def limits_trouble(world: World) -> str:
    """Give when limits could last not be set, and why (domain_around); empty when nothing is wrong."""
    try:
        return world.memory.read(f"domain-{world.instance}.limits")
    except OSError:
        return ""


def _unknown(world: World) -> str:
    return f"domain-{world.instance}.unknown"


def _definition(world: World, deadline: Deadline) -> tuple[Definition | None, str]:
    """Read the definition; while it cannot be used, this host's copy of it still says who the domain is.

    A copy comes with the trouble that made it necessary; a config that can be used always wins.
    """
    if not world.config:
        return None, "the parameter config is not set"
    try:
        content = world.read(world.config, max(LAST_LOOK, deadline.at_most(PATIENCE_READING).left()))
    except BackstayError as error:
        return _copy(world, f"{error}; is its share mounted?", deadline)
    try:
        definition = parse(content, world.config)
    except BackstayError as error:
        return _copy(world, str(error), deadline)
    try:
        patience = max(LAST_LOOK, deadline.at_most(PATIENCE_COPYING).left())
        world.copies().keep(world.instance, world.config, content, patience)
    except BackstayError as error:
        world.warn(
            f"{error}; while {world.config} cannot be read, this host will not know who {definition.name} is"
        )
    return definition, ""


def _copy(world: World, trouble: str, deadline: Deadline) -> tuple[Definition | None, str]:
    """Give this host's copy with the trouble that made it necessary; no copy, or a damaged one, changes nothing.

    On the host where a guest runs, the copy is as new as the guest: each start and each arrival reads config first. A
    copy that could not be kept was said. On the other hosts it may be older, and then it is as old as what they saw.
    """
    try:
        patience = max(LAST_LOOK, deadline.at_most(PATIENCE_COPYING).left())
        content, taken = world.copies().read(world.instance, world.config, patience)
        definition = parse(content, world.config)
    except BackstayError:
        return None, trouble
    if world.uuid and definition.uuid and world.uuid != definition.uuid:
        return None, trouble  # the parameter is from today
    world.note(f"{trouble}; this host's copy of {taken} says that it is {definition.name}")
    return definition, f"{trouble} (this host has a copy of {taken})"
