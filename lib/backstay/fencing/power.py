# SPDX-License-Identifier: GPL-2.0-or-later
"""How a host is brought to the wished power state, and when that is given up: a table without effects.

Decides the next step from what has been seen so far. The rule that matters: done is only what was *observed*; an
accepted command, a silent BMC or a lapse of time never is. `reach` walks the table with a power switch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from backstay.host.bmc import Kind, Power, Trouble

NOT_NOW = 0xD5  # "not supported in present state": what a cycle or an off on a dark chassis may get
# Worth asking again. IPMI: busy, internal time limit, no response could be provided, BMC or firmware starting.
# HTTP: too many requests, a gateway in the BMC without an answer, not available now (RFC 9110, RFC 6585).
PASSING_CODES = frozenset({0xC0, 0xC3, 0xCE, 0xD1, 0xD2, 429, 502, 503, 504})
PASSING_KINDS = frozenset(
    {
        Kind.SILENT, Kind.SLOW, Kind.CUT, Kind.UNANSWERED, Kind.DROPPED, Kind.SESSIONS, Kind.NAME, Kind.BLANK,
    }
)  # fmt: skip

TO_SEE = 2.0  # seconds: a command is not repeated when nobody could see any more what came of it


class Switch(Protocol):
    """A power switch that can be looked at; both calls take at most `timeout` seconds."""

    def power(self, timeout: float) -> Power | Trouble:
        """The state of the chassis."""

    def switch(self, wanted: Power, timeout: float) -> Trouble | None:
        """Ask for a state; None when that was accepted."""


@dataclass(frozen=True, slots=True)
class Limits:
    """All in seconds. `total` bounds everything, `patience` a BMC that gives no result before it took a command,
    `power` the time from the first command to its effect, `call` one call; `poll` lies between two looks.
    """

    total: float
    patience: float
    power: float
    call: float
    poll: float = 0.5
    retry: float = 1.0
    unanswered: int = 3  # commands without an answer, while status is answered, until that is the finding


@dataclass(frozen=True, slots=True)
class State:
    """What was seen so far. Times are seconds since the beginning; None where it has not happened."""

    goal: Power
    now: float = 0.0
    seen: Power | None = None  # the last look, None when it had no result
    trouble: Trouble | None = None  # of the last call
    troubled_since: float | None = None
    refusal: Trouble | None = None  # of the last command
    asked: int = 0  # commands that were sent
    accepted: int = 0  # of these
    first_asked: float | None = None
    just_asked: bool = False  # the last call was a command

    def looked(self, answer: Power | Trouble, begun: float, now: float) -> State:
        """The state after a look from `begun` to `now`."""
        if isinstance(answer, Trouble):
            since = begun if self.troubled_since is None else self.troubled_since
            trouble = self._telling(answer)
            return replace(self, now=now, seen=None, trouble=trouble, troubled_since=since, just_asked=False)
        return replace(self, now=now, seen=answer, trouble=None, troubled_since=None, just_asked=False)

    def switched(self, answer: Trouble | None, begun: float, now: float) -> State:
        """The state after a command that was sent at `begun` and answered, or not, until `now`."""
        since = None if answer is None else begun if self.troubled_since is None else self.troubled_since
        return replace(
            self,
            now=now,
            seen=None,
            trouble=answer and self._telling(answer),
            troubled_since=since,
            refusal=answer,
            asked=self.asked + 1,
            accepted=self.accepted + (answer is None),
            first_asked=begun if self.first_asked is None else self.first_asked,
            just_asked=True,
        )

    def _telling(self, trouble: Trouble) -> Trouble:
        """A call that we cut short ourselves tells less than the one before it."""
        return self.trouble if self.trouble and trouble.kind is Kind.CUT else trouble


@dataclass(frozen=True, slots=True)
class Done:
    """The goal was observed."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It was not reached. `trouble` says why; None: the command was accepted, and nothing came of it.

    `accepted`: some command was, so with a trouble nobody knows what came of it.
    """

    trouble: Trouble | None
    accepted: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """Look again after so many seconds."""

    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Ask:
    """Send the command after so many seconds."""

    after: float = 0.0


Step = Done | GiveUp | Look | Ask


def passing(trouble: Trouble) -> bool:
    """Whether asking again may help; a wrong password or a missing role does not mend itself."""
    if trouble.kind is Kind.REFUSED:
        return trouble.code in PASSING_CODES
    return trouble.kind in PASSING_KINDS


def not_now(trouble: Trouble) -> bool:
    """Whether the BMC says that the chassis is not in a state for that; it may be in the wished one already."""
    return trouble.kind is Kind.NOT_NOW or trouble.code == NOT_NOW


def decide(state: State, limits: Limits) -> Step:
    """The next step."""
    if state.seen is state.goal:
        return Done()
    if state.trouble is not None:
        return _troubled(state, state.trouble, limits)
    if state.just_asked or state.seen is None:
        return Look()
    return _still_there(state, limits)


def _troubled(state: State, trouble: Trouble, limits: Limits) -> Step:
    """The last call had no result."""
    if state.just_asked and not_now(trouble):
        return Look()  # it may be dark already: only a look can tell
    if not passing(trouble):
        return GiveUp(trouble, bool(state.accepted))
    troubled_for = state.now - (state.now if state.troubled_since is None else state.troubled_since)
    if state.now >= limits.total or (not state.accepted and troubled_for >= limits.patience):
        return GiveUp(trouble, bool(state.accepted))
    if state.just_asked and trouble.kind is not Kind.REFUSED:
        return Look()  # it may have been carried out, and only its answer was lost
    wait = max(limits.retry, trouble.after)
    return Ask(wait) if state.just_asked else Look(wait)


def _still_there(state: State, limits: Limits) -> Step:
    """The chassis was seen in the other state."""
    if state.asked == 0:
        return Ask()
    refusal = state.refusal
    waited = state.now - (state.now if state.first_asked is None else state.first_asked)
    if state.now >= limits.total or waited >= limits.power:
        return GiveUp(refusal, bool(state.accepted))
    if refusal is None:
        again = state.accepted == 1 and waited >= limits.power / 2
        return Ask() if again else Look(limits.poll)
    if not_now(refusal) and state.goal is Power.OFF:
        return GiveUp(refusal, bool(state.accepted))
    if refusal.kind is Kind.UNANSWERED and state.asked >= limits.unanswered:
        return GiveUp(refusal, bool(state.accepted))
    return Ask(limits.retry)


def reach(
    goal: Power,
    switch: Switch,
    limits: Limits,
    clock: Callable[[], float],
    pause: Callable[[float], None],
) -> Done | GiveUp:
    """Bring the chassis to the goal. Ends within `limits.total` and one second at the most.

    Two seconds more when the first answer of all comes in the last second: the one command is sent even then.
    """
    begin = clock()
    state = State(goal)
    while True:
        step = decide(state, limits)
        if isinstance(step, Done | GiveUp):
            return step
        left = limits.total - (clock() - begin)
        if isinstance(step, Ask) and state.asked and left - step.after < TO_SEE:
            return GiveUp(state.refusal, bool(state.accepted))
        pause(min(step.after, max(0.0, left)))
        # A call that may only take an instant tells nothing, so the last one gets a second.
        call = max(1.0, min(limits.call, limits.total - (clock() - begin)))
        sent = clock() - begin
        if isinstance(step, Look):
            answer = switch.power(call)
            state = state.looked(answer, sent, clock() - begin)
        else:
            refused = switch.switch(goal, call)
            state = state.switched(refused, sent, clock() - begin)
