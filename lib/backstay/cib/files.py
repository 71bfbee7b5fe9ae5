# SPDX-License-Identifier: GPL-2.0-or-later
"""The files that belong to a description besides the CIB: corosync.conf, DRBD resources, what systemd has to know.

Decides their names and content. Writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from backstay.cib.corosync import corosync_conf
from backstay.cib.drbd_conf import drbd_conf
from backstay.cloud.model import Cloud

MOUNTS = """\
# SPDX-License-Identifier: GPL-2.0-or-later
# Written by Backstay from the description of the cluster {name}; the same on every host.
# What the domains need is mounted before Pacemaker starts and stays mounted until it has stopped. A directory that
# /etc/fstab does not mount does no harm here.
[Unit]
{lines}"""


@dataclass(frozen=True, slots=True)
class File:
    """A file: its name below a directory, its content, and where it belongs on which hosts."""

    name: str
    content: str
    belongs: str


def files_of(cloud: Cloud) -> tuple[File, ...]:
    """The files, without the CIB, in a fixed order."""
    found = [File("corosync.conf", corosync_conf(cloud), "/etc/corosync/corosync.conf on every full member")]
    for mirror in cloud.mirrors:
        if mirror.drbd.volumes:
            where = " and ".join(mirror.drbd.hosts)
            name = f"drbd.d/{mirror.drbd.resource}.res"
            found.append(File(name, drbd_conf(cloud, mirror), f"/etc/drbd.d/ on {where}"))
    if mounted := mounts(cloud):
        name = "systemd/resource-agents-deps.target.d/backstay-cloud.conf"
        place = "/etc/systemd/system/resource-agents-deps.target.d/ on every host"
        found.append(File(name, mounted, place))
    return tuple(found)


def mounts(cloud: Cloud) -> str:
    """What systemd has to mount before Pacemaker starts; nothing when Pacemaker mounts everything by itself."""
    places = {
        path.parent
        for domain in cloud.domains
        for path in (domain.config, *domain.disks, *filter(None, (domain.backingfile,)))
        if not path.is_relative_to(PurePosixPath("/dev"))
    }
    places |= {domain.snapshot for domain in cloud.domains if domain.snapshot}
    places = {place for place in places if not any(storage.holds(place) for storage in cloud.storage)}
    if not places:
        return ""
    lines = "".join(f"RequiresMountsFor={_quoted(str(place))}\n" for place in sorted(places))
    return MOUNTS.format(name=cloud.cluster.name, lines=lines)


def _quoted(path: str) -> str:
    """`path` as systemd.syntax(7) reads it: in quotes, with specifiers and escapes taken literally."""
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'
