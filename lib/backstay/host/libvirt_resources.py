# SPDX-License-Identifier: GPL-2.0-or-later
"""libvirt's networks and storage pools: started if they exist and are not active, and a pool that is looked at anew.

Decides nothing. Starting a pool mounts things, so it may hang; it is asked in a child that can be abandoned.
"""

from __future__ import annotations

from backstay.host import libvirt
from backstay.host.libvirt import asked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from backstay.host.libvirt import Virt


class LibvirtResources:
    """The libvirt at `uri`, here or on another host. No method raises for what libvirt does."""

    __slots__ = ("_uri",)

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def start(self, kind: str, name: str, timeout: float) -> str:
        """Start a "network" or a "pool", or refresh the pool; give "started", "active", or libvirt's own complaint."""

        def question(virt: Virt) -> dict[str, Any]:
            connection = virt.connection
            look = connection.networkLookupByName if kind == "network" else connection.storagePoolLookupByName
            one = look(name)
            if one.isActive() and (kind == "network" or _is_well(virt, one)):
                return {"kind": libvirt.KNOWN, "said": "active"}
            one.create()
            return {"kind": libvirt.KNOWN, "said": "started"}

        answer = asked(self._uri, question, timeout)
        return str(answer["said"] if answer["kind"] == libvirt.KNOWN else f"{answer['text']}")


def _is_well(virt: Virt, pool: Any) -> bool:
    """Refresh an active pool: it lists what it saw last, not what another host made since.

    False when it has to be started again: a refresh that fails makes it inactive, for every guest (libvirt 9.0).
    """
    try:
        pool.refresh()
    except virt.module.libvirtError:
        if pool.isActive():
            raise
        return False
    return True
