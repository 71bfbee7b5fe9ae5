# SPDX-License-Identifier: GPL-2.0-or-later
"""The example as Pacemaker's real tools see it: rendered, loaded into a CIB file, settled by the real scheduler."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from lxml import etree

from backstay.cib.document import write
from backstay.cib.render import render
from backstay.cib.templates import Templates
from backstay.cloud.parse import read
from backstay.host import process

SUMMARY = re.compile(r"^  \* (Fence|Start|Stop|Restart|Recover|Move|Migrate|Promote|Demote)\s+(.*)$")
EXECUTED = re.compile(r"^  \* Resource action: (\S+)\s+(\S+) on (\S+)$")


@pytest.fixture(scope="session")
def example(repository):
    """The example as a description."""
    return read(repository / "examples" / "three-hosts.yaml")


@pytest.fixture(scope="session")
def shipped(repository):
    """The templates of the source tree."""
    return Templates([repository / "crm-templates"])


@dataclass(frozen=True)
class Transition:
    """What the scheduler wants (`summary`: verb and resource or host) and what was executed, in order."""

    summary: set[tuple[str, str]]
    executed: list[tuple[str, str, str]]
    cib: Path

    def about(self, *names):
        """The part of the summary that is about certain resources."""
        return {(verb, name) for verb, name in self.summary if name in names}


@dataclass(frozen=True)
class Simulator:
    """crm_simulate on CIB files."""

    tool: str
    directory: Path

    def run(self, cib, *options, name="next.xml"):
        """Execute the transition that follows from `cib` and the options (`-i` injects, `-F` fails an operation)."""
        out = self.directory / name
        argv = [self.tool, "--simulate", "--xml-file", str(cib), "--save-output", str(out), *options]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
        # Not the exit code: it is 1 when something waits for an action that is impossible, which is an answer too.
        assert "Revised Cluster Status" in done.stdout, done.stderr
        said = done.stdout.partition("Transition Summary:")[2]
        matches = filter(None, map(SUMMARY.match, said.splitlines()))
        summary = {(match[1], _subject(match[2])) for match in matches}
        executed = [match.groups() for match in filter(None, map(EXECUTED.match, said.splitlines()))]
        return Transition(summary, executed, out)


def _subject(rest):
    """The resource or host in the rest of a summary line; a clone's instance number says nothing."""
    words = [word for word in rest.split() if word not in ("(reboot)", "(off)")]
    return words[0].partition(":")[0]


def with_hosts(cib, hosts=("n1", "n2", "n3")):
    """`cib` as that of a cluster whose hosts are online and run nothing yet."""
    cib.set("crm_feature_set", "3.16.1")
    cib.set("have-quorum", "1")
    cib.set("dc-uuid", "1")
    nodes, status = cib.find("configuration/nodes"), cib.find("status")
    for number, host in enumerate(hosts, 1):
        etree.SubElement(nodes, "node", id=str(number), uname=host)
        online = {"in_ccm": "true", "crmd": "online", "join": "member", "expected": "member"}
        etree.SubElement(status, "node_state", id=str(number), uname=host, **online)
    return cib


@pytest.fixture
def simulator(need, tmp_path):
    """The real scheduler."""
    return Simulator(need("crm_simulate"), tmp_path)


@pytest.fixture
def empty(example, shipped, tmp_path):
    """A CIB file with the example loaded, on hosts that run nothing yet."""
    path = tmp_path / "empty.xml"
    path.write_bytes(write(with_hosts(render(example, shipped))))
    return path


@pytest.fixture
def steady(simulator, empty):
    """A CIB file in which everything of the example runs, and nothing is left to do."""
    settled = simulator.run(empty, name="steady.xml").cib
    assert simulator.run(settled, name="quiet.xml").summary == set()
    return settled


def running(cib):
    """Where each domain runs, according to the last operations in a CIB file."""
    found = {}
    for operation in etree.parse(str(cib)).iterfind(".//lrm_rsc_op"):
        if operation.get("operation") == "monitor" and operation.get("interval") != "0":
            host = next(operation.iterancestors("node_state")).get("uname")
            found.setdefault(operation.getparent().get("id"), set()).add(host)
    return found


@pytest.fixture(name="running")
def running_fixture():
    """The function `running`."""
    return running


LIVE = """<cib admin_epoch="0" epoch="5" num_updates="7" validate-with="pacemaker-3.9" crm_feature_set="3.16.1">
<configuration><crm_config><cluster_property_set id="cib-bootstrap-options">
<nvpair id="cib-bootstrap-options-cluster-name" name="cluster-name" value="backstay-lab"/></cluster_property_set>
</crm_config><nodes/><resources/><constraints/></configuration><status/></cib>"""


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
