# SPDX-License-Identifier: GPL-2.0-or-later
"""Setting limits of a running domain through libvirt, each in a child that can be abandoned.

Decides nothing. Everything goes to the running domain only (AFFECT_LIVE), never into a definition on disk.
"""

from __future__ import annotations

from backstay.host import libvirt
from backstay.host.libvirt import asked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from backstay.host.libvirt import Virt

    Call = tuple[str, str, dict[str, int]]  # what (disk, cpu, memory, interface), which, values


class LibvirtLimits:
    """The libvirt of this host at `uri`. No method raises for what libvirt does: the answer's `kind` says it."""

    __slots__ = ("_uri",)

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def look(self, uuid: str, timeout: float) -> dict[str, Any]:
        """Give `kind`, and if that is KNOWN the live `xml` and the CPU `shares` (0: not known); else `text`."""

        def question(virt: Virt) -> dict[str, Any]:
            domain = virt.domain(uuid, "")
            if domain is None or not domain.isActive():
                return {"kind": libvirt.ABSENT, "text": "libvirt does not know the domain as running"}
            try:
                shares = int(domain.schedulerParameters().get("cpu_shares", 0))
            except virt.module.libvirtError:  # without the cgroup controller
                shares = 0
            return {"kind": libvirt.KNOWN, "xml": domain.XMLDesc(), "shares": shares}

        return asked(self._uri, question, timeout)

    def apply(self, uuid: str, calls: Sequence[Call], timeout: float) -> dict[str, Any]:
        """Make each of the calls; give `kind`, and if that is KNOWN `said`: libvirt's complaint about each, or ""."""

        def question(virt: Virt) -> dict[str, Any]:
            domain = virt.domain(uuid, "")
            if domain is None:
                return {"kind": libvirt.ABSENT, "text": "libvirt does not know the domain"}
            return {"kind": libvirt.KNOWN, "said": [_said(virt, domain, call) for call in calls]}

        return asked(self._uri, question, timeout)

    def write(self, uuid: str, record: str, namespace: str, timeout: float) -> dict[str, Any]:
        """Write which limits are set into the running domain's metadata; an empty record removes it."""

        def question(virt: Virt) -> dict[str, Any]:
            element = f"<limits applied='{record}'/>" if record else None
            domain = virt.domain(uuid, "")
            kind, live = virt.module.VIR_DOMAIN_METADATA_ELEMENT, virt.module.VIR_DOMAIN_AFFECT_LIVE
            domain.setMetadata(kind, element, "backstay", namespace, live)
            return {"kind": libvirt.KNOWN}

        return asked(self._uri, question, timeout)


def _said(virt: Virt, domain: Any, call: Call) -> str:
    what, which, values = call
    live = virt.module.VIR_DOMAIN_AFFECT_LIVE
    try:
        if what == "disk":
            domain.setBlockIoTune(which, values, live)
        elif what == "cpu":
            domain.setSchedulerParametersFlags(values, live)
        elif what == "memory":
            domain.setMemoryFlags(values["kib"], live)
        else:
            domain.setInterfaceParameters(which, values, live)
    except virt.module.libvirtError as error:
        return str(error)
    return ""
