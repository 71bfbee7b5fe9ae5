# SPDX-License-Identifier: GPL-2.0-or-later
"""Moments at which an action is killed: random, and the same in every run of one seed.

BACKSTAY_SEED gives other moments, BACKSTAY_KILLS how many there are for each action. A test's name holds its moment,
and the seed is printed with every failure.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess

SEED = os.environ.get("BACKSTAY_SEED", "1")
KILLS = int(os.environ.get("BACKSTAY_KILLS", "3"))
EARLIEST = 0.02  # seconds


def moments(action: str, most: float, kills: int = KILLS) -> list[float]:
    """Seconds after which the action is killed, at most `most`."""
    chance = random.Random(f"{SEED} {action}")
    return [round(chance.uniform(EARLIEST, most), 3) for _ in range(kills)]


def kill_after(agent: subprocess.Popen[bytes], seconds: float) -> bool:
    """Kill an action as Pacemaker does, SIGKILL to its process group; whether it had not ended by itself."""
    print(f"seed {SEED}: killed after {seconds} s")
    try:
        agent.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(agent.pid, signal.SIGKILL)
        agent.wait(10)
        return True
    return False
