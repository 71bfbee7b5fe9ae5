# SPDX-License-Identifier: GPL-2.0-or-later
"""Which agents were proven, and on what they stood then: an agent that stands on anything else now is unproven.

Decides what is remembered after a check, and which agents have to be rehearsed again. Touches nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Proven:
    """A rehearsal that passed: the fingerprint of what the agent stood on, and when (seconds since the epoch)."""

    fingerprint: str
    at: float


def read(text: str) -> dict[str, Proven]:
    """Give what was remembered; nothing of it when it cannot be read: then everything is rehearsed."""
    try:
        found = json.loads(text or "{}")
        return {
            str(name): Proven(str(each["fingerprint"]), float(each["at"])) for name, each in found.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def written(proven: Mapping[str, Proven]) -> str:
    """Give the text that `read` reads."""
    rows = {name: {"fingerprint": each.fingerprint, "at": round(each.at)} for name, each in proven.items()}
    return json.dumps(rows, sort_keys=True)


def unchanged(prints: Mapping[str, str], proven: Mapping[str, Proven]) -> frozenset[str]:
    """Give the agents that stand on exactly what they stood on when they were proven."""
    return frozenset(name for name, print_ in prints.items() if _is(proven.get(name), print_))


def _is(known: Proven | None, print_: str) -> bool:
    return known is not None and known.fingerprint == print_


def after(
    before: Mapping[str, Proven],
    prints: Mapping[str, str],
    verdicts: Iterable[tuple[str, bool]],
    at: float,
) -> dict[str, Proven]:
    """Give what is to be remembered after a check. `verdicts`: (agent, whether a column of it is good), one for each.

    An agent with one column that is not good is not proven; one that is not there any more is forgotten, and one that
    was not asked (it is unchanged) stays what it was.
    """
    judged: dict[str, bool] = {}
    for name, good in verdicts:
        judged[name] = judged.get(name, True) and good
    kept = {name: each for name, each in before.items() if name in prints and name not in judged}
    fresh = {name: Proven(prints[name], at) for name, good in judged.items() if good and name in prints}
    return kept | fresh
