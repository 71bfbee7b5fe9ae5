# SPDX-License-Identifier: GPL-2.0-or-later
"""The profile ganeti: the master role of a Ganeti cluster, which by itself waits for a human.

Decides when this host may become the master and how, and what has to be gone when it is not. The daemons of a node
(noded, confd, mond) run on every host and are the init system's; those of the master are nobody's but this role's.
Source: Ganeti 3.0.2 (bootstrap.py, daemon-util, gnt-cluster(8)); what was run on three nodes.
"""

from __future__ import annotations

import itertools

from backstay.agents.frontend_profile import (
    COMMAND,
    HTTP,
    NOWHERE,
    PARTLY,
    WHOLLY,
    Command,
    Probe,
    Profile,
    perform,
)  # fmt: skip
from backstay.agents.recovery import BEGUN, DONE, RECOVER, SETTLED, decide
from backstay.errors import CannotAsk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from backstay.agents.frontend_profile import Say, World
    from backstay.agents.recovery import Host
    from backstay.host.clock import Deadline
    from backstay.host.ganeti import Node

NAME = "ganeti"
MASTERS = ("ganeti-luxid", "ganeti-rapi", "ganeti-wconfd")  # in the order of their end
NODE_DAEMON = "ganeti-noded"
NODE_UNIT = "backstay-ganeti-node.service"
DEBIANS_UNIT = "ganeti.service"
DAEMON_UTIL = "/usr/lib/ganeti/daemon-util"
CLUSTER = "/usr/sbin/gnt-cluster"
ARGUMENTS = "/etc/default/ganeti"  # Debian's: a shell reads it before it starts a daemon
ANYWHERE = ("0.0.0.0", "::")  # noqa: S104
RAPI_PORT = "5080"
RAPI_SAYS = (200, 401)  # 401 with --require-authentication, which is Debian's default
ANSWER, WAITS = 10.0, 4.0  # seconds: a frozen daemon never answers; both took 0.5 s on two busy cores
LOOK_TIME = 5.0  # seconds for each of the cluster's tools
END_TIME = 12.0  # seconds that each daemon gets to end by itself


class Ganeti(Profile):
    """The role as Profile has it, with daemons that are no units of systemd, and an address."""

    def present(self, world: World, until: Deadline) -> tuple[str, str]:  # noqa: ARG002  (every profile is given it)
        """Say how much of the master is on this host: its daemons, its address, its own opinion."""
        node = world.ganeti()
        running, address = node.daemons(MASTERS), node.says("master_ip")
        here = bool(address and node.devices(address))
        if not running and not here:
            return NOWHERE, "no daemon of the master runs, and its address is not here"
        lacks = [f"{name} does not run" for name in MASTERS if name not in running]
        lacks += [] if here else [f"the address {address} is not here"]
        if not lacks and not is_me(node.says("master_node"), world.nodename()):
            lacks = [f"this host's own files name {node.says('master_node')} as the master"]
        return (PARTLY, "; ".join(lacks)) if lacks else (WHOLLY, "its daemons run, and its address is here")

    def check(self, world: World, until: Deadline, say: Say) -> None:
        """Raise CannotAsk when this host cannot be the master, or must not be yet."""
        node, host = world.ganeti(), world.nodename()
        me = own_name(node, host)
        if me not in node.says("master_candidates").split():
            raise CannotAsk(f"{me} is no master candidate; gnt-node modify --master-candidate=yes {me}")
        if node.watched():
            raise CannotAsk(
                "cron runs ganeti-watcher here, which starts daemons behind the cluster's back; take its line out of "
                "/etc/cron.d/ganeti"
            )
        if not node.daemons((NODE_DAEMON,)):
            raise CannotAsk(f"{NODE_DAEMON} does not run here; systemctl enable --now {NODE_UNIT}")
        known = hosts_by_name(world, until).get(host)
        if known is not None and known.record is not None and known.record.state in (BEGUN, DONE):
            raise CannotAsk(
                f"{me} was given up for dead, so its copy of Ganeti's configuration may be old; the master takes it "
                "back (gnt-node add --readd) by itself"
            )
        say(f"{me} can be the master")

    def take(self, world: World, until: Deadline, say: Say) -> None:
        """Become the master: start its daemons where this host is it already, else take over."""
        node = world.ganeti()
        node.tidy(MASTERS)
        if is_me(node.says("master_node"), world.nodename()):
            perform(world, [Command([DAEMON_UTIL, "start-master"], until.left())], until, say)
            return
        options, silent = way_to_take(node, hosts_by_name(world, until))
        try:
            node.shut_out([node.says("master_ip"), *silent])
            perform(world, [Command([CLUSTER, "master-failover", *options], until.left())], until, say)
        finally:
            node.let_in()

    def withdraw(self, world: World, until: Deadline, say: Say) -> None:
        """End the master's daemons, by force what does not end by itself, and take its address away."""
        node = world.ganeti()
        node.let_in()
        for name in MASTERS:
            if name in node.daemons(MASTERS):
                _end(world, name, until)
        if node.daemons(MASTERS):
            say(f"{', '.join(node.daemons(MASTERS))} did not end and is killed")
            node.kill(MASTERS)
        address = node.says("master_ip")
        if address:
            node.drop(address)

    on_libvirt = False

    @property
    def recovers_hosts(self) -> bool:
        """It knows what to do about a host that died."""
        return True

    def recover(self, host: str, fenced: float, world: World, until: Deadline, say: Say) -> str:  # noqa: ARG002
        """Have its instances run elsewhere; see ganeti_recovery."""
        from backstay.agents import ganeti_recovery as way

        return way.recover(host, world, until, say)

    def give_back(self, host: str, world: World, until: Deadline, say: Say) -> None:
        """Add the node to the cluster again, with the configuration of today."""
        from backstay.agents import ganeti_recovery as way

        way.give_back(host, world, until, say)

    def foresee(self, host: str, world: World, until: Deadline) -> list[str]:
        """Say what would become of each instance."""
        from backstay.agents import ganeti_recovery as way

        return way.foresee(host, world, until)


def _end(world: World, name: str, until: Deadline) -> None:
    """Stop a daemon; one that does not end is seen to afterwards."""
    try:
        world.run(Command([DAEMON_UTIL, "stop", name]), min(END_TIME, max(until.left() / 4, 1.0)))
    except CannotAsk:
        return


def make(configuration: Callable[[str], str]) -> Ganeti:
    """Give the profile for this host; `configuration` reads a file, empty when there is none."""
    probes = [
        Probe("luxid", COMMAND, words=[CLUSTER, "master-ping"], within=ANSWER, slow=WAITS),
        # master-ping succeeds with a frozen wconfd, so that one is asked by itself.
        Probe("wconfd", COMMAND, words=["/usr/sbin/gnt-debug", "wconfd", "echo", "here"], within=ANSWER, slow=WAITS),
        # Nothing that keeps instances alive goes through it, so no trouble with it ends the role. One that hangs takes
        # connections for ever, so it has to answer.
        Probe("rapi", HTTP, rapi_of(configuration(ARGUMENTS)), status=RAPI_SAYS, insecure=True, required=False),
    ]  # fmt: skip
    return Ganeti(NAME, probes=probes, not_at_boot=[DEBIANS_UNIT])


def rapi_of(told: str) -> str:
    """Give the URL at which rapi answers whoever asks, by its arguments; see ganeti-rapi(8)."""
    lines = [line.partition("=")[2] for line in told.splitlines() if line.startswith("RAPI_ARGS=")]
    words = " ".join(lines[-1:]).strip("\"' ").replace("=", " ").split()
    given = dict(itertools.pairwise(words))
    address = given.get("-b") or given.get("--bind") or "127.0.0.1"
    address = "127.0.0.1" if address in ANYWHERE else f"[{address}]" if ":" in address else address
    port = given.get("-p") or given.get("--port") or RAPI_PORT
    return f"http{'' if '--no-ssl' in words else 's'}://{address}:{port}/version"


def is_me(name: str, host: str) -> bool:
    """Whether Ganeti's name of a node is this host's: its whole name, or that with a domain."""
    return bool(name) and host in (name, name.partition(".")[0])


def own_name(node: Node, host: str) -> str:
    """Give Ganeti's name of a host."""
    for name in node.says("node_list").split():
        if is_me(name, host):
            return name
    raise CannotAsk(f"{host} is no node of the Ganeti cluster; gnt-node add {host}, on the master")


def hosts_by_name(world: World, until: Deadline) -> dict[str, Host]:
    """Give what the cluster knows of each host."""
    from backstay.agents.recovery_seen import hosts

    return {each.name: each for each in hosts(world.look(min(LOOK_TIME, max(until.left(), 1.0))), ())}


def way_to_take(node: Node, known: dict[str, Host]) -> tuple[list[str], list[str]]:
    """Give the options of a take-over, and the addresses of nodes that will not answer.

    Ganeti's own vote stands while most of its nodes can answer. Where they cannot, each one that does not has to be
    proven dead; else CannotAsk.
    """
    pairs = [line.split()[:2] for line in node.says("node_primary_ips").splitlines() if len(line.split()) > 1]
    silent, unproven = [], []
    for name, address in pairs:
        host = next((each for each in known.values() if is_me(name, each.name)), None)
        if host is not None and host.online:
            continue
        silent.append(address)
        if host is None or not proven_dead(host):
            unproven.append(name)
    if 2 * (len(pairs) - len(silent)) > len(pairs):
        return [], silent
    if unproven:
        raise CannotAsk(
            f"most of Ganeti's nodes are gone, and {', '.join(unproven)} is not proven to be dead: it is not taken over"
        )
    return ["--no-voting", "--yes-do-it"], silent


def proven_dead(host: Host) -> bool:
    """Whether a host that is not on line was fenced since it was last in use, or a human said that it is off.

    The fencer remembers the fencing of a host that came back, was used again, and then left the cluster in order.
    """
    return not host.online and not host.unclean and decide(host).verb in (RECOVER, SETTLED)
