# SPDX-License-Identifier: GPL-2.0-or-later
"""Pacemaker's real schema, crm_verify, crm_diff and cibadmin (on a CIB file) with what Backstay renders."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lxml import etree

from backstay.cib import schema
from backstay.cib.difference import differences
from backstay.cib.document import calm, parse, write
from backstay.cib.merge import merge
from backstay.cib.render import render
from backstay.errors import CannotAsk, Refused
from backstay.host.pacemaker import Pacemaker
from backstay.host.process import ToolMissing

EMPTY = b"""<cib admin_epoch="0" epoch="5" num_updates="7" validate-with="pacemaker-3.9" crm_feature_set="3.16.1">
<configuration><crm_config/><nodes><node id="1" uname="n1"/></nodes>
<resources><primitive id="hand" class="ocf" provider="pacemaker" type="Dummy"/></resources><constraints/></configuration>
<status/></cib>"""


@pytest.fixture
def pacemaker(need):
    """The real tools."""
    need("crm_verify", "cibadmin")
    return Pacemaker()


@pytest.fixture
def cluster(need, tmp_path, monkeypatch):
    """A "cluster" that is a CIB file, and the file."""
    need("cibadmin")
    path = tmp_path / "cib.xml"
    path.write_bytes(EMPTY)
    return Pacemaker({"CIB_file": str(path)}), path


def test_the_example_has_no_findings(example, shipped, pacemaker):
    cib = parse(write(render(example, shipped)), "rendered")
    assert schema.check(cib) == ()
    verdict = pacemaker.verify(write(calm(cib)))
    assert (verdict.errors, verdict.warnings) == ((), ())


@pytest.mark.parametrize("hosts", [1, 2, 3])
def test_fewer_hosts_have_no_findings_either(example, shipped, pacemaker, hosts):
    domains = tuple(replace(domain, prefers=()) for domain in example.domains)
    cib = render(replace(example, hosts=example.hosts[:hosts], domains=domains), shipped)
    assert schema.check(cib) == ()
    assert pacemaker.verify(write(cib)).errors == ()


def test_every_schema_from_ours_on_takes_it(example, shipped):
    cib = render(example, shipped)
    newer = [
        name
        for name in schema.installed()
        if schema.version(name) >= schema.version(cib.get("validate-with"))
    ]
    assert "pacemaker-3.9" in newer
    for name in newer:
        cib.set("validate-with", name)
        assert schema.check(cib) == ()


@pytest.mark.parametrize(
    ("path", "attribute", "value", "said"),
    [
        (".//rsc_order[1]", "kind", "Mandatry", "Invalid attribute kind for element rsc_order"),
        (".//rsc_location[1]", "rsc", "nobody", 'IDREF attribute rsc references an unknown ID "nobody"'),
        (".//primitive[1]", "class", "sticky", "primitive"),
        (".", "validate-with", "pacemaker-3.71", "did you mean pacemaker-3.7?"),
    ],
)
def test_the_schema_names_what_is_wrong_and_where(example, shipped, path, attribute, value, said):
    cib = render(example, shipped)
    cib.find(path).set(attribute, value)
    cib = parse(write(cib), "rendered")
    found = schema.check(cib)
    assert any(said in finding.message for finding in found)
    if path.startswith(".//") and attribute != "rsc":
        line = cib.find(path).sourceline
        assert any(finding.line == line for finding in found)


def test_crm_verify_names_what_is_wrong(example, shipped, pacemaker):
    cib = render(example, shipped)
    resources = cib.find("configuration/resources")
    for device in resources.findall("primitive[@class='stonith']"):
        resources.remove(device)
    for location in cib.findall(".//rsc_location"):
        if location.get("rsc").startswith("fence-"):
            location.getparent().remove(location)
    assert any(
        "no STONITH resources have been defined" in error for error in pacemaker.verify(write(cib)).errors
    )


def test_crm_verify_warns(example, shipped, pacemaker):
    cib = render(example, shipped)
    etree.SubElement(cib.find("configuration/nodes"), "node", id="1", uname="n1")
    verdict = pacemaker.verify(write(cib))
    assert verdict.errors == ()
    assert any("lack of quorum" in warning for warning in verdict.warnings)


def test_a_description_is_loaded_in_one_transaction(cluster, example, shipped):
    pacemaker, path = cluster
    live = parse(pacemaker.live(), "live")
    new = merge(live, render(example, shipped))
    assert pacemaker.replace(EMPTY, etree.tostring(new)) is True
    loaded = etree.parse(str(path)).getroot()
    assert (loaded.get("epoch"), loaded.get("validate-with")) == ("6", "pacemaker-3.9")
    assert not differences(new, loaded)
    assert next(child.get("id") for child in loaded.find("configuration/resources")) == "hand"
    assert schema.check(loaded) == ()


def test_order_is_loaded_too(cluster, example, shipped):
    pacemaker, path = cluster
    pacemaker.replace(EMPTY, etree.tostring(merge(parse(EMPTY, "live"), render(example, shipped))))
    live = pacemaker.live()
    backwards = render(replace(example, domains=example.domains[::-1]), shipped)
    assert pacemaker.replace(live, etree.tostring(merge(parse(live, "live"), backwards))) is True
    ids = [child.get("id") for child in etree.parse(str(path)).find("configuration/resources")]
    assert ids[-6:] == ["mail2", "mail1", "web2", "web1", "db2", "db1"]


def test_loading_again_is_no_change(cluster, example, shipped):
    pacemaker, path = cluster
    pacemaker.replace(EMPTY, etree.tostring(merge(parse(EMPTY, "live"), render(example, shipped))))
    live, before = pacemaker.live(), path.read_bytes()
    assert (
        pacemaker.replace(live, etree.tostring(merge(parse(live, "live"), render(example, shipped)))) is False
    )
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new", "moved"),
    [
        (b'epoch="5"', b'epoch="6"', True),
        (b'admin_epoch="0"', b'admin_epoch="1"', True),
        (b'num_updates="7"', b'num_updates="900"', False),
        (b"<status/>", b'<status><node_state id="1" uname="n1"/></status>', False),
    ],
    ids=["configuration", "admin_epoch", "num_updates", "status"],
)
def test_a_configuration_that_moved_is_refused_and_a_status_that_moved_is_not(
    cluster, example, shipped, old, new, moved
):
    pacemaker, path = cluster
    wanted = etree.tostring(merge(parse(EMPTY, "live"), render(example, shipped)))
    path.write_bytes(EMPTY.replace(old, new, 1))
    before = path.read_bytes()
    if moved:
        with pytest.raises(Refused, match="has moved, nothing was loaded") as caught:
            pacemaker.replace(EMPTY, wanted)
        assert caught.value.exit_code == 4
        assert path.read_bytes() == before
    else:
        assert pacemaker.replace(EMPTY, wanted) is True
        assert (b"node_state" in path.read_bytes()) == (b"node_state" in new)


def test_a_cluster_that_does_not_answer_is_said(need, tmp_path):
    need("cibadmin")
    with pytest.raises(CannotAsk, match="the cluster on this host does not answer") as caught:
        Pacemaker({"CIB_file": str(tmp_path / "nothing.xml")}).live()
    assert "a CIB in a file" in caught.value.hint


def test_a_missing_tool_names_its_package():
    def absent(argv, **_):
        raise ToolMissing(argv, "No such file or directory")

    with pytest.raises(CannotAsk, match="crm_verify cannot be run") as caught:
        Pacemaker(runner=absent).verify(b"<cib/>")
    assert caught.value.hint == "install the package pacemaker-cli-utils"


def test_missing_schemas_name_their_package(tmp_path):
    with pytest.raises(CannotAsk) as caught:
        schema.installed(tmp_path)
    assert "pacemaker-common" in caught.value.hint
