# SPDX-License-Identifier: GPL-2.0-or-later
"""Creating a container through libvirt, only while somebody wants it: a gate that a stop shuts.

A libvirtd that waits for something inside createXML carries it out later, long after the start was given up. A QEMU
guest is created paused for that reason; libvirt's LXC driver cannot do that (9.0: unsupported flag). So libvirt is told
to use a controller (<emulator>) that is a link in a directory of this resource. The link is made before the creation,
stays while the resource runs here (libvirt needs it when the container reboots itself), and is removed before
anything else at a stop and after a start that failed. What libvirtd carries out later fails then for want of it (seen
with 9.0: "cannot execute binary").
"""

from __future__ import annotations

import os

from backstay.host.libvirt import Answer, Libvirt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from backstay.host.libvirt import Virt

DIRECTORY = "/run/backstay/containers"
CONTROLLER = "libvirt_lxc"


class Gate:
    """The way to libvirt's controller of containers for one resource instance."""

    __slots__ = ("_directory", "path")

    def __init__(self, instance: str, directory: str = DIRECTORY) -> None:
        self._directory = f"{directory}/{instance.replace('/', '_')}"
        self.path = f"{self._directory}/{CONTROLLER}"

    def open(self, controller: str) -> None:
        """Let libvirt find the controller here; raises OSError."""
        os.makedirs(self._directory, 0o755, exist_ok=True)  # noqa: PTH103
        self.shut()
        os.symlink(controller, self.path)  # noqa: PTH211

    def shut(self) -> bool:
        """Let nothing be created any more; whether it was open. Raises OSError when it stays open."""
        try:
            os.unlink(self.path)  # noqa: PTH108
        except FileNotFoundError:
            return False
        return True


class Lxc(Libvirt):
    """libvirt's LXC driver on this host; `gate` is the resource's."""

    __slots__ = ("_gate",)

    def __init__(self, uri: str, gate: Gate) -> None:
        super().__init__(uri)
        self._gate = gate

    def create(self, definition: str, timeout: float) -> Answer:
        """Make a transient container, which runs at once."""
        gate = self._gate

        def question(virt: Virt) -> dict[str, Any]:
            own, controller, name = gated(definition, gate.path)
            gate.open(controller or _usual(virt.connection.getCapabilities()))
            _forget(virt, name)
            return virt.described(virt.connection.createXML(own, 0))

        return self.ask(question, timeout)


def _forget(virt: Virt, name: str) -> None:
    """Make libvirt forget a container whose controller died while libvirtd was away.

    It lists such a one as shut off, and refuses to create it ("is already being started"), until somebody wants it
    destroyed: that fails, but then it is forgotten (seen with 9.0).
    """
    domain = virt.domain("", name)
    if domain is None or domain.isPersistent() or domain.isActive():
        return
    try:
        domain.destroy()
    except virt.module.libvirtError as error:
        if error.get_error_code() != virt.module.VIR_ERR_OPERATION_INVALID:
            raise


def gated(definition: str, path: str) -> tuple[str, str, str]:
    """Give the definition with this controller, the one that it had ("": it named none), and the domain's name."""
    from xml.etree import ElementTree

    root = ElementTree.fromstring(definition)
    devices = root.find("devices")
    if devices is None:
        devices = ElementTree.SubElement(root, "devices")
    emulator = devices.find("emulator")
    if emulator is None:
        emulator = ElementTree.Element("emulator")
        devices.insert(0, emulator)
    had = (emulator.text or "").strip()
    emulator.text = path
    return ElementTree.tostring(root, encoding="unicode"), had, root.findtext("name", "")


def _usual(capabilities: str) -> str:
    from xml.etree import ElementTree

    return ElementTree.fromstring(capabilities).findtext("guest/arch/emulator", "")
