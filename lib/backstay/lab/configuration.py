# SPDX-License-Identifier: GPL-2.0-or-later
"""What a lab node has that Debian's packages do not bring: the cluster's configuration and what a kind of node needs.

Decides their content; `write` alone touches a disk.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backstay.errors import CannotAsk
from backstay.lab.layout import GATEWAY, Layout

CLUSTER = "backstay-lab"
PASSWORD_FILE = "/etc/backstay/bmc.password"
UNITS = "/etc/systemd/system"

# What would act behind the lab's back (timers, autostart of guests), and what no node has a use for.
MASKED = tuple(
    "ModemManager.service apparmor.service apt-daily-upgrade.timer apt-daily.timer blk-availability.service "
    "console-getty.service dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer getty.target "
    "libvirt-guests.service logd.service logrotate.timer machines.target openipmi.service polkit.service "
    "proc-sys-fs-binfmt_misc.automount ssh.service sys-kernel-debug.mount systemd-binfmt.service "
    "systemd-firstboot.service systemd-pstore.service systemd-resolved.service systemd-timesyncd.service".split()
)
HARDWARE = tuple(
    "systemd-modules-load.service systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udevd.service "
    "systemd-udev-trigger.service".split()
)
ENABLED = {
    "corosync.service": "multi-user.target",
    "pacemaker.service": "multi-user.target",
    "libvirtd-tcp.socket": "sockets.target",
}

# QEMU without what a container cannot give it: own cgroups, own namespaces, another user's rights.
QEMU = """\
user = "root"
group = "root"
cgroup_controllers = [ ]
namespaces = [ ]
security_driver = "none"
remember_owner = 0
"""
# Every container would read the same hardware id from the machine, and refuse migration "to the same host".
LIBVIRTD = """\
listen_tls = 0
auth_tcp = "none"
auth_unix_rw = "none"
host_uuid_source = "machine-id"
"""
JOURNALD = """\
[Journal]
Storage=persistent
ReadKMsg=no
RateLimitIntervalSec=0
SyncIntervalSec=1s
"""
SYSTEMD = """\
[Manager]
DefaultLimitCORE=0
"""
PACEMAKER = """\
PCMK_debug=no
PCMK_logfile=/var/log/pacemaker/pacemaker.log
"""
CONF, AUTHKEY = "/etc/corosync/corosync.conf", "/etc/corosync/authkey"
CIB_FILE = "/var/lib/pacemaker/cib/cib.xml"
OF_A_MEMBER = (
    CONF,
    AUTHKEY,
    CIB_FILE,
    *(f"{UNITS}/{ENABLED[unit]}.wants/{unit}" for unit in ("corosync.service", "pacemaker.service")),
)
"""What a node has that belongs to the cluster."""

# Nobody can be DC before the first nodes are up, so the 20 s of waiting for one are waited for nothing.
CIB = """\
<cib admin_epoch="0" epoch="1" num_updates="0" validate-with="pacemaker-3.9"><configuration>
<crm_config><cluster_property_set id="cib-bootstrap-options">
<nvpair id="cib-bootstrap-options-dc-deadtime" name="dc-deadtime" value="4s"/>
</cluster_property_set></crm_config><nodes/><resources/><constraints/></configuration><status/></cib>
"""


@dataclass(frozen=True, slots=True)
class File:
    """A file of a node: absolute path, text or bytes, mode, owner (a user of the node)."""

    path: str
    content: str | bytes
    mode: int = 0o644
    owner: str = "root"


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link of a node."""

    path: str
    target: str


@dataclass(frozen=True, slots=True)
class Absent:
    """A file that a package brought and a node does not have."""

    path: str


Entry = File | Link | Absent


@dataclass(frozen=True, slots=True)
class Traits:
    """What nodes of one kind have in common: Corosync's token time in milliseconds, the units that are masked.

    `on_demand` are units that packages start at boot, and these nodes when somebody needs them.
    """

    token: int
    masked: tuple[str, ...]
    on_demand: tuple[str, ...] = ()


CONTAINER_TRAITS = Traits(3000, MASKED + HARDWARE)
# Serial-getty would take the console from the log; the others did their work when the root was built, and cost an
# emulated processor half a minute of each boot.
NEEDLESS = tuple(
    "serial-getty@ttyS0.service systemd-sysusers.service systemd-update-utmp.service "
    "systemd-update-utmp-runlevel.service systemd-user-sessions.service".split()
)
# Under software emulation a node may be held up for seconds.
VM_TRAITS = Traits(10000, (*MASKED, *NEEDLESS), ("libvirtd.service",))


def common(
    layout: Layout,
    names: Sequence[str],
    authkey: bytes,
    password: str,
    spare: Sequence[str] = (),
    traits: Traits = CONTAINER_TRAITS,
) -> tuple[Entry, ...]:
    """What all nodes have in common; those in `spare` are known by name and no members."""
    members = [name for name in names if name not in spare]
    files = (
        File(CONF, corosync(layout, members, traits.token)),
        File(AUTHKEY, authkey, 0o400),
        File(PASSWORD_FILE, password, 0o600),
        File("/etc/hosts", hosts(layout, names)),
        File("/etc/libvirt/qemu.conf", QEMU, 0o600),
        File("/etc/libvirt/libvirtd.conf", LIBVIRTD),
        File("/etc/default/pacemaker", PACEMAKER),
        File(CIB_FILE, CIB, 0o600, "hacluster"),
        File("/etc/systemd/journald.conf.d/lab.conf", JOURNALD),
        File("/etc/systemd/system.conf.d/lab.conf", SYSTEMD),
    )
    masked = tuple(Link(f"{UNITS}/{unit}", "/dev/null") for unit in traits.masked)
    enabled = tuple(
        Link(f"{UNITS}/{by}.wants/{unit}", f"/lib/systemd/system/{unit}") for unit, by in ENABLED.items()
    )
    on_demand = tuple(Absent(f"{UNITS}/multi-user.target.wants/{unit}") for unit in traits.on_demand)
    return files + masked + enabled + on_demand


def own(name: str) -> tuple[Entry, ...]:
    """What tells one node from another."""
    identity = hashlib.sha256(f"{CLUSTER} {name}".encode()).hexdigest()[:32]
    return (File("/etc/hostname", f"{name}\n"), File("/etc/machine-id", f"{identity}\n"))


def hosts(layout: Layout, names: Sequence[str]) -> str:
    """/etc/hosts: nothing in the lab depends on a name server."""
    lines = ["127.0.0.1 localhost", f"{GATEWAY} labhost"]
    for name in names:
        node = layout.node(name)
        lines += [f"{node.address} {name}", f"{node.bmc_address} bmc-{name}"]
    return "\n".join(lines) + "\n"


def corosync(layout: Layout, names: Sequence[str], token: int = CONTAINER_TRAITS.token) -> str:
    """corosync.conf(5): knet with encryption; a pair of nodes needs votequorum's two_node."""
    members = "".join(
        f"  node {{\n    ring0_addr: {layout.node(name).address}\n    name: {name}\n"
        f"    nodeid: {layout.node(name).number}\n  }}\n"
        for name in names
    )
    pair = "  two_node: 1\n" if len(names) == 2 else ""
    return (
        f"totem {{\n  version: 2\n  cluster_name: {CLUSTER}\n  transport: knet\n"
        f"  crypto_cipher: aes256\n  crypto_hash: sha256\n  token: {token}\n}}\n"
        f"nodelist {{\n{members}}}\n"
        f"quorum {{\n  provider: corosync_votequorum\n{pair}}}\n"
        "logging {\n  to_logfile: yes\n  logfile: /var/log/corosync/corosync.log\n"
        "  to_syslog: no\n  timestamp: hires\n}\n"
    )


def write(root: Path, entries: Sequence[Entry]) -> None:
    """Put files and links below a root, replacing what is there."""
    for entry in entries:
        target = root / entry.path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        if isinstance(entry, Absent):
            continue
        if isinstance(entry, Link):
            target.symlink_to(entry.target)
            continue
        content = entry.content
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        target.chmod(entry.mode)
        if entry.owner != "root":
            os.chown(target, *_ids(root, entry.owner))


def _ids(root: Path, user: str) -> tuple[int, int]:
    """The numbers of a user in a root, which are not those of the machine."""
    for line in (root / "etc/passwd").read_text().splitlines():
        fields = line.split(":")
        if fields[0] == user:
            return int(fields[2]), int(fields[3])
    raise CannotAsk(
        f"the lab's Debian root has no user {user}", hint="remove it from the cache; it is built again"
    )
