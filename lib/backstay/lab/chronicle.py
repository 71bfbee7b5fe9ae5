# SPDX-License-Identifier: GPL-2.0-or-later
"""Collects what the timeline tells: the ledger of faults, the BMCs' journals, the nodes' own journals.

Everything is read from outside the nodes. A node whose journal cannot be read is missing from the timeline, which
is a story; the audit, which is a proof, does not use it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from backstay.errors import CannotAsk
from backstay.host.process import run
from backstay.lab import timeline
from backstay.lab.audit import Evidence, Silence
from backstay.lab.bmc import journal as bmc_journal
from backstay.lab.faults import ledger
from backstay.lab.layout import Layout
from backstay.lab.timeline import Event

BMC_JOURNAL = "events.jsonl"
_PATIENCE = 20.0


def collect(layout: Layout, evidence: Evidence, silences: Iterable[Silence]) -> tuple[Event, ...]:
    """Everything that happened between the evidence's begin and end, in the order of time."""
    offset = evidence.testimony.offset
    hosts = layout.names()
    return timeline.merge(
        timeline.of_faults(ledger.read(layout)),
        timeline.of_deeds(evidence.deeds),
        timeline.of_guests(evidence.testimony.heard, evidence.guests, silences),
        *(timeline.of_bmc(bmc_journal.read(layout.node(host).bmc / BMC_JOURNAL)) for host in hosts),
        *(timeline.of_journal(host, _journal(layout, host, evidence), offset) for host in hosts),
        begin=evidence.begin,
        end=evidence.end,
    )


def _journal(layout: Layout, host: str, evidence: Evidence) -> Iterator[dict[str, Any]]:
    since = evidence.begin + evidence.testimony.offset
    argv = [
        "journalctl", f"--directory={layout.node(host).upper}/var/log/journal", "--output=json", "--no-pager",
        "--quiet", f"--since=@{since:.0f}",
    ]  # fmt: skip
    try:
        lines = run(argv, timeout=_PATIENCE).stdout.splitlines()
    except CannotAsk:
        return
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            continue
