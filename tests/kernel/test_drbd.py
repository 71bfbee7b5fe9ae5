# SPDX-License-Identifier: GPL-2.0-or-later
"""ocf:backstay:drbd and its handlers over a real DRBD 8.4, in a cluster of two machines that really fence each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from backstay.host.clock import Deadline, NotYet, until
from backstay.lab import cluster, power
from backstay.lab.faults import catalogue
from backstay.lab.node import Node
from backstay.lab.vm import qemu

NAMES = ("n1", "n2")
STARTED = 600.0
FENCED = 600.0
BACK = 900.0
"""Seconds, for machines that are emulated in software beside other work."""

TOOL = 120.0
DEVICE = "/dev/drbd10"
HANDLER = "/usr/lib/drbd/backstay-drbd-fence"
AGENT = "/usr/lib/ocf/resource.d/backstay/drbd"
RESOURCE = """\
resource web1 {{
  disk {{ fencing resource-and-stonith; }}
  net {{ protocol C; }}
  handlers {{
    fence-peer "{fence}";
    after-resync-target "{handler} unfence";
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


class Mirror:
    """The resource web1 on both machines, managed by the cluster, promoted on n1."""

    def __init__(self, machines) -> None:
        self.machines = machines

    def node(self, name: str) -> Node:
        return self.machines.node(name)

    def make(self, fence: str) -> None:
        """Without an initial resync: a gigabyte through two emulated machines proves nothing."""
        addresses = [(name, self.machines.layout.node(name).address) for name in NAMES]
        hosts = "".join(f"  on {name} {{ address {address}:7790; }}\n" for name, address in addresses)
        text = RESOURCE.format(fence=fence, handler=HANDLER, disk=qemu.disk_path(1), hosts=hosts)
        for name in NAMES:
            self.node(name).write("/etc/drbd.d/web1.res", text)
            self.node(name).check(
                "modprobe drbd; drbdadm create-md --force web1 && drbdadm up web1", timeout=TOOL
            )
        self.see("n1", lambda said: "connection:Connected" in said, "the two to connect")
        self.node("n1").check("drbdsetup new-current-uuid 10 --clear-bitmap", timeout=TOOL)
        self.see("n1", lambda said: "peer-disk:UpToDate" in said, "both to be up to date")
        for name in NAMES:
            self.node(name).check("drbdadm down web1", timeout=TOOL)
        modify = ["cibadmin", "--modify", "--allow-create", "--scope", "configuration", "--xml-pipe"]
        self.node("n1").check(modify, TOOL, CLONE)
        self.is_promoted_on("n1", STARTED)
        self.see("n1", lambda said: "peer-disk:UpToDate" in said, "both to be up to date again")

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
        for node in self.machines.nodes:
            if node.is_ready():
                node.run(
                    "rm -f /etc/drbd.d/web1.res; drbdsetup resume-io 10; drbdsetup down web1", timeout=TOOL
                )

    def said(self, name: str) -> str:
        """What DRBD says of it."""
        return self.node(name).check("drbdsetup events2 --now web1", timeout=TOOL)

    def see(self, name: str, wanted: Callable[[str], bool], what: str, seconds: float = STARTED) -> None:
        def look() -> bool:
            said = self.said(name)
            if not wanted(said):
                raise NotYet(said)
            return True

        until(look, Deadline(seconds), every=3.0, what=what)

    def is_promoted_on(self, name: str, seconds: float) -> None:
        """By DRBD's word: Pacemaker names it while the promotion is still under way."""
        self.see(name, lambda said: "role:Primary" in said, f"web1 to be promoted on {name}", seconds)

    def write(self, name: str, text: str) -> None:
        """Return when DRBD has said that it is written."""
        self.node(name).check(
            f"echo {text} | dd of={DEVICE} bs=4096 count=1 conv=sync oflag=direct", timeout=FENCED
        )

    def read(self, name: str) -> str:
        return self.node(name).check(f"dd if={DEVICE} bs=4096 count=1 iflag=direct | head -n1", timeout=TOOL)

    def constraint(self, name: str) -> bool:
        return self.node(name).run(CONSTRAINT, timeout=TOOL).ok

    def is_whole_again(self, name: str) -> None:
        """The other machine is back, has the data, and nothing keeps it from being promoted."""
        self.machines.wait_for(cluster.all_online(NAMES), BACK, "both to be online")
        self.see(name, lambda said: "peer-disk:UpToDate" in said, "the resync", BACK)
        until(
            lambda: None if self.constraint(name) else True,
            Deadline(STARTED),
            every=5.0,
            what="the fencing constraint to go",
        )


@pytest.fixture
def mirror(machines) -> Iterator[Mirror]:
    made = Mirror(machines)
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture
def cut(machines) -> Iterator[Callable[[str], None]]:
    """`cut("n2")` cuts its power; whoever nobody fenced is switched on at the end."""
    done = []

    def act(name: str) -> None:
        done.append(name)
        catalogue.inject(machines.layout, "cut-power", name)

    yield act
    for name in done:
        catalogue.heal(machines.layout, "cut-power", name)
        assert power.is_on(machines.layout, name)


@pytest.mark.long
def test_what_was_written_survives_each_side_in_turn(mirror, cut) -> None:
    mirror.make(f"{HANDLER} fence")
    mirror.write("n1", "one")

    cut("n2")
    mirror.write("n1", "two")  # waits for the fencing
    assert mirror.constraint("n1")
    assert "fence-peer helper returned 7" in mirror.node("n1").check("dmesg")
    mirror.is_whole_again("n1")

    mirror.write("n1", "three")
    cut("n1")
    mirror.is_promoted_on("n2", FENCED)
    assert mirror.read("n2") == "three\n"
    mirror.write("n2", "four")
    mirror.is_whole_again("n2")


@pytest.mark.long
def test_io_goes_on_when_the_fencing_is_seen_after_the_handler_gave_up(mirror, cut) -> None:
    mirror.make("/bin/false")
    cut("n2")
    mirror.see("n1", lambda said: "suspended:fencing" in said, "I/O to wait")
    mirror.write("n1", "two")
    node = mirror.node("n1")
    assert "fence-peer helper broken, returned 1" in node.check("dmesg")
    assert "I/O goes on" in node.check("journalctl --boot --no-pager", timeout=TOOL)
    assert mirror.constraint("n1")
    mirror.is_whole_again("n1")


@pytest.mark.long
def test_a_held_device_is_not_demoted_its_holder_is_named_and_the_log_stays_readable(mirror) -> None:
    mirror.make(f"{HANDLER} fence")
    node = mirror.node("n1")
    environment = "OCF_ROOT=/usr/lib/ocf OCF_RESOURCE_INSTANCE=by-hand OCF_RESKEY_drbd_resource=web1"
    demote = f"env {environment} OCF_RESKEY_CRM_meta_timeout=60000 {AGENT} demote"
    before = node.check("dmesg | grep -c 'State change failed' || :")
    done = node.run(f"exec 3<>{DEVICE}; {demote}; echo ended with $?", timeout=TOOL * 2)
    assert "ended with 1" in done.stdout
    assert "(bash)" in done.stderr
    assert "(drbd)" not in done.stderr
    assert "(python3)" not in done.stderr
    after = node.check("dmesg | grep -c 'State change failed' || :")
    assert int(after) - int(before) < 40
    assert "role:Primary" in mirror.said("n1")
    mirror.take_out()
