# SPDX-License-Identifier: GPL-2.0-or-later
"""Which machine this host is, as its firmware says (SMBIOS system UUID), and how much memory it has left.

Decides that a container's answer is nobody's: it reads the UUID of the machine under it. Source: systemd's
/run/systemd/container, the kernel's /sys/class/dmi/id/product_uuid (readable for root); proc(5), MemAvailable.
"""

from __future__ import annotations

import uuid
from pathlib import Path

PRODUCT = Path("/sys/class/dmi/id/product_uuid")
CONTAINER = Path("/run/systemd/container")
MEMINFO = Path("/proc/meminfo")
MEMORY_LEFT = "backstay-memory-left"
"""The private node attribute in which each host tells `memory_left`."""


def system_uuid(product: Path = PRODUCT, container: Path = CONTAINER) -> str:
    """The UUID in lower case, or "" when this host has none that is its own."""
    if container.exists():
        return ""
    try:
        found = uuid.UUID(product.read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        return ""
    return "" if len(set(found.bytes)) <= 2 else str(found)


def memory_left(meminfo: Path = MEMINFO) -> str:
    """How much memory (MiB, in decimal) could be given to guests without swapping; "?" when it cannot be read."""
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
        kibibytes = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
        return str(int(kibibytes) // 1024)
    except (OSError, StopIteration, ValueError, IndexError):
        return "?"
