# SPDX-License-Identifier: GPL-2.0-or-later
"""What this host would start by itself: libvirt's autostart, managed-save images, the service libvirt-guests.

Decides nothing. Takes a trap away when it is told to; never removes a definition, NVRAM or TPM state.
"""

from __future__ import annotations

import os
from glob import glob

from backstay.host.libvirt import ABSENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from backstay.host.libvirt import Answer, Libvirt, Virt

SETTINGS = ("/etc/default/libvirt-guests", "/etc/sysconfig/libvirt-guests")
WANTED = "/etc/systemd/system/*.wants/libvirt-guests.service"
AUTOSTART = "/etc/libvirt/qemu/autostart"  # a link for each domain (libvirt: autostartDir of qemu:///system)
AUTOSTART_OF_CONTAINERS = "/etc/libvirt/lxc/autostart"  # the same of lxc:///system
LIMIT = 65536  # bytes


class Traps:
    """The traps of one host, through its libvirt."""

    __slots__ = ("_autostart", "_libvirt", "_settings", "_wanted")

    def __init__(
        self,
        libvirt: Libvirt,
        settings: tuple[str, ...] = SETTINGS,
        wanted: str = WANTED,
        autostart: str = "",
    ) -> None:
        self._libvirt = libvirt
        self._autostart = autostart or AUTOSTART
        self._settings = settings
        self._wanted = wanted

    def starts_at_boot(self, name: str) -> bool:
        """Whether libvirt starts the domain of this name when this host boots; needs no libvirt to say so."""
        return "/" not in name and os.path.lexists(f"{self._autostart}/{name}.xml")

    def disable_autostart(self, uuid: str, timeout: float) -> Answer:
        """Switch autostart off for the persistent definition of the domain."""

        def question(virt: Virt) -> dict[str, Any]:
            domain = virt.domain(uuid, "")
            if domain is None:
                return {"kind": ABSENT}
            domain.setAutostart(0)
            return virt.described(domain)

        return self._libvirt.ask(question, timeout)

    def remove_managed_save(self, uuid: str, timeout: float) -> Answer:
        """Remove the managed-save image of the domain if there is one."""

        def question(virt: Virt) -> dict[str, Any]:
            domain = virt.domain(uuid, "")
            if domain is None:
                return {"kind": ABSENT}
            if domain.hasManagedSaveImage(0):
                domain.managedSaveRemove(0)
            return virt.described(domain)

        return self._libvirt.ask(question, timeout)

    def guests_at_boot(self) -> bool:
        """Whether libvirt-guests is enabled here and starts at boot what ran at shutdown (its default)."""
        if not glob(self._wanted):  # noqa: PTH207  (pathlib costs 6 ms)
            return False
        word = "start"
        for path in self._settings:
            try:
                with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
                    word = on_boot(file.read(LIMIT)) or word
            except OSError:
                continue
        return word == "start"


def on_boot(text: str) -> str:
    """Give the last ON_BOOT in a settings file of libvirt-guests (shell syntax, read simply), or an empty text."""
    given = ""
    for line in text.splitlines():
        name, _, value = line.strip().partition("=")
        if name == "ON_BOOT":
            given = value.partition("#")[0].strip().strip("\"'")
    return given
