# SPDX-License-Identifier: GPL-2.0-or-later
"""Tells the cluster and the log what came of a check of the agents.

Decides what is a change: only that is said in the log. A host whose Pacemaker is down still says it there.
"""

from __future__ import annotations

from collections.abc import Sequence

from backstay.agents.check import BAD, Cell
from backstay.errors import BackstayError
from backstay.host.attributes import Attributes
from backstay.host.state import State
from backstay.ocf.log import Log

ATTRIBUTE = "backstay-agents"
SAID = "agents-said"
ANSWER = 5.0  # seconds for the attribute daemon


def word(cells: Sequence[Cell], waiting: str) -> str:
    """Give the state of this host's agents for crm_mon: `ready`, `refused`, or `broken:AGENT,...`."""
    broken = sorted({cell.agent for cell in cells if cell.state == BAD})
    return f"broken:{','.join(broken)}" if broken else "refused" if waiting else "ready"


def tell(now: str, notes: list[str]) -> None:
    """Give the node attribute a value, unless it has it; without a cluster there is a note."""
    try:
        attributes = Attributes()
        if attributes.values(ATTRIBUTE, ANSWER).get(attributes.local(ANSWER), "") != now:
            attributes.publish(ATTRIBUTE, now, ANSWER)
    except BackstayError as error:
        text = f"the cluster is not told: {error}"
        if text not in notes:
            notes.append(text)


def announce(kept: State, cells: Sequence[Cell], waiting: str, notes: list[str]) -> None:
    """Tell the cluster, and the log when it is not what was said last."""
    now, before = word(cells, waiting), kept.read(SAID)
    tell(now, notes)
    if before == now:
        return
    kept.write(SAID, now)
    log = Log("agents")
    for cell in cells:
        if cell.state == BAD:
            log.alert(f"an agent of this host is broken: {cell.reason}")
    if waiting:
        log.alert(f"a version of Backstay was installed and is not in use: {waiting}")
    if before and now == "ready":
        log.note("every agent of this host does its work again")
