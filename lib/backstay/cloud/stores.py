# SPDX-License-Identifier: GPL-2.0-or-later
"""The storage of a cloud description: what the hosts share, and how it is checked on each of them.

Decides which resources it becomes, and what is looked at where. Frozen and typed, like the rest of the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePosixPath

from backstay.cloud.units import Seconds

CEPH_CONF = PurePosixPath("/etc/ceph/ceph.conf")
PATIENCE = Seconds(Fraction(60))
SLOW = Seconds(Fraction(2))


@dataclass(frozen=True, slots=True)
class DrbdVolume:
    """One volume of a DRBD resource: the block device below it on every host, and the number of /dev/drbdNUMBER."""

    number: int
    disk: PurePosixPath
    minor: int


@dataclass(frozen=True, slots=True)
class Drbd:
    """A disk that hosts mirror, `resource` in drbd.d, by one of `addresses` each; `generation` is 8 or 9."""

    resource: str
    hosts: tuple[str, ...]
    generation: int = 8
    port: int = 0
    volumes: tuple[DrbdVolume, ...] = ()
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DatastoreCheck:
    """What the datastore agent is told, in the words of its template."""

    name: str
    directory: PurePosixPath
    after: str
    source: str
    fstype: str
    reaction: str
    patience: Seconds
    slow: Seconds
    least_free: str
    least_inodes: str
    quota: str
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Storage:
    """What the hosts share; `type` says which of the fields mean something. Without `hosts` every host has it."""

    name: str
    type: str
    directory: PurePosixPath | None = None
    options: str = ""
    hosts: tuple[str, ...] = ()
    server: str = ""
    export: PurePosixPath | None = None
    portal: str = ""
    target: str = ""
    device: PurePosixPath | None = None
    volume_group: str = ""
    volume: str = ""
    image: str = ""
    pool: str = "rbd"
    user: str = ""
    ceph_conf: PurePosixPath = CEPH_CONF
    mode: str = "shared"
    reaction: str = "leave"
    patience: Seconds = PATIENCE
    slow: Seconds = SLOW
    least_free: str = "5%"
    least_inodes: str = "5%"
    quota: str = "none"
    filesystem: str = ""
    drbd: Drbd | None = None

    @property
    def resource(self) -> str:
        """The resource that a domain needs."""
        return self.name if self.mode == "exclusive" else f"{self.name}-clone"

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids that its resources may have."""
        parts = ("clone", "fs", "target", "vg", "check", "check-clone")
        return (self.name, *(f"{self.name}-{part}" for part in parts))

    @property
    def check(self) -> DatastoreCheck | None:
        """What is looked at on each host; None where nothing can be, or the admin does not want it."""
        if self.reaction == "none" or self.type == "lvm":
            return None
        where = self.directory or PurePosixPath("/dev/rbd", self.pool, self.image)
        sources = {
            "nfs": f"{self.server}:{self.export}",
            "glusterfs": f"{self.server}:/{self.volume}",
            "iscsi-ocfs2": str(self.device),
            "gfs2": str(self.device),
            "drbd": str(self.device),
        }
        return DatastoreCheck(
            name=self.name,
            directory=where,
            after=self.resource,
            source=sources.get(self.type, ""),
            fstype={"iscsi-ocfs2": "ocfs2", "ceph-rbd": "", "drbd": self.filesystem}.get(
                self.type, self.type
            ),
            reaction=self.reaction,
            patience=self.patience,
            slow=self.slow,
            least_free=self.least_free,
            least_inodes=self.least_inodes,
            quota=self.quota,
            hosts=self.hosts,
        )

    @property
    def watched_by(self) -> str:
        """The check whose failure takes domains away; empty when none does."""
        return f"{self.name}-check-clone" if self.check and self.reaction != "degrade" else ""

    @property
    def locked(self) -> bool:
        """Whether it needs the distributed lock manager."""
        return self.type in ("gfs2", "iscsi-ocfs2") or (self.type == "lvm" and self.mode == "shared")

    @property
    def lvmlockd(self) -> bool:
        """Whether it needs lvmlockd beside it."""
        return self.locked and bool(self.volume_group)

    def holds(self, path: PurePosixPath) -> bool:
        """Whether `path` lies on it."""
        if self.type == "lvm":
            return path.is_relative_to(PurePosixPath("/dev", self.volume_group))
        if self.type == "ceph-rbd":
            return path == PurePosixPath("/dev/rbd", self.pool, self.image)
        return self.directory is not None and path.is_relative_to(self.directory)
