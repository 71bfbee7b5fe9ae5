# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong with a datastore: tables without effects.

Decides the kind of trouble from what was seen, whether it is a failure of this host or a remark, and its sentence.
What fills up or is slow is so for every host, and nobody is helped by moving; what does not answer here may well answer
elsewhere. Never looks at anything itself.
"""

from __future__ import annotations

import errno

from backstay.agents.datastore_amount import least
from backstay.agents.datastore_bricks import shown
from backstay.host.datastore import MISMATCH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstay.agents.datastore import DatastoreParameters
    from backstay.host.datastore import Answer
    from backstay.host.filesystems import Mount

HEALTHY = "healthy"
# the storage cannot be used from this host
ABSENT, FOREIGN, HUNG, STALE, LOST = "absent", "foreign", "hung", "stale", "disconnected"
READ_ONLY, DENIED, BROKEN, CORRUPT = "read-only", "denied", "broken", "corrupt"
FAILURES = (ABSENT, FOREIGN, HUNG, STALE, LOST, READ_ONLY, DENIED, BROKEN, CORRUPT)
# it is used, and worse than it should be, wherever one stands
FULL, SLOW, UNKNOWN = "full", "slow", "unknown"
# it is used, and somebody should look
SOFT, SPACE, INODES, VOLUME = "soft", "space", "inodes", "volume"
REMARKS = (SOFT, SPACE, INODES, VOLUME)
# start cannot wait for these to end: the mount is somebody else's and was to be there before
HOPELESS = (ABSENT, FOREIGN)

BY_ERRNO = {
    errno.ESTALE: STALE,
    errno.ENOTCONN: LOST,
    errno.ECONNABORTED: LOST,
    errno.ESHUTDOWN: LOST,
    errno.EROFS: READ_ONLY,
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EACCES: DENIED,
    errno.EPERM: DENIED,
    errno.ENOENT: ABSENT,
    MISMATCH: CORRUPT,
}
ALIKE = {"nfs": ("nfs", "nfs4"), "ceph": ("ceph", "fuse.ceph-fuse", "fuse.ceph")}
FUSE = "fuse."
NFS = ("nfs", "nfs4")
SOFTENED = ("soft", "softerr")


class Seen:
    """Everything that was looked at. `mount` is None when nothing is mounted there.

    `waits` says in what an abandoned child waits, `silent` for how many seconds it has. `volume` is what is wrong
    with the bricks, as last looked at. `source_fits` is whether the mount's source is the one that is wanted.
    """

    __slots__ = ("answer", "mount", "silent", "source_fits", "volume", "waits")

    def __init__(
        self,
        mount: Mount | None = None,
        answer: Answer | None = None,
        *,
        source_fits: bool = True,
        waits: str = "",
        silent: float = 0.0,
        volume: Sequence[str] = (),
    ) -> None:
        self.mount = mount
        self.answer = answer
        self.source_fits = source_fits
        self.waits = waits
        self.silent = silent
        self.volume = tuple(volume)


def is_device(parameters: DatastoreParameters) -> bool:
    """Whether a block device is meant, which is not mounted."""
    return parameters.directory.startswith("/dev/")


def fits(wanted: str, kind: str) -> bool:
    """Whether a file system of this kind is one that was wanted; nothing in particular is always fine."""
    return not wanted or kind in (wanted, FUSE + wanted, *ALIKE.get(wanted, ()))


def same_source(wanted: str, found: str) -> bool:
    """Whether two sources (`server:/export`, `n1:/volume`) are the same but for slashes nobody sees."""
    return not wanted or _plain(wanted) == _plain(found)


def _plain(source: str) -> tuple[str, str]:
    server, colon, path = source.rpartition(":/") if ":/" in source else source.rpartition(":")
    return (server + colon.rstrip("/"), path.strip("/"))


def misplaced(seen: Seen, parameters: DatastoreParameters) -> tuple[str, str]:
    """Give what is wrong with the mount alone, for which the storage is not touched: kind and sentence."""
    where = parameters.directory
    if is_device(parameters) or not parameters.own_mount:
        return "", ""
    if seen.mount is None:
        return ABSENT, f"nothing is mounted on {where}"
    if not fits(parameters.fstype, seen.mount.kind):
        return FOREIGN, f"what is mounted on {where} is {seen.mount.kind}, not {parameters.fstype}"
    if not seen.source_fits:
        return FOREIGN, f"what is mounted on {where} is {seen.mount.source}, not {parameters.source}"
    if parameters.write and "ro" in seen.mount.options:
        return READ_ONLY, f"{where} is mounted read-only"
    return "", ""


def diagnose(seen: Seen, parameters: DatastoreParameters) -> tuple[str, str]:
    """Give the kind of trouble, HEALTHY without, and the sentence for the admin; the worst when there are several."""
    kind, said = misplaced(seen, parameters)
    if kind:
        return kind, said
    if seen.waits:
        return HUNG, f"{_name(parameters)} does not answer, for {seen.silent:.0f} s (waiting in {seen.waits})"
    if seen.answer is None:
        return UNKNOWN, f"{_name(parameters)} could not be looked at"
    return _answered(seen, seen.answer, parameters)


def _answered(seen: Seen, answer: Answer, parameters: DatastoreParameters) -> tuple[str, str]:
    name = _name(parameters)
    if answer.failure:
        kind = BY_ERRNO.get(answer.failure, BROKEN)
        return kind, f"{name} {_failed(kind, answer)}"
    if parameters.write and answer.size and not answer.free:
        return FULL, f"{name} is full ({shown(answer.size)})"
    if answer.seconds > parameters.slow:
        return SLOW, f"{name} took {answer.seconds:.1f} s, more than {parameters.slow:g} s"
    soft = seen.mount is not None and seen.mount.kind in NFS and seen.mount.options & set(SOFTENED)
    if soft:
        return (
            SOFT,
            f"{name} is mounted with the option {min(soft)}: writes are lost when its server is slow; mount it hard",
        )
    if seen.volume:
        return VOLUME, f"{name}: {'; '.join(seen.volume)}"
    space = least(parameters.least_free, answer.size)
    if answer.free < space:
        return (
            SPACE,
            f"{name} has {shown(answer.free)} free of {shown(answer.size)}, less than {shown(space)}",
        )
    inodes = least(parameters.least_inodes, answer.files)
    if answer.files and answer.files_free < inodes:
        return INODES, f"{name} has {answer.files_free} inodes free of {answer.files}, less than {inodes:.0f}"
    return HEALTHY, f"{name} answers within {answer.seconds:.3f} s"


def _failed(kind: str, answer: Answer) -> str:
    if kind == CORRUPT:
        return "gave back something else than what was written"
    why = os_says(answer.failure)
    if kind == FULL:
        return f"takes no {'more' if answer.failure == errno.ENOSPC else 'more under its quota'} ({why})"
    return f"is {kind}: {answer.step} failed ({why})"


def os_says(number: int) -> str:
    """Give the system's word for an errno."""
    import os

    return os.strerror(number)


def _name(parameters: DatastoreParameters) -> str:
    return f"the datastore {parameters.directory}"
