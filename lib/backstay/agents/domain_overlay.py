# SPDX-License-Identifier: GPL-2.0-or-later
"""`backingfile` and `stateless`: a disk that is a layer over a file that is never written.

Decides whether a layer is made. It is CONFIG with .qcow2 for its ending, and the definition must name it as a disk.
ocf:heartbeat:VirtualDomain takes all from the first dot on for the ending (`${config%%.*}`); where the definition names
that one, it is meant. A file there that is no layer over the backing file is somebody's disk, and is
never replaced. With stateless=true each start makes a new layer, which is what the admin asked for: what the guest
wrote since the last start is thrown away.
"""

from __future__ import annotations

from backstay.errors import BackstayError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from backstay.agents.domain_features import Features
    from backstay.agents.domain_world import World
    from backstay.host.clock import Deadline
    from backstay.host.disk_images import Image

    class Images(Protocol):
        """Disk images (host.disk_images); both raise CannotAsk."""

        def look(self, path: str, timeout: float) -> Image | None: ...
        def layer(self, path: str, backing: str, backing_format: str, timeout: float) -> None: ...


LOOKING = 5.0  # seconds for one question to qemu-img
KEEP, MAKE, REFUSE = "keep", "make", "refuse"


def layer_of(config: str, disks: Sequence[str] = ()) -> str:
    """Give the path of the layer: VirtualDomain's where only that is a disk of the definition."""
    directory, _, name = config.rpartition("/")
    ours, theirs = f"{directory}/{name.rpartition('.')[0] or name}.qcow2", f"{config.partition('.')[0]}.qcow2"
    return theirs if theirs in disks and ours not in disks else ours


def verdict(stateless: bool, backing: str, is_disk: bool, there: Image | None) -> tuple[str, str]:
    """Decide what a start does about the layer, with the reason of a refusal."""
    if not is_disk:
        return REFUSE, "the definition does not name it as a disk"
    if there is None:
        return MAKE, ""
    if there.backing != backing:
        what = f"a layer over {there.backing}" if there.backing else f"a disk of its own ({there.format})"
        return REFUSE, f"it is {what}, and not over {backing}: move it away, or unset backingfile"
    return (MAKE, "") if stateless else (KEEP, "")


class Overlay:
    """The layer of one domain."""

    __slots__ = ("backing", "images", "stateless", "world")

    def __init__(self, world: World, images: Images, backing: str, stateless: bool) -> None:
        self.world = world
        self.images = images
        self.backing = backing
        self.stateless = stateless

    def prepare(self, features: Features, where: str, deadline: Deadline) -> str:
        """Make the layer if a start needs a new one; gives the sentence that says why the domain must not start."""
        path = layer_of(self.world.config, features.disks)
        try:
            there = self.images.look(path, self._patience(deadline))
            what, why = verdict(self.stateless, self.backing, path in features.disks, there)
            if what == REFUSE:
                return f"{where} is not started, its disk {path}: {why}"
            if what == MAKE:
                base = self.images.look(self.backing, self._patience(deadline))
                if base is None:
                    return f"{where} is not started: its backingfile {self.backing} is not there"
                self.images.layer(path, self.backing, base.format, self._patience(deadline))
                self.world.note(f"{where}: {path} is a new layer over {self.backing}")
        except BackstayError as error:
            return f"{where} is not started, its disk could not be made: {error}"
        return ""

    def _patience(self, deadline: Deadline) -> float:
        return max(0.5, deadline.at_most(LOOKING).left())
