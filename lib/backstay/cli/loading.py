# SPDX-License-Identifier: GPL-2.0-or-later
"""A description is loaded in the middle of something else, for a host or for a disk.

Decides that only what that is about may be taken out of the cluster by the way, and what it means when the cluster does
not settle.
"""

from __future__ import annotations

from functools import partial

import click

from backstay.cli import apply, plan
from backstay.errors import Findings, Refused
from backstay.host.checkpoints import Checkpoints
from backstay.host.pacemaker import Pacemaker
from backstay.plan import consent


def load(
    files: list[tuple[str, bytes]], path: str, seconds: float, *, leaves: str = "", allow_stop: bool
) -> None:
    """Load the description `files`, which lie at `path`, and wait for the cluster up to `seconds`.

    `leaves` is the only resource that may be configured no longer. Refused where it would hurt.
    """
    pacemaker = Pacemaker()
    made = plan.make(files, path, partial(plan.start_from, None, pacemaker), (), pacemaker)
    different = plan.changed(made)
    click.echo(plan.show(made, different), err=True)
    gone = consent.removed(different)
    remove = bool(leaves) and set(gone) <= {leaves}
    if gone and not remove:
        them, run = ("it", "runs") if len(gone) == 1 else ("them", "run")
        hint = f"describe {them} again, or take {them} out first: backstay apply {path} --remove"
        raise Refused(f"{path} no longer has {', '.join(gone)}, which {run}", hint=hint)
    unfenced = tuple(name for name in plan.unfenced(made) if name != leaves)
    consent.keep_fenced(unfenced, allowed=allow_stop)
    apply.permit(made, different, stop=allow_stop, remove=remove, yes=True)
    came = apply.carry_out(made, pacemaker, Checkpoints(), seconds)
    if came.loaded and not came.settled:
        raise Findings(f"the cluster has not settled within {seconds:.0f} s", hint="crm_mon -1 says more")
