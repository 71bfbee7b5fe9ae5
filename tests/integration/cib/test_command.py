# SPDX-License-Identifier: GPL-2.0-or-later
"""The command as an admin runs it: a process of its own, Pacemaker's real tools, a CIB file as the cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from lxml import etree

from backstay.cib.document import write
from backstay.cib.render import render
from backstay.host import process

LIVE = """<cib admin_epoch="0" epoch="5" num_updates="7" validate-with="pacemaker-3.9" crm_feature_set="3.16.1">
<configuration><crm_config><cluster_property_set id="cib-bootstrap-options">
<nvpair id="cib-bootstrap-options-cluster-name" name="cluster-name" value="backstay-lab"/></cluster_property_set>
</crm_config><nodes><node id="1" uname="n1"/></nodes><resources/><constraints/></configuration><status/></cib>"""
ADMIN_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.fixture
def backstay(need, repository):
    """`backstay(words)` runs the command in a process of its own."""
    need("crm_verify", "cibadmin")

    def call(*words, stdin="", **environment):
        argv = [sys.executable, "-m", "backstay", *map(str, words)]
        # PYTHONPATH: from the source tree, whatever is installed.
        variables = {
            "PATH": ADMIN_PATH,
            "PYTHONPATH": str(repository / "lib"),
            "LC_ALL": "C.UTF-8",
            **environment,
        }
        return subprocess.run(
            argv, input=stdin, env=variables, capture_output=True, text=True, timeout=120, check=False
        )

    return call


@pytest.fixture
def file(repository):
    """The example's file."""
    return repository / "examples" / "three-hosts.yaml"


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A CIB file; Backstay's own runner passes no environment on, so it is named there."""
    path = tmp_path / "cib.xml"
    path.write_text(LIVE)
    monkeypatch.setitem(process.ENVIRONMENT, "CIB_file", str(path))
    return path


@pytest.fixture
def here(capsys):
    """`here(words)` runs the command in this process (for what needs `cluster`)."""
    from backstay import cli

    def call(*words):
        with pytest.raises(SystemExit) as ended:
            cli.main([str(word) for word in words])
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return call


def test_the_example_is_good(backstay, file):
    done = backstay("validate", file)
    assert (done.returncode, done.stderr) == (0, "")
    assert "is a good description of 3 hosts and 6 domains" in done.stdout


def test_a_rendered_cib_is_good(backstay, file, tmp_path):
    backstay("render", file, "-o", tmp_path / "cib.xml")
    done = backstay("validate", "--output", "json", tmp_path / "cib.xml")
    assert done.returncode == 0
    assert json.loads(done.stdout) == {
        "file": str(tmp_path / "cib.xml"),
        "kind": "CIB",
        "good": True,
        "schema": "pacemaker-3.7",
        "findings": [],
    }


def test_an_explained_cib_is_good_too_from_stdin(backstay, file):
    explained = backstay("render", "--explain", file).stdout
    done = backstay("validate", "-", stdin=explained)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_cib_with_findings_ends_with_1_and_names_the_line(backstay, example, shipped, tmp_path):
    cib = render(example, shipped)
    cib.find(".//rsc_order").set("kind", "Manadtory")
    path = tmp_path / "cib.xml"
    path.write_bytes(write(cib))
    done = backstay("validate", path)
    line = next(number for number, text in enumerate(path.read_text().splitlines(), 1) if "Manadtory" in text)
    assert done.returncode == 1
    assert f"{path}:{line}: error: Invalid attribute kind for element rsc_order" in done.stdout


def test_findings_of_crm_verify_end_with_1(backstay):
    done = backstay("validate", "-", stdin=LIVE)
    assert done.returncode == 1
    assert "no STONITH resources have been defined [crm_verify]" in done.stdout


def test_what_is_no_xml_ends_with_2(backstay):
    done = backstay("validate", "-", stdin="<cib><oops></cib>")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("backstay: <stdin>:1:")


def test_entities_are_never_expanded(backstay, tmp_path):
    (tmp_path / "secret").write_text("hunter2")
    stdin = f'<!DOCTYPE cib [<!ENTITY x SYSTEM "file://{tmp_path}/secret">]><cib>&x;</cib>'
    done = backstay("validate", "-", stdin=stdin)
    assert done.returncode == 2
    assert "document type" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_without_a_cluster_the_live_configuration_cannot_be_asked(backstay):
    done = backstay("validate")
    assert (done.returncode, done.stdout) == (3, "")
    assert "the cluster on this host does not answer" in done.stderr


def test_without_pacemakers_tools_the_package_is_named(here, file, monkeypatch):
    monkeypatch.setitem(process.ENVIRONMENT, "PATH", "/nonexistent")
    code, out, err = here("validate", file)
    assert (code, out) == (3, "")
    assert "crm_verify cannot be run" in err
    assert "install the package pacemaker-cli-utils" in err


def test_a_reader_that_goes_away_is_no_failure(repository, file):
    argv = [sys.executable, "-m", "backstay", "render", str(file)]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        argv,
        stdout=writer,
        stderr=subprocess.PIPE,
        env={"PATH": ADMIN_PATH, "PYTHONPATH": str(repository / "lib")},
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("words", "streams", "code"),
    [
        ("validate", ">&-", 0),
        ("render", ">&-", 0),
        ("render", "2>&-", 0),
        ("validate -", "<&-", 2),
        ("validate nowhere.yaml", "2>&-", 2),
        ("lod", ">&- 2>&-", 2),
        ("validate", ">/dev/full", 3),
        ("render", ">/dev/full", 3),
    ],
)
def test_streams_that_are_closed_or_full(repository, file, words, streams, code):
    argv = words if " " in words or words == "lod" else f"{words} {file}"
    script = f'exec "$0" -m backstay {argv} {streams}'
    done = subprocess.run(
        ["/bin/sh", "-c", script, sys.executable],
        env={"PYTHONPATH": str(repository / "lib"), "PATH": "/usr/sbin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert "failure of Backstay itself" not in done.stderr
    assert ("not everything could be written: No space left" in done.stderr) == (code == 3)


def test_load_says_what_it_touches_and_loads(here, file, cluster):
    code, out, err = here("load", file)
    assert (code, out) == (0, "Loaded.\n")
    assert err.startswith("cluster backstay-lab: adds fence-n1, fence-n2, fence-n3, libvirtd-clone, db1, ")
    assert len(etree.parse(str(cluster)).findall(".//resources/*")) == 10
    assert here("load", file) == (0, "Nothing was loaded.\n", "cluster backstay-lab: changes nothing\n")
    code, out, _ = here("validate")
    assert (code, out.partition(":")[0]) == (0, "the live configuration is a good CIB")


def test_a_dry_run_loads_nothing(here, file, cluster):
    before = cluster.read_bytes()
    code, out, _ = here("load", "--dry-run", "--output", "json", file)
    said = json.loads(out)
    assert (code, said["loaded"], len(said["added"])) == (0, False, 10)
    assert cluster.read_bytes() == before


def test_what_is_no_longer_described_is_removed_only_on_request(here, file, cluster, tmp_path):
    here("load", file)
    before = cluster.read_bytes()
    fewer = tmp_path / "fewer.yaml"
    fewer.write_text(file.read_text().partition("  mail2:")[0])
    code, out, err = here("load", fewer)
    assert (code, out) == (4, "")
    assert "no longer has mail2" in err
    assert cluster.read_bytes() == before
    assert here("load", "--remove", fewer)[0] == 0
    assert etree.parse(str(cluster)).find(".//primitive[@id='mail2']") is None


def test_another_cluster_is_refused(here, file, cluster, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(file.read_text().replace("name: backstay-lab", "name: elsewhere"))
    code, _, err = here("load", other)
    assert code == 4
    assert "for the cluster elsewhere, this one is backstay-lab" in err
    assert cluster.read_text() == LIVE


def test_a_configuration_that_would_be_invalid_is_not_loaded(here, file, cluster, tmp_path):
    place = tmp_path / "mine"
    place.mkdir()
    (place / "fencing.xml").write_text("<configuration/>")
    code, _, err = here("load", "--templates", place, file)
    assert code == 1
    assert "the configuration would not be valid" in err
    assert Path(cluster).read_text() == LIVE
