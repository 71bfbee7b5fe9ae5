# SPDX-License-Identifier: GPL-2.0-or-later
"""Which faults were injected and healed in this lab, where and when; so none is forgotten.

The file only grows: each line is one event on the machine's monotonic clock and on the wall clock. Decides
nothing about the nodes.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from backstay.lab.layout import Layout

INJECTED, HEALED = "injected", "healed"


@dataclass(frozen=True, slots=True)
class Entry:
    """One event. `at` is in seconds on the monotonic clock, `wall` in seconds since the epoch."""

    at: float
    wall: float
    event: str
    fault: str
    host: str


def path(layout: Layout) -> Path:
    """Where the ledger of a lab lies; it goes with the lab."""
    return layout.directory / "faults.jsonl"


def write(layout: Layout, event: str, fault: str, host: str) -> Entry:
    """Append one event, now."""
    entry = Entry(round(time.monotonic(), 4), round(time.time(), 4), event, fault, host)
    with path(layout).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(asdict(entry)) + "\n")
    return entry


def read(layout: Layout) -> tuple[Entry, ...]:
    """Every event so far, oldest first; none when nothing was ever broken."""
    try:
        lines = path(layout).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ()
    return tuple(Entry(**json.loads(line)) for line in lines if line.endswith("}"))


def active(entries: tuple[Entry, ...]) -> tuple[tuple[str, str], ...]:
    """(fault, host) of what was injected and not healed since, in the order of injection."""
    found: dict[tuple[str, str], None] = {}
    for entry in entries:
        key = (entry.fault, entry.host)
        if entry.event == INJECTED:
            found[key] = None
        else:
            found.pop(key, None)
    return tuple(found)
