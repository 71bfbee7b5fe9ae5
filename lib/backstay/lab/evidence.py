# SPDX-License-Identifier: GPL-2.0-or-later
"""Collects what the audit judges: the witness's file, the guests' disks, Pacemaker's logs of all hosts.

Everything is read from outside the nodes, so a host that is off or cut off gives its evidence too. Decides
nothing and changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from backstay.errors import CannotAsk
from backstay.lab import actions, guest, witness
from backstay.lab.audit import Evidence
from backstay.lab.layout import Layout
from backstay.lab.records import Record, Testimony

LOG = "var/log/pacemaker/pacemaker.log"


def collect(layout: Layout, guests: Mapping[str, str], begin: float, end: float) -> Evidence:
    """The evidence of a lab for the time from `begin` to `end` (monotonic seconds). `guests`: names by UUID.

    The testimony is read before the disks: whatever was acknowledged then has to be on them. Raises CannotAsk when
    a host's log cannot be read, since then the cluster's actions are not known.
    """
    testimony = witness.read(layout)
    disks = {uuid: disk for uuid, name in guests.items() if (disk := _disk(layout, name)) is not None}
    return Evidence(dict(guests), testimony, disks, deeds(layout, testimony), begin, end)


def _disk(layout: Layout, name: str) -> dict[int, Record] | None:
    try:
        return guest.read_disk(layout.shared / "disks" / f"{name}.raw")
    except OSError:
        return None


def deeds(layout: Layout, testimony: Testimony) -> tuple[actions.Deed, ...]:
    """All that Pacemaker did on the lab's hosts, in the order of time."""
    return actions.merge(_parse(layout, name, testimony) for name in layout.names())


def _parse(layout: Layout, name: str, testimony: Testimony) -> tuple[actions.Deed, ...]:
    # What a node wrote lies in its overlay's upper directory, whether it is on, off or gone.
    current = layout.node(name).upper / LOG
    rotated = current.with_name(f"{current.name}.1")
    near = testimony.heard[-1].wall if testimony.heard else time.time()
    try:
        texts = [
            path.read_text(encoding="utf-8", errors="replace") for path in (rotated, current) if path.exists()
        ]
    except OSError as error:
        raise CannotAsk(f"Pacemaker's log of {name} cannot be read: {error}") from error
    if not texts:
        if layout.node(name).spare.exists():
            return ()
        raise CannotAsk(f"{name} has no {current}, so nobody knows what the cluster did there")
    lines = [line for text in texts for line in text.splitlines()]
    return actions.parse_log(lines, near=near, offset=testimony.offset)
