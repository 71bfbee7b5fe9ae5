# SPDX-License-Identifier: GPL-2.0-or-later
"""What ran on which host has to be recovered: decided anew at each look, from the cluster's own memory.

Decides, for each host, from the fencer's history, the host's state and the record of what was recovered before. What
wakes somebody up does not matter, and nothing is lost with the host that was at it: a fencing that was confirmed after
the one in the record is due; a record that says "begun" is gone on with, also when the history is lost. A host that
left the cluster in order, and one whose state is not known, may still run its guests: nothing is recovered. Pure.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeGuard

SAME = 30
"""Seconds between two hosts' notes of one fencing: each fencer of Pacemaker 2.1.5 notes when itself heard of it.

A host that is fenced a second time within that has not been given back in between, so nothing new ran there.
"""

SEEN, BEGUN, DONE, BACK = "seen", "begun", "done", "back"
STATES = (SEEN, BEGUN, DONE, BACK)
SETTLED, NOTE, RECOVER, GIVE_BACK, HOLD = "settled", "note", "recover", "give back", "hold"
LONGEST = 200  # characters of a record's remark


class Fencing:
    """A confirmed fencing: when (seconds since the epoch), and whether a human said so instead of a device."""

    __slots__ = ("human", "when")

    def __init__(self, when: int, human: bool = False) -> None:
        self.when = when
        self.human = human

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fencing) and (self.when, self.human) == (other.when, other.human)

    def __hash__(self) -> int:
        return hash((self.when, self.human))

    def __repr__(self) -> str:
        return f"Fencing({self.when}{', human' if self.human else ''})"


class Record:
    """What was done about a host last: for which fencing, how far, and a remark. The cluster keeps one for each."""

    __slots__ = ("fencing", "remark", "state")

    def __init__(self, fencing: Fencing, state: str, remark: str = "") -> None:
        self.fencing = fencing
        self.state = state
        self.remark = " ".join(remark.split())[:LONGEST]

    def text(self) -> str:
        """Write it."""
        by = "human" if self.fencing.human else "fenced"
        return f"{self.fencing.when} {by} {self.state} {self.remark}".strip()

    def __repr__(self) -> str:
        return f"Record({self.text()})"


def record(text: str) -> Record | None:
    """Read a record; None when there is none, or it makes no sense."""
    words = text.split(" ", 3)
    if len(words) < 3 or not words[0].isdecimal() or words[2] not in STATES:
        return None
    return Record(Fencing(int(words[0]), words[1] == "human"), words[2], words[3] if len(words) > 3 else "")


class Host:
    """A host as the cluster sees it now.

    `fenced` is its last confirmed fencing that is still known, `fencing` says that one is under way, `refusal` why the
    last one failed, when none succeeded after it. `well` is empty when libvirtd is healthy there and no guest is stray
    or runs twice, else what is not.
    """

    __slots__ = ("fenced", "fencing", "name", "online", "record", "refusal", "unclean", "well")

    def __init__(
        self,
        name: str,
        *,
        online: bool,
        unclean: bool = False,
        fenced: Fencing | None = None,
        fencing: bool = False,
        refusal: str = "",
        record: Record | None = None,
        well: str = "",
    ) -> None:
        self.name = name
        self.online = online
        self.unclean = unclean
        self.fenced = fenced
        self.fencing = fencing
        self.refusal = refusal
        self.record = record
        self.well = well


class Decision:
    """What follows for a host: a verb, the fencing that it is about, and a sentence for the admin or an empty one."""

    __slots__ = ("fencing", "host", "said", "verb")

    def __init__(self, host: str, verb: str, fencing: Fencing | None = None, said: str = "") -> None:
        self.host = host
        self.verb = verb
        self.fencing = fencing
        self.said = said

    def __repr__(self) -> str:
        return f"Decision({self.host}: {self.verb} {self.fencing}, {self.said!r})"


def decide(host: Host) -> Decision:
    """Say what is to be done about a host."""
    known, fenced = host.record, host.fenced
    if known is not None and known.state == BEGUN and not _later(fenced, known.fencing):
        return _due(host, known.fencing)
    if known is None and host.online:
        # What happened before anybody kept records is over: it is noted, so that the next fencing is seen to be new.
        return Decision(host.name, NOTE, fenced or Fencing(0))
    if known is not None and _later(fenced, known.fencing):
        return _due(host, fenced)
    if host.online:
        return _returned(host, known)
    if host.unclean or host.fencing:
        return Decision(host.name, HOLD, said=_not_proven(host))
    if known is not None and known.state == DONE:
        return Decision(host.name, SETTLED)
    said = f"{host.name} left the cluster in order (no fencing of it is known) and may still run guests"
    if known is None and fenced is not None:
        # The fencer remembers it for months (a drill's too): it may have come back, been used, and left in order since.
        said = f"{host.name} was fenced before records were kept, and may have come back since and still run guests"
    said += ": nothing is recovered"
    return Decision(
        host.name, HOLD, said=f"{said}; if it is off: backstay recover {host.name} --confirm-dead"
    )


def _later(fenced: Fencing | None, than: Fencing) -> TypeGuard[Fencing]:
    return fenced is not None and fenced.when > than.when + SAME


def _due(host: Host, fencing: Fencing) -> Decision:
    by = "a human confirmed that it is off" if fencing.human else "its fencing is confirmed"
    return Decision(host.name, RECOVER, fencing, f"{host.name} is recovered: {by}")


def _returned(host: Host, known: Record | None) -> Decision:
    if known is None or known.state != DONE:
        return Decision(host.name, SETTLED)
    if host.well:
        return Decision(
            host.name, HOLD, said=f"{host.name} is back, but not given to the manager: {host.well}"
        )
    return Decision(host.name, GIVE_BACK, known.fencing, f"{host.name} is given back to the manager")


def _not_proven(host: Host) -> str:
    why = f"its fencing failed ({host.refusal})" if host.refusal else "its state is not known"
    if host.fencing:
        why = "it is being fenced"
    said = f"{host.name} is not proven to be dead, {why}: nothing is recovered"
    if host.fencing:
        return said
    return f"{said}; if you have seen it off: backstay recover {host.name} --confirm-dead"


def sentences(decisions: Sequence[Decision]) -> str:
    """Give everything that an admin should know now, in one line."""
    return "; ".join(each.said for each in decisions if each.said)
