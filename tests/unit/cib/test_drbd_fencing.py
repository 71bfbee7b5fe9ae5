# SPDX-License-Identifier: GPL-2.0-or-later
"""The constraint of DRBD's handlers in a CIB: found, made, removed; and what a CIB says of a host."""

from __future__ import annotations

import pytest
from lxml import etree

from backstay.cib import drbd_fencing as cibs
from backstay.cib.drbd_fencing import Peer

CIB = """<cib validate-with="pacemaker-3.9" epoch="7" num_updates="3" admin_epoch="0" have-quorum="1"><configuration>
<crm_config><cluster_property_set id="p"><nvpair id="p1" name="stonith-enabled" value="true"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1"/><node id="2" uname="N2"/></nodes>
<resources><clone id="drbd-web1-clone"><primitive id="drbd-web1" class="ocf" provider="backstay" type="drbd">
<instance_attributes id="i"><nvpair id="i1" name="drbd_resource" value="web1"/></instance_attributes></primitive></clone>
<primitive id="alone" class="ocf" provider="backstay" type="drbd"><instance_attributes id="j">
<nvpair id="j1" name="drbd_resource" value="other"/></instance_attributes></primitive></resources>
<constraints/></configuration><status>
<node_state uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/>
<node_state uname="N2" in_ccm="false" crmd="offline" join="down" expected="down"/></status></cib>"""
CLONE = "drbd-web1-clone"
OLD = "Master"  # linbit
BY_CRM_FENCE_PEER = f"""<rsc_location rsc="drbd-web1-clone" id="drbd-fence-by-handler-web1-drbd-web1-clone">
 <rule role="{OLD}" score="-INFINITY" id="drbd-fence-by-handler-web1-rule-drbd-web1-clone">
  <expression attribute="#uname" operation="ne" value="n1" id="drbd-fence-by-handler-web1-expr-1-drbd-web1-clone"/>
 </rule></rsc_location>"""


@pytest.fixture
def cib():
    return etree.fromstring(CIB)


def test_the_clone_of_a_resource(cib):
    assert cibs.clone_of(cib, "web1") == CLONE
    assert cibs.clone_of(cib, "other") == cibs.clone_of(cib, "none") == ""


TEMPLATE = """<template id="t" class="ocf" provider="{}" type="drbd"><instance_attributes id="k">
<nvpair id="k1" name="drbd_resource" value="web1"/></instance_attributes></template>"""


@pytest.mark.parametrize("own,resource", [(True, "web1"), (False, "web1"), ("web2", "web2")])
def test_the_clone_of_a_resource_whose_agent_stands_in_a_template(cib, own, resource):
    """As crmsh's rsc_template makes it: the primitive has no type, and perhaps no parameters either."""
    primitive = cib.find(".//primitive[@id='drbd-web1']")
    for name in ("class", "provider", "type"):
        del primitive.attrib[name]
    primitive.set("template", "t")
    if not own:
        primitive.remove(primitive[0])
    elif own == "web2":
        primitive.find(".//nvpair").set("value", "web2")
    cib.find("configuration/resources").append(etree.fromstring(TEMPLATE.format("backstay")))
    assert cibs.clone_of(cib, resource) == CLONE
    assert cibs.clone_of(cib, "web2" if resource == "web1" else "web1") == ""
    cib.find(".//template").set("type", "Dummy")
    assert cibs.clone_of(cib, resource) == ""


def test_a_constraint_is_made_found_and_removed(cib):
    fenced = cibs.with_constraint(cib, "web1", CLONE, frozenset({"n1"}))
    found = cibs.constraint(fenced, "web1", CLONE)
    assert cibs.allowed(found) == {"n1"}
    rule = found.find("rule")
    assert (rule.get("role"), rule.get("score")) == ("Promoted", "-INFINITY")
    assert cibs.constraint(cib, "web1", CLONE) is None  # the tree that was given is as it was
    assert etree.tostring(cibs.without_constraint(fenced, "web1", CLONE)) == etree.tostring(cib)


def test_what_another_handler_left_is_found_and_replaced(cib):
    cib.find("configuration/constraints").append(etree.fromstring(BY_CRM_FENCE_PEER))
    assert cibs.allowed(cibs.constraint(cib, "web1", CLONE)) == {"n1"}
    again = cibs.with_constraint(cib, "web1", CLONE, frozenset({"n1"}))
    assert len(again.findall("configuration/constraints/rsc_location")) == 1


@pytest.mark.parametrize("schema,role", [("3.7", "Promoted"), ("3.9", "Promoted"), ("4.0", "Promoted"), ("3.6", "Master"), ("2.10", "Master")])  # linbit  # fmt: skip
def test_the_role_has_the_name_that_the_schema_takes(cib, schema, role):
    cib.set("validate-with", f"pacemaker-{schema}")
    assert cibs.role(cib) == role


@pytest.mark.parametrize(
    "words,known",
    [
        ('in_ccm="true" crmd="online" join="member" expected="member"', Peer.MEMBER),
        ('in_ccm="1764400000" crmd="1764400001" join="member" expected="member"', Peer.MEMBER),
        ('in_ccm="false" crmd="offline" join="down" expected="down"', Peer.DEAD),
        ('in_ccm="0" crmd="0" join="down" expected="down"', Peer.DEAD),
        ('in_ccm="false" crmd="offline" join="down" expected="member"', Peer.UNCLEAR),
        ('in_ccm="false" crmd="offline" join="member" expected="member"', Peer.UNCLEAR),
        ('in_ccm="true" crmd="online" join="pending" expected="member"', Peer.UNCLEAR),
        # Pacemaker ended in an orderly way; its host, and what runs on it, may live on.
        ('in_ccm="true" crmd="offline" join="down" expected="down"', Peer.UNCLEAR),
        ("", Peer.UNCLEAR),
    ],
)
def test_what_the_cluster_knows_of_a_host(words, known):
    cib = etree.fromstring(f'<cib><status><node_state uname="n2" {words}/></status></cib>')
    assert cibs.peer(cib, "n2") is known


def test_a_host_that_was_never_seen_is_not_dead(cib):
    assert cibs.peer(cib, "n9") is Peer.UNCLEAR


def test_names_in_any_case(cib):
    assert cibs.hosts(cib) == {"n1": "n1", "n2": "N2"}


def test_quorum_and_fencing(cib):
    assert cibs.quorate(cib)
    assert cibs.fences(cib)
    cib.set("have-quorum", "0")
    cib.find("configuration/crm_config/cluster_property_set/nvpair").set("value", "off")
    assert not cibs.quorate(cib)
    assert not cibs.fences(cib)


def test_an_id_is_one_whatever_the_resource_is_called(cib):
    fenced = cibs.with_constraint(cib, "web+1/x", CLONE, frozenset({"n1", "n 2"}))
    ids = [element.get("id") for element in fenced.iterfind("configuration/constraints//*")]
    assert len(set(ids)) == len(ids) == 4
    assert all(set(each) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.") for each in ids)
