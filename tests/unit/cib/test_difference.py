# SPDX-License-Identifier: GPL-2.0-or-later
"""What counts as a difference between two configurations, and how it is told."""

from __future__ import annotations

import pytest
from lxml import etree

from backstay.cib.difference import ADDED, CHANGED, REMOVED, Detail, differences, foreign
from backstay.cib.meaning import Known, Option


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


KNOWN = Known(
    {
        "stonith-enabled": Option("boolean", "true"),
        "no-quorum-policy": Option("select", "stop"),
        "cluster-delay": Option("time", "60s"),
        "batch-limit": Option("integer", "0"),
        "node-health-red": Option("integer", "-INFINITY"),
    },
    {"ocf:backstay:domain": {"force_stop": Option("boolean", "false"), "name": Option("string", "")}},
)


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


def location(score):
    """A constraint with a score."""
    return cib(constraints=f'<rsc_location id="l" rsc="a" node="n" score="{score}"/>')


def clone(meta="", member=""):
    """A clone of a resource."""
    return cib(
        f"""<clone id="c"><meta_attributes id="m">{meta}</meta_attributes><primitive id="p" class="ocf" type="x">
        <meta_attributes id="n">{member}</meta_attributes></primitive></clone>"""
    )


def defaulted(meta, resource, rule=""):
    """A CIB whose rsc_defaults say something."""
    found = cib(resource)
    section = etree.SubElement(found.find("configuration"), "rsc_defaults")
    section.append(etree.fromstring(f'<meta_attributes id="d">{rule}{meta}</meta_attributes>'))
    return found


RULE = '<rule id="r" score="1"><expression id="e" attribute="a" operation="defined"/></rule>'
SAME += [
    (cib(properties=pair("stonith-enabled", "true")), cib()),
    (cib(properties=pair("cluster-delay", "60000ms")), cib()),
    (cib(properties=pair("cluster-delay", "1m")), cib(properties=pair("cluster-delay", "60"))),
    (cib(properties=pair("node-health-red", "-INFINITY")), cib()),
    (cib(properties=pair("batch-limit", "+5")), cib(properties=pair("batch-limit", "5"))),
    (location("+INFINITY"), location("INFINITY")),
    (location("1000000"), location("INFINITY")),
    (location("-2000000"), location("-INFINITY")),
    (cib(web(meta=pair("migration-threshold", "1000000"))), cib(web())),
    (cib(web(meta=pair("allow-migrate", "1"))), cib(web(meta=pair("allow-migrate", "on")))),
    (cib(web(params=pair("force_stop", "0"))), cib(web())),
    (cib(web(params=pair("force_stop", "yes"))), cib(web(params=pair("force_stop", "1")))),
    (clone(pair("clone-node-max", "1")), clone()),
    (
        cib(web(operations='<op id="1" name="stop" interval="0s" enabled="true"/>')),
        cib(web(operations='<op id="1" name="stop" interval="0"/>')),
    ),
    (
        defaulted(pair("resource-stickiness", "5"), web(meta=pair("resource-stickiness", "5"))),
        defaulted(pair("resource-stickiness", "5"), web()),
    ),
]


def group(meta="", member=""):
    """A clone of a group of one."""
    return cib(
        f"""<clone id="c"><group id="g"><meta_attributes id="m">{meta}</meta_attributes><primitive id="p" class="ocf"
        type="x"><meta_attributes id="n">{member}</meta_attributes></primitive></group></clone>"""
    )


def operation(words):
    """A monitor with these attributes beside its name."""
    return cib(web(operations=f'<op id="1" name="monitor" {words}/>'))


def constraint(tag, words):
    """A constraint between two resources."""
    return cib(constraints=f'<{tag} id="o" {words}/>')


TOGETHER, WITH_DEFAULTS = (
    f'rsc="a" with-rsc="b" score="INFINITY"{more}'
    for more in ("", ' rsc-role="Started" with-rsc-role="Started" node-attribute="#uname"')
)
SAME += [
    (clone(member=pair("multiple-active", "stop_start")), clone()),
    (clone(pair("is-managed", "no"), pair("is-managed", "false")), clone(pair("is-managed", "false"))),
    (
        group(pair("target-role", "Stopped"), pair("target-role", "Stopped")),
        group(pair("target-role", "Stopped")),
    ),
    (group(member=pair("critical", "true")), group()),
    (cib(web(meta=pair("failure-timeout", "PT2M"))), cib(web(meta=pair("failure-timeout", "2 min")))),
    (operation('interval="PT1M30S" timeout="30 s"'), operation('interval="90s" timeout="30 seconds"')),
    (operation('interval="9s" timeout="20s" record-pending="true"'), operation('interval="9s"')),
    (constraint("rsc_colocation", TOGETHER), constraint("rsc_colocation", WITH_DEFAULTS)),
    (
        constraint("rsc_location", 'rsc="a" node="n" score="1"'),
        constraint("rsc_location", 'rsc="a" node="n" score="1" role="Started"'),
    ),
]
OTHER = [
    (clone(member=pair("multiple-active", "block")), clone()),
    (clone(member=pair("resource-stickiness", "0")), clone()),
    (clone(pair("is-managed", "false"), pair("is-managed", "true")), clone(pair("is-managed", "false"))),
    (
        group(pair("target-role", "Stopped"), pair("target-role", "Started")),
        group(pair("target-role", "Stopped")),
    ),
    (cib(web(meta=pair("failure-timeout", "PT2M"))), cib(web(meta=pair("failure-timeout", "2s")))),
    (operation('interval="9s" timeout="PT30S"'), operation('interval="9s" timeout="30s"')),
    (operation('interval="9s" timeout="21s"'), operation('interval="9s"')),
    (
        constraint("rsc_colocation", TOGETHER),
        constraint("rsc_colocation", TOGETHER + ' with-rsc-role="Promoted"'),
    ),
    (cib(properties=pair("stonith-enabled", "false")), cib()),
    (cib(properties=pair("no-quorum-policy", "freeze")), cib()),
    (cib(properties=pair("unheard-of", "true")), cib()),
    (cib(properties=pair("cluster-delay", "60ms")), cib()),
    (cib(properties=pair("batch-limit", "1000000")), cib(properties=pair("batch-limit", "2000000"))),
    (location("INFINITY"), location("999999")),
    (location("INFINITY"), location("-INFINITY")),
    (cib(web(params=pair("name", "yes"))), cib(web(params=pair("name", "true")))),
    (cib(web(params=pair("force_stop", "true"))), cib(web())),
    (cib(web(params=pair("enabled", "true"))), cib(web())),
    (clone(pair("resource-stickiness", "0")), clone()),
    (
        clone(pair("target-role", "Stopped"), pair("target-role", "Started")),
        clone(pair("target-role", "Stopped")),
    ),
    (
        defaulted(pair("resource-stickiness", "5"), web(meta=pair("resource-stickiness", "0"))),
        defaulted(pair("resource-stickiness", "5"), web()),
    ),
    (
        defaulted(pair("resource-stickiness", "5"), web(meta=pair("resource-stickiness", "0")), RULE),
        defaulted(pair("resource-stickiness", "5"), web(), RULE),
    ),
    (
        cib(constraints='<rsc_order id="o" first="a" then="b" kind="Serialize" symmetrical="true"/>'),
        cib(constraints='<rsc_order id="o" first="a" then="b" kind="Serialize"/>'),
    ),
]


@pytest.mark.parametrize(("old", "new"), OTHER)
def test_what_means_something_else_is_a_difference(old, new):
    assert len(differences(old, new, KNOWN)) == 1
    assert len(differences(new, old, KNOWN)) == 1


def test_another_text_of_a_parameter_counts_when_it_is_loaded_along():
    """Pacemaker compares the text of parameters, and restarts for it; of nothing else."""
    old, new = (
        cib(web(params=pair("force_stop", word), meta=pair("allow-migrate", word))) for word in ("1", "yes")
    )
    assert differences(old, new, KNOWN) == ()
    assert [one.details for one in differences(old, new, KNOWN, exact=True)] == [
        (Detail("parameter force_stop", "1", "yes"),)
    ]


def test_a_new_resource_is_told_with_all_its_parameters():
    """Nobody's metadata is asked for what is not compared."""
    found = one(cib(), cib(web(params=pair("force_stop", "false"))))
    assert Detail("parameter force_stop", "", "false") in found.details
    (told,) = differences(cib(), cib(web(params=pair("force_stop", "false"))), KNOWN)
    assert told.details == found.details


@pytest.mark.parametrize(("old", "new"), SAME)
def test_what_merely_looks_different_is_the_same(old, new):
    assert differences(old, new, KNOWN) == ()
    assert differences(new, old, KNOWN) == ()


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
