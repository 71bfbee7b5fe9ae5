# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether this machine can carry a lab: one clear sentence for each thing that is in the way.

Changes nothing, besides trying out in a child whether the kernel gives network namespaces.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from backstay.errors import CannotAsk, Refused
from backstay.host.process import run
from backstay.lab import network, overlay
from backstay.lab.kinds import Needs
from backstay.lab.layout import BMC_PORT, BRIDGE, SUBNET, Layout
from backstay.lab.wording import myself

GIB = 1 << 30
NEEDED_DISK = 4 * GIB
TOOLS = {
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "mount": "mount",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "chroot": "coreutils",
    "journalctl": "systemd",
    "ipmitool": "ipmitool",
}


def check(layout: Layout, needs: Needs, count: int) -> None:
    """Raise CannotAsk or Refused with the first thing that is in the way of `count` nodes that need this."""
    _root(layout)
    _tools({**TOOLS, **needs.tools})
    _devices(needs.devices)
    _memory(needs.memory + count * needs.memory_each)
    checks: tuple[Callable[[Layout], None], ...] = (
        _namespaces, _no_other_lab, _directory, _disk, _plain_disk, _addresses, _ports
    )  # fmt: skip
    for look in checks:
        look(layout)


def the_lab() -> Layout:
    """The lab of this environment, for a verb that looks into it; CannotAsk when it is not the caller's."""
    layout = Layout.from_environment()
    if layout.directory.exists() and os.geteuid() != 0:
        raise CannotAsk(
            f"the lab in {layout.directory} belongs to root, who alone can look into it", hint="use sudo"
        )
    return layout


def _root(_: Layout) -> None:
    if os.geteuid() != 0:
        raise CannotAsk(
            "the lab needs root: it mounts, makes network namespaces and boots containers", hint="use sudo"
        )


def _tools(tools: Mapping[str, str]) -> None:
    for tool, package in tools.items():
        if not shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin"):
            raise CannotAsk(
                f"the lab needs {tool}, which is not installed", hint=f"apt-get install {package}"
            )


def _devices(devices: Sequence[str]) -> None:
    for device in devices:
        if not Path(device).exists():
            raise CannotAsk(f"the lab needs {device}, which this machine does not have")


def _namespaces(_: Layout) -> None:
    tried = run(["unshare", "--net", "--mount", "--pid", "--fork", "true"], timeout=20)
    if not tried.ok:
        raise CannotAsk(
            f"this machine gives no network, mount and process namespaces: {tried.complaint()}",
            hint="inside a container, that one has to be privileged",
        )


def _no_other_lab(layout: Layout) -> None:
    owner = network.owner()
    if owner == "":
        raise CannotAsk(f"the bridge {BRIDGE} exists and is not a lab's", hint=f"ip link delete {BRIDGE}")
    if owner or layout.names():
        where = owner or str(layout.directory)
        raise Refused(
            f"a lab is there already, in {where}", hint=f"remove it: BACKSTAY_LAB={where} {myself()} lab down"
        )


def _directory(layout: Layout) -> None:
    """A lab is deleted with all that is in its directory, and that is handed to programs as a part of a word."""
    place = layout.directory
    if foreign := layout.foreign():
        raise Refused(
            f"{place} holds {foreign[0]}, and removing the lab would delete it",
            hint="point BACKSTAY_LAB to a directory that is empty or not there yet",
        )
    if any(character.isspace() or character in ',:\\"' for character in str(place)):
        raise CannotAsk(
            f"the name {place} has a blank, a comma, a colon, a quote or a backslash in it, which mounts do not take",
            hint="point BACKSTAY_LAB to a directory with a plain name",
        )


def _memory(needed: int) -> None:
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(fields["MemAvailable"].split()[0]) * 1024
    if available < needed:
        raise CannotAsk(f"the lab needs {_gib(needed)} of memory, {_gib(available)} are available")


def _disk(layout: Layout) -> None:
    for directory in (layout.directory, layout.cache):
        existing = next(path for path in (directory, *directory.parents) if path.exists())
        free = shutil.disk_usage(existing).free
        if free < NEEDED_DISK:
            raise CannotAsk(
                f"the lab needs {_gib(NEEDED_DISK)} free below {directory}, {_gib(free)} are left"
            )


def _plain_disk(layout: Layout) -> None:
    kind = overlay.file_system(layout.directory)
    if kind in overlay.UNFIT:
        raise CannotAsk(
            f"{layout.directory} is on {kind}, which cannot carry the nodes' own files",
            hint="point BACKSTAY_LAB to a directory on ext4, xfs, btrfs or tmpfs",
        )


def _addresses(_: Layout) -> None:
    net = f"{SUBNET}.0/24"
    questions = (
        ["addr", "show", "to", net],
        ["route", "show", "root", net],
        # A larger network that the machine itself is in: a part of it, perhaps its gateway, would be out of reach.
        ["route", "show", "match", net, "scope", "link"],
    )
    answers = (run(["ip", "-o", "-4", *question], timeout=20).stdout for question in questions)
    for line in "".join(answers).splitlines():
        if BRIDGE not in line and not line.startswith("default"):
            raise CannotAsk(
                f"the addresses {SUBNET}.0/24, which the lab needs, are in use here: {line.strip()}"
            )


def _ports(_: Layout) -> None:
    """A BMC simulator of somebody else that listens on all addresses would answer in ours' place."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
        try:
            tried.bind(("0.0.0.0", BMC_PORT))  # noqa: S104  (to see whether it is free; nothing is received)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise CannotAsk(
                    f"UDP port {BMC_PORT}, where BMCs answer, cannot be used: {error.strerror}"
                ) from error
            raise CannotAsk(
                f"UDP port {BMC_PORT}, where the lab's BMCs answer, is in use",
                hint=f"ss -lunp sport = {BMC_PORT}",
            ) from error


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
