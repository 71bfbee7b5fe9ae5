# SPDX-License-Identifier: GPL-2.0-or-later
"""Overlays: many roots out of one, each with a layer of its own.

Decides only how they are mounted. Never writes into a lower layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backstay.errors import CannotAsk
from backstay.host.process import run
from backstay.lab import mounts

# File systems whose directories cannot be an overlay's upper layer (no whiteouts or no trusted attributes).
UNFIT = ("overlay", "aufs", "nfs", "nfs4", "9p", "vboxsf", "cifs", "vfat", "ecryptfs", "fuse", "fuseblk")


def mount(lower: Sequence[Path], upper: Path, work: Path, point: Path) -> None:
    """Mount `point` as `upper` over the lower layers (the topmost first); mounted already is as good."""
    for directory in (upper, work, point):
        directory.mkdir(parents=True, exist_ok=True)
    if mounts.is_mounted(point):
        return
    layers = ":".join(map(str, lower))
    options = f"lowerdir={layers},upperdir={upper},workdir={work}"
    completed = run(["mount", "-t", "overlay", "backstay-lab", "-o", options, str(point)], timeout=20)
    if not completed.ok:
        raise CannotAsk(f"the overlay {point} cannot be mounted: {completed.complaint()}")


def file_system(directory: Path) -> str:
    """The type of the file system that a directory is on, or will be on when it is made."""
    while not directory.exists():
        directory = directory.parent
    directory = directory.resolve()
    covering = [m for m in mounts.of() if m.point == directory or m.point in directory.parents]
    longest = max(len(m.point.parts) for m in covering)
    return [m.type for m in covering if len(m.point.parts) == longest][-1]
