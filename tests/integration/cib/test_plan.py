# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay plan` with Pacemaker's real scheduler: what a description changes, and what that does."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from lxml import etree

from backstay.cib.document import parse, write
from backstay.host.scheduler import simulate, status
from backstay.plan.prediction import UNDESCRIBED
from backstay.plan.prune import prune
from backstay.plan.transition import read


@pytest.fixture
def plan(repository, need, tmp_path, steady):
    """`plan(old, new)` edits the example and plans it against the running cloud: exit code, answer."""
    need("crm_simulate")
    text = (repository / "examples" / "three-hosts.yaml").read_text()

    def call(*edits, cib=steady, output="json", more=()):
        changed = text
        for old, new in edits:
            assert old in changed
            changed = changed.replace(old, new)
        description = tmp_path / "cloud.yaml"
        description.write_text(changed)
        argv = [
            sys.executable,
            "-m",
            "backstay",
            "plan",
            str(description),
            "--cib",
            str(cib),
            "--output",
            output,
        ]
        done = subprocess.run([*argv, *more], capture_output=True, text=True, timeout=120, check=False)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout) if output == "json" else done.stdout

    return call


NEW_DOMAIN = """  web3:
    config: /srv/vm/domains/web3.xml
    memory: 128 MiB
    vcpus: 1
  mail2:
"""


def steps(answer):
    """The steps of an answer, short."""
    return {(step["verb"], step["subject"]) for step in answer["steps"]}


def test_the_same_description_changes_nothing(plan):
    assert plan() == (
        0,
        {
            "cluster": "backstay-lab",
            "changes": [],
            "steps": [],
            "anyway": [],
            "stranded": [],
            "hand_made": [],
            "unfenced": [],
            "hurts": False,
        },
    )
    assert plan(output="text") == (0, "cluster backstay-lab: nothing changes.\n")


def test_a_new_domain_starts_and_hurts_nobody(plan):
    code, answer = plan(("  mail2:\n", NEW_DOMAIN))
    assert code == 0
    assert steps(answer) == {("start", "web3")}
    assert {change["name"] for change in answer["changes"] if change["kind"] == "domain"} == {"web3"}


def test_another_definition_restarts_the_domain_and_that_hurts(plan):
    code, answer = plan(("/domains/web1.xml", "/domains/other.xml"))
    assert code == 1
    assert steps(answer) == {("restart", "web1")}


def test_a_domain_that_is_not_described_any_more_stops(plan):
    code, answer = plan(("  mail2:", "  mail3:"), ("/mail2.xml", "/mail3.xml"), ("1b00000006", "1b00000007"))
    assert code == 1
    assert steps(answer) == {("stop", "mail2"), ("start", "mail3")}
    assert {step["reason"] for step in answer["steps"] if step["subject"] == "mail2"} == {UNDESCRIBED}
    assert answer["stranded"] == []


def test_what_happens_anyway_is_told_apart(plan, simulator, steady):
    tree = etree.parse(str(steady))
    node = tree.find("configuration/nodes/node[@uname='n1']")
    attributes = etree.SubElement(node, "instance_attributes", id="nodes-1")
    etree.SubElement(attributes, "nvpair", id="nodes-1-standby", name="standby", value="on")
    drained = simulator.directory / "drained.xml"
    tree.write(str(drained))
    _, answer = plan(("  mail2:\n", NEW_DOMAIN), cib=drained)
    assert steps(answer) == {("start", "web3")}
    assert {("migrate", "db1"), ("migrate", "web2")} <= {(s["verb"], s["subject"]) for s in answer["anyway"]}


def test_the_text_tells_the_change_and_what_it_does(plan):
    code, said = plan(("/domains/web1.xml", "/domains/other.xml"), output="text")
    assert code == 1
    assert "parameter config: /srv/vm/domains/web1.xml -> /srv/vm/domains/other.xml" in said
    assert "! web1 stops and starts again on n3 (its definition changed)" in said


@pytest.mark.parametrize("options", [(), ("--node-fail", "n1")])
def test_a_pruned_cib_leads_to_the_same_transition(simulator, steady, empty, options):
    for cib in (steady, empty):
        source = simulator.run(cib, *options, name="source.xml").cib if options else cib
        whole = parse(source.read_bytes(), "source")
        assert read(simulate(write(prune(whole)))).steps == read(simulate(source.read_bytes())).steps


@pytest.mark.parametrize("options", [(), ("--node-fail", "n1")])
def test_what_runs_where_is_known_without_a_word_about_what_comes(simulator, steady, empty, options):
    for cib in (steady, empty):
        source = simulator.run(cib, *options, name="source.xml").cib if options else cib
        whole, present = read(simulate(source.read_bytes())), read(status(source.read_bytes()))
        assert (present.running, present.promoted) == (whole.running, whole.promoted)
        assert present.steps == ()


def test_what_others_made_is_shown(plan, simulator, steady):
    tree = etree.parse(str(steady))
    etree.SubElement(tree.find(".//resources"), "primitive", id="mine", **{"class": "systemd"}, type="cron")
    place = {"id": "mine-1", "rsc": "mine", "node": "n1", "score": "5"}
    etree.SubElement(tree.find(".//constraints"), "rsc_location", place)
    path = simulator.directory / "mine.xml"
    tree.write(str(path))
    _, answer = plan(("  mail2:\n", NEW_DOMAIN), cib=path)
    assert answer["hand_made"] == [
        {"kind": "resource", "name": "mine"},
        {"kind": "location", "name": "mine-1"},
    ]
    _, said = plan(cib=path, output="text")
    assert said.splitlines()[1:] == [
        "what Backstay did not create, and leaves alone:", "    resource mine", "    location mine-1",
    ]  # fmt: skip


GUEST = """<primitive id="{name}" class="ocf" provider="pacemaker" type="Dummy"><meta_attributes id="{name}-m">
<nvpair id="{name}-p" name="priority" value="{priority}"/><nvpair id="{name}-s" name="resource-stickiness" value="1000"/>
</meta_attributes><utilization id="{name}-u"><nvpair id="{name}-n" name="memory" value="{memory}"/></utilization>
</primitive>"""


def test_who_is_evicted_by_priority_is_told_why(simulator, tmp_path, empty):
    tree = etree.parse(str(empty))
    for part in (".//resources", ".//constraints"):
        tree.find(part)[:] = []
    for old in tree.findall(".//crm_config//nvpair"):
        old.getparent().remove(old)
    options = {"stonith-enabled": "false", "placement-strategy": "balanced"}
    for name, value in options.items():
        etree.SubElement(tree.find(".//cluster_property_set"), "nvpair", id=name, name=name, value=value)
    for node in tree.findall(".//nodes/node"):
        room = etree.SubElement(node, "utilization", id=f"u-{node.get('id')}")
        etree.SubElement(room, "nvpair", id=f"n-{node.get('id')}", name="memory", value="100")
    resources = tree.find(".//resources")
    for name, memory in (("low1", 80), ("low2", 80), ("low3", 80), ("small", 15)):
        resources.append(etree.fromstring(GUEST.format(name=name, priority=0, memory=memory)))
    path = tmp_path / "few.xml"
    tree.write(str(path))
    live = simulator.run(path, name="before.xml").cib
    wanted = etree.parse(str(live))
    wanted.find(".//resources").append(etree.fromstring(GUEST.format(name="high", priority=8, memory=90)))
    wanted.write(str(tmp_path / "wanted.xml"))
    argv = [sys.executable, "-m", "backstay", "plan", str(tmp_path / "wanted.xml"), "--cib", str(live)]
    done = subprocess.run(
        [*argv, "--output", "json"], capture_output=True, text=True, timeout=120, check=False
    )
    found = json.loads(done.stdout)["steps"]
    assert done.returncode == 1
    (stopped,) = (step for step in found if step["verb"] == "stop")
    assert stopped["reason"] == "no room is left for it: high comes first"
    assert "it makes room for high" in {step["reason"] for step in found if step["verb"] == "move"}


def test_a_whole_cib_brings_back_what_backstay_said_of_hosts(simulator, steady, tmp_path):
    kept, live = (etree.parse(str(steady)) for _ in range(2))
    for tree, memory in ((kept, "4096"), (live, "8192")):
        node = tree.find(".//nodes/node[@uname='n1']")
        room = etree.SubElement(node, "utilization", id="backstay-node-utilizations-n1")
        etree.SubElement(
            room, "nvpair", id="backstay-node-utilization-memory-n1", name="memory", value=memory
        )
    aside = etree.SubElement(live.find(".//nodes/node[@uname='n2']"), "instance_attributes", id="nodes-2")
    etree.SubElement(aside, "nvpair", id="nodes-2-x", name="x", value="1")
    kept.write(str(tmp_path / "kept.xml"))
    live.write(str(tmp_path / "live.xml"))
    argv = [
        sys.executable,
        "-m",
        "backstay",
        "plan",
        str(tmp_path / "kept.xml"),
        "--cib",
        str(tmp_path / "live.xml"),
    ]
    done = subprocess.run(
        [*argv, "--out", str(tmp_path / "plan"), "--output", "json"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (change,) = json.loads(done.stdout)["changes"]
    assert (change["kind"], [one["new"] for one in change["details"]]) == ("node", ["4096"])
    after = etree.fromstring(json.loads((tmp_path / "plan").read_text())["after"].encode())
    assert after.find(".//nodes/node[@uname='n2']//nvpair").get("name") == "x"


def test_a_new_domain_on_drbd_has_a_place(plan):
    """Its disk is promoted by a score that its agent has still to give: the plan takes it for given, and says so."""
    disk = "    drbd: {hosts: [n1, n2], port: 7790, volumes: {0: {disk: /dev/vg/web3, minor: 10}}}\n"
    added = NEW_DOMAIN.replace("  mail2:\n", f"{disk}  mail2:\n")
    code, answer = plan(("  mail2:\n", added))
    assert (code, answer["stranded"], answer["hurts"]) == (0, [], False)
    assert {("start", "web3"), ("promote", "drbd-web3")} <= steps(answer)
    said = plan(("  mail2:\n", added), output="text")[1]
    assert "drbd-web3 is taken for up to date on its hosts: only its agent knows" in said
