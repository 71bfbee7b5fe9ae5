# SPDX-License-Identifier: GPL-2.0-or-later
"""Does a BMC belong to the host that it is to switch off? A table over GUIDs.

Decides matches, another host's, changed or unknown: three-valued, because some BMCs have no GUID, a zero one, or the
same one in every board. Compares with what the host says of itself, or else with what was seen at the first proof.
Never touches a BMC.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

EMPTY = frozenset({bytes(16), b"\xff" * 16, bytes(range(16))})


class Belongs(Enum):
    """Whose BMC it is. The values are the words for JSON."""

    PROVEN = "the host says the same"
    AS_BEFORE = "as at the first proof"
    FIRST = "remembered from now on"
    UNKNOWN = "unknown"
    DOUBLED = "the same as that of another host"
    OTHERS = "another host's"
    CHANGED = "not the one of before"

    @property
    def wrong(self) -> bool:
        """Whether a fencing might hit the wrong machine."""
        return self in (Belongs.OTHERS, Belongs.CHANGED)


@dataclass(frozen=True, slots=True)
class Identity:
    """A judgement; `other` is the host that the BMC belongs to, when it is another one."""

    belongs: Belongs
    other: str = ""


def usable(guid: bytes | None) -> bool:
    """Whether a GUID says anything: not absent, not empty, not one byte all through."""
    return guid is not None and len(guid) == 16 and guid not in EMPTY and len(set(guid)) > 2


def spellings(guid: bytes) -> frozenset[str]:
    """The UUIDs that a firmware may mean by 16 bytes.

    IPMI 2.0 sends the least significant byte first; many makers send SMBIOS's order (its first three fields
    reversed), or plain RFC 4122.
    """
    return frozenset(
        {str(uuid.UUID(bytes=guid)), str(uuid.UUID(bytes_le=guid)), str(uuid.UUID(bytes=guid[::-1]))}
    )


def judge(
    target: str,
    guid: bytes | None,
    machines: Mapping[str, str],
    remembered: Mapping[str, str],
    seen: Mapping[str, str],
) -> Identity:
    """Whose BMC the device of `target` reached.

    `machines`: system UUIDs by host, as hosts know them of themselves. `remembered`: GUIDs (hexadecimal) by host, of
    the first proof. `seen`: GUIDs by host, of this check.
    """
    if guid is None or not usable(guid):
        return Identity(Belongs.UNKNOWN)
    names = spellings(guid)
    owners = [host for host, machine in sorted(machines.items()) if machine.lower() in names]
    if target in owners:
        # Some boards all have their maker's UUID: then it tells none of them from the others.
        return Identity(Belongs.PROVEN if owners == [target] else Belongs.DOUBLED)
    if owners:
        return Identity(Belongs.OTHERS, owners[0])
    mine = guid.hex()
    if remembered.get(target) == mine:
        return Identity(Belongs.AS_BEFORE)
    before = next((host for host, known in sorted(remembered.items()) if known == mine), "")
    if before:
        return Identity(Belongs.OTHERS, before)
    if target in remembered:
        return Identity(Belongs.CHANGED)
    if any(known == mine for host, known in seen.items() if host != target):
        return Identity(Belongs.DOUBLED)
    return Identity(Belongs.FIRST)
