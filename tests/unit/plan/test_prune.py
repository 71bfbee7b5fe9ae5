# SPDX-License-Identifier: GPL-2.0-or-later
"""What the scheduler need not read, and what it has to."""

from __future__ import annotations

import pytest
from lxml import etree

from backstay.plan.prune import prune

PROBE = {"operation": "monitor", "interval": "0", "rc-code": "7"}


def cib(*records, properties=""):
    """A CIB with these records of web1 on n1."""
    operations = "".join(
        f"<lrm_rsc_op {' '.join(f'{name}={value!r}' for name, value in record.items())}/>"
        for record in records
    )
    return etree.fromstring(
        f"""<cib><configuration><crm_config>{properties}</crm_config></configuration><status><node_state uname="n1"><lrm>
        <lrm_resources><lrm_resource id="web1">{operations}</lrm_resource></lrm_resources></lrm></node_state></status>
        </cib>"""
    )


def kept(*records):
    """Whether what is known of web1 on n1 stays."""
    return prune(cib(*records)).find(".//lrm_resource") is not None


def test_that_something_does_not_run_there_is_left_out():
    assert not kept(PROBE)
    assert not kept({**PROBE, "interval": ""})
    assert not kept({name: value for name, value in PROBE.items() if name != "interval"})
    assert not kept(PROBE, PROBE)


@pytest.mark.parametrize(
    "other",
    [
        {**PROBE, "rc-code": "0"},
        {**PROBE, "rc-code": "1"},
        {**PROBE, "rc-code": "8"},
        {**PROBE, "rc-code": "193"},
        {**PROBE, "interval": "10000"},
        {**PROBE, "operation": "stop", "rc-code": "0"},
        {**PROBE, "operation": "start"},
        {**PROBE, "operation": "migrate_from"},
    ],
)
def test_what_runs_failed_or_was_done_there_stays(other):
    assert kept(other)
    assert kept(PROBE, other)
    assert kept(other, PROBE)


SET = '<cluster_property_set id="{}"><nvpair id="x" name="{}" value="true"/></cluster_property_set>'


@pytest.mark.parametrize(
    "properties",
    [
        "",
        SET.format("mine", "maintenance-mode"),
        SET.format("cib-bootstrap-options", "maintenance-mode"),
        SET.format("cib-bootstrap-options", "enable-startup-probes"),
    ],
)
def test_no_probe_is_foreseen_and_every_other_property_stays(properties):
    before = cib(PROBE, properties=properties)
    written = etree.tostring(before)
    after = prune(before)
    probes = after.findall(
        ".//cluster_property_set[@id='cib-bootstrap-options']/nvpair[@name='enable-startup-probes']"
    )
    assert [pair.get("value") for pair in probes] == ["false"]
    assert bool(after.findall(".//nvpair[@name='maintenance-mode']")) == ("maintenance" in properties)
    assert etree.tostring(before) == written
