# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a plan somebody has to agree to: what it takes out, what it ends, and whom nothing could fence after it.

Decides what counts as harm. Asks nobody. Pure.
"""

from __future__ import annotations

from backstay.cib.difference import REMOVED, Difference
from backstay.errors import Refused
from backstay.plan import wording
from backstay.plan.planned import Plan

RUNS = ("domain", "resource", "clone", "group", "bundle")


def removed(different: tuple[Difference, ...]) -> list[str]:
    """What of it runs and is to be configured no longer."""
    return [one.name for one in different if one.verb == REMOVED and one.kind in RUNS]


def harm(made: Plan, allowed: tuple[str, ...] = ()) -> tuple[str, ...]:
    """What it ends and who finds no place, a sentence each; what happens to what is `allowed` is none."""
    foreseen = made.prediction
    return (
        *(wording.sentence(step) for step in foreseen.harm if step.subject not in allowed),
        *(wording.homeless(name) for name in foreseen.stranded),
    )


def keep_fenced(hosts: tuple[str, ...], *, allowed: bool) -> None:
    """Raise Refused when a host of the cluster would lose its last fence device, and nobody insisted.

    That something may be removed is no such word: the host is still there, and what runs on it could never be proven
    dead.
    """
    if hosts and not allowed:
        names = ", ".join(hosts)
        hint = (
            f"describe {names} again, or take it out of the cluster first: backstay host remove {hosts[0]}; "
            "if it is off for good, insist with --allow-stop"
        )
        raise Refused(f"{names} is in the cluster, and after this nothing could fence it", hint=hint)


def consequences(made: Plan, unfenced: tuple[str, ...]) -> tuple[str, ...]:
    """All that somebody agrees to with it, a sentence each; `unfenced` are the hosts that lose their last device."""
    return (*harm(made), *(wording.unfenced(host) for host in unfenced))
