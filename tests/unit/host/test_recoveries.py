# SPDX-License-Identifier: GPL-2.0-or-later
"""What Pacemaker says of hosts, fencings and records, read from its XML."""

from __future__ import annotations

import pytest

from backstay.errors import CannotAsk
from backstay.host.recoveries import moment, read

CRM_MON = """<pacemaker-result api-version="2.25" request="crm_mon"><nodes>
 <node name="n1" id="1" online="false" unclean="false" type="member"/>
 <node name="n2" id="2" online="true" unclean="false" type="member"/>
 <node name="n3" id="3" online="false" unclean="true" type="member"/>
 <node name="r1" id="r1" online="true" unclean="false" type="remote"/>
 <node name="guest" id="guest" online="true" type="guest"/></nodes>
 <node_attributes><node name="n2"><attribute name="backstay-libvirtd" value="healthy"/></node></node_attributes>
 <fence_history status="0">
 <fence_event action="off" target="n1" client="pacemaker-controld.1" origin="n2" status="success" delegate="n2"
   completed="2026-11-20 15:10:06 +01:00"/>
 <fence_event action="reboot" target="n1" client="stonith_admin.9" origin="n2" status="success" delegate="a human"
   completed="2026-11-20 15:20:06 +01:00"/>
 <fence_event action="on" target="n2" status="success" delegate="n2" completed="2026-11-20 15:10:06 +01:00"/>
 <fence_event action="reboot" target="n3" status="pending" client="x" origin="n2"/>
 <fence_event action="reboot" target="n3" status="failed" exit-reason="refused" completed="2026-11-20 15:11:06 +01:00"/>
 </fence_history></pacemaker-result>"""
NODES = """<nodes><node id="1" uname="n1"><instance_attributes id="nodes-1">
 <nvpair id="a" name="standby" value="on"/><nvpair id="b" name="backstay-recovery" value="5 fenced done x"/>
 </instance_attributes></node><node id="2" uname="n2"/></nodes>"""


def test_a_look() -> None:
    seen = read(CRM_MON, NODES)
    assert [(node.name, node.online, node.unclean) for node in seen.nodes] == [
        ("n1", False, False), ("n2", True, False), ("n3", False, True), ("r1", True, False),
    ]  # fmt: skip
    assert seen.nodes[0].record == "5 fenced done x"
    assert seen.nodes[1].record == ""
    assert seen.nodes[1].attributes == {"backstay-libvirtd": "healthy"}
    assert [(event.target, event.status, event.human) for event in seen.events] == [
        ("n1", "success", False), ("n1", "success", True), ("n3", "pending", False), ("n3", "failed", False),
    ]  # fmt: skip
    assert seen.events[1].when - seen.events[0].when == 600
    assert seen.events[3].reason == "refused"


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("2026-11-20 15:10:06 +01:00", 1795183806),
        ("2026-11-20 14:10:06Z", 1795183806),
        ("", 0),
        ("soon", 0),
    ],
)
def test_a_time(text: str, when: int) -> None:
    assert moment(text) == when


def test_no_xml_is_no_answer() -> None:
    with pytest.raises(CannotAsk, match="crm_mon does not speak XML"):
        read("no", NODES)
    with pytest.raises(CannotAsk, match="cibadmin does not speak XML"):
        read(CRM_MON, "no")


def test_a_crm_mon_that_knows_no_hosts_is_no_cluster_without_hosts() -> None:
    """Recorded from Pacemaker 2.1.5: its exit code is 0 also where it could not read the CIB."""
    said = "Could not connect to the CIB: Update does not conform to the configured schema"
    errors = f'<status code="0" message="OK"><errors><error>{said}</error></errors></status>'
    with pytest.raises(CannotAsk, match="does not tell how the hosts are: Could not connect to the CIB"):
        read(f"<pacemaker-result>{errors}</pacemaker-result>", NODES)
    with pytest.raises(CannotAsk, match="names no host"):
        read("<pacemaker-result/>", NODES)
