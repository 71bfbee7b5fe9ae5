# SPDX-License-Identifier: GPL-2.0-or-later
"""Saving a domain's memory into a file and restoring it, through libvirt.

Decides nothing. Abandoning a save does not end it: Libvirt.cancel does.
"""

from __future__ import annotations

from backstay.host.libvirt import ABSENT, KNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from backstay.host.libvirt import Answer, Libvirt, Virt


class Saving:
    """Saved memories by way of one libvirt."""

    __slots__ = ("_libvirt",)

    def __init__(self, libvirt: Libvirt) -> None:
        self._libvirt = libvirt

    def definition(self, uuid: str, timeout: float) -> Answer:
        """Give the definition of the running domain as the answer's text."""

        def question(virt: Virt) -> dict[str, Any]:
            domain = virt.domain(uuid, "")
            return {"kind": ABSENT} if domain is None else {"kind": KNOWN, "text": domain.XMLDesc(0)}

        return self._libvirt.ask(question, timeout)

    def save(self, uuid: str, path: str, timeout: float) -> Answer:
        """Save the memory into a file and end the domain; KNOWN and shutoff when libvirt says that this is done."""

        def question(virt: Virt) -> dict[str, Any]:
            domain = virt.domain(uuid, "")
            if domain is None:
                return {"kind": ABSENT}
            domain.save(path)
            return {"kind": KNOWN, "state": "shutoff", "uuid": uuid}

        return self._libvirt.ask(question, timeout)

    def restore(self, uuid: str, path: str, timeout: float) -> Answer:
        """Restore the memory, paused. Abandoning the question does not end it: libvirtd may do it later."""

        def question(virt: Virt) -> dict[str, Any]:
            virt.connection.restoreFlags(path, None, virt.module.VIR_DOMAIN_SAVE_PAUSED)
            return virt.described(virt.domain(uuid, ""))

        return self._libvirt.ask(question, timeout)
