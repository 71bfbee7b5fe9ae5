# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's mount table is read right, and the innermost mount comes first."""

from __future__ import annotations

from pathlib import Path

from backstay.lab import mounts

TABLE = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
60 22 0:45 / /var/lib/backstay-lab/nodes/n1/root rw,relatime - overlay backstay-lab rw,lowerdir=/c/root,upperdir=/var/lib/backstay-lab/nodes/n1/upper,workdir=/w
61 60 0:50 / /var/lib/backstay-lab/nodes/n1/root/srv/a\040pool rw - fuse.slow /dev/fuse rw,user_id=0
62 22 0:51 / /var/lib/backstay-laboratory rw - tmpfs tmpfs rw
63 22 0:4 net:[4026532311] /run/netns/bk-n1 rw shared:9 master:1 - nsfs nsfs rw
"""


def test_a_line_becomes_a_mount() -> None:
    table = mounts.parse(TABLE)
    assert len(table) == 5
    assert table[1].type == "overlay"
    assert "upperdir=/var/lib/backstay-lab/nodes/n1/upper" in table[1].options
    assert table[2].point == Path("/var/lib/backstay-lab/nodes/n1/root/srv/a pool")
    assert table[2].device == "0:50"
    assert table[4].type == "nsfs"


def test_below_is_innermost_first_and_not_a_neighbour() -> None:
    found = mounts.below(Path("/var/lib/backstay-lab"), mounts.parse(TABLE))
    assert [m.type for m in found] == ["fuse.slow", "overlay"]


def test_the_place_itself_stays() -> None:
    """It may be a file system that the admin gave to the lab."""
    assert mounts.below(Path("/run/netns/bk-n1"), mounts.parse(TABLE)) == ()


def test_nothing_is_nothing() -> None:
    assert mounts.parse("") == ()
    assert mounts.below(Path("/x"), ()) == ()
