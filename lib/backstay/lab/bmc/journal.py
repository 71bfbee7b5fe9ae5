# SPDX-License-Identifier: GPL-2.0-or-later
"""What a BMC was asked to do and what it did, one JSON object per line, on both clocks.

Decides the shape of a line: `wall` (seconds since the epoch), `monotonic` (seconds, the machine's one clock that
the audit orders events by), `host`, `event`, and what belongs to the event. Never a password.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any


class Journal:
    """The event log of one BMC; appending is atomic, so that a reader may follow it."""

    def __init__(self, path: Path, host: str) -> None:
        self.path = path
        self.host = host

    def write(self, event: str, **facts: str | float | None) -> None:
        """Append one event. The time is taken now."""
        line = {"wall": round(time.time(), 6), "monotonic": round(time.monotonic(), 6), "host": self.host}
        text = json.dumps({**line, "event": event, **facts})
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(text + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """Every event so far, oldest first; empty when the BMC never ran."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text.splitlines() if line]
