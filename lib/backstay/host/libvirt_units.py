# SPDX-License-Identifier: GPL-2.0-or-later
"""Which daemon of this host serves qemu:///system, and by which units: libvirtd, or virtqemud of the modular ones.

Decides it as libvirt's own client does, so that whoever manages domains means the same daemon: virtqemud's socket
file first, then libvirtd's (src/remote/remote_sockets.c of libvirt 9.0, remoteGetUNIXSocket). The latter belongs to
virtproxyd on a modular host, which hands on to virtqemud, and may be left over from a libvirtd that was masked. When
neither file says it, because its daemon is down or somebody removed it, the units decide. Both daemons may be
installed; virtqemud.service conflicts with libvirtd.service.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from backstay.host.systemd import Unit

DIRECTORY = "/run/libvirt"


class Family:
    """A daemon that serves QEMU's domains, its units, and the name of its socket in /run/libvirt."""

    __slots__ = ("daemon", "service", "socket_file", "sockets")

    def __init__(self, daemon: str, kinds: tuple[str, ...], socket_file: str) -> None:
        self.daemon = daemon
        self.service = f"{daemon}.service"
        self.sockets = tuple(f"{daemon}{kind}.socket" for kind in kinds)
        self.socket_file = socket_file

    def __repr__(self) -> str:
        return f"Family({self.daemon})"

    @property
    def units(self) -> tuple[str, ...]:
        """The names of all units that this daemon may have."""
        return (self.service, *self.sockets)


MODULAR = Family("virtqemud", ("", "-ro", "-admin"), "virtqemud-sock")
MONOLITHIC = Family("libvirtd", ("", "-ro", "-admin", "-tcp", "-tls"), "libvirt-sock")
FAMILIES = (MODULAR, MONOLITHIC)  # in the order in which libvirt's client looks for their socket files
LIVES, FAILED, WANTED = 3, 2, 1
UNITS = tuple(name for family in FAMILIES for name in family.units)


def serving(units: Mapping[str, Unit], is_there: Callable[[str], bool] = os.path.exists) -> Family:
    """Give the daemon that serves qemu:///system; libvirtd when there is none."""
    usable = [family for family in FAMILIES if _usable(family, units)]
    if len(usable) == 1:
        return usable[0]
    if not usable:
        installed = [family for family in FAMILIES if units[family.service].installed]
        return installed[0] if len(installed) == 1 else MONOLITHIC
    if is_there(f"{DIRECTORY}/{MODULAR.socket_file}"):
        return MODULAR
    if is_there(f"{DIRECTORY}/{MONOLITHIC.socket_file}") and _life(MONOLITHIC, units) == LIVES:
        return MONOLITHIC  # else it is virtproxyd's, or was left over
    return max(reversed(usable), key=lambda family: _life(family, units))


def _usable(family: Family, units: Mapping[str, Unit]) -> bool:
    service = units[family.service]
    return service.installed and not service.masked


def _life(family: Family, units: Mapping[str, Unit]) -> int:
    """Say how much speaks for a daemon: it lives, it failed, it is wanted, or nothing does."""
    mine = [units[name] for name in family.units if name in units]
    if any(unit.active in ("active", "activating", "deactivating", "reloading") for unit in mine):
        return LIVES
    if any(unit.active == "failed" for unit in mine):
        return FAILED
    return WANTED if any(unit.enabled.startswith("enabled") for unit in mine) else 0
