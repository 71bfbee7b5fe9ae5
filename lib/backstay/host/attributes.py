# SPDX-License-Identifier: GPL-2.0-or-later
"""Transient node attributes of the cluster: what hosts tell one another, gone when a host leaves.

Decides nothing. Asks the attribute daemon, never the CIB: its memory is what is true now.
Source: attrd_updater(8), crm_mon(8), crm_node(8) of Pacemaker 2.1.5.
"""

from __future__ import annotations

from backstay.errors import CannotAsk
from backstay.host.process import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HEALTHY = "healthy"
AWAY = ("standby", "standby_onfail", "maintenance", "pending", "unclean", "shutdown")


class Attributes:
    """The attribute daemon on this host. Methods raise CannotAsk."""

    __slots__ = ()

    def publish(self, name: str, value: str, timeout: float, private: bool = False) -> None:
        """Give this host's attribute a value; an empty one removes it. A private one is never written to the CIB."""
        change = ["--update", value] if value else ["--delete"]
        kind = ["--private"] if private else []
        self._ask(["attrd_updater", "--name", name, *kind, *change], timeout)

    def whisper(self, name: str, value: str, timeout: float) -> None:
        """Give this host's private attribute a value: every attribute daemon knows it, the CIB never has it."""
        self.publish(name, value, timeout, private=True)

    def values(self, name: str, timeout: float) -> dict[str, str]:
        """Give the value on each host that has one."""
        said = self._ask(["attrd_updater", "--name", name, "--query", "--all"], timeout, absent_is_fine=True)
        found = (_quoted(line) for line in said.splitlines())
        return {pairs["host"]: pairs.get("value", "") for pairs in found if pairs.get("host")}

    def healthy_elsewhere(self, name: str, here: str, timeout: float) -> tuple[str, ...]:
        """Give the other hosts that resources may be moved to and whose attribute says healthy (or healthy:WORD).

        `here` is the name of this host, asked for when it is empty.
        """
        own = here or self.local(timeout)
        others = self.takers(timeout) - {own}
        values = self.values(name, timeout)
        return tuple(sorted(host for host in others if values.get(host, "").partition(":")[0] == HEALTHY))

    def takers(self, timeout: float) -> frozenset[str]:
        """Give the hosts, as this partition of the cluster sees them, that resources may be moved to now.

        One in maintenance is none, although the attributes stand that its agents left there before.
        """
        return frozenset(node.get("name", "") for node in self._nodes(timeout) if _takes(node))

    def online(self, timeout: float) -> frozenset[str]:
        """Give the hosts that are online in this partition, also those in standby or maintenance."""
        return frozenset(
            node.get("name", "") for node in self._nodes(timeout) if node.get("online") == "true"
        )

    def of(self, host: str, timeout: float) -> dict[str, str]:
        """Give every attribute of a host that crm_mon shows, by name: not the private ones."""
        from xml.etree import ElementTree as ET

        said = self._ask(["crm_mon", "--one-shot", "--output-as=xml", "--include=none,attributes"], timeout)
        try:
            nodes = ET.fromstring(said).iterfind("node_attributes/node")
        except ET.ParseError as error:
            raise CannotAsk(f"crm_mon does not speak XML: {error}") from error
        own = [node for node in nodes if node.get("name") == host]
        return {
            one.get("name", ""): one.get("value", "") for node in own for one in node.iterfind("attribute")
        }

    def _nodes(self, timeout: float) -> list[Mapping[str, str]]:
        from xml.etree import ElementTree as ET

        said = self._ask(["crm_mon", "--one-shot", "--output-as=xml", "--include=none,nodes"], timeout)
        try:
            return [node.attrib for node in ET.fromstring(said).iterfind("nodes/node")]
        except ET.ParseError as error:
            raise CannotAsk(f"crm_mon does not speak XML: {error}") from error

    def local(self, timeout: float) -> str:
        """Give the name of this host in the cluster."""
        return self._ask(["crm_node", "--name"], timeout).strip()

    def partition(self, timeout: float) -> tuple[str, ...]:
        """Give the hosts that are members of this host's partition of the cluster."""
        return tuple(self._ask(["crm_node", "--partition"], timeout).split())

    def _ask(self, argv: list[str], timeout: float, absent_is_fine: bool = False) -> str:
        asked = run(argv, timeout=timeout)
        if asked.ok or (absent_is_fine and "does not exist" in asked.stderr + asked.stdout):
            return asked.stdout
        raise CannotAsk(f"{argv[0]}: {asked.complaint()}")


def _takes(node: Mapping[str, str]) -> bool:
    return node.get("online") == "true" and "true" not in (node.get(flag) for flag in AWAY)


def _quoted(line: str) -> dict[str, str]:
    """Read `name="x" host="y" value="z"`."""
    return dict(_pairs(line))


def _pairs(line: str) -> Iterator[tuple[str, str]]:
    rest = line
    while '="' in rest:
        name, _, rest = rest.partition('="')
        value, _, rest = rest.partition('"')
        yield name.strip(), value
