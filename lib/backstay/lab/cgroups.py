# SPDX-License-Identifier: GPL-2.0-or-later
"""A control group for each process that the lab starts, so that it lives apart from whoever started it.

Without it the nodes' systemds would all work in the same group and see each other's units, and a node would die with
the service or the session that switched it on. Where systemd is PID 1 it is asked for a scope; elsewhere the groups
are made here.
"""

from __future__ import annotations

import secrets
import shlex
from contextlib import suppress
from pathlib import Path

from backstay.lab import mounts
from backstay.lab.layout import MOST_NODES, node_names

NAME = "backstay-lab"
# Of each second, in microseconds, what real-time processes (Corosync is one) get: all nodes together, and each.
REAL_TIME = 900_000
REAL_TIME_EACH = REAL_TIME // MOST_NODES
# What the lab is worth beside the machine's other work, by the kernel's file: that of 32 busy processes. Without it
# all nodes together get as much as one, and on a machine that builds something they miss each other's tokens.
WORTH = {"cpu.shares": 32 * 1024, "cpu.weight": 32 * 100}


def systemd_is_first() -> bool:
    """Whether PID 1 is systemd (sd_booted(3))."""
    return Path("/run/systemd/system").is_dir()


def unified() -> bool:
    """Whether the machine has the unified hierarchy alone (cgroups(7), version 2)."""
    return Path("/sys/fs/cgroup/cgroup.controllers").exists()


def hierarchies() -> tuple[Path, ...]:
    """Where the machine's hierarchies are mounted; each once."""
    found = {m.device: m.point for m in mounts.of() if m.type in ("cgroup", "cgroup2")}
    return tuple(found.values())


def apart(name: str) -> list[str]:
    """The beginning of an argument list that becomes the rest of it, in a group of its own called after `name`."""
    if not systemd_is_first():
        return _entering(_prepare(name))
    unit = f"{NAME}-{name}-{secrets.token_hex(3)}"  # the last scope of the name may be only just ending
    return [
        "systemd-run",
        "--scope",
        "--quiet",
        "--collect",
        f"--unit={unit}",
        "--property=Delegate=yes",
        "--",
    ]


def _prepare(name: str) -> tuple[Path, ...]:
    """Make the groups and return them; those that cannot be made are left out (a read-only hierarchy)."""
    made = []
    each = REAL_TIME_EACH if name in node_names(MOST_NODES) else 0
    for hierarchy in hierarchies():
        group = hierarchy / NAME / name
        with suppress(OSError):
            for directory, real_time in ((group.parent, REAL_TIME), (group, each)):
                directory.mkdir(exist_ok=True)
                _weigh(group.parent)
                _inherit(directory)
                _allow_real_time(directory, real_time)
            made.append(group)
    return tuple(made)


def _inherit(group: Path) -> None:
    """A cpuset group (version 1) takes no process until it has processors and memory."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        own = group / name
        if own.exists() and not own.read_text().strip():
            own.write_text((group.parent / name).read_text())


def _weigh(group: Path) -> None:
    """Set what the lab's group is worth, where the kernel shares processors out between groups."""
    for name, worth in WORTH.items():
        if (group / name).exists():
            (group / name).write_text(str(worth))


def _allow_real_time(group: Path, microseconds: int) -> None:
    """A cpu group (version 1) of a kernel with RT_GROUP_SCHED refuses real-time processes until it has a share."""
    share = group / "cpu.rt_runtime_us"
    if share.exists() and int(share.read_text()) == 0:
        share.write_text(str(microseconds))


def _entering(groups: tuple[Path, ...]) -> list[str]:
    """The beginning of an argument list that enters these groups before it becomes the rest of the list."""
    script = "".join(f"echo $$ >{shlex.quote(str(group / 'cgroup.procs'))} || exit 1\n" for group in groups)
    return ["/bin/sh", "-c", script + 'exec "$@"', "sh"]


def remove() -> None:
    """Remove all groups of the lab, the innermost first; those still in use stay."""
    for hierarchy in hierarchies():
        top = hierarchy / NAME
        if top.is_dir():
            for directory in (*sorted((p for p in top.rglob("*") if p.is_dir()), reverse=True), top):
                with suppress(OSError):
                    directory.rmdir()
