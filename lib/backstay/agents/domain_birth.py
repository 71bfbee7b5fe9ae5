# SPDX-License-Identifier: GPL-2.0-or-later
"""What belongs to the creation of a domain besides createXML, in its order; the start itself is domain_start.

Decides whether anything stands in the way of a creation, and whether it is a restore. Each concern has its module:
copies of the definition (domain_world), traps (domain_traps), what libvirt is given (domain_features), throw-away
disks (domain_overlay), saved memory (domain_snapshot). Nothing here removes a definition, NVRAM or TPM state: a
persistent definition that exists stays defined, and createXML runs beside it with ours.
"""

from __future__ import annotations

from backstay.agents import domain_features, domain_traps
from backstay.agents.domain_container import is_container
from backstay.agents.domain_features import Features
from backstay.agents.domain_traps import HAND, LATER, NOW, OVERRIDE, REFUSE, SAVED
from backstay.agents.domain_world import glance
from backstay.host import libvirt
from backstay.host.emulator import uuid_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from backstay.agents.domain_overlay import Overlay
    from backstay.agents.domain_snapshot import Snapshot
    from backstay.agents.domain_state import Seen
    from backstay.agents.domain_stop import Save
    from backstay.agents.domain_traps import Trap
    from backstay.agents.domain_world import World
    from backstay.host.clock import Deadline
    from backstay.host.libvirt import Answer
    from backstay.ocf.context import Context

    class Traps(Protocol):
        """What this host would start by itself (host.traps)."""

        def disable_autostart(self, uuid: str, timeout: float) -> Answer: ...
        def remove_managed_save(self, uuid: str, timeout: float) -> Answer: ...
        def guests_at_boot(self) -> bool: ...


ASKING = 5.0  # seconds for one question to libvirt
HELD = ("user", "starting-up")  # paused: created and not yet let run
MARK = f"<backstay:held xmlns:backstay='{libvirt.HELD}'/>".encode()  # removed before the guest is let run
RESTORED = "migration"  # paused: restored and not yet let run (seen with libvirt 9.0)


class Birth:
    """One creation under way. `mode` is one of domain_traps.MODES; no `overlay` or `snapshot`: there is none.

    `marks`: it is created paused, with a mark that says so until it is let run.
    """

    __slots__ = ("found", "marks", "mode", "overlay", "snapshot", "start_from_copy", "traps", "world", "xml")

    def __init__(
        self,
        world: World,
        traps: Traps,
        *,
        mode: str = "clear",
        start_from_copy: bool = False,
        overlay: Overlay | None = None,
        snapshot: Snapshot | None = None,
        marks: bool = True,
    ) -> None:
        self.marks = marks
        self.world = world
        self.traps = traps
        self.mode = mode
        self.start_from_copy = start_from_copy
        self.overlay = overlay
        self.snapshot = snapshot
        self.found: tuple[Trap, ...] = ()
        self.xml = ""

    def refusal(self, seen: Seen, known: Answer, deadline: Deadline) -> str:
        """Make all ready; gives the sentence that says why the domain must not be created, or an empty text."""
        identity = seen.identity
        assert identity.definition is not None
        if identity.copied:
            if not self.start_from_copy:
                return (
                    f"{seen.where} is not started from this host's copy of its definition: {identity.trouble}; mount "
                    "the share, or set start_from_copy=true if config did not change"
                )
            self.world.warn(f"{seen.where} starts from a copy of its definition: {identity.trouble}")
        if self.snapshot is not None and not identity.uuid:
            return f"{seen.where} is not started: snapshot needs to know its UUID, in config or in the parameter uuid"
        content = identity.definition.xml(identity.uuid).encode("utf-8", "surrogateescape")
        features = domain_features.read(content)
        self.found = domain_traps.found(features, known, self.traps.guests_at_boot(), self.world.config)
        given = domain_features.overridden(content, self.mode == "clear")
        if self.marks:
            given = domain_features.marked(given, MARK)
        self.xml = given.decode("utf-8", "surrogateescape")
        trap = self._disarm(known, deadline)
        refused = f"{seen.where} is not started: {trap}" if trap else ""
        if not refused and self.overlay is not None:
            refused = self.overlay.prepare(features, seen.where, deadline)
        if not refused and self.snapshot is not None:
            refused = self.snapshot.claim(identity.uuid, seen.where, deadline)
        return refused

    def _disarm(self, known: Answer, deadline: Deadline) -> str:
        for trap in self.found:
            what = domain_traps.verdict(self.mode, trap)
            if what == REFUSE:
                return str(trap) if trap.cure == HAND else f"{trap} (traps=clear does that)"
            if what == NOW:
                answer = self.traps.disable_autostart(known.uuid, deadline.at_most(ASKING).left())
                if answer.kind != libvirt.KNOWN or answer.autostart:
                    return f"{trap} (libvirt did not: {answer.kind} {answer.text})"
                self.world.warn(f"{trap.does}; autostart was switched off")
            elif what == OVERRIDE:
                self.world.note(f"{trap.does}: overridden for this start; {trap.command}")
            elif what != LATER:
                self.world.warn(str(trap))
        return ""

    def create(self, seen: Seen, deadline: Deadline) -> Answer:
        """Create the domain, or restore it, paused."""
        if self.snapshot is not None and self.snapshot.restoring:
            answer = self.snapshot.restore(seen.identity.uuid, seen.where, deadline.part(0.6))
            if answer.kind != libvirt.ERROR or self.snapshot.restoring:
                return answer
        return self.world.libvirt.create(self.xml, deadline.left())

    def is_held(self, answer: Answer) -> bool:
        """Whether the domain was created and is not yet let run; a restored one is paused for another reason."""
        restored = self.snapshot is not None and self.snapshot.restoring
        return answer.state == "paused" and (
            answer.reason in HELD or (restored and answer.reason == RESTORED)
        )

    def put_off(self, seen: Seen, deadline: Deadline) -> None:
        """Take back what only a creation that came about would justify; nothing of it is left, and nothing ran."""
        if self.snapshot is not None:
            self.snapshot.put_off(seen.identity.uuid, deadline)

    def born(self, seen: Seen, uuid: str, deadline: Deadline) -> None:
        """Remove what is of no use any more now that the guest is seen running. Nothing here fails a start."""
        if self.snapshot is not None:
            self.snapshot.used(uuid, deadline)
        self._remove_image(seen, uuid, deadline)

    def arrived(self, deadline: Deadline) -> None:
        """Clear the traps of this host for a guest that has come from another one; it runs, so nothing is refused."""
        seen = glance(self.world, deadline)
        if len(seen.emulators) != 1:
            return
        uuid = uuid_of(seen.emulators[0].arguments)
        known = self.world.libvirt.describe(uuid, "", deadline.at_most(ASKING).left())
        self.found = domain_traps.found(Features(), known, self.traps.guests_at_boot(), self.world.config)
        if self.mode == "refuse":
            self.mode = "ignore"
        trouble = self._disarm(known, deadline)
        if trouble:
            self.world.warn(f"{seen.where} has arrived, and {trouble}")
        self._remove_image(seen, uuid, deadline)

    def _remove_image(self, seen: Seen, uuid: str, deadline: Deadline) -> None:
        for trap in self.found:
            if trap.kind != SAVED or domain_traps.verdict(self.mode, trap) != LATER:
                continue
            answer = self.traps.remove_managed_save(uuid, deadline.at_most(ASKING).left())
            removed = answer.kind == libvirt.KNOWN and not answer.saved
            word = (
                "it was removed, the disk is newer now"
                if removed
                else f"it could not be removed: {trap.command}"
            )
            self.world.warn(f"{trap.does} on {seen.host}; {word}")


def findings(context: Context[Any], seen: Seen) -> tuple[str, ...]:
    """Give what would surprise an admin later: what stays behind at a failover, and the traps of this host.

    All traps count, whatever a start would do about them: those of a host where the domain does not start stay set.
    """
    from backstay.agents.domain_portable import left_behind
    from backstay.host.filesystems import mounted
    from backstay.host.libvirt import Libvirt
    from backstay.host.traps import Traps

    given, identity = context.parameters, seen.identity
    assert identity.definition is not None
    features = domain_features.read(identity.definition.content)
    ours = Libvirt(given.hypervisor)
    known = ours.describe(identity.uuid, identity.name, context.deadline.at_most(ASKING).left())
    traps = domain_traps.found(features, known, Traps(ours).guests_at_boot(), given.config)
    overridden = given.traps == "clear"
    return (
        *_memory_trouble(given.snapshot, identity.uuid, context.deadline),
        *left_behind(features, mounted),
        *(str(trap) for trap in traps if not (overridden and trap.cure == OVERRIDE)),
    )


def _memory_trouble(directory: str, uuid: str, deadline: Deadline) -> tuple[str, ...]:
    if not directory:
        return ()
    from backstay.errors import BackstayError
    from backstay.host.snapshots import Snapshots

    try:
        Snapshots(directory).look(uuid, deadline.at_most(ASKING).left())
    except BackstayError as error:
        return (str(error),)
    return ()


def birth_of(context: Context[Any], world: World) -> Birth:
    """Give what a start does around the creation."""
    from backstay.host.libvirt import Libvirt
    from backstay.host.traps import Traps

    given = context.parameters
    virtual = not is_container(given.hypervisor)
    return Birth(
        world,
        Traps(Libvirt(given.hypervisor)),
        mode=given.traps,
        start_from_copy=given.start_from_copy,
        overlay=overlay_of(context, world) if given.backingfile and virtual else None,
        snapshot=snapshot_of(context, world) if given.snapshot and virtual else None,
        marks=virtual,
    )


def overlay_of(context: Context[Any], world: World) -> Overlay:
    """Give the throw-away layer of the disk."""
    from backstay.agents.domain_overlay import Overlay
    from backstay.host.disk_images import Images

    return Overlay(world, Images(), context.parameters.backingfile, context.parameters.stateless)


def snapshot_of(context: Context[Any], world: World) -> Snapshot:
    """Give the saved memory of the domain."""
    from backstay.agents.domain_snapshot import Snapshot
    from backstay.host.libvirt import Libvirt
    from backstay.host.libvirt_save import Saving
    from backstay.host.snapshots import Snapshots

    given = context.parameters
    return Snapshot(world, Snapshots(given.snapshot), Saving(Libvirt(given.hypervisor)))


def save_of(context: Context[Any], world: World) -> Save | None:
    """Give what saves the guest's memory at a stop, unless its start or a monitor of it has failed."""
    from backstay.agents.domain_snapshot import marked

    why = marked(world)
    if why:
        world.warn(f"the memory of {context.instance} is not saved: {why}")
        return None
    return snapshot_of(context, world).save
