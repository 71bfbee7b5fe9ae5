# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's network: one bridge on the machine, a namespace and a cable for each node, an address for each BMC.

A second bridge, with a second cable for each node, is there on request: Corosync's second ring. Touches nothing outside
its own names (`bklab*`, `bkn*`, `bk-n*`); forwards nothing to anywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from backstay.errors import CannotAsk
from backstay.host.process import Completed, run
from backstay.lab import mounts
from backstay.lab.layout import (
    BRIDGE,
    GATEWAY,
    MOST_NODES,
    PREFIX,
    SECOND_BRIDGE,
    Layout,
    NodeLayout,
    node_names,
)

SECONDS = 20.0
HARDWARE = "02:77:10:77:00:fe"  # the bridge's; the nodes' cards end with their number
SECOND_HARDWARE = "02:77:10:77:01:fe"
NAMESPACES = Path("/run/netns")


def create(layout: Layout, names: Sequence[str]) -> None:
    """Make the bridge, with the machine's own address and one for each BMC; the alias says whose it is."""
    addresses = [GATEWAY, *(layout.node(name).bmc_address for name in names)]
    if not mounts.is_mounted(NAMESPACES):
        _our_mount(layout).touch()
    _batch(
        [
            # A bridge without an address of its own takes the lowest of its ports and changes it with each node that
            # dies or boots; the nodes would go on sending to the old one and find no BMC for seconds.
            f"link add {BRIDGE} address {HARDWARE} type bridge",
            f"link set {BRIDGE} alias {layout.directory}",
            *(f"addr add {address}/{PREFIX} dev {BRIDGE}" for address in addresses),
            f"link set {BRIDGE} up",
        ]
    )


def create_second(layout: Layout, names: Sequence[str]) -> None:
    """Make the second network, and plug the nodes that have power; the others are plugged when they boot."""
    _batch(
        [
            f"link add {SECOND_BRIDGE} address {SECOND_HARDWARE} type bridge",
            f"link set {SECOND_BRIDGE} alias {layout.directory}",
            f"link set {SECOND_BRIDGE} up",
        ]
    )
    for name in names:
        if (NAMESPACES / layout.node(name).namespace).exists():
            _plug_second(layout.node(name))


def remove_second(layout: Layout) -> None:
    """Take the second network away; none is as good."""
    for name in node_names(MOST_NODES):
        _quietly(["ip", "link", "del", layout.node(name).second_interface])
    _quietly(["ip", "link", "del", SECOND_BRIDGE])


def owner(bridge: str = BRIDGE) -> str | None:
    """The directory of the lab that has the bridge; empty when it is somebody else's, None when there is none."""
    alias = Path("/sys/class/net", bridge, "ifalias")
    return alias.read_text().strip() if alias.exists() else None


def is_free_for(layout: Layout) -> bool:
    """Whether the bridge, and with it every name of a lab's network, is this lab's or nobody's."""
    return owner() in (None, str(layout.directory))


def plug(node: NodeLayout) -> None:
    """Give a node its namespace and a cable to the bridge. The address of its card is always the same one."""
    if not (NAMESPACES / node.namespace).exists():
        _batch([f"netns add {node.namespace}"])
    if (Path("/sys/class/net") / node.interface).exists():
        return
    _batch(
        [
            f"link add {node.interface} type veth peer name eth0 address {node.card} netns {node.namespace}",
            f"link set {node.interface} master {BRIDGE} up",
        ]
    )
    _batch(
        ["link set lo up", f"addr add {node.address}/{PREFIX} dev eth0", "link set eth0 up"],
        namespace=node.namespace,
    )
    if owner(SECOND_BRIDGE) == str(node.lab):
        _plug_second(node)


def _plug_second(node: NodeLayout) -> None:
    card = f"02:77:10:77:01:{node.number:02x}"
    port = node.second_interface
    _batch(
        [
            f"link add {port} type veth peer name eth1 address {card} netns {node.namespace}",
            f"link set {port} master {SECOND_BRIDGE} up",
        ]
    )
    _batch(
        [f"addr add {node.second_address}/{PREFIX} dev eth1", "link set eth1 up"], namespace=node.namespace
    )


def plug_machine(node: NodeLayout) -> None:
    """Give a virtual machine its cable to the bridge: a tap device, whose other end is in the emulator."""
    if not (Path("/sys/class/net") / node.interface).exists():
        _batch([f"tuntap add dev {node.interface} mode tap", f"link set {node.interface} master {BRIDGE} up"])


def pull(node: NodeLayout) -> None:
    """Take cable and namespace away: a dead host owns no address and answers nobody."""
    cut_cable(node)
    if (NAMESPACES / node.namespace).exists():
        _batch([f"netns del {node.namespace}"])


def cut_cable(node: NodeLayout) -> None:
    """Take the cables away, so that the last packets of dying processes reach nobody."""
    _quietly(["ip", "link", "del", node.interface])
    if owner(SECOND_BRIDGE) is not None:
        _quietly(["ip", "link", "del", node.second_interface])


def detach(layout: Layout, name: str) -> None:
    """Cut a living node off the network: its card loses the carrier, the node itself runs on."""
    _batch([f"link set {layout.node(name).interface} nomaster down"])


def attach(layout: Layout, name: str) -> None:
    """Connect a node again that was detached."""
    _batch([f"link set {layout.node(name).interface} master {BRIDGE} up"])


def switch_off(bridge: str = BRIDGE) -> None:
    """Let a whole network fail: the bridge forwards nothing, and the machine itself is not reached through it.

    Taken down, a bridge still leaves its ports and their carrier, as many a dead switch does.
    """
    _batch([f"link set {bridge} down"])


def switch_on(bridge: str = BRIDGE) -> None:
    """Let a network that was switched off work again."""
    _batch([f"link set {bridge} up"])


def is_attached(layout: Layout, name: str) -> bool:
    """Whether the node's cable is plugged into the bridge."""
    port = Path("/sys/class/net", layout.node(name).interface, "master")
    return port.exists() and port.resolve().name == BRIDGE


def remove(layout: Layout) -> None:
    """Remove every cable and namespace that a lab can have, then the bridge; absent ones are as good.

    Does nothing while the bridge is another lab's, or somebody else's.
    """
    if not is_free_for(layout):
        return
    for name in node_names(MOST_NODES):
        pull(layout.node(name))
    if owner(SECOND_BRIDGE) == str(layout.directory):
        remove_second(layout)
    _quietly(["ip", "link", "del", BRIDGE])
    if _our_mount(layout).exists() and NAMESPACES.is_dir() and not any(NAMESPACES.iterdir()):
        mounts.unmount(NAMESPACES)
        NAMESPACES.rmdir()


def _our_mount(layout: Layout) -> Path:
    """A note that the machine had no place for named namespaces: ip(8) mounts one for the first, and leaves it."""
    return layout.directory / "namespaces-mounted"


def _quietly(argv: Sequence[str]) -> Completed:
    completed = run(argv, timeout=SECONDS)
    if completed.ok or "Cannot find device" in completed.stderr:
        return completed
    raise CannotAsk(f"{' '.join(argv)} failed: {completed.complaint()}")


def _batch(lines: Iterable[str], namespace: str = "") -> None:
    """Run lines of ip(8) in one process."""
    argv = ["ip", *(["-n", namespace] if namespace else []), "-batch", "-"]
    text = "\n".join(lines) + "\n"
    completed = run(argv, timeout=SECONDS, stdin=text)
    if not completed.ok:
        raise CannotAsk(
            f"the lab's network cannot be changed: {completed.stderr.strip() or completed.complaint()}"
        )
