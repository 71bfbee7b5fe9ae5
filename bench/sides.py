# SPDX-License-Identifier: GPL-2.0-or-later
"""The guests and the agents that are measured on them.

Decides what a call of each agent is. A guest of the bench halts at once: its emulator costs next to nothing, and a
hundred of them fit on a small machine.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from backstay.errors import CannotAsk
from backstay.lab.node import Node

AGENTS = "/usr/lib/ocf/resource.d"
DOMAINS = "/srv/vm/domains"
HALT = "/srv/vm/disks/halt.raw"
# what firmware starts from the disk: no interrupt any more, wait for one, in case of one wait again
BOOT_SECTOR = b"\xfa\xf4\xeb\xfd".ljust(510, b"\0") + b"\x55\xaa"
NOTES = "/run/backstay/unchanged"
ASKS_EVERY = 30  # of the domain agent's monitors one asks libvirt: one in five minutes, at 10 s
UTILIZATION = ("cpu", "hv_memory", "host_memory")
INTERVAL = 10.0  # seconds between two monitors of a guest

DEFINITION = """<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='MiB'>16</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <clock offset='utc'><timer name='hpet' present='no'/></clock>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/>
      <source file='{disk}'/>
      <target dev='vda' bus='virtio'/>
      <readonly/>
      <shareable/>
    </disk>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
</domain>
"""
PRIMITIVE = """<primitive id="{name}" class="ocf" provider="heartbeat" type="VirtualDomain">
<instance_attributes id="{name}-params">
<nvpair id="{name}-config" name="config" value="{config}"/>
</instance_attributes>
<meta_attributes id="{name}-meta"><nvpair id="{name}-unmanaged" name="is-managed" value="false"/></meta_attributes>
</primitive>
"""


@dataclass(frozen=True, slots=True)
class Side:
    """One way to watch a guest. `asks` is after how many calls the domain agent's note is removed (0: never)."""

    name: str
    agent: str
    parameters: tuple[tuple[str, str], ...] = ()
    asks: int = 0
    interval: float = INTERVAL

    def call(self, guest: str, number: int) -> dict[str, object]:
        """The order for the driver: the `number`th monitor of all, of this guest."""
        forget = f"{NOTES}/{guest}" if self.asks and number % self.asks == 0 else ""
        return {
            "argv": [f"{AGENTS}/{self.agent}", "monitor"],
            "environ": self.environ(guest),
            "forget": forget,
        }

    def environ(self, guest: str) -> dict[str, str]:
        """What Pacemaker puts into the environment of a recurring monitor."""
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C",
            "OCF_ROOT": "/usr/lib/ocf",
            "OCF_RA_VERSION_MAJOR": "1",
            "OCF_RA_VERSION_MINOR": "1",
            "OCF_EXIT_REASON_PREFIX": "ocf-exit-reason:",
            "OCF_RESOURCE_INSTANCE": guest,
            "OCF_RESOURCE_PROVIDER": self.agent.partition("/")[0],
            "OCF_RESOURCE_TYPE": self.agent.partition("/")[2],
            "OCF_RESKEY_config": f"{DOMAINS}/{guest}.xml",
            "OCF_RESKEY_crm_feature_set": "3.16.2",
            "OCF_RESKEY_CRM_meta_interval": f"{self.interval * 1000:.0f}",
            "OCF_RESKEY_CRM_meta_name": "monitor",
            "OCF_RESKEY_CRM_meta_on_node": "n1",
            "OCF_RESKEY_CRM_meta_timeout": "30000",
            **{f"OCF_RESKEY_{name}": value for name, value in self.parameters},
        }


OURS = Side("ocf:backstay:domain", "backstay/domain", asks=ASKS_EVERY)
ALWAYS_ASKING = Side("the same, each asks libvirt", "backstay/domain", asks=1)
PROBE = Side("the same, probe", "backstay/domain", interval=0.0)
THEIRS = Side("ocf:heartbeat:VirtualDomain", "heartbeat/VirtualDomain")
THEIRS_QUIET = Side(
    f"{THEIRS.name}, autoset_utilization_*=false",
    "heartbeat/VirtualDomain",
    tuple((f"autoset_utilization_{what}", "false") for what in UTILIZATION),
)
LIBVIRTD = Side("ocf:backstay:libvirtd", "backstay/libvirtd")


def names(count: int) -> tuple[str, ...]:
    """The names of that many guests."""
    return tuple(f"bench{number:03d}" for number in range(1, count + 1))


def start_guests(node: Node, guests: Sequence[str]) -> None:
    """Define and start guests that do not run yet, tell the cluster of them, and wait until they have halted."""
    halt = node.layout.shared / "disks" / "halt.raw"
    halt.write_bytes(BOOT_SECTOR.ljust(1 << 16, b"\0"))
    fresh = [name for name in guests if name not in _running(node)]
    for name in fresh:
        uuid = f"22222222-3333-4444-5555-{int(name[5:]):012d}"
        text = DEFINITION.format(name=name, uuid=uuid, disk=HALT)
        (node.layout.shared / "domains" / f"{name}.xml").write_text(text)
    if fresh:
        node.check(
            "virsh --quiet", timeout=600, stdin="".join(f"create {DOMAINS}/{name}.xml\n" for name in fresh)
        )
        listed = "".join(PRIMITIVE.format(name=name, config=f"{DOMAINS}/{name}.xml") for name in fresh)
        text = f"<resources>{listed}</resources>"
        node.check(f"cibadmin --modify --allow-create --scope resources --xml-text '{text}'", timeout=60)
        node.run(["crm_resource", "--wait", "--timeout=300"], timeout=330)
    missing = set(guests) - _running(node)
    if missing:
        raise CannotAsk(f"{', '.join(sorted(missing))} do not run in {node.name}")
    time.sleep(5)  # the last one's firmware


def _running(node: Node) -> set[str]:
    return set(node.check("virsh list --name --state-running", timeout=60).split())
