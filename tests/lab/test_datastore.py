# SPDX-License-Identifier: GPL-2.0-or-later
"""A datastore that hangs: for one host, whose guests leave it alive; for all hosts at once, and nothing happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.host.clock import Deadline, pause, until
from backstay.lab import stallfs

POINT, PLACE = "/srv/tank", "/run/backstay-tank"
SWITCH = f"{PLACE}/stalled"
UNIT = "backstay-tank.service"
CHECK = "tank-check"
ATTRIBUTE = f"backstay-datastore-{CHECK}"
PATIENCE = 5.0
BOUND = """<constraints>
<rsc_colocation id="tank-{n}" rsc="{guest}" with-rsc="tank-check-clone" score="INFINITY"/>
<rsc_order id="tank-first-{n}" first="tank-check-clone" first-action="start" then="{guest}" then-action="start"
 kind="Mandatory" symmetrical="false"/></constraints>"""


@pytest.fixture
def tank(cloud):
    """A FUSE file system on every host, its check, and the guests bound to it as the domain template does it."""
    for node in cloud.lab.nodes:
        node.write(f"{PLACE}/stallfs.py", Path(stallfs.__file__).read_text(encoding="utf-8"))
        node.check(
            f"mkdir -p {POINT}; [ -e /dev/fuse ] || mknod /dev/fuse c 10 229;"
            f" systemd-run --quiet --collect --unit={UNIT} /usr/bin/python3 {PLACE}/stallfs.py {POINT} {SWITCH}"
        )
        until(
            lambda node=node: node.run(f"ls {POINT}/base.img").ok or None, Deadline(60), what="the datastore"
        )
    first = cloud.node("n1")
    words = (
        f"--set name=tank --set directory={POINT} --set fstype=fuse.stallfs --set patience={PATIENCE:.0f}s"
    )
    first.check(f"backstay render --template datastore {words} -o /root/tank.xml")
    first.check(
        'sed -i \'s/interval="20s"/interval="5s"/; s|<nvpair id="backstay-param-slow|'
        '<nvpair id="tank-write" name="write" value="false"/><nvpair id="tank-within" name="answer_within" value="3s"/>&|\''
        " /root/tank.xml"
    )
    first.check("cibadmin --modify --allow-create --xml-file /root/tank.xml")
    cloud.rest()
    for n, guest in enumerate(sorted(cloud.stage.guests.values())):
        text = BOUND.format(n=n, guest=guest)
        first.check(["cibadmin", "--modify", "--allow-create", "--scope", "constraints", "--xml-text", text])
    cloud.rest()
    until(
        lambda: said(cloud) == {"healthy"} or None,
        Deadline(60),
        what="the datastore to be healthy everywhere",
    )
    yield
    for node in cloud.lab.nodes:
        node.run(f"rm -f {SWITCH}")
    for n, _ in enumerate(cloud.stage.guests):
        for kind, name in (("rsc_colocation", f"tank-{n}"), ("rsc_order", f"tank-first-{n}")):
            first.run(f"cibadmin --delete --xml-text '<{kind} id=\"{name}\"/>'")
    first.run(
        "crm_resource --resource tank-check-clone --meta --set-parameter target-role --parameter-value Stopped"
    )
    cloud.rest()
    first.run(
        "cibadmin --delete --xml-text '<clone id=\"tank-check-clone\"/>'; crm_resource --cleanup", timeout=60
    )
    for node in cloud.lab.nodes:
        node.run(f"umount --lazy {POINT}; systemctl stop {UNIT}; rm -rf {PLACE}")


def said(cloud):
    """What the hosts say of the datastore."""
    done = cloud.node("n1").run(f"attrd_updater --name {ATTRIBUTE} --query --all")
    return {
        line.rpartition('value="')[2].rstrip('"') for line in done.stdout.splitlines() if "value=" in line
    }


def hung(cloud):
    """How many hosts say that it is broken."""
    done = cloud.node("n1").run(f"attrd_updater --name {ATTRIBUTE} --query --all")
    return done.stdout.count('"broken:hung"')


def waiting(cloud):
    """How many processes of the agent are in D state, on each host."""
    asked = "ps -eo stat=,args= | grep -c '^D.*datastore'"
    return [node.run(asked).stdout.strip() for node in cloud.lab.nodes]


@pytest.mark.long
def test_a_store_that_hangs_for_all_hosts_moves_and_fences_nothing(cloud, tank):
    with cloud.watched() as given:
        for node in cloud.lab.nodes:
            node.check(f"touch {SWITCH}")
        until(lambda: hung(cloud) == 3 or None, Deadline(120), what="every host to call it broken")
        # Several times what it takes until a host that knows of a better place fails.
        pause(45.0)
        # A monitor may be in D state itself, for a moment.
        until(
            lambda: waiting(cloud) == ["1", "1", "1"] or None,
            Deadline(30),
            what="one process to wait on each host",
        )
        codes = {failure.code for failure in cloud.lab.ask().failures}
        for node in cloud.lab.nodes:
            assert "does not answer" in node.check(
                "journalctl --priority=alert --identifier=backstay-datastore -o cat"
            )
            node.check(f"rm -f {SWITCH}")
        until(lambda: said(cloud) == {"healthy"} or None, Deadline(60), what="it to be healthy again")
    judged = given[0]
    assert judged.findings == []
    assert [deed for deed in judged.deeds if deed[0] != "monitor"] == []
    assert set(judged.boots.values()) == {1}
    assert codes == {190}


@pytest.mark.long
def test_guests_leave_a_host_for_which_alone_it_hangs(cloud, tank):
    begun = cloud.node("n2").check("virsh list --name").split()
    with cloud.watched() as given:
        cloud.node("n2").check(f"touch {SWITCH}")
        until(
            lambda: not cloud.node("n2").check("virsh list --name").split() or None,
            Deadline(240),
            what="every guest to have left n2",
        )
        cloud.rest()
        cloud.node("n2").check(f"rm -f {SWITCH}")
    judged = given[0]
    assert begun
    assert not [deed for deed in judged.deeds if deed[0] == "fence"]
    assert set(judged.boots.values()) == {1}
    assert judged.silences == ()
