# SPDX-License-Identifier: GPL-2.0-or-later
"""Clouds as the real tools see them: random ones, the large example, remote nodes, Corosync's own reader."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from lxml import etree

from backstay.cib import schema
from backstay.cib.document import calm, parse, write
from backstay.cib.files import files_of
from backstay.cib.merge import merge
from backstay.cib.render import render
from backstay.cloud.parse import parse as parse_cloud
from backstay.cloud.parse import read
from backstay.host.pacemaker import Pacemaker
from tests.integration.cib.conftest import with_hosts
from tests.unit.cloud.random_clouds import clouds, text

# Each example asks real tools: what fails is shown as it was found, not made smaller.
SLOW = settings(suppress_health_check=list(HealthCheck), phases=[Phase.generate])


@pytest.fixture(scope="session")
def two_sites(repository):
    """The example that has every key."""
    return read(repository / "examples" / "two-sites.yaml")


@pytest.fixture
def corosync(need, tmp_path):
    """`corosync(text)` is what Corosync says about a corosync.conf, and its exit code."""
    tool = need("corosync")

    def ask(content):
        # A key of its own: whether this machine has one is not what is asked.
        (tmp_path / "authkey").write_bytes(bytes(range(256)))
        conf = content.replace("  transport: knet", f"  transport: knet\n  keyfile: {tmp_path}/authkey")
        # It looks for this machine among the hosts.
        conf = re.sub(
            r"^    name: .*$", f"    name: {os.uname().nodename}", conf, count=1, flags=re.MULTILINE
        )
        (tmp_path / "corosync.conf").write_text(conf)
        # Not COROSYNC_MAIN_CONFIG_FILE, which -t does not look at.
        argv = [tool, "-t", "-c", str(tmp_path / "corosync.conf")]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr

    return ask


def loaded(cloud, shipped):
    """The CIB of a cluster with the full members of `cloud`, everything online, and the description loaded."""
    members = tuple(host.name for host in cloud.members)
    start = etree.fromstring(
        '<cib validate-with="pacemaker-3.9" epoch="1" num_updates="1" admin_epoch="0"><configuration><crm_config/>'
        "<nodes/><resources/><constraints/></configuration><status/></cib>"
    )
    return merge(with_hosts(start, members), render(cloud, shipped))


@settings(SLOW, max_examples=50)
@given(clouds())
def test_every_random_cloud_is_valid_for_every_schema(shipped, description):
    cib = parse(write(render(parse_cloud(text(description), "c.yaml"), shipped)), "rendered")
    for name in schema.installed():
        if schema.version(name) >= schema.version("pacemaker-3.7"):
            cib.set("validate-with", name)
            assert schema.check(cib) == ()


@settings(SLOW, max_examples=10)
@given(clouds())
def test_crm_verify_and_corosync_take_random_clouds(shipped, need, corosync, description):
    need("crm_verify")
    cloud = parse_cloud(text(description), "c.yaml")
    verdict = Pacemaker().verify(write(calm(render(cloud, shipped))))
    assert (verdict.errors, verdict.warnings) == ((), ())
    code, said = corosync(files_of(cloud)[0].content)
    assert code == 0, said


def test_a_broken_corosync_conf_is_refused(corosync, two_sites):
    good = files_of(two_sites)[0].content
    assert corosync(good)[0] == 0
    assert corosync(good.replace("aes256", "rot13"))[0] != 0
    assert corosync(good.replace("nodelist {", "nodelist {{"))[0] != 0
    assert "same number of links" in corosync(good.replace("ring1_addr: 10.2.0.2", "x: y"))[1]


@pytest.mark.parametrize(
    "name", ["two-sites.yaml", "ganeti.yaml", "one-role.yaml", "opennebula-four-hosts.yaml"]
)
def test_the_examples_have_no_findings(repository, shipped, need, name):
    need("crm_verify")
    cib = parse(write(render(read(repository / "examples" / name), shipped)), "rendered")
    assert schema.check(cib) == ()
    verdict = Pacemaker().verify(write(calm(cib)))
    assert (verdict.errors, verdict.warnings) == ((), ())


def test_remote_hosts_are_connected_to_and_not_fenced(two_sites, shipped, simulator, tmp_path):
    (tmp_path / "empty.xml").write_bytes(write(loaded(two_sites, shipped)))
    done = simulator.run(tmp_path / "empty.xml", name="steady.xml")
    assert ("Start", "hamburg3") in done.summary
    assert not [step for step in done.summary if step[0] == "Fence"]
    started = {name for verb, name in done.summary if verb == "Start"}
    # A mirrored disk is promoted by what its agent says about it, and no agent runs here.
    assert {domain.name for domain in two_sites.domains if not domain.drbd} <= started
    assert simulator.run(done.cib, name="quiet.xml").summary == set()


def test_more_than_sixteen_hosts_run_on_the_remote_ones_too(two_sites, shipped, simulator, tmp_path, running):
    description = {
        "cluster": {"name": "many"},
        "hosts": {
            f"n{number}": {
                "address": f"10.0.0.{number}",
                "capacity": {"memory": "4 GiB", "cpu": 4},
                "bmc": {"address": f"10.0.1.{number}", "username": "f", "password_file": "/etc/pw"},
            }
            for number in range(1, 21)
        },
        "domains": {
            f"vm{number}": {"config": f"/srv/{number}.xml", "memory": "3 GiB", "vcpus": 1}
            for number in range(1, 21)
        },
    }
    cloud = parse_cloud(text(description), "c.yaml")
    assert [host.name for host in cloud.hosts if host.remote] == ["n17", "n18", "n19", "n20"]
    (tmp_path / "empty.xml").write_bytes(write(loaded(cloud, shipped)))
    done = simulator.run(tmp_path / "empty.xml", name="steady.xml")
    places = {name: next(iter(where)) for name, where in running(done.cib).items() if name.startswith("vm")}
    # One on each host: a capacity that holds one, and every host used.
    assert sorted(places.values()) == sorted(host.name for host in cloud.hosts)


def test_apart_and_after_are_kept_by_the_scheduler(two_sites, shipped, simulator, tmp_path, running):
    (tmp_path / "empty.xml").write_bytes(write(loaded(two_sites, shipped)))
    done = simulator.run(tmp_path / "empty.xml", name="steady.xml")
    sites = {host.name: host.site for host in two_sites.hosts}
    places = running(done.cib)
    assert {sites[next(iter(places[name]))] for name in ("db1", "db2")} == {"berlin", "hamburg"}
    starts = [resource for resource, action, _ in done.executed if action == "start"]
    assert max(starts.index("db1"), starts.index("db2")) < min(starts.index("web1"), starts.index("web2"))


def test_a_drain_still_migrates_what_comes_after_another(two_sites, shipped, simulator, tmp_path, running):
    near = tuple(
        replace(domain, prefers=("berlin1",), after=("db1",) if domain.name == "web1" else ())
        for domain in two_sites.domains
        if domain.name in ("db1", "web1")
    )
    cloud = replace(two_sites, domains=near, apart=(), together=())
    (tmp_path / "empty.xml").write_bytes(write(loaded(cloud, shipped)))
    steady = simulator.run(tmp_path / "empty.xml", name="steady.xml").cib
    assert running(steady)["db1"] == {"berlin1"}
    cib = etree.parse(str(steady))
    node = cib.find(".//node[@uname='berlin1']")
    node.append(
        etree.fromstring(
            '<instance_attributes id="x"><nvpair id="y" name="standby" value="on"/></instance_attributes>'
        )
    )
    (tmp_path / "drain.xml").write_bytes(etree.tostring(cib))
    gone = simulator.run(tmp_path / "drain.xml", name="gone.xml")
    assert gone.about("db1", "web1") == {("Migrate", "db1"), ("Migrate", "web1")}


def test_a_capacity_holds_back_what_does_not_fit(two_sites, shipped, simulator, tmp_path, running):
    big = tuple(
        replace(
            two_sites.domains[0], name=name, uuid="", prefers=(), importance=importance, memory=200 * 2**30
        )
        for name, importance in (("a", 0), ("b", 5), ("c", 0), ("d", 9), ("e", 1))
    )
    cloud = replace(two_sites, domains=big, apart=(), together=())
    (tmp_path / "empty.xml").write_bytes(write(loaded(cloud, shipped)))
    places = running(simulator.run(tmp_path / "empty.xml", name="steady.xml").cib)
    # Four hosts have room for one each; the fifth host is too small, and who is least important waits.
    assert sorted(name for name in places if len(name) == 1) == ["a", "b", "d", "e"]


def test_what_needs_the_lock_manager_stays_away_from_remote_hosts(
    two_sites, shipped, simulator, tmp_path, running
):
    domains = tuple(
        replace(domain, needs=("scratch-clone",), prefers=("hamburg3",))
        for domain in two_sites.domains
        if not domain.drbd
    )
    cloud = replace(two_sites, domains=domains, apart=(), together=())
    (tmp_path / "empty.xml").write_bytes(write(loaded(cloud, shipped)))
    done = simulator.run(tmp_path / "empty.xml", name="steady.xml")
    starts = [
        (resource.partition(":")[0], host) for resource, action, host in done.executed if action == "start"
    ]
    assert {host for name, host in starts if name == "scratch-fs"} == {
        host.name for host in two_sites.members
    }
    assert not [
        name for name, host in starts if host == "hamburg3" and name.startswith(("dlm", "scratch", "archive"))
    ]
    places = running(done.cib)
    assert {domain.name for domain in domains} <= set(places)
    assert "hamburg3" not in {host for domain in domains for host in places[domain.name]}
    order = [name for name, host in starts if host == next(iter(places["db1"]))]
    assert order.index("dlm-control") < order.index("scratch-fs") < order.index("db1")


def test_a_drain_of_a_host_with_shared_storage_migrates(two_sites, shipped, simulator, tmp_path, running):
    domains = tuple(domain for domain in two_sites.domains if not domain.drbd)
    cloud = replace(two_sites, domains=domains)
    (tmp_path / "empty.xml").write_bytes(write(loaded(cloud, shipped)))
    steady = simulator.run(tmp_path / "empty.xml", name="steady.xml").cib
    cib = etree.parse(str(steady))
    standby = '<instance_attributes id="x"><nvpair id="y" name="standby" value="on"/></instance_attributes>'
    cib.find(".//node[@uname='berlin1']").append(etree.fromstring(standby))
    (tmp_path / "drain.xml").write_bytes(etree.tostring(cib))
    gone = simulator.run(tmp_path / "drain.xml", name="gone.xml")
    here = {
        name
        for name, where in running(steady).items()
        if where == {"berlin1"} and name in {d.name for d in domains}
    }
    assert "db1" in here
    assert {step for step in gone.summary if step[1] in here} == {("Migrate", name) for name in here}


def test_a_frontend_runs_on_one_host_after_its_storage(two_sites, shipped, simulator, tmp_path):
    cib = loaded(two_sites, shipped)
    for state in cib.iterfind("status/node_state"):
        if state.get("uname").startswith("hamburg"):
            # What the agent says of a disk that is up to date: without it nothing is promoted.
            attributes = etree.SubElement(state, "transient_attributes", id=state.get("id"))
            pairs = etree.SubElement(attributes, "instance_attributes", id=f"status-{state.get('id')}")
            score = "master-drbd-one"  # as LINBIT calls it
            etree.SubElement(pairs, "nvpair", id=f"m-{state.get('id')}", name=score, value="10000")
    path = tmp_path / "empty.xml"
    path.write_bytes(write(cib))
    executed = []
    for name in ("steady.xml", "promoted.xml"):
        done = simulator.run(path, name=name)
        executed += done.executed
        path = done.cib
    starts = [(name.partition(":")[0], host) for name, action, host in executed if action == "start"]
    parts = ["opennebula-address", "opennebula-role"]
    (host,) = {place for name, place in starts if name in parts}
    assert host == "hamburg1"
    assert [name for name, place in starts if place == host and name in ("one", *parts)] == [
        "one",
        *parts,
    ]
    assert ("vmstore", host) in starts
