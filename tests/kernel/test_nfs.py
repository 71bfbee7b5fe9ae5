# SPDX-License-Identifier: GPL-2.0-or-later
"""An NFS share and its check, from the templates: hung for all hosts, hung for one, its handles stale.

n1 serves it from a file system of its own, under an address of its own, to n2 and to itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from backstay.errors import BackstayError
from backstay.host.clock import Deadline, NotYet, pause, until
from backstay.lab.node import Node

pytestmark = pytest.mark.long

NAMES = ("n1", "n2")
SERVER, EXPORT, POINT = "192.0.2.50", "/srv/exported", "/srv/tank"
SEEN = 600.0
TOOL = 120.0
ATTRIBUTE = "backstay-datastore-tank-check"
HEALTHY, HUNG, STALE = {"healthy"}, {"broken:hung"}, {"broken:stale"}
SERVE = f"""\
modprobe nfsd
ip address replace {SERVER}/32 dev lo
truncate --size 64M /var/tmp/exported.img
mkfs.ext4 -q -F /var/tmp/exported.img
mkdir -p {EXPORT}
mount -o loop /var/tmp/exported.img {EXPORT}
mkdir {EXPORT}/vm
echo '{EXPORT}/vm *(rw,sync,no_root_squash,no_subtree_check,fsid=7)' >/etc/exports
systemctl start nfs-server.service
exportfs -ra
"""
SERVE_NO_MORE = f"""\
fsfreeze --unfreeze {EXPORT}
exportfs -ua
systemctl stop nfs-server.service
rm -f /etc/exports
umount {EXPORT}
rm -f /var/tmp/exported.img
ip address delete {SERVER}/32 dev lo
"""
# What stands on the share, as the template of a domain is bound to it; it would rather run on n2.
ROLE = """\
<configuration><resources><primitive id="app" class="ocf" provider="pacemaker" type="Dummy">
<operations><op id="app-watch" name="monitor" interval="20s" timeout="60s"/></operations></primitive></resources>
<constraints><rsc_location id="app-on-n2" rsc="app" node="n2" score="50"/>
<rsc_colocation id="app-with" rsc="app" with-rsc="tank-check-clone" score="INFINITY"/>
<rsc_order id="app-after" first="tank-check-clone" first-action="start" then="app" then-action="start" kind="Mandatory"
 symmetrical="false"/></constraints></configuration>
"""
LOAD = "cibadmin --modify --allow-create --xml-file"


class Share:
    """The share as the cluster has it, and what an observer sees of it."""

    def __init__(self, machines) -> None:
        self.machines = machines

    def node(self, name: str) -> Node:
        return self.machines.node(name)

    def serve(self) -> None:
        self.node("n1").check(SERVE, timeout=TOOL)
        address = self.machines.layout.node("n1").address
        self.node("n2").check(f"ip route replace {SERVER} via {address}")

    def load(self) -> None:
        first = self.node("n1")
        share = f"--set name=tank --set server={SERVER} --set export={EXPORT}/vm --set directory={POINT}"
        check = f"--set name=tank --set directory={POINT} --set after=tank-clone --set fstype=nfs --set patience=15s"
        for node in self.machines.nodes:
            node.check(f"mkdir -p {POINT}")
        first.check(f"backstay render --template nfs {share} -o /root/share.xml", timeout=TOOL)
        first.check(f"backstay render --template datastore {check} -o /root/check.xml", timeout=TOOL)
        first.write("/root/role.xml", ROLE)
        for name in ("share", "check", "role"):
            first.check(f"{LOAD} /root/{name}.xml", timeout=TOOL)
        self.say(HEALTHY)
        self.runs_on("n2")

    def said(self) -> set[str]:
        """What the hosts say of it."""
        done = self.node("n1").run(f"attrd_updater --name {ATTRIBUTE} --query --all", timeout=TOOL)
        return {
            line.rpartition('value="')[2].rstrip('"') for line in done.stdout.splitlines() if "value=" in line
        }

    def say(self, wanted: set[str]) -> None:
        def look() -> bool:
            said = self.said()
            if said != wanted:
                raise NotYet(f"they say {said}")
            return True

        until(look, Deadline(SEEN), every=3.0, what=f"the hosts to say {wanted}")

    def role(self) -> str:
        """Where the role runs; empty while nowhere."""
        done = self.node("n1").run("crm_resource --resource app --locate --quiet", timeout=TOOL)
        return done.stdout.strip()

    def runs_on(self, host: str) -> None:
        until(lambda: self.role() == host or None, Deadline(SEEN), every=3.0, what=f"the role on {host}")

    def lives(self) -> tuple[str, ...]:
        """Which boots these are, and how many fencings were done: the same as before where nothing was."""
        boots = [node.check("cat /proc/sys/kernel/random/boot_id").strip() for node in self.machines.nodes]
        query = "crm_mon -1 --output-as=xml --include=none,fencing-succeeded | grep -c '<fence_event ' || :"
        return (*boots, self.node("n1").check(query, timeout=TOOL).strip())

    def take_out(self) -> None:
        first = self.node("n1")
        with suppress(BackstayError):
            self.node("n2").run(f"ip route delete blackhole {SERVER}")
            first.run(f"fsfreeze --unfreeze {EXPORT}; ip address replace {SERVER}/32 dev lo")
        first.run("cibadmin --delete --xml-text '<primitive id=\"app\"/>'", timeout=TOOL)
        for node in self.machines.nodes:
            with suppress(BackstayError):
                node.run(f"umount --force --lazy {POINT}", timeout=TOOL)
        with suppress(BackstayError):
            first.run(SERVE_NO_MORE, timeout=TOOL)


@pytest.fixture
def share(machines) -> Iterator[Share]:
    """The share, served, loaded, healthy on both; the role on n2."""
    made = Share(machines)
    try:
        made.serve()
        made.load()
        yield made
    finally:
        made.take_out()


FREEZE = f"fsfreeze --freeze {EXPORT}", f"fsfreeze --unfreeze {EXPORT}"  # what is written waits
AWAY = f"ip address delete {SERVER}/32 dev lo", f"ip address replace {SERVER}/32 dev lo"  # all of it waits


@pytest.mark.parametrize(("hang", "heal"), [FREEZE, AWAY], ids=["writes", "everything"])
def test_a_server_that_hangs_for_all_hosts_moves_and_fences_nothing(
    share: Share, hang: str, heal: str
) -> None:
    before = share.lives()
    share.node("n1").check(hang)
    share.say(HUNG)
    # Longer than what a host that knows of a better place needs until it fails, and than a monitor and then a stop
    # that wait for the storage need until their host is fenced.
    pause(180.0)
    assert share.said() == HUNG
    assert share.role() == "n2"
    for node in share.machines.nodes:
        waiting = node.run("ps -eo stat=,args= | grep -c '^D.*datastore'").stdout
        assert int(waiting) <= 1, "no second one is sent after the one that waits"
    assert {failure.code for failure in share.machines.ask().failures} <= {190}
    share.node("n1").check(heal)
    share.say(HEALTHY)
    assert share.lives() == before
    assert share.role() == "n2"


def test_what_stands_on_it_leaves_the_one_host_for_which_it_hangs(share: Share) -> None:
    before = share.lives()
    share.node("n2").check(f"ip route delete {SERVER}; ip route add blackhole {SERVER}")
    share.runs_on("n1")
    address = share.machines.layout.node("n1").address
    share.node("n2").check(f"ip route delete blackhole {SERVER}; ip route replace {SERVER} via {address}")
    assert share.lives() == before
    share.node("n1").check("crm_resource --cleanup --resource tank-check", timeout=TOOL)
    share.say(HEALTHY)


def test_stale_handles_are_said_and_a_new_mount_mends_them(share: Share) -> None:
    before = share.lives()
    share.node("n1").check(f"rm -r {EXPORT}/vm && touch {EXPORT}/other && mkdir {EXPORT}/vm && exportfs -f")
    share.say(STALE)
    assert share.role() == "n2"
    said = share.node("n2").check(
        "journalctl --priority=alert --identifier=backstay-datastore -o cat", timeout=TOOL
    )
    assert "stale" in said
    assert share.lives() == before
    for node in share.machines.nodes:
        node.check(
            f"umount --force --lazy {POINT} && mount -t nfs {SERVER}:{EXPORT}/vm {POINT}", timeout=TOOL
        )
    share.say(HEALTHY)
    assert share.lives() == before


def test_a_mount_that_was_taken_away_is_said_and_a_refresh_brings_it_back(share: Share) -> None:
    before = share.lives()
    share.node("n2").check(f"umount --lazy {POINT}", timeout=TOOL)
    share.runs_on("n1")
    assert "broken:absent" in share.said()
    for name in ("tank-clone", "tank-check-clone"):
        share.node("n1").check(f"crm_resource --refresh --resource {name} --node n2", timeout=TOOL)
    share.say(HEALTHY)
    share.runs_on("n2")
    assert share.lives() == before
