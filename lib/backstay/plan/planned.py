# SPDX-License-Identifier: GPL-2.0-or-later
"""A plan as a file: what was live when it was made, what shall become live, and what was foreseen.

Decides the format. A plan holds both configurations whole, so that applying it later asks nothing and guesses nothing:
it is refused when the live configuration is no longer the one that it began with, and so is one that was edited: what
it says would no longer be what it does. Pure.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from backstay.errors import BadInput
from backstay.plan.prediction import Prediction
from backstay.plan.transition import Step

KIND = "backstay-plan-"
FORMAT = f"{KIND}2"


@dataclass(frozen=True, slots=True)
class Plan:
    """`before` and `after` are CIB documents; `cluster` is the name of the cluster, empty when it has none."""

    cluster: str
    before: str
    after: str
    prediction: Prediction


def write(plan: Plan) -> bytes:
    """The plan as a file's content (JSON, the same bytes for the same plan)."""
    foreseen = plan.prediction
    content = {
        "format": FORMAT,
        "cluster": plan.cluster,
        "steps": [asdict(step) for step in foreseen.steps],
        "anyway": [asdict(step) for step in foreseen.anyway],
        "stranded": list(foreseen.stranded),
        "guests": sorted(foreseen.guests),
        "harmless": sorted(foreseen.harmless),
        "hoped": list(foreseen.hoped),
        "before": plan.before,
        "after": plan.after,
    }
    return (json.dumps({**content, "sum": _sum(content)}, indent=1, ensure_ascii=False) + "\n").encode()


def _sum(content: Mapping[str, object]) -> str:
    """What tells that somebody edited a plan by mistake; whoever means it can make it anew."""
    counted = {key: value for key, value in content.items() if key != "sum"}
    return hashlib.sha256(json.dumps(counted, sort_keys=True).encode()).hexdigest()


def is_plan(data: bytes) -> bool:
    """Whether a file's content looks like a plan (a cloud description is YAML with keys of its own)."""
    return data.lstrip().startswith(b"{") and KIND.encode() in data[:200]


def read(data: bytes, name: str) -> Plan:
    """The plan in a file's content; BadInput, naming the file, when it is none."""
    try:
        content = json.loads(data)
        if content["format"] != FORMAT:
            raise BadInput(
                f"{name} is a plan of the format {content['format']}, this Backstay reads {FORMAT}",
                hint="make it again with backstay plan",
            )
        prediction = Prediction(
            steps=tuple(Step(**step) for step in content["steps"]),
            anyway=tuple(Step(**step) for step in content["anyway"]),
            stranded=tuple(content["stranded"]),
            guests=frozenset(content["guests"]),
            harmless=frozenset(content["harmless"]),
            hoped=tuple(content["hoped"]),
        )
        plan = Plan(content["cluster"], str(content["before"]), str(content["after"]), prediction)
        whole = content["sum"] == _sum(content)
    except KeyError as error:
        raise BadInput(
            f"{name} is not a plan: it has no {error}", hint="make it again with backstay plan"
        ) from error
    except (ValueError, TypeError) as error:
        raise BadInput(f"{name} is not a plan: {error}", hint="make it again with backstay plan") from error
    if not whole:
        hint = "make it again with backstay plan; what is to be different belongs into the description"
        raise BadInput(f"{name} was edited after backstay plan had written it", hint=hint)
    return plan
