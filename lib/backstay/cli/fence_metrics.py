# SPDX-License-Identifier: GPL-2.0-or-later
"""The readiness of fencing in Prometheus' text format, for a node exporter's textfile directory.

Decides names and labels. A cell that is not good is 0, and its age goes on growing: alert on both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from backstay.cli.exposition import Gauge
from backstay.cli.exposition import text as exposed
from backstay.fencing.check import Report
from backstay.fencing.drill_marks import Record


def text(report: Report, drills: Iterable[Record] = ()) -> str:
    """What one check found, as a whole file; `drills` are the records of the last real fencing of each host."""
    return exposed(_gauges(report, list(drills)))


def _gauges(report: Report, drills: list[Record]) -> Iterator[Gauge]:
    cells = [
        ({"host": each.target, "device": each.device, "asker": each.asker}, each) for each in report.cells
    ]
    yield Gauge(
        "backstay_fence_ready",
        "Whether this host could fence the host with the device (1), or not (0).",
        tuple(({**labels, "state": each.state.value}, float(each.state.good)) for labels, each in cells),
    )
    yield Gauge(
        "backstay_fence_proof_timestamp_seconds",
        "When this device was last asked from this host.",
        tuple((labels, each.at) for labels, each in cells),
    )
    yield Gauge(
        "backstay_fence_findings",
        "Findings about the configuration of fencing.",
        tuple(
            ({"severity": severity}, sum(finding.severity == severity for finding in report.findings))
            for severity in ("error", "warning", "note")
        ),
    )
    yield Gauge("backstay_fence_check_timestamp_seconds", "When this was found.", (({}, report.at),))
    yield Gauge(
        "backstay_fence_drill_timestamp_seconds",
        "When a drill last really fenced the host.",
        tuple(({"host": each.target, "device": each.device}, each.at) for each in drills),
    )
