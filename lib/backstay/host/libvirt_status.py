# SPDX-License-Identifier: GPL-2.0-or-later
"""What libvirt wrote down about a running domain: /run/libvirt/qemu/NAME.xml.

Decides only one thing: whether libvirt's last word was "running" about exactly this process. libvirtd replaces the
file whenever a domain changes its state (seen with 9.0: suspend, resume, I/O error), because it needs it to find
its domains again after a restart. Reading it costs nothing and cannot hang: it lies in memory, no daemon is asked.
While libvirtd is dead or hung the file is old; but then libvirt could not be asked for anything newer either.
"""

from __future__ import annotations

import os

DIRECTORY = "/run/libvirt/qemu"
LIMIT = 4096  # bytes; the line stands at the top, after a comment
LINE = "<domstatus "


def says_running(name: str, pid: int, directory: str = DIRECTORY) -> bool:
    """Whether libvirt wrote that the domain of that name runs as this process; false for everything else."""
    if not name or "/" in name:
        return False
    try:
        handle = os.open(f"{directory}/{name}.xml", os.O_RDONLY | os.O_CLOEXEC)
        try:
            text = os.read(handle, LIMIT).decode("utf-8", "replace")
        finally:
            os.close(handle)
    except OSError:
        return False
    line = text.partition(LINE)[2].partition(">")[0]
    return " state='running' " in f" {line} " and f" pid='{pid}' " in f" {line} "
