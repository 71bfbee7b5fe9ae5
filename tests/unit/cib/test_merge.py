# SPDX-License-Identifier: GPL-2.0-or-later
"""A live CIB and a rendered one: what is replaced, what stays, in which order, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lxml import etree

from backstay.cib.difference import ADDED, CHANGED, REMOVED, Detail, differences
from backstay.cib.merge import LIVE, check_cluster, merge
from backstay.cib.render import render
from backstay.cib.templates import Templates
from backstay.cloud.parse import read
from backstay.errors import Refused

FRESH = """
<cib admin_epoch="0" epoch="9" num_updates="4" validate-with="pacemaker-3.9" crm_feature_set="3.16.1" have-quorum="1">
  <configuration>
    <crm_config>
      <cluster_property_set id="cib-bootstrap-options">
        <nvpair id="cib-bootstrap-options-dc-version" name="dc-version" value="2.1.5"/>
        <nvpair id="cib-bootstrap-options-cluster-name" name="cluster-name" value="backstay-lab"/>
        <nvpair id="cib-bootstrap-options-stonith-enabled" name="stonith-enabled" value="false"/>
      </cluster_property_set>
    </crm_config>
    <nodes><node id="1" uname="n1"/><node id="2" uname="n2"/></nodes>
    <resources/>
    <constraints/>
  </configuration>
  <status><node_state id="1" uname="n1"/></status>
</cib>
"""


@pytest.fixture(scope="session")
def shipped(repository):
    """The templates of the source tree."""
    return Templates([repository / "crm-templates"])


@pytest.fixture(scope="session")
def example(repository):
    """The example as a description."""
    return read(repository / "examples" / "three-hosts.yaml")


@pytest.fixture
def fresh():
    """The CIB of a cluster that has just formed."""
    return etree.fromstring(FRESH)


@pytest.fixture
def rendered(example, shipped):
    """The example, rendered."""
    return render(example, shipped)


@pytest.fixture
def loaded(fresh, rendered):
    """The fresh cluster with the example loaded."""
    return merge(fresh, rendered)


def ids(cib, section):
    """The ids of the children of a section, in order."""
    return [child.get("id") for child in cib.find(f"configuration/{section}")]


def text(element):
    """Canonical XML, to compare."""
    return etree.tostring(element, method="c14n")


def test_a_fresh_cluster_gets_everything_and_keeps_its_own(fresh, rendered, loaded):
    assert dict(loaded.attrib) == dict(fresh.attrib)
    assert text(loaded.find("status")) == text(fresh.find("status"))
    assert text(loaded.find("configuration/nodes")) == text(fresh.find("configuration/nodes"))
    assert ids(loaded, "resources") == ids(rendered, "resources")
    assert ids(loaded, "constraints") == ids(rendered, "constraints")


def test_the_inputs_are_not_changed(fresh, rendered):
    before = text(fresh), text(rendered)
    merge(fresh, rendered)
    assert (text(fresh), text(rendered)) == before


def test_properties_join_the_set_that_all_tools_use(loaded):
    pairs = {pair.get("name"): pair for pair in loaded.iterfind("configuration/crm_config/*/nvpair")}
    assert len(loaded.find("configuration/crm_config")) == 1
    assert pairs["dc-version"].get("value") == "2.1.5"
    assert pairs["stonith-enabled"].get("value") == "true"
    assert pairs["stonith-enabled"].get("id") == "cib-bootstrap-options-stonith-enabled"
    assert pairs["no-quorum-policy"].get("value") == "freeze"


def test_a_property_that_is_no_longer_rendered_goes(loaded, rendered):
    pair = rendered.find(".//nvpair[@name='migration-limit']")
    pair.getparent().remove(pair)
    again = merge(loaded, rendered)
    assert again.find(".//nvpair[@name='migration-limit']") is None
    assert again.find(".//nvpair[@name='dc-version']") is not None


def test_a_second_merge_changes_nothing(loaded, rendered):
    assert text(merge(loaded, rendered)) == text(loaded)
    assert not differences(loaded, merge(loaded, rendered))


def test_comments_never_get_into_a_live_cib(fresh, example, shipped, loaded):
    explained = merge(fresh, render(example, shipped, explain=True))
    assert not list(explained.iter(etree.Comment))
    assert not differences(loaded, explained)


def test_what_others_made_stays_in_its_place(fresh, loaded, rendered, example, shipped):
    resources = loaded.find("configuration/resources")
    resources.insert(
        5, etree.fromstring('<primitive id="hand" class="ocf" provider="pacemaker" type="Dummy"/>')
    )
    constraints = loaded.find("configuration/constraints")
    constraints.insert(
        0, etree.fromstring('<rsc_location id="cli-ban-web1-on-n1" rsc="web1" node="n1" score="-INFINITY"/>')
    )
    assert text(merge(loaded, rendered)) == text(loaded)
    fewer = merge(loaded, render(replace(example, domains=example.domains[:2]), shipped))
    assert ids(fewer, "resources") == [
        "fence-n1",
        "fence-n2",
        "fence-n3",
        "libvirtd-clone",
        "db1",
        "hand",
        "db2",
    ]
    assert ids(fewer, "constraints")[0] == "cli-ban-web1-on-n1"
    assert ids(merge(fewer, rendered), "resources")[5:] == ["hand", "db2", "web1", "web2", "mail1", "mail2"]


def test_foreign_sections_are_not_touched(loaded, rendered):
    tags = etree.SubElement(loaded.find("configuration"), "tags")
    tags.append(etree.fromstring('<tag id="mine"><obj_ref id="web1"/></tag>'))
    assert text(merge(loaded, rendered)) == text(loaded)


@pytest.mark.parametrize(
    ("name", "value", "stays"),
    [
        ("target-role", "Stopped", True),
        ("is-managed", "false", True),
        ("maintenance", "true", True),
        ("priority-x", "1", False),
    ],
)
def test_an_admins_switch_survives_a_load(loaded, rendered, name, value, stays):
    meta = loaded.find(".//primitive[@id='web1']/meta_attributes")
    etree.SubElement(meta, "nvpair", id=f"backstay-metas-web1-{name}", name=name, value=value)
    found = merge(loaded, rendered).find(f".//primitive[@id='web1']/meta_attributes/nvpair[@name='{name}']")
    assert (found is not None) == stays
    assert not stays or found.get("value") == value


@pytest.mark.parametrize("resource", ["web1", "libvirtd", "libvirtd-clone"])
def test_a_switch_in_a_set_of_its_own_is_no_difference(loaded, rendered, resource):
    """As crm_resource --meta and pcs resource disable write it."""
    home = loaded.find(f".//*[@id='{resource}']")
    own = etree.SubElement(home, "meta_attributes", id=f"{resource}-meta_attributes")
    switch = f"{resource}-meta_attributes-target-role"
    etree.SubElement(own, "nvpair", id=switch, name="target-role", value="Stopped")
    assert text(merge(loaded, rendered)) == text(loaded)
    etree.SubElement(own, "nvpair", id=f"{resource}-meta_attributes-hand", name="hand", value="1")
    again = merge(loaded, rendered)
    assert again.find(f".//nvpair[@id='{switch}']") is not None
    assert again.find(f".//nvpair[@id='{resource}-meta_attributes-hand']") is None


def test_a_switch_that_a_template_sets_is_the_templates(loaded, rendered):
    holder = rendered.find(".//primitive[@id='web1']/meta_attributes")
    etree.SubElement(
        holder, "nvpair", id="backstay-meta-target-role-web1", name="target-role", value="Started"
    )
    own = etree.SubElement(
        loaded.find(".//primitive[@id='web1']"), "meta_attributes", id="web1-meta_attributes"
    )
    etree.SubElement(own, "nvpair", id="w", name="target-role", value="Stopped")
    found = merge(loaded, rendered).findall(
        ".//primitive[@id='web1']/meta_attributes/nvpair[@name='target-role']"
    )
    assert [pair.get("value") for pair in found] == ["Started"]


def test_changes_are_named(loaded, example, shipped):
    domains = (
        replace(example.domains[0], importance=11),
        *example.domains[2:],
        replace(example.domains[1], name="db3"),
    )
    new = merge(loaded, render(replace(example, domains=domains), shipped))
    change = differences(loaded, new)
    domains_changed = {(one.verb, one.name) for one in change if one.kind == "domain"}
    assert domains_changed == {(ADDED, "db3"), (CHANGED, "db1"), (REMOVED, "db2")}
    # colocation, two orders and a preference, of the one and of the other
    assert len(change) == len(domains_changed) + 8


def test_a_property_that_somebody_set_otherwise_is_named(fresh, rendered):
    change = differences(fresh, merge(fresh, rendered))
    (found,) = (one for one in change if one.kind == "property" and one.verb == CHANGED)
    assert (found.name, found.details) == ("stonith-enabled", (Detail("value", "false", "true"),))


def test_a_tag_of_somebody_else_may_name_what_is_backstays(loaded, rendered):
    tags = etree.SubElement(loaded.find("configuration"), "tags")
    tag = etree.SubElement(tags, "tag", id="mine")
    etree.SubElement(tag, "obj_ref", id="backstay-with-libvirtd-web1")
    assert ids(merge(loaded, rendered), "tags") == ["mine"]


def test_an_id_that_somebody_else_uses_is_refused(fresh, rendered):
    hand = etree.fromstring('<primitive id="web1" class="ocf" provider="heartbeat" type="VirtualDomain"/>')
    fresh.find("configuration/resources").append(hand)
    with pytest.raises(Refused, match="already has web1, which Backstay did not create") as caught:
        merge(fresh, rendered)
    assert caught.value.exit_code == 4


def test_a_schema_that_is_too_old_is_refused(fresh, rendered):
    fresh.set("validate-with", "pacemaker-3.2")
    for source, hint in ((LIVE, ""), ("<stdin>", ""), ("/tmp/a b", "CIB_file='/tmp/a b' ")):
        with pytest.raises(
            Refused, match=rf"^{source} uses the schema pacemaker-3\.2, and pacemaker-3\.7 is"
        ) as caught:
            merge(fresh, rendered, source)
        assert caught.value.hint.startswith(f"{hint}cibadmin --upgrade")


def test_another_cluster_is_refused(fresh):
    check_cluster(fresh, "backstay-lab")
    with pytest.raises(
        Refused, match="for the cluster other, the live configuration is that of backstay-lab"
    ):
        check_cluster(fresh, "other")


def test_a_cluster_without_a_name_is_believed(fresh):
    for pair in fresh.findall(".//nvpair[@name='cluster-name']"):
        pair.getparent().remove(pair)
    check_cluster(fresh, "anything")


def test_missing_sections_are_made(rendered):
    bare = etree.fromstring(
        '<cib validate-with="pacemaker-3.9" epoch="1" admin_epoch="0"><configuration/><status/></cib>'
    )
    new = merge(bare, rendered)
    assert [child.tag for child in new.find("configuration")] == ["crm_config", "resources", "constraints"]
    assert [child.tag for child in new] == ["configuration", "status"]


SIZED = """<cib validate-with="pacemaker-3.7"><configuration><crm_config/><nodes>
<node id="1" uname="n1"><utilization id="backstay-u-n1"><nvpair id="backstay-v-n1" name="memory" value="8"/></utilization></node>
<node id="2" uname="n2"><utilization id="backstay-u-n2"><nvpair id="backstay-v-n2" name="memory" value="8"/></utilization></node>
<node id="r3" uname="r3" type="remote"><utilization id="backstay-u-r3"/></node>
</nodes><resources/><constraints/></configuration></cib>"""
KNOWN = """<cib validate-with="pacemaker-3.9"><configuration><crm_config/><nodes>
<node id="17" uname="n1"><instance_attributes id="nodes-1"><nvpair id="x" name="standby" value="on"/></instance_attributes>
<utilization id="backstay-u-n1"><nvpair id="backstay-v-n1" name="memory" value="4"/></utilization></node>
<node id="9" uname="n9"><utilization id="backstay-u-n9"/><utilization id="by-hand"/></node>
</nodes><resources/><constraints/></configuration><status/></cib>"""


def test_what_backstay_says_of_hosts_is_set_and_all_else_of_them_stays():
    new = merge(etree.fromstring(KNOWN), etree.fromstring(SIZED))
    nodes = {node.get("uname"): node for node in new.iterfind("configuration/nodes/node")}
    # A full member that never joined is left out: it would be fenced.
    assert list(nodes) == ["n1", "n9", "r3"]
    assert nodes["n1"].get("id") == "17"
    assert [child.get("id") for child in nodes["n1"]] == ["nodes-1", "backstay-u-n1"]
    assert nodes["n1"].find("utilization/nvpair").get("value") == "8"
    assert [child.get("id") for child in nodes["n9"]] == ["by-hand"]
    assert nodes["r3"].get("type") == "remote"
    again = merge(new, etree.fromstring(SIZED))
    assert etree.tostring(again) == etree.tostring(new)
