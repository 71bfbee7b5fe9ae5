# SPDX-License-Identifier: GPL-2.0-or-later
"""A plan in the admin's words. Decides sentences, nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from backstay.cib.difference import ADDED, CHANGED, Difference
from backstay.plan.prediction import Prediction
from backstay.plan.transition import (
    AFRESH,
    DEMOTE,
    FENCE,
    LEFT,
    MIGRATE,
    MOVE,
    PROMOTE,
    RECOVER,
    RELOAD,
    RESTART,
    START,
    STOP,
    Step,
)

SIGNS = {ADDED: "+", CHANGED: "~"}
SENTENCES = {
    START: "{subject} starts on {target}",
    STOP: "{subject} stops on {source}",
    RESTART: "{subject} stops and starts again on {source}",
    RECOVER: "{subject} is recovered: it stops and starts again on {source}",
    MOVE: "{subject} stops on {source} and starts on {target}",
    MIGRATE: "{subject} moves live from {source} to {target}",
    RELOAD: "{subject} takes its new parameters on {source}, without a stop",
    AFRESH: "{subject} was given its new parameters on {source}",
    PROMOTE: "{subject} is promoted on {target}",
    DEMOTE: "{subject} is demoted on {source}",
    FENCE: "{subject} IS FENCED",
    LEFT: "{subject} left the cluster",
}
# What the scheduler gives as a reason, for those that an admin would not understand at once.
REASONS = {
    "resource definition change": "its definition changed",
    "node availability": "no host may or can run it",
    "peer is no longer part of the cluster": "it is not in the cluster any more",
}


def sentence(step: Step) -> str:
    """One step: `db1 stops and starts again on n1 (its definition changed)`."""
    pattern = SENTENCES.get(step.verb, "{subject}: {verb} {source} {target}")
    said = pattern.format(
        subject=step.subject, source=step.source or step.target, target=step.target, verb=step.verb
    )
    if step.verb == RECOVER and step.target:
        said = f"{step.subject} is recovered: it stops on {step.source} and starts on {step.target}"
    why = REASONS.get(step.reason, step.reason)
    said += f" ({why})" if why else ""
    return f"{said}: wanted, but blocked" if step.blocked else said


def changes(differences: tuple[Difference, ...]) -> Iterator[str]:
    """What changes, a line each; a changed thing has a line for each fact."""
    for one in differences:
        yield f"  {SIGNS.get(one.verb, '-')} {one.kind} {one.name}"
        if one.verb == CHANGED:
            for detail in one.details:
                yield f"      {detail.fact}: {detail.old or 'not set'} -> {detail.new or 'not set'}"


def hand_made(things: tuple[tuple[str, str], ...]) -> Iterator[str]:
    """What stays as it is because somebody else made it, a line for each kind."""
    kinds = dict.fromkeys(kind for kind, _ in things)
    if kinds:
        yield "what Backstay did not create, and leaves alone:"
    for kind in kinds:
        yield f"    {kind} {', '.join(name for one, name in things if one == kind)}"


def called(cluster: str) -> str:
    """Of the cluster of this name, which may have none."""
    return f"cluster {cluster}" if cluster else "a cluster without a name"


def homeless(name: str) -> str:
    """Of a resource that should run after a plan, and does not."""
    return f"{name} finds no place on any host"


def unfenced(host: str) -> str:
    """Of a host that a plan takes the last fence device from."""
    return f"nothing could fence {host} any more"


def consequences(prediction: Prediction) -> Iterator[str]:
    """What follows, a line each: first what hurts, marked, then the rest."""
    harm = frozenset(prediction.harm)
    for step in prediction.harm:
        yield f"  ! {sentence(step)}"
    for step in prediction.steps:
        if step not in harm:
            yield f"    {sentence(step)}"
    for name in prediction.stranded:
        yield f"  ! {homeless(name)}"
    if not (prediction.steps or prediction.stranded):
        yield "    nothing starts, stops or moves"
    for name in prediction.hoped:
        yield f"    {name} is taken for up to date on its hosts: only its agent knows"
    for step in prediction.anyway:
        yield f"    {sentence(step)}: also without this change"
