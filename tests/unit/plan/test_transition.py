# SPDX-License-Identifier: GPL-2.0-or-later
"""The scheduler's answer becomes data. The texts are those of crm_simulate 2.1.5."""

from __future__ import annotations

import pytest

from backstay.errors import CannotAsk
from backstay.plan.transition import Step, instance_of, read


def answer(actions="", resources=""):
    """An answer with these actions."""
    return f"""<pacemaker-result api-version="2.25" request="crm_simulate">
      <cluster_status><nodes/><resources>{resources}</resources></cluster_status>
      <actions>{actions}</actions><status code="0" message="OK"/></pacemaker-result>"""


CASES = [
    ('<rsc_action action="start" resource="db1" node="n1"/>', Step("start", "db1", target="n1")),
    (
        '<rsc_action action="stop" resource="libvirtd:0" node="n1" reason="node availability"/>',
        Step("stop", "libvirtd", source="n1", reason="node availability"),
    ),
    (
        '<rsc_action action="restart" resource="db1" source="n1" reason="resource definition change"/>',
        Step("restart", "db1", source="n1", reason="resource definition change"),
    ),
    ('<rsc_action action="move" resource="db1" source="n1" dest="n2"/>', Step("move", "db1", "n1", "n2")),
    (
        '<rsc_action action="migrate" resource="db1" source="n1" dest="n2"/>',
        Step("migrate", "db1", "n1", "n2"),
    ),
    (
        '<rsc_action action="start" resource="db1" node="n1" reason="unrunnable x" blocked="true"/>',
        Step("start", "db1", target="n1", reason="unrunnable x", blocked=True),
    ),
    (
        '<rsc_action action="promote" resource="d:1" role="Unpromoted" next-role="Promoted" source="n2"/>',
        Step("promote", "d", target="n2"),
    ),
    (
        '<rsc_action action="promote" resource="d:1" role="Stopped" next-role="Promoted" dest="n2"/>',
        Step("promote", "d", target="n2"),
    ),
    (
        '<rsc_action action="demote" resource="d:1" role="Promoted" next-role="Unpromoted" source="n2"/>',
        Step("demote", "d", source="n2"),
    ),
    (
        '<node_action task="Fence (reboot)" node="n1" reason="peer is no longer part of the cluster"/>',
        Step("fence", "n1", reason="peer is no longer part of the cluster"),
    ),
]


@pytest.mark.parametrize(("text", "step"), CASES)
def test_an_action_becomes_a_step(text, step):
    assert read(answer(text)).steps == (step,)


def test_where_things_run():
    resources = """<resource id="db1" orphaned="false" active="true"><node name="n1" id="1"/></resource>
      <clone id="c"><resource id="libvirtd" active="true"><node name="n1"/></resource>
      <resource id="libvirtd" active="true"><node name="n2"/></resource></clone>
      <resource id="web1" active="false"/>"""
    assert read(answer(resources=resources)).running == {
        "db1": frozenset({"n1"}),
        "libvirtd": frozenset({"n1", "n2"}),
        "web1": frozenset(),
    }


@pytest.mark.parametrize(
    "text", ["", "no xml", "<pacemaker-result><status message='bad CIB'/></pacemaker-result>"]
)
def test_no_answer_is_no_empty_answer(text):
    with pytest.raises(CannotAsk):
        read(text)


@pytest.mark.parametrize(("name", "base"), [("a:0", "a"), ("a", "a"), ("a:b", "a:b"), (":1", ":1")])
def test_an_instance_has_its_resources_name(name, base):
    assert instance_of(name) == base
