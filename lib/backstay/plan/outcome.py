# SPDX-License-Identifier: GPL-2.0-or-later
"""What came of a plan that was loaded, and that in the admin's words. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from backstay.plan.transition import Step
from backstay.plan.wording import sentence


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a plan.

    `checkpoint` is the name of the configuration of before; `loaded`: the plan is live now; `settled`: the cluster came
    to rest in time; `left` is what the plan removes and is not down; `happened` is what the cluster did, `missing` what
    was foreseen of it and did not happen, `surprising` what happened and was not foreseen.
    """

    checkpoint: str
    loaded: bool
    settled: bool
    left: tuple[str, ...] = ()
    happened: tuple[Step, ...] = ()
    missing: tuple[Step, ...] = ()
    surprising: tuple[Step, ...] = ()

    @property
    def as_foreseen(self) -> bool:
        """Whether all of it went as the plan said."""
        return self.loaded and self.settled and not (self.missing or self.surprising or self.left)


def report(came: Outcome, seconds: float) -> str:
    """The whole as text; `seconds` is how long the cluster was given."""
    return (
        "\n".join(_lines(came, seconds)) if came.loaded else "Nothing was loaded: all of it is live already."
    )


def _lines(came: Outcome, seconds: float) -> Iterator[str]:
    yield "Loaded. What happened:"
    yield from (f"  {sentence(step)}" for step in came.happened)
    if not came.happened:
        yield f"  nothing{' had to be done' if came.as_foreseen else ''}"
    yield from (f"  ! foreseen, did not happen: {sentence(step)}" for step in came.missing)
    yield from (f"  ! happened, not foreseen: {sentence(step)}" for step in came.surprising)
    if came.left:
        names = ", ".join(came.left)
        yield f"  ! not down, and so not taken out yet: {names}; run the same command again"
    if not came.settled:
        yield f"  ! the cluster has not settled within {seconds:.0f} s: crm_mon -1 says what it waits for"
