# SPDX-License-Identifier: GPL-2.0-or-later
"""The command as an admin runs it: a process of its own, Pacemaker's real tools, a CIB file as the cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from lxml import etree

from backstay.cib.document import write
from backstay.cib.render import render
from backstay.host import process
from tests.integration.cib.conftest import LIVE

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


INTERRUPTED = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\ndef main(): print('went on')\n"


@pytest.mark.parametrize("door", ["libexec/command", "lib/backstay/__main__.py"])
def test_an_interrupt_while_it_begins_leaves_no_traceback(repository, tmp_path, door):
    """Before Backstay can answer it has modules to load, on a slow disk for seconds."""
    there = tmp_path / "libexec/command"
    library = tmp_path / "lib/backstay"
    for place in (there.parent, library):
        place.mkdir(parents=True)
    there.write_bytes((repository / door).read_bytes())
    (library / "__init__.py").touch()
    (library / "cli.py").write_text(INTERRUPTED)
    # Who runs the tests in the background ignores the signal, and so would all that they start.
    argv = ["/usr/bin/env", "--default-signal=INT", sys.executable, there]
    done = subprocess.run(
        argv,
        env={"PYTHONPATH": str(tmp_path / "lib")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
