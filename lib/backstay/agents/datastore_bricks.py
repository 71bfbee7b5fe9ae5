# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong with a GlusterFS volume: a table without effects.

Decides what a brick's state, size and backlog mean. A brick that is smaller than those that hold the same data is an
error: it is full before they are, and then nothing of them can be written. So is a quota that nobody allowed, which
makes a volume smaller than it looks.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.host.gluster import Brick, Volume

ALIKE = 0.99  # of the largest brick of a set; file systems of one size differ by less
FULL_QUOTA = 0.8  # of a quota; GlusterFS itself begins to warn there


def judge(volume: Volume, quota_allowed: bool) -> tuple[str, ...]:
    """Say what is wrong with a volume, the worst first; nothing when nothing is."""
    return (*_offline(volume), *_uneven(volume), *_quotas(volume, quota_allowed), *_healing(volume))


def _offline(volume: Volume) -> list[str]:
    return [f"the brick {brick.name} is not online" for brick in volume.bricks if not brick.online]


def _uneven(volume: Volume) -> list[str]:
    """Compare the bricks that hold the same data; one that is not online tells no size."""
    found = []
    for first in range(0, len(volume.bricks), volume.together):
        alike = [brick for brick in volume.bricks[first : first + volume.together] if _counts(brick)]
        largest = max((brick.size for brick in alike), default=0)
        if len(alike) > 1:
            found += [
                f"the brick {brick.name} has {shown(brick.size)}, its peers have {shown(largest)}"
                for brick in alike
                if brick.size < ALIKE * largest
            ]
    return found


def _counts(brick: Brick) -> bool:
    return brick.online and brick.size > 0 and not brick.arbiter


def _quotas(volume: Volume, allowed: bool) -> list[str]:
    found = []
    for quota in volume.quotas:
        used = f"a quota of {shown(quota.limit)} on {quota.path}, of which {shown(quota.used)} are used"
        if not allowed:
            found.append(f"the volume has {used} (quota=allowed if that is meant)")
        elif quota.limit and quota.used >= FULL_QUOTA * quota.limit:
            found.append(f"the volume has {used}")
    return found


def _healing(volume: Volume) -> list[str]:
    split = [f"{brick.split} on {brick.name}" for brick in volume.bricks if brick.split]
    waiting = [f"{brick.pending} on {brick.name}" for brick in volume.bricks if brick.pending > brick.split]
    found = [f"nobody can heal (split-brain): {', '.join(split)}"] if split else []
    return [*found, *([f"still to be healed: {', '.join(waiting)}"] if waiting else [])]


def shown(size: float) -> str:
    """Give a size in bytes as an admin reads it."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
