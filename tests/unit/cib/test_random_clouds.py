# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever cloud is described: the same bytes each time, ids once each, and nothing to do when it is loaded already."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import Phase, given, settings
from lxml import etree

from backstay.cib.difference import differences
from backstay.cib.document import own_ids, parse, write
from backstay.cib.files import files_of
from backstay.cib.merge import merge
from backstay.cib.render import render
from backstay.cib.templates import Templates
from backstay.cloud.parse import parse as parse_cloud
from backstay.cloud.storage_keys import TYPES as STORAGE_TYPES
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
    corosync, *others = files_of(cloud)
    corosync = corosync.content
    mounts = [file.content for file in others if file.name.startswith("systemd/")]
    mirrors = [file.content for file in others if file.name.startswith("drbd.d/")]
    assert len(mounts) + len(mirrors) == len(others)
    assert all(each.count("{") == each.count("}") for each in (corosync, *mirrors))
    assert [each.count('on "') for each in mirrors] == [
        len(mirror.drbd.hosts) for mirror in cloud.mirrors if mirror.drbd.volumes
    ]
    assert corosync.count("node {") == len(cloud.members)
    for line in "".join(mounts).splitlines():
        assert (
            line == "[Unit]"
            or line.startswith("#")
            or re.fullmatch(r'RequiresMountsFor="(?:[^"\\%]|\\.|%%)*"', line)
        )


def shown(description):
    """What of the model a described cloud has, of that which is rarely described."""
    cloud = parse_cloud(text(description), "c.yaml")
    yield from (f"drbd {domain.drbd.generation}" for domain in cloud.domains if domain.drbd)
    yield from (f"drbd on {len(domain.drbd.hosts)}" for domain in cloud.domains if domain.drbd)
    yield from ("volumes" for domain in cloud.domains if domain.drbd and domain.drbd.volumes)
    yield from ("levels" for host in cloud.hosts if len(host.levels) > 1)
    yield from ("devices together" for host in cloud.hosts for level in host.levels if len(level) > 1)
    yield from ("no bmc" for host in cloud.hosts if host.bmc is None)
    yield from ("a remote host" for host in cloud.hosts if host.remote)
    yield from (f"storage {one.type}" for one in cloud.storage)
    if cloud.frontend:
        yield f"frontend {cloud.frontend.kind}"


WANTED = {f"storage {kind}" for kind in STORAGE_TYPES} | {
    "drbd 8", "drbd 9", "drbd on 2", "drbd on 3", "volumes", "levels", "devices together", "no bmc",
    "a remote host", "frontend opennebula", "frontend ganeti", "frontend generic",
}  # fmt: skip


class Complete(Exception):
    """Everything was seen."""


def test_the_random_clouds_have_all_that_a_cloud_may_have():
    seen = set()

    @settings(max_examples=1000, phases=[Phase.generate])
    @given(clouds())
    def look(description):
        seen.update(shown(description))
        if seen >= WANTED:
            raise Complete

    with suppress(Complete):
        look()
    assert seen >= WANTED
