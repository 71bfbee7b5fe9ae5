# SPDX-License-Identifier: GPL-2.0-or-later
"""The defaults that Pacemaker's real daemons and agents tell, and what a plan makes of them."""

from __future__ import annotations

import pytest
from lxml import etree

from backstay.cib.difference import differences
from backstay.cib.meaning import Option
from backstay.cib.options import OF_CLUSTER, Metadata, options
from backstay.cloud.cluster_properties import INSTEAD, KNOWN
from backstay.host.metadata import Installed

CIB = """<cib><configuration><crm_config><cluster_property_set id="s">{}</cluster_property_set></crm_config>
<resources><primitive id="fence" class="stonith" type="fence_dummy"><instance_attributes id="i">{}
</instance_attributes></primitive></resources><constraints/></configuration></cib>"""


@pytest.fixture
def metadata(need):
    """What this host says."""
    need("pacemakerd", "crm_resource")
    return Metadata(Installed())


def pairs(**given):
    names = {name.replace("_", "-"): value for name, value in given.items()}
    return "".join(f'<nvpair id="{name}" name="{name}" value="{value}"/>' for name, value in names.items())


def test_daemons_tell_their_defaults(metadata):
    assert metadata.of_cluster("stonith-enabled") == Option("boolean", "true")
    assert metadata.of_cluster("cluster-recheck-interval") == Option("time", "15min")
    assert metadata.of_cluster("enable-acl") == Option("boolean", "false")
    assert metadata.of_cluster("unheard-of") is None
    assert metadata.of_agent("stonith:fence_dummy", "pcmk_delay_max") == Option("time", "0s")
    assert metadata.of_agent("ocf:pacemaker:Dummy", "state") == Option("string", "")
    assert metadata.of_agent("ocf:pacemaker:Unheard", "state") is None


def test_a_default_that_is_written_is_no_change(metadata):
    device = '<nvpair id="d" name="pcmk_delay_max" value="0"/>'
    said = pairs(
        stonith_enabled="yes", startup_fencing="true", start_failure_is_fatal="1", cluster_delay="1min"
    )
    old, new = (etree.fromstring(CIB.format(*each)) for each in ((said, device), ("", "")))
    assert differences(old, new, metadata) == ()
    assert differences(new, old, metadata) == ()
    off = etree.fromstring(CIB.format(pairs(startup_fencing="false"), ""))
    assert [one.name for one in differences(new, off, metadata)] == ["startup-fencing"]


def test_a_delay_is_a_time_though_it_may_be_a_list_of_them(metadata):
    assert metadata.of_agent("stonith:fence_dummy", "pcmk_delay_base") == Option("time", "0s")
    one, same, other = (
        etree.fromstring(CIB.format("", f'<nvpair id="d" name="pcmk_delay_base" value="{delay}"/>'))
        for delay in ("5000ms", "5s", "n1:5s;n2:0")
    )
    assert differences(one, same, metadata) == ()
    assert len(differences(same, other, metadata)) == 1


def test_where_nothing_is_installed_what_is_written_counts(tmp_path):
    nobody = Metadata(Installed([str(tmp_path)]))
    assert nobody.of_cluster("stonith-enabled") is None


def test_a_description_knows_each_property_and_what_it_may_be(need):
    """All that the installed daemons have, and nothing else: what is not taken has its reason."""
    need("pacemakerd")
    said = {
        name: option for daemon in OF_CLUSTER for name, option in options(Installed().daemon(daemon)).items()
    }
    assert {*KNOWN} | {*INSTEAD} == {*said}
    assert {*KNOWN} & {*INSTEAD} == set()
    words = {"boolean": "true or false", "time": "time", "percentage": "percentage"}
    for name, kind in KNOWN.items():
        assert words.get(said[name].kind, kind.word) == kind.word, name
        if said[name].kind == "integer":
            assert kind.word.startswith(("number", "score")), name
        default = {
            "0": "0s",
            "15min": "15 min",
            "2min": "2 min",
            "3min": "3 min",
            "20min": "20 min",
            "30min": "30 min",
        }
        text = said[name].default
        kind.convert(
            default.get(text, text) if kind.word == "time" else text
        )  # ValueError for what Pacemaker has itself
