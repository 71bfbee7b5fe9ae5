# SPDX-License-Identifier: GPL-2.0-or-later
"""Prometheus' text format, for a node exporter's textfile directory.

Decides how a name, its labels and its help are written. Source: "Exposition formats", version 0.0.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


@dataclass(frozen=True, slots=True)
class Gauge:
    """One metric: its name, one sentence, and its samples as (labels, value)."""

    name: str
    help: str
    samples: tuple[tuple[Mapping[str, str], float], ...] = field(default=())


def text(gauges: Iterable[Gauge]) -> str:
    """A whole file; a metric without a sample is left out."""
    return "".join(f"{line}\n" for gauge in gauges if gauge.samples for line in _lines(gauge))


def _lines(gauge: Gauge) -> Iterator[str]:
    yield f"# HELP {gauge.name} {gauge.help}"
    yield f"# TYPE {gauge.name} gauge"
    for labels, value in gauge.samples:
        inner = ",".join(f'{name}="{said.translate(ESCAPES)}"' for name, said in labels.items())
        yield f"{gauge.name}{{{inner}}} {value:.0f}" if inner else f"{gauge.name} {value:.0f}"
