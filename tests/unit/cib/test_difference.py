# SPDX-License-Identifier: GPL-2.0-or-later
"""What counts as a difference between two configurations, and how it is told."""

from __future__ import annotations

import pytest
from lxml import etree

from backstay.cib.difference import ADDED, CHANGED, REMOVED, Detail, differences, foreign, same


def cib(resources="", constraints="", properties=""):
    """A CIB with these parts."""
    return etree.fromstring(
        f"""<cib><configuration>
        <crm_config><cluster_property_set id="s">{properties}</cluster_property_set></crm_config><nodes/>
        <resources>{resources}</resources><constraints>{constraints}</constraints></configuration></cib>"""
    )


def web(meta="", params="", operations="", identity="backstay-params-web1"):
    """A domain."""
    return f"""<primitive id="web1" class="ocf" provider="backstay" type="domain">
        <meta_attributes id="backstay-metas-web1">{meta}</meta_attributes>
        <instance_attributes id="{identity}">{params}</instance_attributes>
        <operations>{operations}</operations></primitive>"""


def pair(name, value, identity="x"):
    """A name with its value."""
    return f'<nvpair id="{identity}-{name}" name="{name}" value="{value}"/>'


def one(old, new):
    """The only difference between two CIBs."""
    (difference,) = differences(old, new)
    return difference


SAME = [
    (cib(web(params=pair("a", "1") + pair("b", "2"))), cib(web(params=pair("b", "2") + pair("a", "1")))),
    (cib(web(params=pair("a", "1"))), cib(web(params=pair("a", "1", "y"), identity="other"))),
    (cib(web(meta=pair("is-managed", "true"))), cib(web())),
    (cib(web(meta=pair("target-role", "Started"))), cib(web())),
    (cib(web(meta=pair("allow-migrate", "yes"))), cib(web(meta=pair("allow-migrate", "true")))),
    (cib(web(meta=pair("failure-timeout", "120"))), cib(web(meta=pair("failure-timeout", "2min")))),
    (
        cib(web(operations='<op id="1" name="monitor" interval="10s" timeout="30s"/>')),
        cib(web(operations='<op id="2" name="monitor" interval="10000ms" timeout="30"/>')),
    ),
    (
        cib(web() + '<primitive id="b" class="ocf" type="x"/>'),
        cib('<primitive id="b" class="ocf" type="x"/>' + web()),
    ),
    (
        cib(constraints='<rsc_order id="o" first="a" then="b"/>'),
        cib(
            constraints='<rsc_order id="o" first="a" first-action="start" then="b" kind="Mandatory" symmetrical="yes"/>'
        ),
    ),
    (
        cib(constraints='<rsc_location id="l" rsc="a" node="n" score="1" resource-discovery="always"/>'),
        cib(constraints='<rsc_location id="l" rsc="a" node="n" score="1"/>'),
    ),
]


@pytest.mark.parametrize(("old", "new"), SAME)
def test_what_merely_looks_different_is_the_same(old, new):
    assert differences(old, new) == ()
    assert differences(new, old) == ()


def test_a_changed_parameter_is_told_with_both_values():
    found = one(cib(web(params=pair("config", "/a"))), cib(web(params=pair("config", "/b"))))
    assert (found.verb, found.kind, found.name, found.ours) == (CHANGED, "domain", "web1", True)
    assert found.details == (Detail("parameter config", "/a", "/b"),)


def test_a_parameter_that_comes_or_goes_has_an_empty_side():
    assert one(cib(web()), cib(web(params=pair("uuid", "u")))).details == (Detail("parameter uuid", "", "u"),)
    assert one(cib(web(params=pair("uuid", "u"))), cib(web())).details == (Detail("parameter uuid", "u", ""),)


def test_a_longer_timeout_is_a_difference():
    found = one(
        cib(web(operations='<op id="1" name="stop" interval="0s" timeout="30s"/>')),
        cib(web(operations='<op id="1" name="stop" interval="0s" timeout="40s"/>')),
    )
    assert found.details == (Detail("stop timeout", "30s", "40s"),)


def test_what_comes_and_what_goes():
    assert one(cib(), cib(web())).verb == ADDED
    assert one(cib(web()), cib()).verb == REMOVED


def test_a_member_of_a_clone_is_looked_into():
    def clone(value):
        return cib(
            f"""<clone id="c"><primitive id="p" class="ocf" provider="backstay" type="libvirtd">
            <instance_attributes id="i">{pair("heal", value)}</instance_attributes></primitive></clone>"""
        )

    assert one(clone("start"), clone("never")).details == (Detail("p: parameter heal", "start", "never"),)


def test_a_property_is_told_by_its_name():
    found = one(
        cib(properties=pair("stonith-timeout", "60s")), cib(properties=pair("stonith-timeout", "2min"))
    )
    assert (found.kind, found.name) == ("property", "stonith-timeout")
    assert found.details == (Detail("value", "60s", "2min"),)


def test_a_constraint_with_another_score_is_a_difference():
    def order(score):
        return cib(constraints=f'<rsc_colocation id="c" rsc="a" with-rsc="b" score="{score}"/>')

    assert one(order("10"), order("INFINITY")).details == (Detail("score", "10", "INFINITY"),)


def test_a_location_rule_is_looked_into():
    def rule(host):
        return cib(
            constraints=f"""<rsc_location id="l" rsc="a"><rule id="r" score="10">
            <expression id="e" attribute="#uname" operation="eq" value="{host}"/></rule></rsc_location>"""
        )

    (detail,) = one(rule("n1"), rule("n2")).details
    assert (detail.old, detail.new) == ("n1", "n2")


@pytest.mark.parametrize(
    ("fact", "old", "new"),
    [("parameter timeout", "60", "1min"), ("meta priority", "0", ""), ("stop timeout", "1500ms", "1500MS")],
)
def test_the_same(fact, old, new):
    assert same(fact, old, new)


@pytest.mark.parametrize(
    ("fact", "old", "new"),
    [
        ("parameter count", "60", "60s"),
        ("meta priority", "", "1"),
        ("parameter a", "", "false"),
        ("x", "on", "off"),
    ],
)
def test_not_the_same(fact, old, new):
    assert not same(fact, old, new)


@pytest.mark.parametrize("order", ['kind="Optional"', 'symmetrical="false"', 'first-action="promote"'])
def test_an_order_of_another_kind_is_a_difference(order):
    plain, other = '<rsc_order id="o" first="a" then="b"/>', f'<rsc_order id="o" first="a" then="b" {order}/>'
    assert one(cib(constraints=plain), cib(constraints=other)).verb == CHANGED


def test_what_others_made_and_what_stays_of_it():
    mine = '<primitive id="mine" class="ocf" type="x"/>'
    gone = '<primitive id="gone" class="ocf" type="x"/>'
    place = '<rsc_location id="mine-1" rsc="mine" node="n" score="1"/>'
    old = cib(mine + gone + web(), place, pair("stonith-enabled", "true"))
    assert foreign(old, cib(mine + web(), place)) == (("resource", "mine"), ("location", "mine-1"))
    assert foreign(cib(web()), cib(web() + mine)) == ()
