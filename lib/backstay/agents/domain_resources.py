# SPDX-License-Identifier: GPL-2.0-or-later
"""The libvirt networks and storage pools that a domain needs (start_resources).

Decides which ones a definition names. A trouble with them is said and never decides about the start: libvirt does.
"""

from __future__ import annotations

from xml.etree import ElementTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from backstay.agents.domain_world import World
    from backstay.host.clock import Deadline

    class Resources(Protocol):
        """libvirt's networks and pools (host.libvirt_resources)."""

        def start(self, kind: str, name: str, timeout: float) -> str: ...


def needed(definition: bytes) -> tuple[tuple[str, str], ...]:
    """Give ("network", name) and ("pool", name) of everything that the definition names, each once."""
    try:
        root = ElementTree.fromstring(definition)
    except ElementTree.ParseError:
        return ()
    found = []
    for kind, path, attribute in (
        ("network", "devices/interface[@type='network']/source", "network"),
        ("pool", "devices/disk[@type='volume']/source", "pool"),
    ):
        found += [(kind, one.get(attribute, "")) for one in root.iterfind(path)]
    return tuple(dict.fromkeys(pair for pair in found if pair[1]))


def start_needed(
    world: World, resources: Resources, definition: bytes, deadline: Deadline, host: str
) -> None:
    """Start what the definition names and what is not active on that host, one after the other, until the deadline."""
    wanted: Sequence[tuple[str, str]] = needed(definition)
    for place, (kind, name) in enumerate(wanted):
        if deadline.expired:
            left = ", ".join(f"{kind} {name}" for kind, name in wanted[place:])
            world.warn(f"there was no time to look at {left} on {host}")
            return
        said = resources.start(kind, name, deadline.left() / (len(wanted) - place))
        if said == "started":
            world.note(f"the {kind} {name} was started on {host}")
        elif said != "active":
            world.warn(f"the {kind} {name} could not be started on {host}: {said}")
