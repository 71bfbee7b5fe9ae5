# SPDX-License-Identifier: GPL-2.0-or-later
"""What a frontend role is made of: a profile declares its units, its probes, how to take the role and how to leave it.

Decides the order of things and nothing else. A profile that is more than a list of commands is a subclass which
overrides `present`, `take`, `leave` or `recover`; whatever it does, it does through the World that it is given, and
within the deadline that it is given. Nothing here is imported that a monitor does not need.
"""

from __future__ import annotations

from backstay.errors import CannotAsk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from backstay.host.clock import Deadline
    from backstay.host.ganeti import Node
    from backstay.host.probes import Answer
    from backstay.host.process import Completed
    from backstay.host.recoveries import Seen
    from backstay.host.systemd import Unit

    Say = Callable[[str], None]

    class World(Protocol):
        """The host as a profile sees it (host.frontend.Host). Methods raise CannotAsk; times are in seconds."""

        def units(self, names: Sequence[str], timeout: float) -> dict[str, Unit]: ...
        def leftovers(self, unit: Unit) -> tuple[int, ...]: ...
        def run(self, command: Command, timeout: float) -> Completed: ...
        def pause(self, seconds: float) -> None: ...
        def now(self) -> float: ...
        def clock(self) -> float: ...
        def ask(self, probes: Sequence[Probe], at_most: float) -> tuple[Answer, ...]: ...
        def usable(self, directory: str, timeout: float) -> str: ...
        def nodename(self) -> str: ...
        def look(self, timeout: float) -> Seen: ...
        def ganeti(self) -> Node: ...
        def beginning(self, path: str, length: int, timeout: float) -> bytes: ...
        def oned(
            self, url: str, credentials: str, method: str, words: Sequence[object], timeout: float
        ) -> str: ...


HTTP, TCP, XMLRPC, COMMAND = "http", "tcp", "xmlrpc", "command"
KINDS = (HTTP, TCP, XMLRPC, COMMAND)
WITHIN = 5.0  # seconds for an answer, when the profile does not say
COMMAND_TIME = 60.0  # seconds for a command, when the profile does not say
SYSTEMD_TIME = 5.0  # seconds that systemd gets to describe units

NOWHERE, PARTLY, WHOLLY = "nowhere", "partly", "wholly"


class Command:
    """A program that is run; `codes` are its good exit codes.

    `{host}` in an argument is the host that is recovered, `{fenced}` when it was fenced, in seconds since the epoch.
    """

    __slots__ = ("argv", "codes", "within")

    def __init__(
        self, argv: Sequence[str], within: float = COMMAND_TIME, codes: Sequence[int] = (0,)
    ) -> None:
        self.argv = tuple(argv)
        self.within = within
        self.codes = tuple(codes)

    def about(self, host: str, fenced: float = 0.0) -> Command:
        """Give the command with the name of a host in it."""
        words = [word.replace("{host}", host).replace("{fenced}", f"{fenced:.0f}") for word in self.argv]
        return Command(words, self.within, self.codes)


class Probe:
    """A question whose answer says whether the role works, asked within `within` seconds.

    `kind` is http (`target` is a URL; good are the `status` codes, any of 200 to 399 without, and `text` stands in the
    answer), tcp (host:port takes a connection, and begins with `text` if there is one), xmlrpc (a URL whose `method` is
    called with `words`; an answer that is no fault, with `text` in it), or command (`words` are its arguments; it ends
    with one of `status`, 0 without, and says `text`). A word `{file:PATH}` is the content of that file, in a call
    `{int:7}` is a number. `without` is a text that must not stand in the answer.
    An optional probe that is not answered makes the role degraded, not failed; so does an answer that took longer than
    `slow` seconds. One with a `unit` is asked where that unit is installed.
    """

    __slots__ = (
        "insecure",
        "kind",
        "method",
        "name",
        "required",
        "slow",
        "status",
        "target",
        "text",
        "unit",
        "within",
        "without",
        "words",
    )

    def __init__(
        self,
        name: str,
        kind: str,
        target: str = "",
        *,
        within: float = WITHIN,
        required: bool = True,
        status: Sequence[int] = (),
        text: str = "",
        method: str = "",
        words: Sequence[str] = (),
        insecure: bool = False,
        slow: float = 0.0,
        unit: str = "",
        without: str = "",
    ) -> None:
        self.name = name
        self.kind = kind
        self.target = target
        self.within = within
        self.required = required
        self.status = tuple(status)
        self.text = text
        self.method = method
        self.words = tuple(words)
        self.insecure = insecure
        self.slow = slow
        self.unit = unit
        self.without = without


class Profile:
    """A role as a declaration, and what is done with it where nothing more is said.

    `units` are started in this order, after `takes`, and stopped in the opposite one, before `leaves`. `checks` must
    succeed before anything is started. `not_at_boot` are units which the init system must not start; `units` without.
    `if_installed` are those of the units that a host may lack.
    """

    def __init__(
        self,
        name: str,
        *,
        units: Sequence[str] = (),
        probes: Sequence[Probe] = (),
        checks: Sequence[Command] = (),
        takes: Sequence[Command] = (),
        leaves: Sequence[Command] = (),
        recovers: Sequence[Command] = (),
        gives_back: Sequence[Command] = (),
        not_at_boot: Sequence[str] = (),
        if_installed: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.if_installed = frozenset(unit_name(unit) for unit in if_installed)
        self.absent: frozenset[str] = frozenset()  # of them, as far as `present` has looked
        self.units = tuple(unit_name(unit) for unit in units)
        self.probes = tuple(probes)
        self.checks = tuple(checks)
        self.takes = tuple(takes)
        self.leaves = tuple(leaves)
        self.recovers = tuple(recovers)
        self.gives_back = tuple(gives_back)
        self.not_at_boot = tuple(unit_name(unit) for unit in not_at_boot) or self.units

    def present(self, world: World, until: Deadline) -> tuple[str, str]:
        """Say how much of the role is on this host (NOWHERE only on proof, PARTLY, WHOLLY), in words as well."""
        units = world.units(self.units, min(SYSTEMD_TIME, until.left()))
        self.absent = frozenset(name for name in self.if_installed if name in units and _absent(units[name]))
        down = [name for name, unit in units.items() if unit.down and not unit.pid]
        left = [name for name in down if world.leftovers(units[name])]
        if len(down) == len(units) and not left:
            return NOWHERE, f"no unit of it runs ({', '.join(self.units)})"
        lame = [
            f"{name} ({units[name].active})"
            for name in units
            if name not in self.absent and units[name].active != "active"
        ]
        if left:
            return PARTLY, f"{', '.join(left)} is down and has processes"
        return (PARTLY, f"not active: {', '.join(lame)}") if lame else (WHOLLY, "its units are active")

    def check(self, world: World, until: Deadline, say: Say) -> None:
        """Raise CannotAsk with the reason when the role must not be started here now."""
        perform(world, self.checks, until, say)

    def take(self, world: World, until: Deadline, say: Say) -> None:
        """Take the role, before the units are started; raises CannotAsk."""
        perform(world, self.takes, until, say)

    def withdraw(self, world: World, until: Deadline, say: Say) -> None:
        """End what belongs to the role and is no unit, after the units are down; raises CannotAsk."""

    def leave(self, world: World, until: Deadline, say: Say) -> None:
        """Leave the role, after the units are proven gone; raises CannotAsk."""
        perform(world, self.leaves, until, say)

    on_libvirt = True
    """Whether what runs on hosts are libvirt's guests: a host is given back when they are well there, else at once."""

    @property
    def recovers_hosts(self) -> bool:
        """Whether there is anything to be done about a host that died."""
        return bool(self.recovers)

    def recover(self, host: str, fenced: float, world: World, until: Deadline, say: Say) -> str:
        """Have the manager recover what ran on a host that is proven dead since `fenced` (seconds since the epoch).

        Done when it returns, with a remark for the record that may be empty, else CannotAsk. May be called again for
        the same host after an interruption. Called only after a confirmed fencing.
        """
        perform(world, [command.about(host, fenced) for command in self.recovers], until, say)
        return ""

    def give_back(self, host: str, world: World, until: Deadline, say: Say) -> None:
        """Have the manager use a host again that was recovered and has come back well; raises CannotAsk."""
        perform(world, [command.about(host) for command in self.gives_back], until, say)

    def foresee(self, host: str, world: World, until: Deadline) -> list[str]:  # noqa: ARG002  (for those that ask)
        """Say what `recover` would do now, one sentence each; raises CannotAsk."""
        return [" ".join(command.about(host).argv) for command in self.recovers]


def _absent(unit: Unit) -> bool:
    """Whether a unit that a host may lack is lacking; an admin who masked it does not want it."""
    return not unit.installed or (unit.masked and unit.down)


def perform(world: World, commands: Sequence[Command], until: Deadline, say: Say) -> None:
    """Run commands one after the other; raises CannotAsk with what the first that went wrong said."""
    for command in commands:
        if until.expired:
            raise CannotAsk(f"no time is left for {command.argv[0]}")
        done = world.run(command, min(command.within, until.left()))
        if done.returncode not in command.codes:
            raise CannotAsk(f"{command.argv[0]} ended with exit code {done.returncode}: {done.complaint()}")
        say(f"{' '.join(command.argv)}: done")


def unit_name(name: str) -> str:
    """Give a unit's name with its ending."""
    return name if "." in name.rpartition("@")[2] else f"{name}.service"
