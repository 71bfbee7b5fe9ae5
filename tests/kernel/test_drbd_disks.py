# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay drbd` on a real DRBD 8.4, and the template of a domain on one, while an audit guest writes to it.

The mirror of n1 has lost its other host, which this lab never had: n9. The description names n2 in its place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from lxml import etree

from backstay.errors import BackstayError
from backstay.host.clock import Deadline, NotYet, until
from backstay.lab import guest
from backstay.lab.furnish import DESCRIPTION
from backstay.lab.node import Node
from tests.kernel import fencing, mirror
from tests.kernel.mirror import BACK, DEVICE, DISK, STARTED, TOOL
from tests.lab.test_hosts import trust

pytestmark = pytest.mark.long

UUID = "5a3c1f0e-7d64-4b51-9a0e-0d1b00000009"
LOST = "10.77.0.99"
CLOUD = """\
cluster: {{name: backstay-lab, migration: {{transport: tcp, unsafe: true}}}}
hosts:
{hosts}domains:
  web1:
    config: /srv/vm/domains/web1.xml
    uuid: {uuid}
    memory: 128 MiB
    vcpus: 1
    drbd: {{hosts: [n1, n2], port: 7790, volumes: {{0: {{disk: {disk}, minor: 10}}}}}}
"""
HOST = (
    "  {name}: {{address: {address}, bmc: {{address: {bmc}, username: fencer, password_file: {password}}}}}\n"
)
PASSWORD = "/etc/backstay/bmc.password"
OPTIONS = [f"//cluster_property_set/nvpair[@name='{name}']" for name in fencing.PROPERTIES]
"""What every test here begins with, and a description has its own words for."""

EMPTY = f"dd if=/dev/zero of={DISK} bs=1M count={mirror.SIZE} oflag=direct"
BIG = 96
GROWN = 100622336
"""Bytes of DRBD 8.4 on a device of 96 MiB: the rest is its own."""


class Site:
    """The described cluster of two, with the guest web1 on a mirror."""

    def __init__(self, machines) -> None:
        self.machines = machines
        self.layout = machines.layout

    def node(self, name: str) -> Node:
        return self.machines.node(name)

    def make(self) -> None:
        first = self.node("n1")
        trust(self.machines)
        first.check("crm_standby --node n2 --update on", timeout=TOOL)
        for what in ("//primitive[@class='stonith']", *OPTIONS):
            first.check(["cibadmin", "--delete-all", "--force", "--xpath", what], TOOL)
        first.write(DESCRIPTION, self.description())
        first.check(f"backstay render {DESCRIPTION} --directory /root/out", timeout=TOOL)
        described = first.read("/root/out/drbd.d/web1.res")
        address = self.layout.node("n2").address
        first.write("/etc/drbd.d/web1.res", described.replace('on "n2"', 'on "n9"').replace(address, LOST))
        for node in self.machines.nodes:
            node.check(f"{mirror.BELOW}{EMPTY}", timeout=TOOL)
        first.check(mirror.PREPARE, timeout=TOOL)
        first.check("drbdadm primary --force web1 && drbdadm down web1", timeout=TOOL * 2)
        self.describe_guest()
        # While n2 is in standby nobody can watch the device of n1, which finds no place then.
        first.check(f"backstay apply {DESCRIPTION} --yes --allow-stop --wait 600", timeout=BACK)
        self.as_before_the_loss(first)
        first.check("crm_standby --node n2 --delete", timeout=TOOL)
        self.writes()

    def description(self) -> str:
        hosts = [
            HOST.format(name=name, address=there.address, bmc=there.bmc_address, password=PASSWORD)
            for name in mirror.NAMES
            for there in (self.layout.node(name),)
        ]
        return CLOUD.format(hosts="".join(hosts), uuid=UUID, disk=DISK)

    def as_before_the_loss(self, node: Node) -> None:
        """In the CIB it is n9 that has the disk."""
        top = etree.fromstring(node.check("cibadmin --query --scope constraints", timeout=TOOL))
        for rule in top.xpath("//expression[@id='backstay-only-2-drbd-web1']"):
            rule.set("value", "n9")
        replace = ["cibadmin", "--replace", "--scope", "constraints", "--xml-pipe"]
        node.check(replace, TOOL, etree.tostring(top, encoding="unicode"))

    def describe_guest(self) -> None:
        """The audit guest, on DRBD, with nobody who hears it: its disk says what it did."""
        guest.prepare(self.layout, [self])
        text = guest.domain_xml(self.name, self.uuid)
        begin, end = text.index("    <serial type"), text.index("    <controller")
        text = text[:begin] + "    <serial type='null'/>\n" + text[end:]
        text = text.replace("<disk type='file'", "<disk type='block'")
        text = text.replace("<source file='/srv/vm/disks/web1.raw'/>", f"<source dev='{DEVICE}'/>")
        (self.layout.shared / "domains" / "web1.xml").write_text(text)

    name, uuid = "web1", UUID

    def records(self, host: str = "n1"):
        """What the guest has written, as this host has it on its own disk."""
        self.node(host).check(f"dd if={DEVICE} of=/srv/vm/seen bs=1M iflag=direct", timeout=TOOL * 2)
        return guest.read_disk(self.layout.shared / "seen")

    def writes(self, host: str = "n1") -> int:
        """Wait until it has written more, and give how much."""
        before = len(self.records(host)) if host else 0

        def look() -> int:
            now = self.records(host)
            if len(now) <= before:
                raise NotYet(f"{len(now)} records")
            return len(now)

        return until(look, Deadline(STARTED), every=5.0, what="the guest to write")

    def never_restarted(self, host: str = "n1") -> None:
        """One boot, and none of its records is missing."""
        found = self.records(host)
        assert len({record.boot for record in found.values()}) == 1
        assert sorted(found) == list(range(min(found), max(found) + 1))

    def begin(self, *words: str) -> None:
        """Let it run by itself on n1."""
        self.node("n1").check(["systemd-run", "--unit=at-work", "backstay", "drbd", *words, "--yes"], TOOL)

    def kill(self) -> None:
        assert self.node("n1").check("systemctl kill --signal=KILL at-work; echo $?").strip() == "0"
        self.node("n1").run("systemctl reset-failed at-work")

    def ask(self, *words: str):
        """What the command came to: its exit code, its answer."""
        done = self.node("n1").run(["backstay", "drbd", *words, "--yes", "--output", "json"], BACK)
        print(done.stderr)
        return done.returncode, json.loads(done.stdout) if done.stdout else {}

    def see(self, host: str, command: str, wanted: Callable[[str], bool], what: str) -> None:
        def look() -> bool:
            said = self.node(host).run(command, timeout=TOOL).stdout
            if not wanted(said):
                raise NotYet(said)
            return True

        until(look, Deadline(STARTED), every=1.0, what=what)

    def remove(self) -> None:
        """The guest and its disk are gone."""
        with suppress(BackstayError):
            self.node("n1").run("crm_resource --resource web1 --meta -p target-role -v Stopped", timeout=TOOL)
            self.node("n1").run("crm_resource --wait --timeout=300", timeout=400)
        self.machines.put_in_order()
        for node in self.machines.nodes:
            with suppress(BackstayError):
                node.run("virsh destroy web1; drbdsetup down web1", timeout=TOOL)
                node.run("vgremove --force --force --yes vg; rm -f /etc/drbd.d/web1.res*", timeout=TOOL)


@pytest.fixture(scope="module")
def site(running_machines) -> Iterator[Site]:
    running_machines.put_in_order()
    made = Site(running_machines)
    try:
        made.make()
        yield made
    finally:
        made.remove()


def test_a_lost_host_is_replaced_while_the_guest_runs_also_when_that_is_killed(site) -> None:
    code, said = site.ask("repair", "web1", "--plan")
    assert (code, said["refusals"]) == (0, [])
    assert [(step["step"], step["where"]) for step in said["steps"]] == [
        ("part", "n1"), ("write", "n1"), ("write", "n2"), ("make", "n2"), ("connect", "n1"), ("apply", ""),
        ("start", "n2"), ("sync", ""),
    ]  # fmt: skip
    site.begin("repair", "web1")
    site.see(
        "n2", "drbdsetup events2 --now web1", lambda text: "resource name:web1" in text, "the new host's turn"
    )
    site.kill()
    code, said = site.ask("repair", "web1")
    assert (code, said["done"]) == (0, True)
    for host in mirror.NAMES:
        state = site.node(host).check("drbdsetup events2 --now web1")
        assert " disk:UpToDate" in state
        assert " peer-disk:UpToDate" in state
    assert LOST not in site.node("n1").check("drbdsetup show web1; cat /etc/drbd.d/web1.res")
    code, said = site.ask("repair", "web1")
    assert (code, said["changed"], said["steps"]) == (0, False, [])
    site.writes()
    site.never_restarted()


def test_a_disk_grows_below_the_running_guest_also_when_that_is_killed(site) -> None:
    site.begin("grow", "web1", f"{BIG}MiB")
    site.see(
        "n1", "lvs --noheadings --units m -o lv_size vg/web1", lambda text: f"{BIG}.00m" in text, "n1's turn"
    )
    site.kill()
    code, said = site.ask("grow", "web1", f"{BIG}MiB")
    assert (code, said["done"]) == (0, True)
    for host in mirror.NAMES:
        assert f"{BIG}.00m" in site.node(host).check("lvs --noheadings --units m -o lv_size vg/web1")
        assert int(site.node(host).check(f"blockdev --getsize64 {DEVICE}")) == GROWN
        assert " disk:UpToDate" in site.node(host).check("drbdsetup events2 --now web1")
    seen = site.node("n1").check("virsh --quiet domblkinfo web1 vda", timeout=TOOL)
    assert f"{GROWN}" in seen.splitlines()[0]
    code, said = site.ask("grow", "web1", f"{BIG}MiB")
    assert (code, said["changed"], said["steps"]) == (0, False, [])
    assert site.ask("grow", "web1", "64MiB")[0] == 4
    site.writes()
    site.never_restarted()


def test_a_drain_moves_the_guest_alive_from_one_promoted_side_to_the_other(site) -> None:
    before = max(site.records())
    site.node("n1").check("crm_standby --node n1 --update on", timeout=TOOL)
    site.see("n2", "virsh list --name", lambda text: "web1" in text.split(), "the guest on n2")
    site.see("n1", "drbdsetup events2 --now web1", lambda text: "web1" not in text, "n1 to give the disk up")
    site.writes("n2")
    site.never_restarted("n2")
    assert max(site.records("n2")) > before
    status = site.node("n2").check("cibadmin --query --scope status", timeout=TOOL)
    assert 'id="web1_migrate_from_0"' in status or 'operation="migrate_from"' in status
    site.node("n1").check("crm_standby --node n1 --delete", timeout=TOOL)
    whole = " peer-disk:UpToDate"
    site.see("n2", "drbdsetup events2 --now web1", lambda text: whole in text, "n1 to be up to date again")
