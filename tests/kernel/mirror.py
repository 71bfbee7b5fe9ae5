# SPDX-License-Identifier: GPL-2.0-or-later
"""The DRBD resource web1 of two VM nodes, on a small logical volume of each, managed by their cluster, promoted on n1.

Made once for all tests of a file: making it is an initial resync and costs a minute. Each test gets it whole, as does
the one after it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from backstay.errors import BackstayError
from backstay.host.clock import Deadline, NotYet, until
from backstay.lab import cluster, order
from backstay.lab.node import Node
from backstay.lab.vm import qemu
from tests.kernel import writer

NAMES = ("n1", "n2")
STARTED = 600.0
FENCED = 600.0
BACK = 900.0
"""Seconds, for machines that are emulated in software beside other work."""

TOOL = 120.0
DEVICE = "/dev/drbd10"
DISK = "/dev/vg/web1"
SIZE = 64
"""MiB of the logical volume; DRBD's own data stands at its end."""

COMPARED = SIZE - 4
"""MiB at its beginning that are data in any case."""

HANDLER = "/usr/lib/drbd/backstay-drbd-fence"
FENCE = f"{HANDLER} fence"
BELOW = f"""\
vgs vg >/dev/null 2>&1 || {{ wipefs --all {qemu.disk_path(1)} && vgcreate vg {qemu.disk_path(1)}; }}
lvs vg/web1 >/dev/null 2>&1 || lvcreate --yes --wipesignatures n -L {SIZE}m -n web1 vg
"""
PREPARE = f"""\
modprobe drbd
{BELOW}drbdadm create-md --force web1 && drbdadm up web1
"""
RESOURCE = """\
resource web1 {{
  disk {{ fencing resource-and-stonith; }}
  net {{ protocol C; }}
  handlers {{
    fence-peer "{fence}";
    after-resync-target "{handler} unfence";
    split-brain "{handler} split-brain";
  }}
  volume 0 {{ device minor 10; disk {disk}; meta-disk internal; }}
{hosts}}}
"""
CLONE = """\
<configuration><resources><clone id="web1-disk-clone"><meta_attributes id="web1-disk-clone-meta">
<nvpair id="web1-disk-clone-notify" name="notify" value="true"/>
<nvpair id="web1-disk-clone-promotable" name="promotable" value="true"/></meta_attributes>
<primitive id="web1-disk" class="ocf" provider="backstay" type="drbd">
<instance_attributes id="web1-disk-params"><nvpair id="web1-disk-name" name="drbd_resource" value="web1"/>
</instance_attributes><operations>
<op id="web1-disk-start" name="start" interval="0s" timeout="240s"/>
<op id="web1-disk-stop" name="stop" interval="0s" timeout="200s"/>
<op id="web1-disk-promote" name="promote" interval="0s" timeout="180s"/>
<op id="web1-disk-demote" name="demote" interval="0s" timeout="180s"/>
<op id="web1-disk-notify" name="notify" interval="0s" timeout="180s"/>
<op id="web1-disk-watch" name="monitor" interval="20s" timeout="90s" role="Promoted"/>
<op id="web1-disk-look" name="monitor" interval="30s" timeout="90s" role="Unpromoted"/>
</operations></primitive></clone></resources><constraints>
<rsc_location id="web1-disk-on-n1" rsc="web1-disk-clone" role="Promoted" node="n1" score="100"/>
</constraints></configuration>
"""
CONSTRAINT = "cibadmin --query --xpath \"//rsc_location[starts-with(@id,'drbd-fence-by-handler')]\""

PROMOTED = "resource name:web1 role:Primary"
"""This host's own word; a connection has the role of the other side."""

Said = Callable[[str], bool]


class Mirror:
    """The resource web1 on both machines."""

    def __init__(self, machines) -> None:
        self.machines = machines

    def node(self, name: str) -> Node:
        return self.machines.node(name)

    def create(self, fence: str) -> None:
        """Begin with disks of any content, and let them become the same; then it is down."""
        self.configure(fence)
        for name in NAMES:
            self.node(name).check(PREPARE, timeout=TOOL)
        self.see("n1", lambda said: "connection:Connected" in said, "the two to connect")
        self.node("n1").check("drbdadm primary --force web1", timeout=TOOL)
        self.see("n1", lambda said: "peer-disk:UpToDate" in said, "the initial resync")
        for name in reversed(NAMES):
            self.node(name).check("drbdadm down web1", timeout=TOOL)

    def make(self) -> None:
        """Let the cluster have it."""
        self.create(FENCE)
        modify = ["cibadmin", "--modify", "--allow-create", "--scope", "configuration", "--xml-pipe"]
        self.node("n1").check(modify, TOOL, CLONE)
        self.is_whole("n1", STARTED)
        self.machines.wanted = order.configuration_of(self.node("n1"))

    def configure(self, fence: str) -> None:
        """Write its file on both: DRBD reads the handler there when it calls it."""
        addresses = [(name, self.machines.layout.node(name).address) for name in NAMES]
        hosts = "".join(f"  on {name} {{ address {address}:7790; }}\n" for name, address in addresses)
        text = RESOURCE.format(fence=fence, handler=HANDLER, disk=DISK, hosts=hosts)
        for name in NAMES:
            self.node(name).write("/etc/drbd.d/web1.res", text)

    def put_in_order(self) -> None:
        """Whole, and promoted on n1, whatever the test before did; made anew where it is gone (with its lab)."""
        self.machines.put_in_order()
        if not self.is_managed() or any(not self.node(name).run(f"test -e {DISK}").ok for name in NAMES):
            self.make()
        self.configure(FENCE)
        self.is_whole("n1", STARTED)

    def is_managed(self) -> bool:
        """Whether the cluster has it."""
        return "web1-disk-clone" in order.configuration_of(self.node("n1"))

    def take_out(self) -> None:
        """Out of the configuration while it runs; its agent has to stop it, promoted or not."""
        for path in ("//rsc_location[@rsc='web1-disk-clone']", "//clone[@id='web1-disk-clone']"):
            self.node("n1").check(["cibadmin", "--delete-all", "--force", "--xpath", path], TOOL)
        for name in NAMES:
            until(
                lambda name=name: (
                    True if "web1" not in self.node(name).check("drbdsetup events2 --now") else None
                ),
                Deadline(STARTED),
                every=5.0,
                what=f"web1 to be down on {name}",
            )

    def remove(self) -> None:
        """Nothing of it is left, whatever became of it."""
        with suppress(BackstayError):
            if self.is_managed():
                self.take_out()
        for node in self.machines.nodes:
            with suppress(BackstayError):
                node.run("drbdsetup resume-io 10; drbdsetup down web1", timeout=TOOL)
                node.run("vgremove --force --force --yes vg; rm -f /etc/drbd.d/web1.res", timeout=TOOL)

    def said(self, name: str) -> str:
        """What DRBD says of it."""
        return self.node(name).check("drbdsetup events2 --now --statistics web1", timeout=TOOL)

    def see(self, name: str, wanted: Said, what: str, seconds: float = STARTED) -> None:
        def look() -> bool:
            said = self.said(name)
            if not wanted(said):
                raise NotYet(said)
            return True

        until(look, Deadline(seconds), every=3.0, what=what)

    def is_promoted_on(self, name: str, seconds: float) -> None:
        """By DRBD's word: Pacemaker names it while the promotion is still under way."""
        self.see(name, lambda said: PROMOTED in said, f"web1 to be promoted on {name}", seconds)

    def is_whole(self, name: str, seconds: float) -> None:
        """Promoted there, and up to date on both."""

        def whole(said: str) -> bool:
            return all(word in said for word in (PROMOTED, " disk:UpToDate", " peer-disk:UpToDate"))

        self.see(name, whole, f"web1 to be whole and promoted on {name}", seconds)

    def is_whole_again(self, name: str) -> None:
        """The other machine is back, has the same data, and nothing keeps it from being promoted."""
        self.machines.wait_for(cluster.all_online(NAMES), BACK, "both to be online")
        self.see(name, lambda said: "peer-disk:UpToDate" in said, "the resync", BACK)
        self.has_no_constraint(name)

    def has_no_constraint(self, name: str) -> None:
        until(
            lambda: None if self.constraint(name) else True,
            Deadline(STARTED),
            every=5.0,
            what="the fencing constraint to go",
        )

    def is_the_same(self) -> None:
        """Both disks below have the same data; nobody writes now."""
        read = f"dd if={DISK} bs=1M count={COMPARED} iflag=direct 2>/dev/null | sha256sum"
        sums = [self.node(name).check(read, timeout=TOOL) for name in NAMES]
        assert sums[0] == sums[1]

    def write(self, name: str, text: str) -> None:
        """Return when DRBD has said that it is written."""
        self.node(name).check(
            f"echo {text} | dd of={DEVICE} bs=4096 count=1 conv=sync oflag=direct", timeout=FENCED
        )

    def read(self, name: str) -> str:
        return self.node(name).check(f"dd if={DEVICE} bs=4096 count=1 iflag=direct | head -n1", timeout=TOOL)

    def fill(self, name: str, mib: int) -> None:
        """Write that much that is not on any disk yet, behind what the writer writes."""
        where = f"of={DEVICE} bs=1M seek={writer.END} count={mib} oflag=direct"
        self.node(name).check(f"dd if=/dev/urandom {where} iflag=fullblock", timeout=FENCED)

    def constraint(self, name: str) -> bool:
        return self.node(name).run(CONSTRAINT, timeout=TOOL).ok

    def log_says(self, name: str, words: str, command: str = "dmesg") -> None:
        """Wait until the kernel, or the journal, has said it since the machine's boot."""
        node = self.node(name)
        until(
            lambda: True if words in node.check(command, timeout=TOOL) else None,
            Deadline(TOOL * 2),
            every=5.0,
            what=f"{name} to say {words!r}",
        )

    def some_attribute_is(self, name: str, wanted: str) -> None:
        """Wait until a node attribute has that value on one host or both."""

        def look() -> bool:
            said = {host: given.get(name, "") for host, given in self.machines.ask().attributes.items()}
            if wanted not in said.values():
                raise NotYet(str(said))
            return True

        until(look, Deadline(STARTED), every=5.0, what=f"{name} to be {wanted}")

    def attribute_is(self, host: str, name: str, wanted: Said, what: str) -> None:
        """Wait for a node attribute as the cluster has it."""

        def look() -> bool:
            value = self.machines.ask().attributes.get(host, {}).get(name, "")
            if not wanted(value):
                raise NotYet(f"{name}={value} on {host}")
            return True

        until(look, Deadline(STARTED), every=5.0, what=what)
