# SPDX-License-Identifier: GPL-2.0-or-later
"""The processes that are left in the control group of a unit, whatever systemd calls the unit itself.

Decides nothing. A unit with KillMode=process or none is "inactive" while what it started lives on. Source: cgroups(7);
the name of the group is systemd's (ControlGroup), below the version 2 or, on a mixed host, systemd's own hierarchy.
"""

from __future__ import annotations

import os

ROOTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd")
PROCESSES = "cgroup.procs"


def processes(group: str, roots: tuple[str, ...] = ROOTS) -> tuple[int, ...]:
    """Give the pids in a group and in those below it; none when there is no such group."""
    found: set[int] = set()
    for root in roots if group.strip("/") else ():
        for place, _, files in os.walk(root + group):
            if PROCESSES in files:
                found.update(_pids(f"{place}/{PROCESSES}"))
    return tuple(sorted(found))


def _pids(path: str) -> list[int]:
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123
            return [int(line) for line in file if line.strip().isdecimal()]
    except OSError:
        return []
