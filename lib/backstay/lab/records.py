# SPDX-License-Identifier: GPL-2.0-or-later
"""The records of the audit: what a guest writes on its disk, and what the witness heard and when.

Decides what counts as a record (everything else on a serial port is noise). Never judges: lab/audit.py does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

SECTOR = 512
"""Bytes of one record on a guest's disk; the sector's index is the record's sequence number."""

UP, RUN, BYE = "up", "run", "bye"
"""A guest's first record after it booted, its ordinary ones, and its last before a clean power-off."""

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_RECORD = re.compile(rf"#backstay ({_UUID}) ({_UUID}) (\d+) ({UP}|{RUN}|{BYE}) \.\s*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Record:
    """One record of one guest: which domain, which boot of it, and how many before it."""

    uuid: str
    boot: str
    sequence: int
    word: str


@dataclass(frozen=True, slots=True)
class Heard:
    """A record that reached the witness.

    `host` is the host whose socket it came through, `at` the arrival in seconds on the monotonic clock of the
    machine that the lab runs on, `wall` the same moment in seconds since the epoch.
    """

    record: Record
    host: str
    at: float
    wall: float


@dataclass(frozen=True, slots=True)
class Stall:
    """The witness itself was not running for `seconds` until `at`: arrivals in that time have no proven order."""

    at: float
    wall: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Testimony:
    """Everything that one witness wrote down, in the order of arrival."""

    heard: tuple[Heard, ...] = ()
    stalls: tuple[Stall, ...] = ()

    @property
    def offset(self) -> float:
        """Seconds that the wall clock is ahead of the monotonic one; 0 when nothing was heard."""
        return self.heard[-1].wall - self.heard[-1].at if self.heard else 0.0


def parse_line(line: str) -> Record | None:
    """The record that a line from a serial port ends with; None for kernel messages and torn lines.

    A record has a mark at both ends, so half a line is never taken for a record with a shorter number.
    """
    match = _RECORD.search(line)
    if match is None:
        return None
    uuid, boot, sequence, word = match.groups()
    return Record(uuid.lower(), boot.lower(), int(sequence), word.lower())


def parse_disk(sectors: Iterable[tuple[int, bytes]]) -> dict[int, Record]:
    """The records in numbered sectors; a sector that holds none, or another number's, is left out."""
    found: dict[int, Record] = {}
    for index, sector in sectors:
        record = parse_line(sector.rstrip(b"\0").decode("ascii", "replace"))
        if record is not None and record.sequence == index:
            found[index] = record
    return found


def to_json(heard: Heard) -> str:
    """One line of the witness's file."""
    r = heard.record
    fields = {"at": round(heard.at, 4), "wall": round(heard.wall, 4), "host": heard.host, "uuid": r.uuid}
    return json.dumps(fields | {"boot": r.boot, "sequence": r.sequence, "word": r.word})


def stall_to_json(stall: Stall) -> str:
    """One line of the witness's file for a time in which the witness did not run."""
    return json.dumps(
        {"at": round(stall.at, 4), "wall": round(stall.wall, 4), "stalled": round(stall.seconds, 4)}
    )


def _complete(lines: Iterable[str]) -> Iterator[dict[str, object]]:
    for line in lines:
        try:
            fields = json.loads(line)
        except ValueError:
            continue  # the last line of a witness that was killed while it wrote
        if isinstance(fields, dict):
            yield fields


def parse_testimony(lines: Iterable[str]) -> Testimony:
    """Read the witness's file; lines of other kinds (a connection opened, noise) are passed over."""
    heard: list[Heard] = []
    stalls: list[Stall] = []
    for f in _complete(lines):
        at, wall = float(str(f["at"])), float(str(f["wall"]))
        if "stalled" in f:
            stalls.append(Stall(at, wall, float(str(f["stalled"]))))
        elif "sequence" in f:
            record = Record(str(f["uuid"]), str(f["boot"]), int(str(f["sequence"])), str(f["word"]))
            heard.append(Heard(record, str(f["host"]), at, wall))
    return Testimony(tuple(heard), tuple(stalls))
