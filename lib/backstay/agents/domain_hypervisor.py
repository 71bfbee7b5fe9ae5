# SPDX-License-Identifier: GPL-2.0-or-later
"""Which libvirt a domain is for (the parameter hypervisor), and what is said of a domain whose libvirt is refused.

Decides which spellings mean a libvirt that this agent keeps guests of. Any other value is refused by start (6) and by
validate-all. Monitor, probe and stop must answer all the same, and what proves an absence is none where guests are no
processes. So for a refused value the emulators and the containers of the host are both looked at (host.container), and
what runs is said to run and is stopped. When nothing is seen:

- Where nothing is at work that could run a guest of that hypervisor unseen, the absence is proven: 7, and 0 for a stop.
  So a typing error in a resource that ran is a failed start (6) with a stop after it that succeeds: no host is fenced.
- An emulator that was seen to run in this boot and is gone (host.records) is proof as well: it was no hidden guest.
- Where Xen, say, is at work, nobody knows otherwise. A probe answers 2: Pacemaker's scheduler (2.1.5) takes that (as 5)
  for a resource that is not active and may not be started on this host, and leaves the guest alone. After 6 or 1
  it would stop the resource on every host that said so, after 7 start it a second time (seen with crm_simulate).
  A recurring monitor, of which there can be none after such a probe, says 190 for as long as it lasts. A stop fails:
  it is asked only of what was known to run here, and that it does not any more nobody can say.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

HYPERVISORS = ("qemu:///system", "qemu:///session", "lxc:///system")
# of libvirtd, and of the modular daemons; where libvirt itself looks for them
SOCKETS = tuple(
    f"socket={run}/libvirt/{name}-sock"
    for run in ("/run", "/var/run")
    for name in ("libvirt", "virtqemud", "virtlxcd")
)
# What is there where a hypervisor is at work whose guests this agent does not see, by libvirt's scheme for it
# (libvirt.org/drivers.html): files of the kernel that its programs need; for Cloud Hypervisor libvirt's own directory.
# Guests of other schemes (esx, hyperv, test) run on no host of the cluster.
XEN = ("/sys/hypervisor/type", "/proc/xen", "/dev/xen")
VMWARE, VIRTUOZZO = ("/dev/vmmon",), ("/proc/vz",)
SIGNS = {
    "xen": XEN,
    "vbox": ("/dev/vboxdrv",),
    "vmwareplayer": VMWARE,
    "vmwarews": VMWARE,
    "vz": VIRTUOZZO,
    "virtuozzo": VIRTUOZZO,
    "parallels": VIRTUOZZO,
    "openvz": VIRTUOZZO,
    "ch": ("/run/libvirt/ch",),
}


def complaint(given: str) -> str:
    """Say what is wrong with a value; empty when it means a libvirt of this host."""
    if meaning(given):
        return ""
    return f"must be one of {', '.join(HYPERVISORS)}: what proves that a domain runs is looked for on the host itself"


def meaning(given: str) -> str:
    """Give the one spelling of HYPERVISORS for what means the same, with what follows a "?"; empty for any other.

    ocf:heartbeat:VirtualDomain's users have qemu+unix:///system, which is the same daemon by its socket, and lxc:///,
    which libvirt takes for lxc:///system.
    """
    address, _, query = given.partition("?")
    scheme, separator, path = address.partition("://")
    if query in SOCKETS and path != "/session":
        query = ""
    if scheme.endswith("+unix"):
        if query:
            return ""  # another socket may lead anywhere
        scheme = scheme[: -len("+unix")]
    if scheme == "lxc" and separator and path in ("", "/"):
        path = "/system"
    known = f"{scheme}{separator}{path}"
    return (f"{known}?{query}" if query else known) if known in HYPERVISORS else ""


def nearest(refused: str) -> str:
    """Give the libvirt that is asked in the place of a refused one about what is seen to run."""
    return "lxc:///system" if refused.startswith("lxc") else "qemu:///system"


def hidden(refused: str, exists: Callable[[str], bool] = os.path.lexists) -> str:
    """Say why a guest of a refused hypervisor may run here and not be seen; empty when none can.

    A word without ":" may be an alias of libvirt.conf (uri_aliases), and so any of them.
    """
    scheme, colon, _ = refused.partition(":")
    every = dict.fromkeys(sign for signs in SIGNS.values() for sign in signs)
    signs = SIGNS.get(scheme.partition("+")[0], ()) if colon else every
    found = next((sign for sign in signs if exists(sign)), "")
    if not found:
        return ""
    return (
        f"the parameter hypervisor is {refused!r}, and a guest of such a hypervisor, which is at work here ({found}), "
        "cannot be seen: set it to the libvirt that runs the domain, or leave the domain to ocf:heartbeat:VirtualDomain"
    )
