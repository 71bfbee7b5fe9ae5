# SPDX-License-Identifier: GPL-2.0-or-later
"""Has OpenNebula recover what ran on a host that is proven dead, and use the host again when it is back.

Decides the order: the host takes nothing new, is looked at once more (so that what ran there becomes UNKNOWN), each
machine goes its way, and only when nothing is left to do the host is off line. A host that is off line at once keeps
its machines RUNNING for oned for ever. Every pass asks again, so it can be interrupted anywhere and begun anew.
Source: OpenNebula 7.2 (Host.cc, HostMonitorManager.cc: a host that was off line and is not any more is monitored at
once; InformationManager.cc: one that cannot be is an ERROR, and its RUNNING machines are UNKNOWN), its XML-RPC API.
"""

from __future__ import annotations

from backstay.agents import opennebula_states as states
from backstay.agents.opennebula_states import Machine, Step, machine, step
from backstay.cloud.problems import counted
from backstay.errors import CannotAsk
from backstay.host.opennebula import ABSENT, Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element

    from backstay.agents.frontend_profile import Say, World
    from backstay.host.clock import Deadline

ANSWER = 20.0  # seconds for an answer
POLL = 2.0
LOOK_AGAIN = 30.0  # seconds after which oned is made to look at the host once more
ENABLE, DISABLE, TAKE_OFF = 0, 1, 2  # one.host.status
DISABLED, MONITORING_DISABLED, OFF_LINE = 4, 7, 8  # states of a host
RECOVER = {states.FAILED: 0, states.SUCCEEDED: 1, states.RECREATE: 4}
KNOWN = (5, 6, 7)  # major versions whose states these are
EVERYBODY, ALL = -2, -1  # filter and range of one.vmpool.infoextended
MERGE = 1  # of one.vm.update
DONE = {
    states.RESCHED: "is placed elsewhere",
    states.RESUME: "is placed elsewhere and resumed (oned took it for powered off)",
    states.FAILED: "was in {doing}, which its host did not survive",
    states.SUCCEEDED: "was in {doing}, which nobody will end any more",
    states.RECREATE: "had not run yet and is made anew",
}


class Oned:
    """The manager: what is asked of it in this module."""

    def __init__(self, world: World, url: str, credentials: str) -> None:
        self._ask: Callable[[str, list[object]], str] = lambda method, words: world.oned(
            url, credentials, method, words, ANSWER
        )

    def version(self) -> str:
        """Its version."""
        return self._ask("one.system.version", [])

    def find(self, name: str) -> tuple[int, int] | None:
        """Give number and state of a host by its name in the cluster, None when there is none; raises CannotAsk."""
        pool = _parsed(self._ask("one.hostpool.info", []))
        named = [(each.findtext("NAME", ""), each) for each in pool.iterfind("HOST")]
        same = [each for called, each in named if called == name]
        # OpenNebula may know it by its full name, or the cluster may.
        alike = same or [each for called, each in named if _short(called) == _short(name)]
        if len(alike) > 1:
            raise CannotAsk(f"OpenNebula has {len(alike)} hosts that may be {name}; nothing is recovered")
        return (_number(alike[0], "ID"), _number(alike[0], "STATE")) if alike else None

    def state(self, host: int) -> tuple[int, list[int]]:
        """Give the state of a host and the numbers of the machines on it."""
        said = _parsed(self._ask("one.host.info", [host, False]))
        return _number(said, "STATE"), [int(each.text or 0) for each in said.iterfind("VMS/ID")]

    def machine(self, number: int) -> Machine | None:
        """Give a machine; None when it is gone."""
        try:
            return machine(_parsed(self._ask("one.vm.info", [number, False])))
        except Refused as refused:
            if refused.code == ABSENT:
                return None
            raise

    def marked(self, text: str) -> set[int]:
        """Give the numbers of all machines in which that was noted; one.vmpool.info would not say what is noted."""
        said = self._ask("one.vmpool.infoextended", [EVERYBODY, ALL, ALL, ALL])
        return {one.number for one in map(machine, _parsed(said).iterfind("VM")) if one.mark == text}

    def status(self, host: int, status: int) -> None:
        """Enable or disable a host, or take it off line."""
        self._ask("one.host.status", [host, status])

    def act(self, action: str, number: int) -> None:
        """Have something done to a machine."""
        self._ask("one.vm.action", [action, number])

    def end(self, number: int, how: int) -> None:
        """Say how an operation ended that nobody will answer any more."""
        self._ask("one.vm.recover", [number, how])

    def mark(self, number: int, text: str) -> None:
        """Note something in a machine."""
        self._ask("one.vm.update", [number, f'{states.MARK} = "{text}"', MERGE])


def recover(name: str, fenced: float, oned: Oned, world: World, until: Deadline, say: Say) -> str:
    """Recover a host; give the remark for the record. Raises CannotAsk with what is still missing."""
    host = _checked(name, oned)
    if host is None:
        return f"OpenNebula has no host {name}"
    looked = -LOOK_AGAIN
    mark = f"{name} {fenced:.0f}"
    left: set[int] = set()
    marked = oned.marked(
        mark
    )  # by whoever was at it before; asked once, as it is all that oned knows of all machines
    while True:
        state, numbers = oned.state(host)
        steps = _steps(oned, host, numbers, fenced)
        still = [each for each in steps if each.verb in states.OPEN]
        # Once: what ran there before is seen by nobody else. Nothing is placed on a disabled host.
        waits = any(each.verb == states.WAIT and not each.machine.resched for each in still)
        if still and state != DISABLED and state != MONITORING_DISABLED:
            say(f"{counted(len(still), 'machine')}; the host takes nothing new and is looked at once more")
        if still and (
            state not in (DISABLED, MONITORING_DISABLED) or (waits and world.now() - looked >= LOOK_AGAIN)
        ):
            oned.status(host, TAKE_OFF)
            oned.status(host, DISABLE)
            looked = world.now()
        for each in still:
            _do(oned, each, mark, say)
        left |= {each.machine.number for each in steps if each.verb == states.RESCHED}
        marked |= {each.machine.number for each in steps if each.verb in (states.RESCHED, states.RESUME)}
        marked = _resume(oned, host, mark, marked, say)
        if not still and not marked:
            return _over(oned, host, state, steps, left)
        if until.left() < 2 * POLL:
            raise CannotAsk(_missing(still))
        world.pause(POLL)


def foresee(name: str, fenced: float, oned: Oned) -> list[str]:
    """Say what would be done, one sentence each."""
    host = _checked(name, oned)
    if host is None:
        return [f"OpenNebula has no host {name}: nothing is done"]
    _, numbers = oned.state(host)
    found = _steps(oned, host, numbers, fenced)
    if not found:
        return [f"no machine is on {name}; it is taken off line"]
    return [each.said or f"{each.machine.called} {_told(each)}" for each in found]


def give_back(name: str, oned: Oned, say: Say) -> None:
    """Use a host again."""
    host = _checked(name, oned)
    if host is None:
        return
    state, _ = oned.state(host)
    if state in (DISABLED, MONITORING_DISABLED, OFF_LINE):
        oned.status(host, ENABLE)
        say(f"OpenNebula uses {name} again")


def _checked(name: str, oned: Oned) -> int | None:
    version = oned.version()
    major = version.partition(".")[0]
    if not (major.isdecimal() and int(major) in KNOWN):
        raise CannotAsk(
            f"OpenNebula {version} is not known here, and so are its states: nothing is recovered"
        )
    found = oned.find(name)
    return found[0] if found else None


def _steps(oned: Oned, host: int, numbers: list[int], fenced: float) -> list[Step]:
    machines = (oned.machine(number) for number in numbers)
    # One that is on its way to another host counts as there as well until the host is told.
    return [
        step(each, fenced)
        for each in machines
        if each is not None and (each.host == host or each.doing == "MIGRATE")
    ]


def _do(oned: Oned, one: Step, mark: str, say: Say) -> None:
    number = one.machine.number
    try:
        if one.verb in (states.RESCHED, states.RESUME):
            # Marked first: a host that is back before the scheduler gets to it makes an UNKNOWN one POWEROFF.
            oned.mark(number, mark)
            oned.act("resched", number)
        elif one.verb in RECOVER:
            oned.end(number, RECOVER[one.verb])
        else:
            return
    except Refused as refused:
        # It is in another state by now; the next look says in which.
        say(f"{one.machine.called}: {refused}")
        return
    say(f"{one.machine.called} {_told(one)}")


def _told(one: Step) -> str:
    return DONE.get(one.verb, "stays as it is").format(doing=one.machine.doing)


def _resume(oned: Oned, dead: int, mark: str, marked: set[int], say: Say) -> set[int]:
    """Resume what was marked and has arrived elsewhere; give what is marked still."""
    found = [one for one in map(oned.machine, sorted(marked)) if one is not None and one.mark == mark]
    for each in found:
        arrived = each.host != dead
        try:
            if arrived and each.state == states.POWEROFF:
                oned.act("resume", each.number)
                say(f"{each.called} is resumed")
            elif arrived and each.state == states.ACTIVE and not each.doing.startswith("PROLOG"):
                oned.mark(each.number, "")
        except Refused as refused:
            say(f"{each.called}: {refused}")
    return {each.number for each in found}


def _over(oned: Oned, host: int, state: int, steps: list[Step], left: set[int]) -> str:
    if state != OFF_LINE:
        oned.status(host, TAKE_OFF)
    human = "; ".join(each.said for each in steps if each.verb == states.HUMAN)
    return human or (
        f"{counted(len(left), 'machine')} placed elsewhere" if left else "no machine had to be placed"
    )


def _missing(still: list[Step]) -> str:
    if not still:
        return "machines that are on their way to other hosts do not run yet"
    said = "; ".join(each.said or f"{each.machine.called} is in {each.machine.doing}" for each in still)
    return f"{counted(len(still), 'machine')} not recovered yet: {said}"


def _parsed(text: str) -> Element:
    from xml.etree import ElementTree as ET

    try:
        return ET.fromstring(text)
    except ET.ParseError as error:
        raise CannotAsk(f"what OpenNebula says is no XML: {error}") from error


def _number(element: Element, name: str) -> int:
    text = element.findtext(name, "")
    if not text.removeprefix("-").isdecimal():
        raise CannotAsk(f"what OpenNebula says of a {element.tag.lower()} has no {name}")
    return int(text)


def _short(name: str) -> str:
    return name.partition(".")[0].lower()
