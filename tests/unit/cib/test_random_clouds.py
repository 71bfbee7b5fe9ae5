# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever cloud is described: the same bytes each time, ids once each, and nothing to do when it is loaded already."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from lxml import etree

from backstay.cib.difference import differences
from backstay.cib.document import own_ids, parse, write
from backstay.cib.files import files_of
from backstay.cib.merge import merge
from backstay.cib.render import render
from backstay.cib.templates import Templates
from backstay.cloud.parse import parse as parse_cloud
from tests.unit.cloud.random_clouds import clouds, text


@pytest.fixture(scope="module")
def shipped(repository):
    """The templates of the source tree."""
    return Templates([repository / "crm-templates"])


def live(cloud):
    """The CIB of a cluster whose full members have joined and that has nothing else."""
    cib = etree.fromstring(
        '<cib validate-with="pacemaker-3.9"><configuration><crm_config/><nodes/><resources/><constraints/>'
        "</configuration><status/></cib>"
    )
    for host in cloud.members:
        etree.SubElement(cib.find("configuration/nodes"), "node", id=str(host.nodeid), uname=host.name)
    return cib


@settings(max_examples=25)  # each compiles all templates anew
@given(clouds())
def test_the_same_description_gives_the_same_bytes(shipped, repository, description):
    cloud = parse_cloud(text(description), "c.yaml")
    again = parse_cloud(text(description), "c.yaml")
    assert cloud == again
    first, second = (
        write(render(cloud, shipped)),
        write(render(again, Templates([repository / "crm-templates"]))),
    )
    assert first == second
    assert files_of(cloud) == files_of(again)
    ids = list(own_ids(parse(first, "rendered")))
    assert len(ids) == len(set(ids))


@settings(max_examples=60)
@given(clouds())
def test_a_plan_against_itself_is_empty(shipped, description):
    cloud = parse_cloud(text(description), "c.yaml")
    rendered = render(cloud, shipped)
    once = merge(live(cloud), rendered)
    assert differences(live(cloud), once)
    twice = merge(parse(write(once), "live"), rendered)
    assert differences(once, twice) == ()
    assert write(once) == write(twice)


@settings(max_examples=60)
@given(clouds())
def test_files_beside_the_cib_have_no_word_that_breaks_them(description):
    cloud = parse_cloud(text(description), "c.yaml")
    corosync, *mounts = (file.content for file in files_of(cloud))
    assert corosync.count("{") == corosync.count("}")
    assert corosync.count("node {") == len(cloud.members)
    for line in "".join(mounts).splitlines():
        assert (
            line == "[Unit]"
            or line.startswith("#")
            or re.fullmatch(r'RequiresMountsFor="(?:[^"\\%]|\\.|%%)*"', line)
        )
