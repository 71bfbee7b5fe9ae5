# SPDX-License-Identifier: GPL-2.0-or-later
"""What a host tells others of its shared storage and its lock manager, and how two hosts are compared by that."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.host.surroundings import ABSENT, FITS, OTHER, UNKNOWN, Surroundings, disk, here, lock, read

DISK = "/srv/vm/web1.raw"
NFS = ("nfs4", "/srv/vm", "filer:/vms")
OCFS = ("ocfs2", "/srv/vm", "/dev/sdb")
GLUSTER = ("fuse.glusterfs", "/srv/vm", "localhost:/vms")
ROOT = ("nfs", "/srv", "filer:/")
MOUNTINFO = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
40 22 0:50 / /srv/vm rw,relatime shared:2 - nfs4 filer:/vms rw,vers=4.2
41 22 0:51 / /srv/with\040blank rw,relatime - fuse.glusterfs localhost:/gv0 rw
42 22 0:52 / /run rw,nosuid - tmpfs tmpfs rw
broken
43 22 0:53 / /home rw - autofs auto.home rw
"""
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)


@given(st.text(max_size=10), st.lists(st.tuples(WORDS, WORDS, WORDS), max_size=5))
def test_what_is_written_is_read(manager: str, mounts: list[tuple[str, str, str]]) -> None:
    text = Surroundings(manager, tuple(mounts)).text()
    assert not set(text) & set('"\n')
    found = read(text)
    assert (found.lock, found.mounts) == (manager, tuple(mounts))


@given(st.text(max_size=200))
def test_any_text_is_read_as_something(text: str) -> None:
    found = read(text)
    assert found.mounts is None or all(len(each) == 3 for each in found.mounts)


def test_too_many_mounts_are_not_told_and_not_known() -> None:
    many = Surroundings("lockd", tuple(("nfs4", f"/srv/{number}", "filer:/vms") for number in range(1000)))
    found = read(many.text())
    assert (found.lock, found.mounts) == ("lockd", None)


def test_the_kernels_list_is_read_for_what_is_shared(tmp_path: Path) -> None:
    listed = tmp_path / "mountinfo"
    listed.write_text(MOUNTINFO)
    found = here("sanlock", str(listed))
    assert found.lock == "sanlock"
    assert found.mounts == (
        NFS,
        ("fuse.glusterfs", "/srv/with blank", "localhost:/gv0"),
        ("autofs", "/home", "auto.home"),
    )
    assert here("", str(tmp_path / "none")).mounts is None


@pytest.mark.parametrize(
    ("names", "ours", "theirs", "word", "said"),
    [
        ((DISK,), (NFS,), (NFS,), FITS, ""),
        ((DISK,), (NFS,), (), ABSENT, "filer:/vms at /srv/vm"),
        ((DISK,), (NFS,), (("nfs4", "/srv/vms", "filer:/vms"),), ABSENT, "filer:/vms at /srv/vm"),
        (("/vm/web1.raw", DISK), (NFS,), (), UNKNOWN, "reached by a link"),
        (("/vm/web1.raw", DISK), (NFS,), (("nfs4", "/vm", "filer:/vms"),), FITS, ""),
        ((DISK,), (NFS,), None, UNKNOWN, "is not known"),
        ((DISK,), (NFS,), (("autofs", "/srv/vm", "auto.vm"),), UNKNOWN, "is not known"),
        # the server may have another name there, and the protocol another version
        ((DISK,), (NFS,), (("nfs", "/srv/vm", "192.0.2.5:/vms/"),), FITS, ""),
        ((DISK,), (NFS,), (("nfs4", "/srv/vm", "filer:/old"),), UNKNOWN, "there filer:/old is mounted"),
        ((DISK,), (NFS,), (ROOT,), UNKNOWN, "there filer:/ is mounted at /srv"),
        ((DISK,), (NFS,), (OCFS,), UNKNOWN, "there /dev/sdb is mounted"),
        ((DISK,), (OCFS,), (("ocfs2", "/srv/vm", "/dev/mapper/vm"),), FITS, ""),
        ((DISK,), (GLUSTER,), (("fuse.glusterfs", "/srv/vm", "g2:/vms"),), FITS, ""),
        # nothing is known of what is not shared: libvirt asks for it itself
        (("/var/lib/web1.raw",), (NFS,), (), FITS, ""),
        (("/srv/vms/web1.raw",), (NFS,), (), FITS, ""),
        ((DISK,), (("autofs", "/srv", "auto.srv"),), (), FITS, ""),
        ((DISK,), (ROOT, NFS), (ROOT, NFS), FITS, ""),
    ],
)
def test_where_a_disk_lies_is_compared(
    names: tuple[str, ...],
    ours: tuple[tuple[str, str, str], ...],
    theirs: tuple[tuple[str, str, str], ...] | None,
    word: str,
    said: str,
) -> None:
    found = disk(names, ours, theirs)
    assert found[0] == word, found
    assert said in found[1]


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ("", "", (FITS, "")),
        ("lockd", "lockd", (FITS, "")),
        ("lockd", "", (OTHER, "here lockd, there none")),
        ("", "sanlock", (OTHER, "here none, there sanlock")),
    ],
)
def test_lock_managers_are_compared(ours: str, theirs: str, expected: tuple[str, str]) -> None:
    assert lock(ours, theirs) == expected
