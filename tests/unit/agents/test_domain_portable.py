# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a domain stays behind on its host."""

from __future__ import annotations

import pytest

from backstay.agents.domain_features import TPM, Features
from backstay.agents.domain_portable import is_seen_elsewhere, left_behind
from backstay.host.filesystems import of

MOUNTS = """\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
30 22 0:30 / /srv rw - nfs4 filer:/vms rw
31 30 0:31 / /srv/local rw - xfs /dev/sdb rw
32 22 0:32 / /with\\040blank rw master:2 - fuse.glusterfs one:/volume rw
33 22 147:0 / /drbd rw - ext4 /dev/drbd0 rw
34 22 0:34 / /srv rw - ocfs2 /dev/sdc rw
"""


@pytest.mark.parametrize(
    ("path", "kind", "source"),
    [
        ("/var/lib/libvirt/qemu/nvram/web1_VARS.fd", "ext4", "/dev/vda1"),
        ("/srv", "ocfs2", "/dev/sdc"),
        ("/srv/web1.fd", "ocfs2", "/dev/sdc"),
        ("/srvother/web1.fd", "ext4", "/dev/vda1"),
        ("/srv/local/web1.fd", "xfs", "/dev/sdb"),
        ("/with blank/web1.fd", "fuse.glusterfs", "one:/volume"),
        ("/drbd/x", "ext4", "/dev/drbd0"),
    ],
)
def test_the_mount_of_a_path_is_the_longest_and_the_last(path: str, kind: str, source: str) -> None:
    assert of(path, MOUNTS) == (kind, source)
    assert of(path, "nonsense\n\n") == ("", "")


@pytest.mark.parametrize(
    ("kind", "source", "elsewhere"),
    [
        ("nfs4", "filer:/vms", True),
        ("nfs", "filer:/vms", True),
        ("ocfs2", "/dev/sdc", True),
        ("gfs2", "/dev/sdc", True),
        ("ceph", "a,b:/", True),
        ("fuse.glusterfs", "one:/volume", True),
        ("ext4", "/dev/drbd0", True),
        ("ext4", "/dev/drbd/by-res/vms/0", True),
        ("ext4", "/dev/vda1", False),
        ("xfs", "/dev/mapper/vg-var", False),
        ("btrfs", "/dev/sda", False),
        ("tmpfs", "tmpfs", False),
        ("overlay", "overlay", False),
        ("", "", False),
    ],
)
def test_which_storage_other_hosts_see(kind: str, source: str, elsewhere: bool) -> None:
    assert is_seen_elsewhere(kind, source) is elsewhere


@pytest.mark.parametrize(
    ("nvram", "tpm", "words"),
    [
        ("", False, []),
        ("/srv/web1.fd", False, []),
        ("/dev/vg/web1-vars", False, []),
        ("/var/web1.fd", False, ["/var/web1.fd on ext4"]),
        ("", True, [f"{TPM} on ext4"]),
        ("/var/web1.fd", True, ["/var/web1.fd", TPM]),
    ],
)
def test_what_stays_behind_is_named_with_its_place(nvram: str, tpm: bool, words: list[str]) -> None:
    features = Features()
    features.nvram, features.tpm = nvram, tpm
    said = left_behind(features, lambda path: of(path, MOUNTS))
    assert len(said) == len(words)
    assert all(word in sentence for word, sentence in zip(words, said, strict=True))
