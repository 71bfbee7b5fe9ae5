# SPDX-License-Identifier: GPL-2.0-or-later
"""What DRBD's configuration says of a resource: its hosts, its handlers, whether two sides may be promoted.

Decides nothing. It is what the files say, not what the kernel has. Source: `drbdadm dump-xml` of drbd-utils 9.22; the
option fencing stands in the section net for DRBD 9 and in disk for 8.4.
"""

from __future__ import annotations

from dataclasses import dataclass

from backstay.errors import CannotAsk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from backstay.host.drbd import Drbd


@dataclass(frozen=True, slots=True)
class Configured:
    """A resource as it is configured. `hosts` are the names that DRBD knows them by (uname -n)."""

    hosts: tuple[str, ...]
    options: Mapping[str, str]
    handlers: Mapping[str, str]

    @property
    def two_primaries(self) -> bool:
        """Whether two sides may be promoted at once."""
        return self.options.get("allow-two-primaries", "no") == "yes"

    @property
    def fencing(self) -> str:
        """Give the fencing policy."""
        return self.options.get("fencing", "dont-care")


def configured(drbd: Drbd, timeout: float) -> Configured:
    """Ask drbdadm; CannotAsk with its complaint when the resource is not configured for this host."""
    asked = drbd.adm("dump-xml", timeout=timeout)
    if not asked.ok:
        raise CannotAsk(f"{drbd.resource} cannot be read from {drbd.configuration}: {asked.complaint()}")
    return read(asked.stdout)


def read(text: str) -> Configured:
    """Read the answer of dump-xml; raises CannotAsk when it is none."""
    from xml.etree import ElementTree as ET

    try:
        top = ET.fromstring(text)
    except ET.ParseError as error:
        raise CannotAsk(f"drbdadm does not speak XML: {error}") from error
    resource = top if top.tag == "resource" else top.find("resource")
    if resource is None:
        raise CannotAsk("drbdadm says nothing of the resource")
    found: dict[str, dict[str, str]] = {}
    for section in [*top.findall("common/section"), *resource.findall("section")]:
        options = {each.get("name", ""): each.get("value", "yes") for each in section.findall("option")}
        found.setdefault(section.get("name", ""), {}).update(options)
    hosts = tuple(host.get("name", "") for host in resource.findall("host"))
    return Configured(hosts, found.get("disk", {}) | found.get("net", {}), found.get("handlers", {}))
