# SPDX-License-Identifier: GPL-2.0-or-later
"""How the readiness of fencing is shown: the matrix of a terminal, and the same as data.

Decides words, widths and ages. What is ready was decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from backstay.fencing.check import Report
from backstay.fencing.drill_marks import Open, Record
from backstay.fencing.finding import Finding
from backstay.fencing.readiness import Cell

WIDTH = 80
COLUMN = 17
OLD = 7200.0  # seconds: the timer asks every quarter of an hour
AGES = ((172800.0, 86400.0, "d"), (7200.0, 3600.0, "h"), (120.0, 60.0, "m"), (0.0, 1.0, "s"))


def age(seconds: float) -> str:
    """`12m`: at most two or three digits and a unit."""
    left = max(0.0, seconds)
    unit, name = next((unit, name) for least, unit, name in AGES if left >= least)
    return f"{left / unit:.0f}{name}"


def matrix(
    report: Report, others: Sequence[Cell], hosts: Sequence[str], drills: Sequence[Record] | None = None
) -> str:
    """Everything for a terminal: the matrix, a sentence for each cell that is not good, the findings, the verdict.

    `drills` are the records of the last real fencing of each host; None when nobody can know them.
    """
    cells = [*report.cells, *others]
    lines = [*_table(report, cells, hosts), ""]
    lines += [] if drills is None else _wrapped(really_fenced(hosts, drills, report.at))
    lines += [line for each in _telling(cells) for line in _wrapped(_sentence(each))]
    for finding in report.findings:
        lines += _wrapped(
            f"{finding.severity}: {finding.text}" + (f"; {finding.hint}" if finding.hint else "")
        )
    lines.append(verdict(report, others))
    return "\n".join(lines)


def really_fenced(hosts: Sequence[str], drills: Sequence[Record], now: float) -> str:
    """When a drill last fenced each host: `n1 12d ago in 2.4 s (fence-n1)`."""
    known = {record.target: record for record in drills}
    said = [f"{host} {_drilled(known[host], now) if host in known else 'never'}" for host in sorted(hosts)]
    return f"really fenced by a drill: {', '.join(said)}"


def _drilled(record: Record, now: float) -> str:
    took = "" if record.off is None else f" in {record.off:.1f} s"
    return f"{age(now - record.at)} ago{took} ({record.device})"


def verdict(report: Report, others: Sequence[Cell]) -> str:
    """One line: the answer."""
    bad = [each for each in (*report.cells, *others) if not each.state.good]
    errors = sum(finding.severity == "error" for finding in report.findings)
    if not (bad or errors):
        return (
            f"Ready: {report.here} could fence every other host now."
            if report.cells
            else "There is no device."
        )
    parts = [f"{len(bad)} of {len(report.cells) + len(others)} proofs failed"] if bad else []
    parts += [f"{errors} error{'s' * (errors > 1)} in the configuration"] if errors else []
    return f"Not ready: {', '.join(parts)}."


def _table(report: Report, cells: Sequence[Cell], hosts: Sequence[str]) -> Iterable[str]:
    askers = [report.here, *(host for host in hosts if host != report.here)]
    rows = sorted({(each.target, each.device) for each in cells})
    found = {(each.target, each.device, each.asker): each for each in cells}
    first = max([len("host"), *(len(target) for target, _ in rows)])
    second = max([len("device"), *(len(device) for _, device in rows)])
    fit = max(1, (WIDTH - first - second - 4) // COLUMN)
    for begin in range(0, len(askers), fit):
        part = askers[begin : begin + fit]
        heads = "".join(f"{'from ' + asker:<{COLUMN}}" for asker in part)
        yield f"{'host':<{first}}  {'device':<{second}}  {heads}".rstrip()
        for target, device in rows:
            shown = "".join(
                f"{_short(found.get((target, device, asker)), report.at):<{COLUMN}}" for asker in part
            )
            yield f"{target:<{first}}  {device:<{second}}  {shown}".rstrip()


def _short(cell: Cell | None, now: float) -> str:
    return f"{cell.state.value} {age(now - cell.at)}" if cell else "?"


def _telling(cells: Iterable[Cell]) -> Iterable[Cell]:
    return (each for each in cells if (each.reason and not each.state.good) or each.note)


def _sentence(cell: Cell) -> str:
    text = cell.reason if not cell.state.good else cell.note
    return f"{cell.device} for {cell.target}, from {cell.asker}: {text}"


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def as_data(
    report: Report, others: Sequence[Cell], drills: Sequence[Record] = (), *, ready: bool
) -> dict[str, Any]:
    """The same for JSON; ages in seconds, `at` in seconds since the epoch."""
    cells = [
        {
            **{
                name: value
                for name, value in asdict(each).items()
                if name not in ("asker", "state", "belongs")
            },
            "from": each.asker,
            "state": each.state.value,
            "good": each.state.good,
            "identity": each.belongs.value,
            "age": round(max(0.0, report.at - each.at), 1),
        }
        for each in (*report.cells, *others)
    ]
    return {
        "host": report.here,
        "ready": ready,
        "at": report.at,
        "cells": cells,
        "rehearsals": dict(report.rehearsals),
        "drills": [asdict(record) for record in drills],
        "findings": [asdict(finding) for finding in report.findings],
    }


def unheard(hosts: Iterable[str], report: Report, others: Sequence[Cell]) -> list[Finding]:
    """Findings about the hosts from which nothing is known, or nothing new."""
    newest = {each.asker: each.at for each in sorted(others, key=lambda each: each.at)}
    silent = [host for host in hosts if host != report.here and host not in newest]
    old = [host for host, at in sorted(newest.items()) if report.at - at > OLD]
    found = []
    hint = "run `backstay fence check --publish` there, or enable backstay-fence.timer"
    if silent:
        found.append(
            Finding("warning", f"whether {', '.join(silent)} could fence is not known from here", hint)
        )
    if old:
        found.append(Finding("warning", f"what {', '.join(old)} found is more than {age(OLD)} old", hint))
    return found


def unended(drills: Iterable[Open]) -> list[Finding]:
    """Findings about drills that were begun and not ended."""
    hint = "backstay fence drill --abort ends one that nobody carries out any more"
    return [Finding("warning", f"a drill of {each.target} is not over ({each})", hint) for each in drills]
