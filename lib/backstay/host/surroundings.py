# SPDX-License-Identifier: GPL-2.0-or-later
"""What a host has for guests that may come and its libvirt does not tell: shared storage that is mounted, its locks.

Decides nothing about a migration: what the two hosts have is compared, and every difference is a word. libvirt 9.0 says
by no call which lock manager it uses, and does not compare them (seen: a guest whose lease virtlockd held moved to a
host without one, and ran there without a lease). Of a disk it says only that there is a file of that name, which may be
an old one below a mount point on which nothing is mounted. So each host tells the others, in a private node attribute.

Only the kernel's list of mounts and qemu.conf are read: no storage is touched, and nothing can hang.
"""

from __future__ import annotations

from backstay.host.filesystems import MOUNTS, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Mounted = tuple[str, str, str]  # kind, place, source

ATTRIBUTE = "backstay-surroundings"
SHARED = (
    "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.mfs", "gfs2", "gpfs", "lustre", "nfs", "nfs4",
    "ocfs2", "smb3",
)  # fmt: skip
ON_DEMAND = "autofs"
EXPORTS = (
    "nfs",
    "fuse.glusterfs",
    "ceph",
)  # their source is HOST:EXPORT, and hosts may name the server differently
LONGEST = 8000  # bytes of an attribute; a host with more mounts tells of none
ESCAPES = (("%", "%25"), (" ", "%20"), (";", "%3B"), ('"', "%22"), ("\n", "%0A"))

FITS, ABSENT, OTHER, UNKNOWN = "fits", "absent", "misfit", "unknown"


class Surroundings:
    """The lock manager (empty: none) and the mounts of a host; `mounts` is None where it does not tell of them."""

    __slots__ = ("lock", "mounts")

    def __init__(self, lock: str = "", mounts: tuple[Mounted, ...] | None = ()) -> None:
        self.lock = lock
        self.mounts = mounts

    def text(self) -> str:
        """Write it down in one line without quotes."""
        known = (
            "?" if self.mounts is None else ";".join(" ".join(map(_escaped, each)) for each in self.mounts)
        )
        text = f"lock={_escaped(self.lock)};{known}"
        return text if len(text) <= LONGEST else f"lock={_escaped(self.lock)};?"


def read(text: str) -> Surroundings:
    """Read what `text` wrote; a word that makes no sense is left out."""
    first, _, rest = text.partition(";")
    lock = _meant(first.removeprefix("lock="))
    if rest == "?":
        return Surroundings(lock, None)
    found = (tuple(map(_meant, each.split(" "))) for each in rest.split(";"))
    return Surroundings(lock, tuple((each[0], each[1], each[2]) for each in found if len(each) == 3))


def _escaped(text: str) -> str:
    for character, code in ESCAPES:
        text = text.replace(character, code)
    return text


def _meant(text: str) -> str:
    for character, code in reversed(ESCAPES):
        text = text.replace(code, character)
    return text


def here(lock: str, mounts: str = MOUNTS) -> Surroundings:
    """Give what this host has; `lock` is its lock manager."""
    try:
        with open(mounts, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            listed = mounts_in(file.read())
    except OSError:
        return Surroundings(lock, None)
    return Surroundings(lock, tuple(dict.fromkeys(listed)))


def mounts_in(text: str) -> Iterator[Mounted]:
    """Give what is of use to guests on any host, from the kernel's list (proc(5), mountinfo)."""
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        fields, kinds = left.split(), right.split()
        if len(fields) >= 5 and len(kinds) >= 2 and kinds[0] in (*SHARED, ON_DEMAND):
            yield kinds[0], plain(fields[4]), plain(kinds[1])


def covering(path: str, mounts: Sequence[Mounted]) -> Mounted | None:
    """Give the mount that a path lies on, the last one of the longest; None when it lies on none of them."""
    found = None
    for each in mounts:
        place = each[1].rstrip("/")
        if (path + "/").startswith(place + "/") and (
            found is None or len(place) >= len(found[1].rstrip("/"))
        ):
            found = each
    return found


def disk(
    names: Sequence[str], mounts: Sequence[Mounted], theirs: Sequence[Mounted] | None
) -> tuple[str, str]:
    """Compare where a disk lies here and there; give the word, and what is said about it.

    `names` are its path, and that without symbolic links where it is another one. ABSENT is said only for a path
    without any: the other host may have links of its own.
    """
    lies = next((found for name in names if (found := covering(name, mounts))), None)
    if lies is None or lies[0] == ON_DEMAND:
        return FITS, ""
    kind, place, source = lies
    ours = f"{source} at {place}"
    there = next((found for name in names if (found := covering(name, theirs))), None) if theirs else None
    if theirs is None or (there and there[0] == ON_DEMAND):
        return UNKNOWN, f"it lies on {ours}, and what is mounted there is not known"
    if there is None:
        return (ABSENT, ours) if len(names) == 1 else (UNKNOWN, f"it lies on {ours}, reached by a link")
    if _family(kind) != _family(there[0]) or _export(kind, source) != _export(kind, there[2]):
        return UNKNOWN, f"it lies on {ours}, and there {there[2]} is mounted at {there[1]}"
    return FITS, ""


def _family(kind: str) -> str:
    return "nfs" if kind in ("nfs", "nfs4") else kind


def _export(kind: str, source: str) -> str:
    """Give what has to be the same on both hosts; a device may have another name on each."""
    return source.rpartition(":")[2].strip("/") if _family(kind) in EXPORTS else ""


def lock(ours: str, theirs: str) -> tuple[str, str]:
    """Compare the lock managers."""
    if ours == theirs:
        return FITS, ""
    return OTHER, f"here {ours or 'none'}, there {theirs or 'none'}"
