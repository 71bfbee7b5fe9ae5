# SPDX-License-Identifier: GPL-2.0-or-later
"""The shipped timers: what asks a BMC or rehearses agents does not do it on all hosts at the same moment."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

LEAST = 60  # seconds: hosts that were booted together, as after a power cut, come apart
SECONDS = {"s": 1, "min": 60, "h": 3600}


def delay(timer: Path) -> float:
    """RandomizedDelaySec in seconds; 0 when there is none."""
    unit = configparser.ConfigParser(interpolation=None)
    unit.read_string(timer.read_text(encoding="utf-8"))
    text = unit["Timer"].get("RandomizedDelaySec", "0s")
    digits = text.rstrip("smihn")
    return float(digits) * SECONDS[text[len(digits) :]]


@pytest.mark.parametrize("name", ["backstay-fence", "backstay-agents"])
def test_hosts_take_their_turns(repository: Path, name: str) -> None:
    assert delay(repository / "packaging" / "systemd" / f"{name}.timer") >= LEAST
