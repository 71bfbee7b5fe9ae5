# SPDX-License-Identifier: GPL-2.0-or-later
"""`snapshot`: a stop saves the guest's memory, the next start restores it, and never onto a newer disk.

An old memory on a newer disk destroys the guest's file systems, so an image is used only when nothing can have
written to the disks since it was made:

- Each start, on whatever host, first writes a new generation beside the image. An image belongs to the generation in
  which it was saved; it is restored only if no start came after. A directory that cannot be written refuses the start:
  without a new generation, an old image would look like a fresh one later.
- The generation is written before the restore as well, so that an image is used once, even if its start is killed.
- The record is written after the emulator is gone and holds the size of the image, and size and time of the last
  change of each disk that is a file: a start that this agent does not know of (virsh start) shows there. A disk that is
  a block device has no such sign.

Only the memory of a guest that is well is saved: after a failed monitor a restore would bring the failure back.

An image that does not fit is set aside (renamed), the guest starts cold, and that is said. So is one that libvirt
cannot restore: a guest that runs without its old memory is worth more than one that does not run.
"""

from __future__ import annotations

from backstay.agents import domain_features
from backstay.agents.domain_lock import is_locked
from backstay.errors import BackstayError
from backstay.host import libvirt
from backstay.host.snapshots import NO_IMAGE, UNREADABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from backstay.agents.domain_world import World
    from backstay.host.clock import Deadline
    from backstay.host.libvirt import Answer
    from backstay.host.snapshots import Found

    class Files(Protocol):
        """The files in the directory (host.snapshots); every method raises CannotAsk."""

        def path(self, uuid: str) -> str: ...
        def look(self, uuid: str, timeout: float) -> Found: ...
        def next_generation(self, uuid: str, host: str, timeout: float) -> str: ...
        def write_record(self, uuid: str, text: str, timeout: float) -> None: ...
        def write_generation(self, uuid: str, text: str, timeout: float) -> None: ...
        def forget_record(self, uuid: str, timeout: float) -> None: ...
        def forget(self, uuid: str, timeout: float) -> None: ...
        def set_aside(self, uuid: str, timeout: float) -> str: ...
        def signatures(self, files: tuple[str, ...], timeout: float) -> dict[str, str]: ...

    class Saving(Protocol):
        """Memory into a file and back (host.libvirt_save)."""

        def definition(self, uuid: str, timeout: float) -> Answer: ...
        def save(self, uuid: str, path: str, timeout: float) -> Answer: ...
        def restore(self, uuid: str, path: str, timeout: float) -> Answer: ...


TITLE = "backstay snapshot 1"
SHARE = 10.0  # seconds for a small file on the share
RECORDING = 2.0  # seconds, three times: the guest is gone already, and its stop has to end
CANCELLING = 5.0  # seconds for cancelling a save
COLD, RESTORE, SET_ASIDE = "cold", "restore", "set aside"


def record(generation: str, size: int, disks: dict[str, str]) -> str:
    """Give the text that says what an image belongs to."""
    lines = [TITLE, generation, str(size)]
    return "\n".join(lines + [f"{signature} {path}" for path, signature in sorted(disks.items())])


def disks_of(text: str) -> tuple[str, ...]:
    """Give the disks that a record names."""
    return tuple(line.split(" ", 2)[2] for line in text.split("\n")[3:] if line.count(" ") >= 2)


def verdict(found: Found, disks: dict[str, str]) -> tuple[str, str]:
    """Decide what a start does with what lies in the directory; `disks` is how the disks of the record are now."""
    if found.size == NO_IMAGE:
        return COLD, "there is no saved memory"
    saved = found.record.split("\n")
    if saved[0] != TITLE or len(saved) < 3:
        return SET_ASIDE, "it was not saved to its end"
    if not found.generation or saved[1] != found.generation:
        last = found.generation.partition(" ")[2] or "somebody"
        return SET_ASIDE, f"the guest was started since (the last time on {last})"
    if saved[2] != str(found.size):
        return SET_ASIDE, f"it has {found.size} bytes and was saved with {saved[2]}"
    changed = [
        path for path, now in sorted(disks.items()) if now == UNREADABLE or f"{now} {path}" not in saved[3:]
    ]
    if changed or found.record != record(saved[1], found.size, disks):
        return SET_ASIDE, f"its disk was written since, or cannot be read: {', '.join(changed)}"
    return RESTORE, "nothing was started or written since"


class Snapshot:
    """The saved memory of one domain, at a start or a stop."""

    __slots__ = ("before", "files", "restoring", "saving", "world")

    def __init__(self, world: World, files: Files, saving: Saving) -> None:
        self.world = world
        self.files = files
        self.saving = saving
        self.before = ""
        self.restoring = False

    # ---- start

    def claim(self, uuid: str, where: str, deadline: Deadline) -> str:
        """Decide between restore and cold start, and begin a new generation; gives a sentence when neither is safe."""
        try:
            found = self.files.look(uuid, self._patience(deadline))
            disks = self.files.signatures(disks_of(found.record), self._patience(deadline))
            what, why = verdict(found, disks)
            self.files.next_generation(uuid, self.world.host, self._patience(deadline))
        except BackstayError as error:
            return f"{where} is not started: {error}; mount its share, or unset snapshot"
        if what == SET_ASIDE:
            self._set_aside(uuid, where, why, deadline)
        self.restoring = what == RESTORE
        self.before = found.generation
        return ""

    def put_off(self, uuid: str, deadline: Deadline) -> None:
        """Take the generation of this start back: a lock refused it, so nothing ran, and the image fits still."""
        if not self.restoring:
            return
        try:
            self.files.write_generation(uuid, self.before, self._patience(deadline))
        except BackstayError as error:
            self.world.warn(f"the saved memory will not fit at the next start: {error}")

    def restore(self, uuid: str, where: str, deadline: Deadline) -> Answer:
        """Restore the memory; when libvirt cannot, the image is set aside, and the caller starts cold.

        A lock is no fault of the image: the caller tries again.
        """
        answer = self.saving.restore(uuid, self.files.path(uuid), deadline.left())
        if answer.kind == libvirt.ERROR and not is_locked(answer.text):
            self.restoring = False
            self._set_aside(uuid, where, f"libvirt could not restore it: {answer.text}", deadline)
        return answer

    def used(self, uuid: str, deadline: Deadline) -> None:
        """Remove the image of a guest that runs; until then its generation kept it from being used again."""
        unmark(self.world)
        if not self.restoring:
            return
        try:
            self.files.forget(uuid, self._patience(deadline))
        except BackstayError as error:
            self.world.warn(f"the used image {self.files.path(uuid)} could not be removed: {error}")

    # ---- stop

    def save(self, uuid: str, where: str, deadline: Deadline) -> bool:
        """Save the memory and end the guest; false, and said, when it still runs and has to be shut down."""
        try:
            generation = self._begin(uuid, deadline)
        except BackstayError as error:
            self.world.warn(f"the memory of {where} is not saved: {error}; the guest is shut down instead")
            return False
        xml = self.saving.definition(uuid, self._patience(deadline))
        answer = self.saving.save(uuid, self.files.path(uuid), max(1.0, deadline.left() - CANCELLING))
        if answer.kind != libvirt.KNOWN:
            self._give_up(uuid, where, answer)
            return False
        try:
            self._complete(uuid, generation, xml.text.encode("utf-8", "surrogateescape"))
        except BackstayError as error:
            self.world.warn(
                f"the saved memory of {where} will not be restored, its record is missing: {error}"
            )
        return True

    def _begin(self, uuid: str, deadline: Deadline) -> str:
        """Give the generation that runs; what lies there from before becomes an image of nothing."""
        found = self.files.look(uuid, self._patience(deadline))
        if found.record:
            self.files.forget_record(uuid, self._patience(deadline))
        return found.generation or self.files.next_generation(uuid, self.world.host, self._patience(deadline))

    def _complete(self, uuid: str, generation: str, xml: bytes) -> None:
        disks = self.files.signatures(domain_features.read(xml).disks, RECORDING)
        size = self.files.look(uuid, RECORDING).size
        self.files.write_record(uuid, record(generation, size, disks), RECORDING)

    def _give_up(self, uuid: str, where: str, answer: Answer) -> None:
        if answer.kind == libvirt.HUNG:
            self.world.libvirt.cancel(uuid, CANCELLING)
        why = answer.text or answer.kind
        self.world.warn(f"the memory of {where} could not be saved: {why}; the guest is shut down instead")

    def _set_aside(self, uuid: str, where: str, why: str, deadline: Deadline) -> None:
        try:
            kept = self.files.set_aside(uuid, self._patience(deadline))
        except BackstayError as error:
            kept = f"nowhere ({error})"
        self.world.warn(f"{where} starts without its saved memory: {why}; the image is kept as {kept}")

    def _patience(self, deadline: Deadline) -> float:
        return max(0.5, deadline.at_most(SHARE).left())


def mark(world: World, why: str) -> None:
    """Remember that a monitor of the guest failed: its memory holds what went wrong, and would bring it back."""
    try:
        world.memory.write(_mark(world), why)
    except OSError as error:
        world.warn(f"that a monitor failed cannot be remembered: {error}")


def marked(world: World) -> str:
    """Give why a monitor of the guest failed since its start, or an empty text."""
    try:
        return world.memory.read(_mark(world))
    except OSError:
        return ""


def unmark(world: World) -> None:
    """Forget it: the guest is started anew."""
    try:
        world.memory.forget(_mark(world))
    except OSError as error:
        world.warn(f"that a monitor failed cannot be forgotten: {error}")


def _mark(world: World) -> str:
    return f"domain-{world.instance}.unwell"
