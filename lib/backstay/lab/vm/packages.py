# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages that only a node with its own kernel has a use for, as a layer over the node root.

Decides which ones. They are installed as an admin would do it, by apt in a root of its own, with the machine's
package sources; nothing is started, and the mounts that it takes go with the process that made them.
"""

from __future__ import annotations

import os
from pathlib import Path

from backstay.errors import CannotAsk
from backstay.host.process import run
from backstay.lab import root

SECONDS = 900.0
NAMES = (
    "lvm2",  # DRBD below a logical volume, to grow it; shared volume groups
    "lvm2-lockd",
    "nfs-kernel-server",
    "nfs-common",
    "tgt",
    "open-iscsi",
    "ocfs2-tools",
    "gfs2-utils",
    "dlm-controld",
    "ceph-mon",
    "ceph-osd",
    "ceph-common",
    "ceph-resource-agents",
    "sbd",
)
QUIET = tuple(
    "open-iscsi.service iscsid.service iscsid.socket tgt.service nfs-server.service nfs-client.target "
    "nfs-blkmap.service rpcbind.service rpcbind.socket o2cb.service ocfs2.service sbd.service dlm.service "
    "lvm2-monitor.service lvm2-lvmpolld.socket lvmlockd.service lvmlocks.service ceph.target ceph-mon.target "
    "ceph-osd.target ceph-crash.service".split()
)
"""Services of theirs that no node starts by itself: the cluster does, or whoever tries something."""

SETTINGS = "etc/apt/apt.conf.d/99backstay-lab"
# $1 lower layer, $2 upper, $3 work, $4 where they are joined; then the packages.
SCRIPT = """\
root=$4
mount -t overlay backstay-lab -o "lowerdir=$1,upperdir=$2,workdir=$3" "$root"
mount -t proc proc "$root/proc"
shift 4
mkdir -p "$root/usr/sbin"
printf '#!/bin/sh\\nexit 101\\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
chroot "$root" apt-get -q update
chroot "$root" apt-get -q --yes --no-install-recommends install "$@"
for unit in @QUIET@; do chroot "$root" systemctl disable --quiet "$unit" 2>/dev/null || :; done
chroot "$root" apt-get clean
rm -rf "$root"/var/lib/apt/lists/* "$root/var/log/apt" "$root/usr/sbin/policy-rc.d"
""".replace("@QUIET@", " ".join(QUIET))


def install(below: Path, upper: Path, scratch: Path, log: Path) -> None:
    """Install the packages over the root `below`; what they bring is in `upper` afterwards.

    `scratch` is an empty directory on the same file system. Raises CannotAsk with apt's reason; all it said is in
    `log`.
    """
    places = {name: scratch / name for name in ("work", "joined")}
    for place in (*places.values(), upper):
        place.mkdir(parents=True, exist_ok=True)
    added = _sources(upper)
    argv = ["unshare", "--mount", "--fork", "--kill-child", "sh", "-e", "-c", SCRIPT, "sh"]
    argv += [str(below), str(upper), str(places["work"]), str(places["joined"]), *NAMES]
    environment = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    environment |= {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    done = run(argv, timeout=SECONDS, environment=environment)
    log.write_text(done.stdout + done.stderr)
    for path in added:
        path.unlink(missing_ok=True)
    if not done.ok:
        said = [line for line in done.stderr.splitlines() if line.startswith("E:")]
        raise CannotAsk(
            f"the packages of VM nodes cannot be installed: {(said or [done.complaint()])[0]}",
            hint=f"the whole log is {log}",
        )
    (upper / "etc/resolv.conf").touch()


def _sources(upper: Path) -> tuple[Path, ...]:
    """Lend the new layer what apt needs of this machine; the files are returned, to be taken away again."""
    mirrors = root.machine_sources()
    if not mirrors:
        raise CannotAsk(
            f"VM nodes need packages of Debian {root.SUITE}, and this machine has no source for them",
            hint="container nodes need none: backstay lab up",
        )
    resolver = Path("/etc/resolv.conf")
    lent = {
        "etc/apt/sources.list": "\n".join(mirrors) + "\n",
        SETTINGS: "\n".join((*root.apt_settings(), 'DPkg::Options:: "--force-unsafe-io";')) + "\n",
        "etc/dpkg/dpkg.cfg.d/99backstay-lab": "".join(f"path-exclude={each}\n" for each in root.LEFT_OUT),
        "etc/resolv.conf": resolver.read_text() if resolver.exists() else "",
    }
    for name, text in lent.items():
        (upper / name).parent.mkdir(parents=True, exist_ok=True)
        (upper / name).write_text(text)
    return tuple(upper / name for name in lent)
