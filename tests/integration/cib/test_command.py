# SPDX-License-Identifier: GPL-2.0-or-later
"""The command as an admin runs it: a process of its own, Pacemaker's real tools, a CIB file as the cluster."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import pytest
from lxml import etree

from backstay.cib.difference import ADDED
from backstay.cib.document import write
from backstay.cib.render import render
from backstay.host import process
from backstay.host.checkpoints import Checkpoints
from backstay.host.pacemaker import Pacemaker
from backstay.plan import planned
from tests.integration.cib.conftest import with_hosts

LIVE = """<cib admin_epoch="0" epoch="5" num_updates="7" validate-with="pacemaker-3.9" crm_feature_set="3.16.1">
<configuration><crm_config><cluster_property_set id="cib-bootstrap-options">
<nvpair id="cib-bootstrap-options-cluster-name" name="cluster-name" value="backstay-lab"/></cluster_property_set>
</crm_config><nodes/><resources/><constraints/></configuration><status/></cib>"""
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
    """The CIB of three hosts and nothing else; Backstay's own runner passes no environment on, so it is named there."""
    path = tmp_path / "cib.xml"
    path.write_bytes(write(with_hosts(etree.fromstring(LIVE))))
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


@pytest.fixture
def loaded(here, file, cluster, tmp_path):
    """The cluster after the example was loaded into it."""
    assert here("plan", file, "--out", tmp_path / "plan")[0] == 0
    cluster.write_text(planned.read((tmp_path / "plan").read_bytes(), "plan").after)
    return cluster


def test_a_plan_says_what_it_touches_and_changes_nothing(here, file, cluster):
    before = cluster.read_bytes()
    code, out, _ = here("plan", "--output", "json", file)
    added = {one["name"] for one in json.loads(out)["changes"] if one["verb"] == ADDED}
    assert (code, {"fence-n1", "libvirtd-clone", "db1", "mail2"} <= added) == (0, True)
    assert cluster.read_bytes() == before


def test_what_is_loaded_already_is_not_loaded_again(here, file, loaded):
    assert len(etree.parse(str(loaded)).findall(".//resources/*")) == 10
    before = loaded.read_bytes()
    code, out, err = here("apply", file)
    assert (code, out, err) == (0, "Nothing was loaded.\n", "cluster backstay-lab: nothing changes.\n")
    assert loaded.read_bytes() == before
    code, out, _ = here("validate")
    assert (code, out.partition(":")[0]) == (0, "the live configuration is a good CIB")


def test_what_is_no_longer_described_is_removed_only_on_request(here, file, loaded, tmp_path):
    before = loaded.read_bytes()
    fewer = tmp_path / "fewer.yaml"
    fewer.write_text(file.read_text().partition("  mail2:")[0])
    code, out, err = here("apply", "--yes", fewer)
    assert (code, out) == (4, "")
    assert "no longer has mail2" in err
    assert loaded.read_bytes() == before


@pytest.fixture
def acting(cluster, need, monkeypatch, tmp_path):
    """Pacemaker's scheduler acts on the CIB file whenever somebody waits for it; what ran each time is given."""
    simulate, seen = need("crm_simulate"), []

    def settled(_self, _seconds):
        argv = [simulate, "--simulate", "--xml-file", cluster, "--save-output", cluster]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
        seen.append(done.stdout.partition("Executing Cluster Transition:")[2].partition("Revised")[0])
        return True

    monkeypatch.setattr(Pacemaker, "settled", settled)
    monkeypatch.setattr(Pacemaker, "fencings", lambda _self: frozenset())
    monkeypatch.setattr(Checkpoints.__init__, "__defaults__", (tmp_path / "checkpoints",))
    return seen


def test_what_is_removed_is_stopped_before_it_goes(here, file, loaded, acting, tmp_path):
    """Taken out while it runs it would have 20 s to stop, whatever its own timeout is."""
    Pacemaker().settled(1.0)
    fewer = tmp_path / "fewer.yaml"
    fewer.write_text(file.read_text().partition("  mail2:")[0])
    code, out, err = here("apply", "--yes", "--remove", "--output", "json", fewer)
    assert (code, json.loads(out)["left"]) == (0, []), err
    assert [line for line in acting[1].splitlines() if "mail2" in line and "stop" in line]
    assert not [line for line in acting[1].splitlines() if "mail2" in line and "delete" in line]
    assert not etree.parse(str(loaded)).findall(".//configuration/resources/*[@id='mail2']")
    assert b"parting" not in loaded.read_bytes()
    assert here("apply", "--yes", "--remove", fewer)[1] == "Nothing was loaded.\n"


def test_what_does_not_stop_is_not_taken_out(here, file, loaded, acting, monkeypatch, tmp_path):
    Pacemaker().settled(1.0)
    monkeypatch.setattr(Pacemaker, "settled", lambda _self, _seconds: True)
    fewer = tmp_path / "fewer.yaml"
    fewer.write_text(file.read_text().partition("  mail2:")[0])
    code, out, _ = here("apply", "--yes", "--remove", fewer)
    assert code == 1
    assert "not down, and so not taken out yet: mail2" in out
    assert etree.parse(str(loaded)).findall(".//configuration/resources/*[@id='mail2']")


def test_nothing_is_loaded_when_nobody_can_be_asked(here, file, cluster, monkeypatch):
    before = cluster.read_bytes()
    monkeypatch.setattr("sys.stdin", io.StringIO())
    code, _, err = here("apply", file)
    assert code == 4
    assert "add --yes in scripts" in err
    assert cluster.read_bytes() == before


def test_another_cluster_is_refused(here, file, cluster, tmp_path):
    before = cluster.read_bytes()
    other = tmp_path / "other.yaml"
    other.write_text(file.read_text().replace("name: backstay-lab", "name: elsewhere"))
    code, _, err = here("apply", "--yes", other)
    assert code == 4
    assert "for the cluster elsewhere, this one is backstay-lab" in err
    assert cluster.read_bytes() == before


def test_a_configuration_that_would_be_invalid_is_not_loaded(here, file, cluster, tmp_path):
    before = cluster.read_bytes()
    place = tmp_path / "mine"
    place.mkdir()
    (place / "fencing.xml").write_text("<configuration/>")
    code, _, err = here("apply", "--yes", "--templates", place, file)
    assert code == 1
    assert "the configuration that would be loaded is not valid" in err
    assert cluster.read_bytes() == before


def test_a_chosen_schema_stands_in_the_cib_and_is_checked(backstay, file, repository):
    for name in ("pacemaker-3.9", "pacemaker-3.0"):
        done = backstay("render", file, "--validate-with", name)
        assert (done.returncode, done.stderr) == (0, "")
        assert etree.fromstring(done.stdout.encode()).get("validate-with") == name
        assert backstay("validate", file, "--validate-with", name).returncode == 0
    # The role names of OCF 1.1 came with 3.7.
    wide = repository / "examples" / "two-sites.yaml"
    done = backstay("render", wide, "--validate-with", "pacemaker-3.6")
    assert (done.returncode, done.stdout) == (1, "")
    assert "the schema pacemaker-3.6 does not take it: " in done.stderr
    done = backstay("validate", wide, "--validate-with", "pacemaker-3.6")
    assert done.returncode == 1
    assert "[pacemaker-3.6]" in done.stdout


@pytest.mark.parametrize("verb", ["render", "validate"])
def test_a_schema_that_nobody_has_is_no_schema(backstay, file, verb):
    done = backstay(verb, file, "--validate-with", "pacemaker-3.77")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no schema `pacemaker-3.77` (did you mean pacemaker-3.7?)" in done.stderr


def test_a_live_configuration_is_asked_whether_it_fits_a_newer_schema(here, loaded):
    before = loaded.read_bytes()
    code, out, _ = here("validate", "--validate-with", "pacemaker-3.8")
    assert (code, "neither the schema pacemaker-3.8 nor" in out) == (0, True)
    assert loaded.read_bytes() == before


def test_what_holds_a_whole_live_cib_is_readable_by_its_owner_alone(here, file, cluster, tmp_path):
    """Somebody's fence device may have its password in it."""
    assert here("plan", file, "--out", tmp_path / "plan")[0] == 0
    words = ("--template", "libvirtd", "--into", cluster, "-o", tmp_path / "after.xml")
    assert here("render", *words)[0] == 0
    assert here("render", file, "-o", tmp_path / "described.xml")[0] == 0
    modes = {
        name: oct((tmp_path / name).stat().st_mode & 0o777) for name in ("plan", "after.xml", "described.xml")
    }
    assert modes == {"plan": "0o600", "after.xml": "0o600", "described.xml": "0o644"}
