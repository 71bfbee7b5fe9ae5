# SPDX-License-Identifier: GPL-2.0-or-later
"""What Pacemaker's own scheduler does with a domain on DRBD, and with one on storage that is mounted on every host.

These are the promises of the comments in domain-drbd.xml and domain.xml.
"""

from __future__ import annotations

import pytest
from lxml import etree

from backstay.cib.alone import add, render_alone
from backstay.cib.document import write
from backstay.cib.parting import stopping, without
from tests.integration.cib.conftest import with_hosts

HOSTS = ("n1", "n2", "n3")
EMPTY = b"""<cib epoch="1" num_updates="0" admin_epoch="0" validate-with="pacemaker-3.7"><configuration><crm_config/>
<nodes/><resources/><constraints/></configuration><status/></cib>"""


def the_cluster(shipped, **web1):
    """A CIB with a domain on DRBD of n1 and n2, and another one on a share."""
    cib = with_hosts(etree.fromstring(EMPTY), HOSTS)
    parts = [
        ("properties", {}),
        *(
            ("fencing", {"host": h, "address": f"bmc-{h}", "username": "u", "password_file": "/p"})
            for h in HOSTS
        ),
        ("libvirtd", {}),
        ("nfs", {"name": "vmstore", "server": "nas", "export": "/x", "directory": "/srv/vm"}),
        (
            "domain-drbd",
            {"name": "web1", "config": "/w", "drbd_resource": "web1", "drbd_hosts": "n1,n2", "prefers": "n1"}
            | web1,
        ),
        ("domain", {"name": "web2", "config": "/v", "needs": "vmstore-clone", "prefers": "n1"}),
    ]
    for name, given in parts:
        cib = add(cib, render_alone(shipped, name, given))
    for number, host in ((1, "n1"), (2, "n2")):
        # What the agent says of a disk that is up to date: without it nothing is promoted.
        state = cib.find(f"status/node_state[@uname='{host}']")
        attributes = etree.SubElement(state, "transient_attributes", id=str(number))
        pairs = etree.SubElement(attributes, "instance_attributes", id=f"status-{number}")
        score = "master-drbd-web1"  # as LINBIT calls it
        etree.SubElement(pairs, "nvpair", id=f"m-{number}", name=score, value="10000")
    return cib


@pytest.fixture
def settle(simulator, shipped, tmp_path):
    """`settle(...)` makes a CIB file in which everything runs, and nothing is left to do."""

    def make(**web1):
        path = tmp_path / "empty.xml"
        path.write_bytes(write(the_cluster(shipped, **web1)))
        settled = simulator.run(path, name="steady.xml").cib
        for name in ("again.xml", "once-more.xml"):
            settled = simulator.run(settled, name=name).cib
        assert simulator.run(settled, name="quiet.xml").summary == set()
        return settled

    return make


def edited(path, change):
    """The CIB file `path` after `change(root)`."""
    tree = etree.parse(str(path))
    change(tree.getroot())
    tree.write(str(path))
    return path


def standby(host):
    """A change that drains a host."""

    def change(root):
        node = root.find(f"configuration/nodes/node[@uname='{host}']")
        attributes = etree.SubElement(node, "instance_attributes", id=f"nodes-{host}")
        etree.SubElement(attributes, "nvpair", id=f"standby-{host}", name="standby", value="on")

    return change


def switch(name, value):
    """A change of a switch of web1, as an admin does it."""

    def change(root):
        resource = root.find("configuration/resources/primitive[@id='web1']")
        holder = etree.SubElement(resource, "meta_attributes", id="web1-meta_attributes")
        etree.SubElement(holder, "nvpair", id=f"web1-{name}", name=name, value=value)

    return change


def test_both_sides_are_promoted_and_the_domain_runs_on_one(settle, running):
    where = running(settle())
    assert where["web1"] == {"n1"}
    assert where["drbd-web1"] == {"n1", "n2"}


def test_a_drain_moves_the_domain_alive_and_demotes_only_then(settle, simulator):
    transition = simulator.run(edited(settle(), standby("n1")))
    assert transition.about("web1", "web2") == {("Migrate", "web1"), ("Migrate", "web2")}
    here = [(name, action) for name, action, host in transition.executed if host == "n1"]
    assert here.index(("web1", "migrate_to")) < here.index(("web1", "stop"))
    assert here.index(("web1", "stop")) < here.index(("drbd-web1", "demote"))
    assert here.index(("drbd-web1", "demote")) < here.index(("drbd-web1", "stop"))
    assert here.index(("web2", "stop")) < here.index(("vmstore", "stop"))


def test_a_lost_host_is_fenced_and_the_domain_starts_on_the_other_side(settle, simulator, running):
    transition = simulator.run(settle(), "--node-fail", "n1")
    assert ("Fence", "n1") in transition.summary
    assert ("Move", "web1") in transition.about("web1")
    assert running(transition.cib)["web1"] == {"n2"}


def test_a_domain_that_may_not_move_alive_has_one_promoted_side(settle, simulator):
    transition = simulator.run(edited(settle(live_migration="no"), standby("n1")), name="a.xml")
    verbs = {verb for verb, _ in transition.about("web1")}
    assert "Migrate" not in verbs
    here = [(name, action) for name, action, host in transition.executed if host == "n1"]
    assert here.index(("web1", "stop")) < here.index(("drbd-web1", "demote"))


def test_an_unmanaged_domain_on_a_drained_host_stops_nobody_else(settle, simulator):
    path = edited(edited(settle(), switch("is-managed", "false")), standby("n1"))
    transition = simulator.run(path)
    assert transition.about("web2") == {("Migrate", "web2")}
    assert not {(name, action) for name, action, _ in transition.executed if name == "drbd-web1"} & {
        ("drbd-web1", "demote"),
        ("drbd-web1", "stop"),
    }


def test_without_quorum_nothing_is_stopped_or_demoted(settle, simulator):
    path = edited(settle(), lambda root: root.set("have-quorum", "0"))
    assert not {verb for verb, _ in simulator.run(path).summary} & {"Stop", "Demote", "Move", "Fence"}


def test_an_orderly_stop_of_the_disk_stops_the_domain_first(settle, simulator):
    def stop(root):
        clone = root.find("configuration/resources/clone[@id='drbd-web1-clone']")
        holder = etree.SubElement(clone, "meta_attributes", id="drbd-meta_attributes")
        etree.SubElement(holder, "nvpair", id="drbd-target", name="target-role", value="Stopped")

    transition = simulator.run(edited(settle(), stop))
    assert ("Stop", "web1") in transition.about("web1")
    here = [(name, action) for name, action, host in transition.executed if host == "n1"]
    assert here.index(("web1", "stop")) < here.index(("drbd-web1", "demote"))


def test_a_share_that_was_unmounted_under_a_guest_takes_the_guest_along(settle, simulator):
    transition = simulator.run(settle(), "-i", "vmstore_monitor_20000@n1=7")
    here = [(name, action) for name, action, host in transition.executed if host == "n1"]
    assert here.index(("web2", "stop")) < here.index(("vmstore", "start"))
    assert transition.about("web1") == set()


GONE = ("web1", "drbd-web1-clone")


def without_gone(path):
    """The CIB of a description that no longer has web1: its resources and what concerned them are not there."""
    return without(etree.parse(str(path)).getroot(), GONE)


def test_what_is_taken_out_is_stopped_first_in_its_order(settle, simulator, tmp_path):
    """The domain, then the role of its disk, then the disk; then nothing is left to be done when it goes."""
    steady = settle()
    whole = stopping(etree.parse(str(steady)).getroot(), without_gone(steady), GONE)
    assert whole is not None
    way = tmp_path / "way.xml"
    way.write_bytes(write(whole))
    run = simulator.run(way)
    done = [(resource.partition(":")[0], operation) for resource, operation, _ in run.executed]
    assert {name for name, _ in done} == {"web1", "drbd-web1"}
    order = [done.index(one) for one in (("web1", "stop"), ("drbd-web1", "demote"), ("drbd-web1", "stop"))]
    assert order == sorted(order)
    # the notifications and the pruned records are no actions on what runs
    last = tmp_path / "last.xml"
    last.write_bytes(write(without_gone(run.cib)))
    assert simulator.run(last, name="end.xml").summary == set()


DISK = {
    "name": "one",
    "drbd_resource": "one",
    "drbd_hosts": "n1,n2",
    "device": "/dev/drbd10",
    "directory": "/var/lib/one",
}
CHECK = {"name": "one", "directory": "/var/lib/one", "after": "one", "reaction": "degrade"}
ROLE = {"name": "opennebula", "address": "192.0.2.100", "needs": "one", "prefers": "n1"}
STACK = ("one", "opennebula-address", "opennebula-role", "one-check")


@pytest.fixture
def role(simulator, shipped, tmp_path):
    """A CIB file in which a frontend runs whose home is on DRBD of n1 and n2, and nothing is left to do."""
    cib = the_cluster(shipped)
    for name, given in (("drbd", DISK), ("datastore", CHECK), ("frontend-opennebula", ROLE)):
        cib = add(cib, render_alone(shipped, name, given))
    for number in ("1", "2"):
        pairs = cib.find(f".//instance_attributes[@id='status-{number}']")
        score = "master-drbd-one"  # as LINBIT calls it
        etree.SubElement(pairs, "nvpair", id=f"o-{number}", name=score, value="10000")
    path = tmp_path / "role.xml"
    path.write_bytes(write(cib))
    for name in ("steady.xml", "again.xml", "once-more.xml"):
        path = simulator.run(path, name=name).cib
    assert simulator.run(path, name="quiet.xml").summary == set()
    return path


def banned(host):
    """A change by which an admin sends the role away from a host (crm_resource --ban)."""

    def change(root):
        top = root.find("configuration/constraints")
        etree.SubElement(top, "rsc_location", id="ban", rsc="opennebula", node=host, score="-INFINITY")

    return change


def promoted(path):
    """The hosts on which the role's disk is promoted, as a CIB after a transition has it."""
    states = etree.parse(str(path)).getroot().iterfind("status/node_state")
    last = {
        state.get("uname"): [
            (int(op.get("call-id")), op.get("operation"))
            for op in state.iterfind(".//lrm_resource[@id='drbd-one']/lrm_rsc_op")
            if op.get("operation") in ("promote", "demote", "stop")
        ]
        for state in states
    }
    return {host for host, done in last.items() if done and max(done)[1] == "promote"}


def test_a_role_its_file_system_and_its_disk_are_on_the_same_host(role, running):
    where = running(role)
    assert {name: where[name] for name in STACK} == {name: {"n1"} for name in STACK}
    assert where["drbd-one"] == {"n1", "n2"}
    assert promoted(role) == {"n1"}


@pytest.mark.parametrize("change", [standby("n1"), banned("n1")], ids=["drained", "banned"])
def test_all_of_it_moves_in_order(role, simulator, change):
    transition = simulator.run(edited(role, change))
    left = [(name, action) for name, action, host in transition.executed if host == "n1"]
    down = [
        ("opennebula-role", "stop"),
        ("opennebula-address", "stop"),
        ("one", "stop"),
        ("drbd-one", "demote"),
    ]
    assert sorted(down, key=left.index) == down
    came = [(name, action) for name, action, host in transition.executed if host == "n2"]
    up = [
        ("drbd-one", "promote"),
        ("one", "start"),
        ("opennebula-address", "start"),
        ("opennebula-role", "start"),
    ]
    assert sorted(up, key=came.index) == up
    whole = [(name, action) for name, action, _ in transition.executed]
    assert whole.index(("drbd-one", "demote")) < whole.index(("drbd-one", "promote"))


def test_the_host_of_a_role_is_fenced_before_the_other_side_is_promoted(role, simulator, running):
    transition = simulator.run(role, "--node-fail", "n1")
    assert ("Fence", "n1") in transition.summary
    where = running(transition.cib)
    assert {name: where[name] for name in STACK} == {name: {"n2"} for name in STACK}
    assert not simulator.run(edited(transition.cib, standby("n2")), name="gone.xml").about("one") & {
        ("Move", "one")
    }


THEIRS, OURS = "linbit", "backstay"


def agent(provider, history=True):
    """A change that gives the disk of web1 an agent of that provider, and what Pacemaker remembers of it as well."""

    def change(root):
        root.find(".//primitive[@id='drbd-web1']").set("provider", provider)
        for known in root.iterfind(".//lrm_resource[@id='drbd-web1']") if history else ():
            known.set("provider", provider)

    return change


def refreshed(root):
    """What is known of the disk of web1 is what the probes of crm_resource --refresh have found: promoted on both."""
    agent(OURS)(root)
    for known in root.iterfind(".//lrm_resource[@id='drbd-web1']"):
        first, *others = known.findall("lrm_rsc_op")
        for one in others:
            known.remove(one)
        if first.get("operation") == "promote":  # not on n3, which has none
            key = first.get("transition-key").replace(":0:", ":7:", 1)
            first.attrib.update({"operation": "monitor", "operation_key": "drbd-web1_monitor_0", "rc-code": "8",
                                 "transition-key": key, "transition-magic": f"0:8;{key}"})  # fmt: skip


def without_scores(root):
    """What a restart of Pacemaker in maintenance mode does to the promotion scores."""
    for pair in root.findall(".//transient_attributes//nvpair[@name='master-drbd-web1']"):  # linbit
        pair.getparent().remove(pair)


@pytest.fixture
def changed_over(settle, simulator):
    """A CIB file with a guest whose disk LINBIT's agent manages, and the other agent put in its place."""
    before = edited(settle(), agent(THEIRS))
    assert simulator.run(before, name="theirs.xml").summary == set()
    return edited(before, agent(OURS, history=False))


def test_a_disk_changes_its_agent_and_nothing_is_done_when_maintenance_ends(changed_over, simulator):
    transition = simulator.run(edited(changed_over, refreshed))
    assert transition.summary == set()


def test_without_the_refresh_the_disk_is_restarted_below_its_guest(changed_over, simulator):
    transition = simulator.run(changed_over)
    assert ("Restart", "drbd-web1") in transition.summary


def test_without_the_scores_the_disk_is_demoted_and_its_guest_stopped(changed_over, simulator):
    transition = simulator.run(edited(edited(changed_over, refreshed), without_scores))
    assert {("Demote", "drbd-web1"), ("Stop", "web1")} <= transition.summary
