# SPDX-License-Identifier: GPL-2.0-or-later
"""The readiness of fencing in Prometheus' text format, for a node exporter's textfile directory.

Decides names and labels. A cell that is not good is 0, and its age goes on growing: alert on both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from backstay.fencing.check import Report
from backstay.fencing.drill_marks import Record

ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def text(report: Report, drills: Iterable[Record] = ()) -> str:
    """What one check found, as a whole file; `drills` are the records of the last real fencing of each host."""
    return "\n".join([*_lines(report), *_drills(list(drills))]) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield "# HELP backstay_fence_ready Whether this host could fence the host with the device (1), or not (0)."
    yield "# TYPE backstay_fence_ready gauge"
    for each in report.cells:
        labels = _labels(host=each.target, device=each.device, asker=each.asker, state=each.state.value)
        yield f"backstay_fence_ready{{{labels}}} {int(each.state.good)}"
    yield "# HELP backstay_fence_findings Findings about the configuration of fencing."
    yield "# TYPE backstay_fence_findings gauge"
    for severity in ("error", "warning", "note"):
        count = sum(finding.severity == severity for finding in report.findings)
        yield f"backstay_fence_findings{{{_labels(severity=severity)}}} {count}"
    yield "# HELP backstay_fence_check_timestamp_seconds When this was found."
    yield "# TYPE backstay_fence_check_timestamp_seconds gauge"
    yield f"backstay_fence_check_timestamp_seconds {report.at:.0f}"


def _drills(records: list[Record]) -> Iterator[str]:
    if records:
        yield "# HELP backstay_fence_drill_timestamp_seconds When a drill last really fenced the host."
        yield "# TYPE backstay_fence_drill_timestamp_seconds gauge"
    for each in records:
        labels = _labels(host=each.target, device=each.device)
        yield f"backstay_fence_drill_timestamp_seconds{{{labels}}} {each.at:.0f}"


def _labels(**values: str) -> str:
    return ",".join(f'{name}="{value.translate(ESCAPES)}"' for name, value in values.items())
