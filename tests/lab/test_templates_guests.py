# SPDX-License-Identifier: GPL-2.0-or-later
"""Templates alone for guests: hosts and what they have, a remote host, a datastore that is watched, domains that run.

A lab of its own: two members, and a machine that becomes a remote host as an admin makes one.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from backstay.host.clock import Deadline, until
from backstay.lab import cluster, guest, power, root, witness
from backstay.lab import lab as the_lab
from backstay.lab.layout import Layout
from backstay.lab.node import Node
from backstay.lab.progress import Progress
from backstay.lab.stage import Stage
from tests.lab.cloud import payload
from tests.lab.test_templates import by_cibadmin, by_crmsh, by_patch, by_script

pytestmark = pytest.mark.long

MEMBERS, REMOTE = ("n1", "n2"), "n3"
SMALL = SimpleNamespace(name="web1", uuid="5a3c1f0e-7d64-4b51-9a0e-0d1b00000003")
LARGE = SimpleNamespace(name="web2", uuid="5a3c1f0e-7d64-4b51-9a0e-0d1b00000004")
REMOTE_NODE = f"""dpkg --force-depends --remove pacemaker && dpkg --install {root.REMOTE_DEB}
systemctl enable --now pacemaker_remote"""


class Guests:
    """The lab, two guests on its shared storage, and the witness that hears them."""

    def __init__(self):
        self.layout = Layout.from_environment()
        the_lab.down(self.layout, Progress())
        the_lab.up(self.layout, len(MEMBERS), payload(), Progress(sys.__stderr__), spare=1)
        guest.prepare(self.layout, (SMALL, LARGE))
        witness.start(self.layout, self.layout.names())
        self.stage = Stage(self.layout, {each.uuid: each.name for each in (SMALL, LARGE)})

    def node(self, name):
        return Node(self.layout, name)

    def ask(self):
        return cluster.ask(self.layout, MEMBERS)

    def place(self, name, besides=""):
        """Wait for the host that a guest speaks from, another one than `besides`."""

        def look():
            here = self.stage.places().get(name)
            return here if here != besides else None

        return until(look, Deadline(240), 0.5, f"{name} to speak")

    def boots(self, name):
        """The boots of a guest that were heard."""
        uuid = next(each.uuid for each in (SMALL, LARGE) if each.name == name)
        heard = witness.read(self.layout).heard
        return {each.record.boot for each in heard if each.record.uuid == uuid}

    def wait(self, wanted, seconds, what):
        return cluster.wait_for(self.layout, wanted, Deadline(seconds), what)


@pytest.fixture(scope="module")
def lab():
    made = Guests()
    made.node(REMOTE).check(REMOTE_NODE, timeout=300)
    yield made
    the_lab.down(made.layout, Progress())


def domain(load, node, which, memory):
    """Load a guest that would like to be on the remote host."""
    load(node, "domain", name=which.name, config=f"/srv/vm/domains/{which.name}.xml", uuid=which.uuid, memory=memory,
         vcpus="1", checks="vm-check-clone", prefers=REMOTE, migration_transport="tcp", migration_unsafe="yes")  # fmt: skip


def load(node):
    """Each template by another tool; `by_patch` is what pcs does."""
    for number, host in enumerate((*MEMBERS, REMOTE), 1):
        by_cibadmin(node, "fencing", host=host, address=f"10.77.0.20{number}", username="fencer",
                    password_file="/etc/backstay/bmc.password")  # fmt: skip
    by_script(node, "properties", placement="utilization")
    by_crmsh(node, "libvirtd")
    by_cibadmin(node, "host", name="n1", nodeid="1", memory="600 MiB", cpu="4", site="berlin")
    by_patch(node, "host", name="n2", nodeid="2", memory="600 MiB", cpu="4")
    by_cibadmin(node, "host", name=REMOTE, nodeid=REMOTE, remote="yes", memory="200 MiB", cpu="4")
    by_crmsh(node, "remote", name=REMOTE, address="10.77.0.13")
    by_patch(node, "datastore", name="vm", directory="/srv/vm")
    domain(by_cibadmin, node, SMALL, "128 MiB")
    domain(by_crmsh, node, LARGE, "400 MiB")


def healthy(state):
    said = [state.attributes.get(host, {}).get("backstay-datastore-vm-check") for host in (*MEMBERS, REMOTE)]
    return "" if said == ["healthy"] * 3 else f"the datastore is {said}"


def all_there(state):
    missing = {*MEMBERS, REMOTE} - state.online()
    return f"not in the cluster: {missing}" if missing else ""


def test_guests_run_where_templates_say_and_outlive_a_remote_host(lab):
    node = lab.node("n1")
    load(node)
    lab.wait(all_there, 120, "the remote host to be there")
    assert lab.place(SMALL.name) == REMOTE
    # It would like to, and the remote host has too little memory for it.
    assert lab.place(LARGE.name) in MEMBERS
    lab.wait(healthy, 60, "the datastore to be watched on every host")
    assert lab.ask().failures == ()
    where = node.check("crm_attribute --node n1 --name site --query --quiet").strip()
    assert where == "berlin"

    # It dies, and the monitor sees it: it is started again where it was.
    lab.node(REMOTE).check(f"virsh destroy {SMALL.name}")
    until(
        lambda: len(lab.boots(SMALL.name)) == 2 or None, Deadline(120), 0.5, "the guest to be started again"
    )
    assert lab.place(SMALL.name) == REMOTE
    node.check(f"crm_resource --cleanup --resource {SMALL.name}", timeout=60)

    # The remote host has no power any more: it is fenced, and its guest runs on a member.
    power.cut(lab.layout, REMOTE)
    here = lab.place(SMALL.name, besides=REMOTE)
    fenced = [event.target for event in lab.ask().fencing if event.status == "success"]
    assert fenced == [REMOTE]
    lab.wait(all_there, 240, "the remote host to be there again")
    node.check("crm_resource --wait --timeout=90", timeout=120)
    assert lab.place(SMALL.name) == here

    # It moves alive, through the check and libvirtd that are on both hosts.
    before = lab.boots(SMALL.name)
    node.check(f"crm_resource --resource {SMALL.name} --move --node {REMOTE}", timeout=60)
    assert lab.place(SMALL.name, besides=here) == REMOTE
    node.check("crm_resource --wait --timeout=90", timeout=120)
    assert lab.boots(SMALL.name) == before
    node.check(f"crm_resource --resource {SMALL.name} --clear", timeout=60)

    # All of it stops: guests, the check, the connection.
    for name in (SMALL.name, LARGE.name, "vm-check-clone", "libvirtd-clone", REMOTE):
        node.check(
            f"crm_resource --resource {name} --meta --set-parameter target-role --parameter-value Stopped"
        )
        node.check("crm_resource --wait --timeout=90", timeout=120)
    running = {each.name for each in lab.ask().resources if each.active}
    assert {name.partition("-")[0] for name in running} == {"fence"}
    assert lab.stage.places() == {}
    assert not lab.ask().unclean()
