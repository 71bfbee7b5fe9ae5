# SPDX-License-Identifier: GPL-2.0-or-later
"""The keys of storage in a description: what the hosts share, by type.

Decides names and kinds. What becomes of them stands in the template of the type.
"""

from __future__ import annotations

import re
from dataclasses import replace

from backstay.cloud import names
from backstay.cloud.domain_keys import DRBD as MIRRORED
from backstay.cloud.kinds import ADDRESS, PATH, choice, duration, integer, line, many, matching
from backstay.cloud.sections import Key, Section, Variants

NFS, OCFS2, GFS2, GLUSTERFS, CEPH_RBD, LVM = "nfs", "iscsi-ocfs2", "gfs2", "glusterfs", "ceph-rbd", "lvm"
DRBD = "drbd"
TYPES = (NFS, OCFS2, GFS2, GLUSTERFS, CEPH_RBD, LVM, DRBD)
REACTIONS = ("leave", "fence", "degrade", "none")
MODES = ("shared", "exclusive")
_TITLE = "storage.NAME"
_PORTAL = re.compile(r"[A-Za-z0-9.-]{1,253}:[0-9]{1,5}|\[[0-9A-Fa-f:]{2,45}\]:[0-9]{1,5}")
_TARGET = re.compile(r"(?:iqn|eui|naa)\.[A-Za-z0-9.:_-]{1,220}")
_WORD = re.compile(r"[A-Za-z0-9+_.][A-Za-z0-9+_.@/-]{0,126}")
_HOST_NAME = matching("name of a host", names.HOST_NAME, names.HOST_NAME_EXPECTED)
_NAMED = matching("name", _WORD, "a name without blanks")

# fmt: off
_TYPE = Key("type", choice(TYPES), "What it is.", required=True)
_HOSTS = Key("hosts", many(_HOST_NAME, "hosts"), "The only hosts that have it.", default="every host")
_DIRECTORY = Key("directory", PATH, "Where it is mounted, the same on every host.", required=True)
_OPTIONS = Key("options", line("mount options such as `vers=4.2,noatime`",
    "an option that names a file, such as `credentials=/etc/backstay/share` (a description holds no secret)"),
    "Mount options.", default="none")
_AMOUNT = matching(
    "share or size",
    re.compile(r"(?:[0-9]{1,2}|100)(?:\.[0-9]{1,3})?%|[0-9]{1,12}(?:\.[0-9]{1,3})?(?:[KMGTP](?:i?B)?)?"),
    "a share such as `5%` or a size such as `20G`",
)
_LEAST = "Below how {} it is degraded: a share (`5%`) or a {}; `0` for never."
_CHECK = (
    Key("reaction", choice(REACTIONS), "What happens when it cannot be used from a host for longer, and another host "
        "still reaches it: its domains leave that host, the host is fenced, or it is only reported. With none it is "
        "not checked.", default="leave"),
    Key("patience", duration(1), "How long that is only reported first.", default="60s"),
    Key("slow", duration(1), "How long a small write may take before it counts as slow.", default="2s"),
    Key("least_free", _AMOUNT, _LEAST.format("much free space", "size (`20G`)"), default="5%"),
    Key("least_inodes", _AMOUNT, _LEAST.format("many free inodes", "number"), default="5%"),
)
_QUOTA = Key("quota", choice(("none", "allowed")), "Whether the volume may have quotas; one that nobody meant makes it "
             "smaller than it looks.", default="none")
_GROUP = matching("volume group", _WORD, "a volume group")


def _section(doc: str, *keys: Key) -> Section:
    return Section(_TITLE, doc, (_TYPE, *keys, *_CHECK, _HOSTS))


BY_NFS = _section(
    "An NFS share, mounted on every host. The server is not managed.",
    Key("server", ADDRESS, "The NFS server.", required=True),
    Key("export", PATH, "The directory that it exports.", required=True),
    _DIRECTORY, _OPTIONS,
)
BY_OCFS2 = _section(
    "OCFS2 on an iSCSI disk, mounted on every host at once. The lock manager comes with it.",
    Key("portal", matching("address:port", _PORTAL, "an address with its port such as `192.0.2.50:3260`"),
        "The iSCSI portal.", required=True),
    Key("target", matching("iSCSI name", _TARGET, "an iSCSI name such as `iqn.2026-01.org.example:vm`"),
        "The iSCSI target.", required=True),
    Key("device", PATH, "The disk, by a name that is the same on every host.", required=True),
    _DIRECTORY, _OPTIONS,
)
BY_GFS2 = _section(
    "GFS2 on a shared disk, mounted on every host at once. The lock manager comes with it.",
    Key("device", PATH, "The disk or logical volume.", required=True),
    Key("volume_group", _GROUP, "The shared volume group that the device is in, activated first.", default="none"),
    _DIRECTORY, _OPTIONS,
)
BY_GLUSTERFS = _section(
    "A GlusterFS volume, mounted on every host. Bricks and their servers are not managed.",
    Key("server", ADDRESS, "A server of the volume, asked first.", required=True),
    Key("volume", _NAMED, "The volume.", required=True),
    _DIRECTORY, _OPTIONS, _QUOTA,
)
BY_CEPH_RBD = _section(
    "A Ceph RBD image, mapped by the kernel. Not needed where QEMU itself speaks to Ceph.",
    Key("image", _NAMED, "The image.", required=True),
    Key("pool", _NAMED, "Its pool.", default="rbd"),
    Key("user", _NAMED, "The Ceph user that may map it; its key is in the keyring on every host.",
        default="Ceph's own"),
    Key("ceph_conf", PATH, "Ceph's configuration file.", default="/etc/ceph/ceph.conf"),
)
BY_LVM = Section(
    _TITLE,
    "A volume group on shared disks, whose logical volumes are disks of domains. It is not checked.",
    (
        _TYPE,
        Key("volume_group", _GROUP, "The volume group.", required=True),
        Key("mode", choice(MODES), "Active on every host at once, with the lock manager; or on one, and no live "
            "migration.", default="shared"),
        _HOSTS,
    ),
)
BY_DRBD = Section(
    _TITLE,
    "A file system on a disk that DRBD mirrors, mounted on one of the hosts that have the disk: for the frontend, such "
    "as `/var/lib/one`. `backstay render --directory` writes the file for drbd.d. What is wrong with it is only "
    "reported: no host could know of a better place.",
    (
        _TYPE,
        Key("disk", PATH, "The block device below it, the same path on every host; its end holds DRBD's own data.",
            required=True),
        Key("minor", integer(0, 1048575), "The number of /dev/drbdMINOR; no other volume has it.", required=True),
        Key("port", integer(1, 65535), "The TCP port of the replication; no other resource has it.", required=True),
        Key("filesystem", choice(("ext4", "xfs")), "What is on it; made once by hand.", default="ext4"),
        Key("directory", PATH, "Where it is mounted.", required=True),
        _OPTIONS,
        *(replace(key, default=key.default.replace("the domain's", "its own"))
          for key in MIRRORED.keys if key.name in ("hosts", "resource", "generation", "ring")),
        Key("reaction", choice(("degrade", "none")), "Whether it is checked: what cannot be used, is slow or fills up "
            "is reported.", default="degrade"),
        *(key for key in _CHECK if key.name != "reaction"),
    ),
)
STORAGE = Variants(
    _TITLE, "What the hosts share.", "type", "What it is.", "",
    (
        (NFS, BY_NFS), (OCFS2, BY_OCFS2), (GFS2, BY_GFS2),
        (GLUSTERFS, BY_GLUSTERFS), (CEPH_RBD, BY_CEPH_RBD), (LVM, BY_LVM), (DRBD, BY_DRBD),
    ),
)
