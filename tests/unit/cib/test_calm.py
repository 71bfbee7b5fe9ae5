# SPDX-License-Identifier: GPL-2.0-or-later
"""The copy of a CIB that is judged: nothing is wrong in it, and nothing takes the scheduler long."""

from __future__ import annotations

import pytest
from lxml import etree

from backstay.cib.document import calm

CIB = """<cib have-quorum="0"><configuration><crm_config>{options}</crm_config>
<nodes><node id="1" uname="n1"/><node id="r" uname="r" type="remote"/></nodes></configuration>
<status><node_state id="1" uname="n1" crmd="offline"/></status></cib>"""
SET = '<cluster_property_set id="cib-bootstrap-options">{}</cluster_property_set>'
PAIR = '<nvpair id="x{0}" name="{0}" value="{1}"/>'


def options(*pairs):
    """The options of a calm copy of a CIB that has these."""
    cib = etree.fromstring(CIB.format(options=SET.format("".join(PAIR.format(*pair) for pair in pairs))))
    before = etree.tostring(cib)
    copy = calm(cib)
    assert etree.tostring(cib) == before
    return {pair.get("name"): pair.get("value") for pair in copy.iter("nvpair")}


def test_hosts_are_online_and_have_quorum():
    copy = calm(etree.fromstring(CIB.format(options="")))
    assert copy.get("have-quorum") == "1"
    assert [(state.get("uname"), state.get("crmd")) for state in copy.iter("node_state")] == [
        ("n1", "online")
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((), {"enable-startup-probes": "false"}),
        ((("enable-startup-probes", "true"),), {"enable-startup-probes": "false"}),
        (
            (("placement-strategy", "balanced"),),
            {"enable-startup-probes": "false", "placement-strategy": "default"},
        ),
        (
            (("placement-strategy", "balancd"),),
            {"enable-startup-probes": "false", "placement-strategy": "balancd"},
        ),
        ((("stonith-enabled", "true"),), {"enable-startup-probes": "false", "stonith-enabled": "true"}),
    ],
)
def test_nothing_is_probed_or_weighed_and_what_is_wrong_stays(given, expected):
    assert options(*given) == expected


def test_a_cib_without_options_stays_without():
    assert not list(calm(etree.fromstring(CIB.format(options=""))).iter("nvpair"))
