# SPDX-License-Identifier: GPL-2.0-or-later
"""What the shipped templates make of a description, and that they make the same of it each time."""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from backstay.cib.document import MARK, is_ours, write
from backstay.cib.merge import merge
from backstay.cib.render import render
from backstay.cib.templates import Templates
from backstay.cloud.model import Bmc, Cloud, Cluster, Domain, Host, Migration
from backstay.cloud.parse import parse, read
from backstay.cloud.units import Bytes, Seconds
from backstay.errors import BadInput


@pytest.fixture(scope="session")
def shipped(repository):
    """The templates of the source tree."""
    return Templates([repository / "crm-templates"])


@pytest.fixture(scope="session")
def example(repository):
    """The example as a description."""
    return read(repository / "examples" / "three-hosts.yaml")


def properties(cib):
    """The rendered cluster properties."""
    return {pair.get("name"): pair.get("value") for pair in cib.iterfind("configuration/crm_config/*/nvpair")}


def attributes(cib, resource, kind):
    """The attributes of one kind of a primitive."""
    return {
        pair.get("name"): pair.get("value")
        for pair in cib.iterfind(f".//primitive[@id='{resource}']/{kind}/nvpair")
    }


def operations(cib, resource):
    """The operations of a primitive, without their ids."""
    found = {}
    for op in cib.iterfind(f".//primitive[@id='{resource}']/operations/op"):
        found[op.get("name")] = {key: value for key, value in op.attrib.items() if key not in ("id", "name")}
    return found


@pytest.mark.parametrize(
    ("explain", "name"), [(False, "three-hosts.xml"), (True, "three-hosts-explained.xml")]
)
def test_the_example_renders_as_recorded(golden, example, shipped, explain, name):
    golden(name, write(render(example, shipped, explain=explain)).decode())


def test_the_same_description_gives_the_same_bytes(example, shipped, repository):
    again = Templates([repository / "crm-templates"])
    assert write(render(example, shipped)) == write(render(example, again))


def test_comments_stay_out_unless_asked_for(example, shipped):
    assert not list(render(example, shipped).iter(etree.Comment))
    explained = render(example, shipped, explain=True)
    assert len(list(explained.iter(etree.Comment))) > 20
    etree.strip_tags(explained, etree.Comment)
    plain = [(element.tag, dict(element.attrib)) for element in render(example, shipped).iter()]
    assert [(element.tag, dict(element.attrib)) for element in explained.iter()] == plain


def test_resources_stand_in_the_order_of_the_file(example, shipped):
    ids = [child.get("id") for child in render(example, shipped).find("configuration/resources")]
    assert ids == [
        "fence-n1",
        "fence-n2",
        "fence-n3",
        "libvirtd-clone",
        "db1",
        "db2",
        "web1",
        "web2",
        "mail1",
        "mail2",
    ]
    backwards = replace(example, domains=example.domains[::-1])
    ids = [child.get("id") for child in render(backwards, shipped).find("configuration/resources")]
    assert ids[4:] == ["mail2", "mail1", "web2", "web1", "db2", "db1"]


def test_everything_carries_the_mark(example, shipped):
    cib = render(example, shipped)
    for name in ("resources", "constraints"):
        assert all(is_ours(child) for child in cib.find(f"configuration/{name}"))
    assert all(pair.get("id").startswith(MARK) for pair in cib.iter("nvpair"))


def test_a_domain_gets_what_the_agent_needs(example, shipped):
    cib = render(example, shipped)
    assert attributes(cib, "db1", "instance_attributes") == {
        "config": "/srv/vm/domains/db1.xml",
        "uuid": "5a3c1f0e-7d64-4b51-9a0e-0d1b00000001",
        "hypervisor": "qemu:///system",
        "migration_transport": "tcp",
        "migrate_options": "--unsafe",
    }
    assert attributes(cib, "db1", "meta_attributes") == {
        "allow-migrate": "true",
        "priority": "10",
        "resource-stickiness": "1000",
        "migration-threshold": "3",
        "failure-timeout": "600s",
    }
    assert attributes(cib, "db1", "utilization") == {"memory": "128", "vcpus": "1"}
    assert operations(cib, "db1") == {
        "monitor": {"interval": "10s", "timeout": "30s"},
        "start": {"interval": "0s", "timeout": "90s"},
        "stop": {"interval": "0s", "timeout": "120s", "on-fail": "fence"},
        "migrate_to": {"interval": "0s", "timeout": "300s"},
        "migrate_from": {"interval": "0s", "timeout": "300s"},
    }


def test_a_domain_that_may_not_migrate_has_no_migration(example, shipped):
    still = replace(example.domains[0], live_migration=False, stop_timeout=Seconds(Fraction(3, 2)))
    cib = render(replace(example, domains=(still,)), shipped)
    assert attributes(cib, "db1", "meta_attributes")["allow-migrate"] == "false"
    assert sorted(operations(cib, "db1")) == ["monitor", "start", "stop"]
    assert operations(cib, "db1")["stop"]["timeout"] == "1500ms"


def test_a_domain_follows_libvirtd_by_two_one_way_orders(example, shipped):
    constraints = render(example, shipped).find("configuration/constraints")
    orders = [
        order
        for order in constraints.iterfind("rsc_order")
        if "web1" in (order.get("first"), order.get("then"))
    ]
    ways = [
        (order.get("first"), order.get("first-action"), order.get("then"), order.get("then-action"))
        for order in orders
    ]
    assert ways == [("libvirtd-clone", "start", "web1", "start"), ("web1", "stop", "libvirtd-clone", "stop")]
    assert [order.get("kind") for order in orders] == ["Mandatory", "Serialize"]
    assert orders[0].get("symmetrical") == "false"
    (colocation,) = constraints.findall("rsc_colocation[@rsc='web1']")
    assert (colocation.get("with-rsc"), colocation.get("score")) == ("libvirtd-clone", "INFINITY")


def test_libvirtd_never_fences_and_restarts_alone(example, shipped):
    cib = render(example, shipped)
    often, deeply = cib.findall(".//primitive[@id='libvirtd']/operations/op[@name='monitor']")
    assert [(op.get("interval"), op.get("timeout"), op.get("on-fail")) for op in (often, deeply)] == [
        ("5s", "30s", "restart"),
        ("60s", "60s", "restart"),
    ]
    assert deeply.find("instance_attributes/nvpair[@name='OCF_CHECK_LEVEL']").get("value") == "10"
    assert operations(cib, "libvirtd")["stop"]["on-fail"] == "ignore"
    assert cib.find(".//clone/meta_attributes/nvpair[@name='interleave']").get("value") == "true"


@pytest.mark.parametrize(
    ("unhealable", "fails"), [("leave", "restart"), ("fence", "fence"), ("degrade", "restart")]
)
def test_a_libvirtd_that_cannot_be_healed_fences_only_by_its_monitor_and_only_where_that_is_wanted(
    example, shipped, unhealable, fails
):
    cluster = replace(example.cluster, libvirtd=replace(example.cluster.libvirtd, unhealable=unhealable))
    cib = render(replace(example, cluster=cluster), shipped)
    monitors = cib.findall(".//primitive[@id='libvirtd']/operations/op[@name='monitor']")
    assert {op.get("on-fail") for op in monitors} == {fails}
    assert operations(cib, "libvirtd")["start"].get("on-fail") is None
    assert operations(cib, "libvirtd")["stop"]["on-fail"] == "ignore"
    given = cib.find(".//primitive[@id='libvirtd']/instance_attributes/nvpair[@name='unhealable']")
    assert given.get("value") == unhealable


def test_a_fence_device_names_its_host_and_keeps_away_from_it(example, shipped):
    cib = render(example, shipped)
    assert attributes(cib, "fence-n2", "instance_attributes") == {
        "pcmk_host_list": "n2",
        "pcmk_host_check": "static-list",
        "plug": "n2",
        "ip": "10.77.0.202",
        "ipport": "623",
        "username": "fencer",
        "password_file": "/etc/backstay/bmc.password",
        "cipher": "17",
        "privlvl": "operator",
    }
    (location,) = cib.findall(".//rsc_location[@rsc='fence-n2']")
    assert (location.get("node"), location.get("score")) == ("n2", "-INFINITY")


def test_a_preference_is_far_below_the_stickiness(example, shipped):
    wish = replace(example.domains[0], prefers=("n3", "n1"))
    cib = render(replace(example, domains=(wish,)), shipped)
    scores = [
        (place.get("node"), int(place.get("score"))) for place in cib.iterfind(".//rsc_location[@rsc='db1']")
    ]
    assert scores == [("n3", 100), ("n1", 99)]
    assert int(attributes(cib, "db1", "meta_attributes")["resource-stickiness"]) > 200


@pytest.mark.parametrize("hosts", [1, 2, 3])
def test_only_two_hosts_need_somebody_to_win_a_duel(example, shipped, hosts):
    domains = tuple(replace(domain, prefers=()) for domain in example.domains)
    cib = render(Cloud(example.cluster, example.hosts[:hosts], domains), shipped)
    delays = [
        attributes(cib, f"fence-n{n + 1}", "instance_attributes").get("pcmk_delay_base") for n in range(hosts)
    ]
    assert ("priority-fencing-delay" in properties(cib)) == (hosts == 2)
    assert delays == (["5s", None] if hosts == 2 else [None] * hosts)


def test_properties_keep_the_cluster_safe(example, shipped):
    assert properties(render(example, shipped)) == {
        "stonith-enabled": "true",
        "startup-fencing": "true",
        "stonith-timeout": "60s",
        "no-quorum-policy": "freeze",
        "start-failure-is-fatal": "true",
        "migration-limit": "2",
    }


NAMES = st.from_regex(r"\A[A-Za-z_][A-Za-z0-9._-]{0,12}\Z").filter(
    lambda name: not name.startswith(("fence-", "libvirtd"))
)
UGLY = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=20)


@settings(max_examples=60, deadline=None)
@given(
    names=st.lists(NAMES, min_size=1, max_size=6, unique=True),
    hosts=st.integers(1, 4),
    text=UGLY,
    live=st.booleans(),
    importance=st.integers(0, 1000),
)
def test_any_names_and_values_render_to_unique_ids_and_whole_values(
    names, hosts, text, live, importance, shipped
):
    bmcs = [
        Bmc(text, text, None if n % 2 else f"/{text}", f"/{text}" if n % 2 else None) for n in range(hosts)
    ]
    places = tuple(Host(f"n{n}", text, bmc) for n, bmc in enumerate(bmcs))
    domains = tuple(
        Domain(name, f"/{text}", Bytes(2**20), 1, text, importance, tuple(h.name for h in places), live)
        for name in names
    )
    cib = render(Cloud(Cluster("c", text, Migration(text, live)), places, domains), shipped)
    ids = [element.get("id") for element in etree.fromstring(write(cib)).iter("*") if element.get("id")]
    assert len(ids) == len(set(ids))
    assert attributes(cib, names[0], "instance_attributes")["config"] == f"/{text}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<configuration>", "not well-formed XML"),
        ("<resources/>", "has the root <resources>, expected <configuration>"),
        ("<!DOCTYPE a [<!ENTITY x 'y'>]><configuration/>", "has a document type"),
        (
            '<configuration><resources><primitive id="{{ domain.name }}"/></resources></configuration>',
            "lacks Backstay's mark",
        ),
        (
            '<configuration><constraints>\n<rsc_order id="x"/></constraints></configuration>',
            ":2: <rsc_order id='x'> lacks",
        ),
        (
            '<configuration><constraints><rsc_order id="backstay-x"/></constraints></configuration>',
            "have the id backstay-x",
        ),
    ],
)
def test_a_template_that_cannot_be_joined_is_named(example, repository, tmp_path, text, said):
    (tmp_path / "domain.xml").write_text(text)
    with pytest.raises(BadInput) as caught:
        render(example, Templates([tmp_path, repository / "crm-templates"]))
    assert said in str(caught.value)
    assert str(tmp_path / "domain.xml") in str(caught.value) or "have the id" in said


def test_a_large_cloud_takes_no_more_than_its_share(example, shipped):
    """Seconds of this process; it usually takes 0.8, and took 8 when each element was searched for."""
    first = example.domains[0]
    domains = tuple(replace(first, name=f"vm{number}", uuid="") for number in range(2000))
    begin = time.process_time()
    cib = render(replace(example, domains=domains), shipped)
    assert time.process_time() - begin < 4
    assert len(cib.findall("configuration/resources/primitive")) == 2003


PROPERTIES = b"""
cluster: {name: demo}
hosts:
  n1: {address: 192.0.2.1, bmc: {address: 192.0.2.101, username: u, password_file: /p}}
domains: {web1: {config: /srv/vm/web1.xml, memory: 1 GiB, vcpus: 1}}
properties:
  cluster-recheck-interval: 1.5 min
  dc-deadtime: 1500 ms
  enable-acl: Yes
  stop-orphan-actions: off
  pe-error-series-max: -1
  node-health-red: -INFINITY
  load-threshold: 70%
  stonith-action: off
"""


def test_properties_of_the_description_are_set_as_pacemaker_writes_them(shipped):
    cloud = parse(PROPERTIES, "c.yaml")
    cib = render(cloud, shipped)
    without = render(replace(cloud, properties=()), shipped)
    assert dict(properties(cib).items() - properties(without).items()) == {
        "cluster-recheck-interval": "90s",
        "dc-deadtime": "1500ms",
        "enable-acl": "true",
        "stop-orphan-actions": "false",
        "pe-error-series-max": "-1",
        "node-health-red": "-INFINITY",
        "load-threshold": "70%",
        "stonith-action": "off",
    }
    # One that is no longer described is Pacemaker's default again; what was there by hand stays.
    live = merge(merge(etree.fromstring(BARE), cib), without)
    assert properties(live) == {**properties(without), "batch-limit": "7"}


BARE = """<cib validate-with="pacemaker-3.9"><configuration><crm_config><cluster_property_set id="cib-bootstrap-options">
<nvpair id="by-hand" name="batch-limit" value="7"/></cluster_property_set></crm_config></configuration><status/></cib>"""
