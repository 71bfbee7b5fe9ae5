# SPDX-License-Identifier: GPL-2.0-or-later
"""What stays until it is down, and what of a configuration concerns only what goes."""

from __future__ import annotations

from lxml import etree

from backstay.cib.parting import primitives, stopping, without

BEFORE = """<cib><configuration><resources>
<primitive id="web1"><meta_attributes id="web1-meta"><nvpair id="r" name="target-role" value="Started"/>
<nvpair id="p" name="priority" value="5"/></meta_attributes></primitive>
<clone id="disk-clone"><primitive id="disk"/></clone>
<primitive id="web2"/>
</resources><constraints>
<rsc_order id="o1" first="web1" first-action="stop" then="disk-clone" then-action="demote"/>
<rsc_order id="o2" first="disk-clone" then="web2"/>
<rsc_location id="l1" rsc="web1" node="n1"/>
<rsc_colocation id="c1"><resource_set id="s"><resource_ref id="web1"/><resource_ref id="web2"/></resource_set></rsc_colocation>
</constraints></configuration></cib>"""
AFTER = (
    '<cib><configuration><resources><primitive id="web2"/></resources><constraints/></configuration></cib>'
)
GONE = ("web1", "disk-clone")


def tree(text):
    return etree.fromstring(text)


def roles(cib):
    return {
        pair.getparent().getparent().get("id"): pair.get("value")
        for pair in cib.iterfind(".//nvpair[@name='target-role']")
    }


def ids(cib, section):
    return [one.get("id") for one in cib.iterfind(f"configuration/{section}/*")]


def test_what_goes_is_stopped_with_what_orders_it():
    whole = stopping(tree(BEFORE), tree(AFTER), GONE)
    assert ids(whole, "resources") == ["web2", "web1", "disk-clone"]
    assert roles(whole) == {"web1": "Stopped", "disk-clone": "Stopped"}
    assert ids(whole, "constraints") == ["o1", "l1"]
    assert [one.tag for one in whole.find(".//clone")] == ["meta_attributes", "primitive"]
    assert whole.find(".//nvpair[@name='priority']") is not None


def test_afterwards_it_is_what_was_wanted():
    end = without(stopping(tree(BEFORE), tree(AFTER), GONE), GONE)
    assert (ids(end, "resources"), ids(end, "constraints")) == (["web2"], [])
    some = without(stopping(tree(BEFORE), tree(AFTER), GONE), ("web1",))
    assert (ids(some, "resources"), ids(some, "constraints")) == (["web2", "disk-clone"], [])


def test_nothing_that_goes_is_nothing_to_stop():
    assert stopping(tree(BEFORE), tree(AFTER), ()) is None
    assert stopping(tree(BEFORE), tree(AFTER), ("somebody",)) is None


def test_a_part_that_stays_under_its_own_id_is_not_there_twice():
    after = AFTER.replace("<primitive", '<primitive id="disk"/><primitive', 1)
    whole = stopping(tree(BEFORE), tree(after), GONE)
    assert ids(whole, "resources") == ["disk", "web2", "web1"]


def test_what_runs_of_a_resource():
    assert primitives(tree(BEFORE), "disk-clone") == ("disk",)
    assert primitives(tree(BEFORE), "web1") == ("web1",)
    assert primitives(tree(BEFORE), "nobody") == ()
