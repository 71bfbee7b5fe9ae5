# SPDX-License-Identifier: GPL-2.0-or-later
"""A changed description is planned and applied on the real cluster: what was foreseen is what Pacemaker did."""

from __future__ import annotations

import json

import pytest

from backstay.lab.furnish import DESCRIPTION

CHANGED = "/root/changed.yaml"
GUEST = "mail2"


@pytest.fixture
def admin(cloud):
    """An admin on a host, with a copy of the description to change; afterwards the cloud is as it was."""
    node = cloud.node(cloud.stage.hosts()[0])
    node.check(f"cp {DESCRIPTION} {CHANGED}")
    yield node
    node.run(f"backstay apply {DESCRIPTION} --yes --allow-stop --remove", timeout=120)
    cloud.settle()


def edit(node, expression):
    """Change the description with sed."""
    node.check(["sed", "-i", expression, CHANGED])


def plan(node):
    """What `backstay plan` foresees: its exit code, and (verb, resource, host) of each step."""
    done = node.run(f"backstay plan {CHANGED} --output json", timeout=60)
    answer = json.loads(done.stdout)
    return done.returncode, {(s["verb"], s["subject"], s["source"] or s["target"]) for s in answer["steps"]}


def apply(node, *options):
    """What `backstay apply` did; fails unless all went as foreseen."""
    done = node.run(["backstay", "apply", CHANGED, "--yes", "--output", "json", *options], timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert (said["missing"], said["surprising"], said["settled"]) == ([], [], True)
    return said


def epoch(cloud):
    """How often the configuration was changed."""
    return cloud.on_any("cibadmin --query --xpath /cib --no-children").split(' epoch="')[1].partition('"')[0]


def done_to(judged, name):
    """What Pacemaker did to a resource, in order: (operation, host)."""
    return [(operation, host) for operation, resource, host in judged.deeds if resource == name]


def test_what_is_foreseen_is_what_happens(cloud, admin):
    host = cloud.stage.places()[GUEST]
    assert plan(admin) == (0, set())

    edit(admin, f"/^  {GUEST}:/,$d")
    assert plan(admin) == (1, {("stop", GUEST, host)})
    before = epoch(cloud)
    refused = admin.run(["backstay", "apply", CHANGED, "--yes", "--allow-stop"], timeout=60)
    assert refused.returncode == 4
    assert f"no longer has {GUEST}" in refused.stderr
    assert epoch(cloud) == before

    with cloud.watched() as watched:
        taken = apply(admin, "--remove")["checkpoint"]
        back = admin.run(["backstay", "rollback", taken, "--yes", "--output", "json"], timeout=180)
    assert back.returncode == 0, back.stdout + back.stderr
    (again,) = json.loads(back.stdout)["happened"]
    assert (again["verb"], again["subject"]) == ("start", GUEST)
    assert done_to(watched[0], GUEST) == [("stop", host), ("start", again["target"])]
    assert {resource for _, resource, _ in watched[0].deeds} == {GUEST}


@pytest.mark.long
def test_a_change_of_each_kind_is_foreseen(cloud, admin):
    host = cloud.stage.places()[GUEST]
    admin.check(f"cp /srv/vm/domains/{GUEST}.xml /srv/vm/domains/{GUEST}-2.xml")

    edit(admin, "s/heal_budget: 30s/heal_budget: 45s/")
    with cloud.watched() as watched:
        apply(admin)
    assert {resource for _, resource, _ in watched[0].deeds} == {"libvirtd"}

    edit(admin, f"s:/{GUEST}.xml:/{GUEST}-2.xml:")
    assert plan(admin) == (1, {("restart", GUEST, host)})
    assert admin.run(["backstay", "apply", CHANGED, "--yes"], timeout=60).returncode == 4
    with cloud.watched() as watched:
        apply(admin, "--allow-stop")
    assert done_to(watched[0], GUEST) == [("stop", host), ("start", host)]

    stale = "/root/stale.plan"
    edit(admin, f"s:/{GUEST}-2.xml:/{GUEST}.xml:")
    admin.run(f"backstay plan {CHANGED} --out {stale}", timeout=60)
    cloud.on_any("crm_attribute --name stop-all-resources --update false")
    moved = admin.run(["backstay", "apply", stale, "--yes", "--allow-stop"], timeout=60)
    cloud.on_any("crm_attribute --name stop-all-resources --delete")
    assert moved.returncode == 4
    assert "has moved, nothing was loaded" in moved.stderr
