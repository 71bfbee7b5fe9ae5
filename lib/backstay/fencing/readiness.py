# SPDX-License-Identifier: GPL-2.0-or-later
"""Would fencing work now? What was proven about one device for one host, from one host: a cell of the matrix.

Decides the state of a cell from the rehearsal, the BMC's answer and whose BMC it is, and how cells travel from host to
host as text. Asks nothing: check.py does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from backstay.fencing.identity import Belongs, Identity
from backstay.host.bmc import Kind, Trouble

CELLS = "backstay-fencing-cells"
"""The private node attribute in which each host tells what it found (`packed`)."""


class State(Enum):
    """The word in a cell."""

    READY = "ready"
    UNTESTED = "untested"  # it answers, and nothing has proven that its off works
    AGENT = "broken agent"
    SWAPPED = "wrong host"
    SILENT = "no answer"
    SLOW = "slow"
    NAME = "no address"
    SUITE = "cipher"
    USER = "no account"
    PASSWORD = "password"
    KEY = "Kg key"
    ROLE = "role"
    SESSIONS = "no slot"
    CERTIFICATE = "certificate"
    REFUSED = "refused"
    UNCLEAR = "unclear"
    SETTINGS = "settings"
    UNPROVEN = "unproven"

    @property
    def good(self) -> bool:
        """Whether a fencing would work as far as anybody can know; what nobody tested is not."""
        return self is State.READY


OF_KIND: Mapping[Kind, State] = MappingProxyType(
    {
        Kind.SILENT: State.SILENT,
        Kind.SLOW: State.SLOW,
        Kind.CUT: State.SLOW,
        Kind.UNANSWERED: State.SLOW,
        Kind.NAME: State.NAME,
        Kind.PASSWORD: State.PASSWORD,
        Kind.USER: State.USER,
        Kind.ROLE: State.ROLE,
        Kind.SUITE: State.SUITE,
        Kind.KEY: State.KEY,
        Kind.SESSIONS: State.SESSIONS,
        Kind.SESSION: State.UNCLEAR,
        Kind.DROPPED: State.SLOW,
        Kind.CERTIFICATE: State.CERTIFICATE,
        Kind.NOT_NOW: State.REFUSED,
        Kind.TASK: State.REFUSED,
        Kind.OFFER: State.UNCLEAR,
        Kind.BLANK: State.UNCLEAR,
        Kind.REFUSED: State.REFUSED,
        Kind.TOOL: State.AGENT,
        Kind.UNCLEAR: State.UNCLEAR,
    }
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking a device: the state so far, the sentence for a bad one, what else an admin should know.

    `guid` is what the BMC sent, None when it sent none; `power` on, off or nothing.
    """

    state: State
    reason: str = ""
    note: str = ""
    power: str = ""
    guid: bytes | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """One device that fences `target`, as `asker` found it. `at` is in seconds since the epoch."""

    asker: str
    device: str
    target: str
    state: State
    at: float
    reason: str = ""
    note: str = ""
    power: str = ""
    belongs: Belongs = Belongs.UNKNOWN


def of_trouble(trouble: Trouble, reason: str) -> Answer:
    """An answer that was none."""
    return Answer(OF_KIND[trouble.kind], reason)


def cell(
    asker: str,
    device: str,
    target: str,
    at: float,
    rehearsal: str | None,
    answer: Answer,
    identity: Identity,
) -> Cell:
    """What is true about a device: a broken agent first, then what the device said, then whose it is.

    `rehearsal` is what went wrong, None when nothing was rehearsed and nothing else proves its off. With settings that
    cannot work no agent passes its rehearsal, so those come before it.
    """
    state, reason = answer.state, answer.reason
    if rehearsal and state is not State.SETTINGS:
        state, reason = State.AGENT, rehearsal
    elif answer.state.good and identity.belongs.wrong:
        state, reason = State.SWAPPED, _whose(target, identity)
    elif answer.state.good and rehearsal is None:
        state, reason = State.UNTESTED, _untested(target)
    return Cell(asker, device, target, state, at, reason, answer.note, answer.power, identity.belongs)


def _untested(target: str) -> str:
    return (
        f"it answers, but nothing has proven since its agent came or changed that it switches {target} off; prove it "
        f"in a quiet hour: backstay fence drill {target} --untested"
    )


def _whose(target: str, identity: Identity) -> str:
    if identity.other:
        return (
            f"what it reaches is the BMC of {identity.other}, not of {target}; correct the addresses, or the cabling, "
            f"before {identity.other} is switched off in its place"
        )
    return (
        f"the BMC that it reaches says that it belongs to another machine than at the first proof; if {target} has a "
        f"new board, tell it with --accept {target}"
    )


def word(cells: Iterable[Cell], configured: bool = True) -> str:
    """The state of one host in a word or two, for crm_mon: `ready`, or `not-ready:DEVICE,...`.

    Without `configured` the configuration has an error, and that is one of them.
    """
    bad = sorted({each.device for each in cells if not each.state.good})
    bad += [] if configured else ["configuration"]
    return f"not-ready:{','.join(bad)}" if bad else "ready"


def changes(before: Iterable[Cell], now: Iterable[Cell]) -> tuple[Cell, ...]:
    """The cells of one asker that are not what they were; at first, those that are not good."""
    known = {(each.target, each.device): each.state for each in before}
    return tuple(
        each
        for each in now
        if known.get((each.target, each.device), State.READY if each.state.good else None) is not each.state
    )


def packed(cells: Iterable[Cell]) -> str:
    """The cells of one asker as text for an attribute; `unpacked` reads it."""
    rows = sorted(cells, key=lambda each: (each.target, each.device))
    at = max((each.at for each in rows), default=0.0)
    return ";".join([f"{at:.0f}", *(f"{each.target}|{each.device}|{each.state.name}" for each in rows)])


def unpacked(asker: str, text: str) -> Iterator[Cell]:
    """The cells that another host published; what cannot be read is left out."""
    at, _, rest = text.partition(";")
    for row in rest.split(";"):
        target, _, (device, _, name) = _split(row)
        if at.isdecimal() and device and name in State.__members__:
            yield Cell(asker, device, target, State[name], float(at))


def _split(row: str) -> tuple[str, str, tuple[str, str, str]]:
    target, bar, rest = row.partition("|")
    return target, bar, rest.partition("|")
