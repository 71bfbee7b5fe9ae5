# SPDX-License-Identifier: GPL-2.0-or-later
"""What the profile ganeti does about a host that is proven dead, and about one that came back.

Decides what is moved and what "done" means: Ganeti's own commands say success although an instance stayed behind, so
the list of instances is looked at afterwards. May be called again for the same host at any point.
Source: Ganeti 3.0.2 (gnt-node(8), gnt-instance(8)); what was run on three nodes.
"""

from __future__ import annotations

from backstay.agents.frontend_ganeti import DAEMON_UTIL, is_me
from backstay.agents.frontend_profile import Command, perform
from backstay.errors import CannotAsk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from backstay.agents.frontend_profile import Say, World
    from backstay.host.clock import Deadline

NODE, INSTANCE, CLUSTER = "/usr/sbin/gnt-node", "/usr/sbin/gnt-instance", "/usr/sbin/gnt-cluster"
TABLE = ("--no-headers", "--separator=|")
MOVABLE = frozenset({"drbd", "sharedfile", "gluster", "diskless", "blockdev", "rbd", "ext"})
"""Disk templates whose instances can run on another node than the one that is gone."""

ENDED_BADLY = "ERROR_down"
QUERY_TIME, MODIFY_TIME, MOVE_TIME, START_TIME, ADD_TIME = 15.0, 60.0, 100.0, 60.0, 60.0  # seconds


class Instance:
    """One instance: its primary node, its status in Ganeti's words, the template of its disks."""

    __slots__ = ("name", "node", "status", "template")

    def __init__(self, name: str, node: str, status: str, template: str) -> None:
        self.name = name
        self.node = node
        self.status = status
        self.template = template

    @property
    def movable(self) -> bool:
        """Whether it can run on another node."""
        return self.template in MOVABLE

    @property
    def fate(self) -> str:
        """What becomes of it when its node is dead."""
        return "runs on another node" if self.movable else f"stays down, its disks are {self.template}"


def recover(host: str, world: World, until: Deadline, say: Say) -> str:
    """Have the instances of a dead host run elsewhere; a remark names those that cannot. Raises CannotAsk."""
    name = _known(host, world, until)
    if not name:
        return f"Ganeti does not know {host}"
    try:
        world.ganeti().shut_out([each for each in [_address(name, world)] if each])
        _put_aside(name, world, until, say)
        moved = _moved(name, world, until, say)
    finally:
        world.ganeti().let_in()
    _started(moved, world, until, say)
    left = [each.name for each in instances(world, until) if each.node == name]
    return f"{', '.join(left)} cannot run elsewhere" if left else ""


def _moved(name: str, world: World, until: Deadline, say: Say) -> list[str]:
    """Fail over what can be; done when Ganeti's own list has no such instance there any more."""
    there = [each.name for each in instances(world, until) if each.node == name and each.movable]
    if there:
        # Its exit code says success although some may have failed, and failure when an instance cannot be moved at all.
        world.run(Command([NODE, "failover", "-f", name]), min(MOVE_TIME, until.left()))
    left = [each.name for each in instances(world, until) if each.node == name and each.movable]
    if left:
        raise CannotAsk(f"{', '.join(left)} still counts as being on {name}; see gnt-job list")
    if there:
        say(f"moved: {', '.join(there)}")
    return there


def _started(moved: list[str], world: World, until: Deadline, say: Say) -> None:
    """Start those that should run and do not: what Ganeti calls ERROR_down."""
    down = [each.name for each in instances(world, until) if each.status == ENDED_BADLY and each.movable]
    if down:
        perform(world, [Command([INSTANCE, "startup", *down], START_TIME)], until, say)
    wanted = frozenset(moved) | frozenset(down)
    bad = [
        each.name for each in instances(world, until) if each.name in wanted and each.status == ENDED_BADLY
    ]
    if bad:
        raise CannotAsk(f"{', '.join(bad)} does not run; see gnt-job list")


def _put_aside(name: str, world: World, until: Deadline, say: Say) -> None:
    """Tell Ganeti that the node is off line, so that nothing waits for it."""
    if not _is_offline(name, world, until):
        perform(world, [Command([NODE, "modify", "--offline=yes", name], MODIFY_TIME)], until, say)


def give_back(host: str, world: World, until: Deadline, say: Say) -> None:
    """Add the node again, with the configuration of today, and start what a node that was off line lacks."""
    name = _known(host, world, until)
    if not name:
        return
    if _is_offline(name, world, until):
        perform(world, [Command([NODE, "add", "--readd", "--no-ssh-key-check", name], ADD_TIME)], until, say)
    start = f"{DAEMON_UTIL} start ganeti-confd"
    world.run(Command([CLUSTER, "command", "-n", name, start]), min(QUERY_TIME, max(until.left(), 1.0)))


def foresee(host: str, world: World, until: Deadline) -> list[str]:
    """Say what would become of each instance."""
    name = _known(host, world, until)
    if not name:
        return [f"Ganeti does not know {host}"]
    there = [each for each in instances(world, until) if each.node == name]
    return [f"{each.name} ({each.status}): {each.fate}" for each in there]


def instances(world: World, until: Deadline) -> list[Instance]:
    """Give every instance as Ganeti has it."""
    said = _asked([INSTANCE, "list", *TABLE, "--output=name,pnode,status,disk_template"], world, until)
    return [Instance(*row) for row in said if len(row) == 4]


def _known(host: str, world: World, until: Deadline) -> str:
    """Give Ganeti's name of a host, empty when it is no node of it."""
    names = [row[0] for row in _asked([NODE, "list", *TABLE, "--output=name"], world, until)]
    return next((name for name in names if is_me(name, host)), "")


def _is_offline(name: str, world: World, until: Deadline) -> bool:
    rows = _asked([NODE, "list", *TABLE, "--output=name,offline", name], world, until)
    return any(row == [name, "Y"] for row in rows)


def _asked(argv: list[str], world: World, until: Deadline) -> list[list[str]]:
    """Ask for a table; raises CannotAsk."""
    if until.expired:
        raise CannotAsk(f"no time is left for {argv[0]}")
    done = world.run(Command(argv), min(QUERY_TIME, until.left()))
    if not done.ok:
        raise CannotAsk(f"{argv[0]} {argv[1]}: {done.complaint()}")
    return [line.strip().split("|") for line in done.stdout.splitlines() if line.strip()]


def _address(name: str, world: World) -> str:
    """Give the primary address of a node."""
    lines = (line.split() for line in world.ganeti().says("node_primary_ips").splitlines())
    return next((line[1] for line in lines if len(line) > 1 and line[0] == name), "")
