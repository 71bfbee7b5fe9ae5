# SPDX-License-Identifier: GPL-2.0-or-later
"""One template without a description: a snippet, and a snippet put into a CIB."""

from __future__ import annotations

import pytest
from lxml import etree

from backstay.cib.alone import add, render_alone
from backstay.cib.document import write
from backstay.cib.templates import Templates
from backstay.errors import BadInput, Refused

LIVE = b"""<cib epoch="5" validate-with="pacemaker-3.9"><configuration><crm_config>
<cluster_property_set id="cib-bootstrap-options">
<nvpair id="cib-bootstrap-options-stonith-enabled" name="stonith-enabled" value="false"/></cluster_property_set>
</crm_config><nodes/><resources><primitive id="mine" class="ocf" provider="pacemaker" type="Dummy"/></resources>
<constraints/></configuration><status/></cib>"""
WEB = {"name": "web1", "config": "/srv/web1.xml"}
UGLY = "\"'><x a='&amp;'/><!-- ]]> $(reboot) `reboot` {{ 1 }} %"


@pytest.fixture(scope="module")
def shipped(repository):
    """The templates of the source tree."""
    return Templates([repository / "crm-templates"])


@pytest.fixture
def live():
    """A CIB with a hand-made resource and a property."""
    return etree.fromstring(LIVE)


def test_a_snippet_carries_nothing_that_cibadmin_would_take_over(shipped):
    made = render_alone(shipped, "domain", WEB)
    assert (made.tag, dict(made.attrib)) == ("cib", {})
    assert [part.tag for part in made.find("configuration")] == ["resources", "constraints"]
    assert made.find("configuration/resources/primitive").get("id") == "web1"


def test_what_may_be_left_out_is_left_out(shipped):
    text = write(render_alone(shipped, "domain", WEB)).decode()
    assert "None" not in text
    assert "utilization" not in text
    assert 'name="uuid"' not in text


def test_properties_have_the_ids_that_other_tools_give_them(shipped):
    made = render_alone(shipped, "properties", {"two_hosts": "yes"})
    ids = [pair.get("id") for pair in made.iter("nvpair")]
    assert "cib-bootstrap-options-stonith-enabled" in ids
    assert "cib-bootstrap-options-priority-fencing-delay" in ids
    assert not [one for one in ids if one.startswith("backstay-")]


def test_values_end_up_whole_and_nowhere_else(shipped):
    made = render_alone(shipped, "domain", {**WEB, "config": f"/{UGLY}"})
    again = etree.fromstring(write(made))
    assert again.find(".//nvpair[@name='config']").get("value") == f"/{UGLY}"
    assert len(list(again.iter())) == len(list(render_alone(shipped, "domain", WEB).iter()))


def test_a_snippet_is_put_into_a_cib_and_the_rest_stays(shipped, live):
    both = add(live, render_alone(shipped, "domain", WEB))
    assert [child.get("id") for child in both.find("configuration/resources")] == ["mine", "web1"]
    assert both.get("epoch") == "5"
    assert live.find(".//primitive[@id='web1']") is None


def test_the_same_snippet_again_changes_nothing(shipped, live):
    once = add(live, render_alone(shipped, "domain", WEB))
    assert write(add(once, render_alone(shipped, "domain", WEB))) == write(once)


def test_a_changed_snippet_takes_the_place_and_keeps_the_admins_switches(shipped, live):
    once = add(live, render_alone(shipped, "domain", WEB))
    web = once.find(".//primitive[@id='web1']")
    switch = etree.SubElement(web, "meta_attributes", id="web1-meta_attributes")
    etree.SubElement(switch, "nvpair", id="web1-target-role", name="target-role", value="Stopped")
    again = add(once, render_alone(shipped, "domain", {**WEB, "importance": "7"}))
    values = {
        pair.get("name"): pair.get("value") for pair in again.iterfind(".//primitive[@id='web1']//nvpair")
    }
    assert (values["priority"], values["target-role"]) == ("7", "Stopped")
    assert len(again.findall("configuration/resources/*")) == 2


def test_a_property_is_set_where_it_stands(shipped, live):
    both = add(live, render_alone(shipped, "properties", {}))
    (pair,) = both.findall(".//nvpair[@name='stonith-enabled']")
    assert (pair.get("id"), pair.get("value")) == ("cib-bootstrap-options-stonith-enabled", "true")


def test_what_is_hand_made_is_never_replaced(shipped, live):
    with pytest.raises(Refused, match="already has mine, which Backstay did not create"):
        add(live, render_alone(shipped, "domain", {**WEB, "name": "mine"}))


def test_an_old_schema_is_refused(shipped, live):
    live.set("validate-with", "pacemaker-2.10")
    with pytest.raises(Refused, match=r"pacemaker-2\.10"):
        add(live, render_alone(shipped, "domain", WEB))


def test_a_template_that_nobody_knows_is_named_with_the_nearest(shipped):
    with pytest.raises(BadInput, match=r"no template `domian` \(did you mean domain\?\)"):
        render_alone(shipped, "domian", {})


def test_a_disk_of_three_hosts_is_that_of_a_guest_that_does_not_move_alive(shipped):
    """DRBD has two promoted sides only where there are two; a description is refused for the same (parse_drbd.py)."""
    head = shipped.header("domain-drbd")
    given = {**{v.name: v.example for v in head.takes if v.required}, "drbd_hosts": "n1,n2,n3"}
    with pytest.raises(BadInput, match=r"found 3 drbd_hosts .* expected two, or live_migration=no"):
        render_alone(shipped, "domain-drbd", given)
    cib = render_alone(shipped, "domain-drbd", {**given, "live_migration": "no"})
    assert cib.find(".//nvpair[@name='promoted-max']").get("value") == "1"
    assert cib.find(".//nvpair[@name='clone-max']").get("value") == "3"
