# SPDX-License-Identifier: GPL-2.0-or-later
"""What `backstay host` writes into Pacemaker's and Corosync's configuration, taken by the real tools on files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from backstay.cib import corosync_text, document
from backstay.cib.merge import merge
from backstay.cib.render import render
from backstay.cib.templates import Templates
from backstay.cloud.parse import parse
from backstay.host import membership
from backstay.host.drills import permanent
from backstay.host.process import Completed, run
from backstay.members.steps import Mark, Phase, mark

CIB = """\
<cib admin_epoch="0" epoch="5" num_updates="0" validate-with="pacemaker-3.7"><configuration>
<crm_config/><nodes><node id="1" uname="n1"/><node id="2" uname="n2"><instance_attributes id="nodes-2">
<nvpair id="nodes-2-other" name="other" value="stays"/></instance_attributes></node></nodes>
<resources/><constraints/></configuration><status/></cib>
"""
HAND_MADE = """\
totem {
    version: 2
    cluster_name: demo
    transport: knet
    token: 5000
    interface {
        linknumber: 0
        knet_transport: udp
    }
}
quorum {
    provider: corosync_votequorum
    two_node: 1
}
nodelist {
    node {
        ring0_addr: 127.0.0.1
        name: n1
        nodeid: 1
    }
    node {
        ring0_addr: 127.0.0.2
        name: n2
        nodeid: 2
    }
}
"""
THREE = (
    "quorum {\n  provider: corosync_votequorum\n}\nnodelist {\n"
    + "".join(
        f"  node {{\n    ring0_addr: 127.0.0.{number}\n    name: n{number}\n    nodeid: {number}\n  }}\n"
        for number in (1, 2, 3)
    )
    + "}\n"
)


@pytest.fixture
def cib(need: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CIB in a file, on which Pacemaker's tools work."""
    need("cibadmin")
    path = tmp_path / "cib.xml"
    path.write_text(CIB)

    def on_the_file(argv: Sequence[str], **words: Any) -> Completed:
        return run(argv, environment={"CIB_file": str(path)}, **words)

    monkeypatch.setattr(membership, "run", on_the_file)
    return path


def attributes(path: Path, name: str) -> dict[str, str]:
    node = etree.parse(path).find(f".//nodes/node[@uname='{name}']")
    assert node is not None
    return {
        str(pair.get("name")): str(pair.get("value")) for pair in node.iterfind("instance_attributes/nvpair")
    }


def test_a_host_is_set_aside_with_its_reason_and_brought_back(cib: Path) -> None:
    text = Mark(Phase.LEAVING, 1700000000).text()
    for _ in range(2):
        membership.set_aside("n2", "2", text)
    assert attributes(cib, "n2") == {"other": "stays", "standby": "on", "backstay-host": text}
    assert mark(permanent(etree.parse(cib).getroot(), membership.ATTRIBUTE)["n2"]) == Mark(
        Phase.LEAVING, 1700000000
    )
    membership.set_aside("n2", "2", Mark(Phase.REPLACED, 5).text())
    assert attributes(cib, "n2")["backstay-host"] == "replaced 5"
    for _ in range(2):
        membership.bring_back("n2")
    assert attributes(cib, "n2") == {"other": "stays"}
    assert attributes(cib, "n1") == {}


def test_a_remote_host_that_nobody_knows_yet_is_set_aside(cib: Path) -> None:
    for _ in range(2):
        membership.keep_off("n9")
        membership.set_aside("n9", "n9", Mark(Phase.JOINING, 5).text())
    assert attributes(cib, "n9") == {"standby": "on", "backstay-host": "joining 5"}
    node = etree.parse(cib).find(".//nodes/node[@uname='n9']")
    assert node is not None
    assert (node.get("id"), node.get("type")) == ("n9", "remote")
    assert 'node="n9"' in cib.read_text()
    membership.bring_back("n9")
    assert attributes(cib, "n9") == {}
    assert 'node="n9"' not in cib.read_text()
    verify = partial(run, ["crm_verify", "--xml-file", str(cib), "-V"], timeout=60)
    assert "n9" not in verify().stderr


def test_a_hand_made_file_with_one_member_more_is_one_that_corosync_reads(
    need: Callable[[str], str], tmp_path: Path
) -> None:
    tool = need("corosync")
    path = tmp_path / "corosync.conf"
    path.write_text(corosync_text.renewed(HAND_MADE, THREE, 2))
    done = run([tool, "-t", "-c", str(path)], timeout=60)
    assert done.ok, done.stderr + done.stdout
    path.write_text(
        corosync_text.renewed(HAND_MADE, THREE, 2).replace("ring0_addr: 127.0.0.3", "ring0_addr:")
    )
    assert not run([tool, "-t", "-c", str(path)], timeout=60).ok, "corosync would take anything"


FAR = """  n4:
    member: remote
    address: 10.77.0.14
    bmc: {address: 10.77.0.204, username: fencer, password_file: /etc/backstay/bmc.password}

# The key is the domain's name"""


def begun_on(transition: Any, host: str) -> set[str]:
    """What is started on a host, or moved to it."""
    verbs = ("start", "migrate_from", "promote")
    return {name for name, operation, where in transition.executed if where == host and operation in verbs}


@pytest.mark.parametrize("held", [True, False])
def test_nothing_starts_on_a_remote_host_that_is_set_aside_before_its_connection_is_loaded(
    cib: Path, repository: Path, shipped: Templates, steady: Path, simulator: Any, *, held: bool
) -> None:
    cib.write_bytes(steady.read_bytes())
    if held:
        membership.keep_off("n4")
        membership.set_aside("n4", "n4", Mark(Phase.JOINING, 5).text())
    text = (repository / "examples" / "three-hosts.yaml").read_text()
    cloud = parse(text.replace("\n# The key is the domain's name", FAR, 1).encode(), "cloud.yaml")
    live = document.parse(cib.read_bytes(), "live")
    cib.write_bytes(document.write(merge(live, render(cloud, shipped))))
    done = simulator.run(cib)
    assert {("Start", "n4"), ("Start", "fence-n4")} <= done.summary
    assert begun_on(done, "n4") == (set() if held else {"libvirtd"})
    assert not {verb for verb, _ in done.summary} & {"Stop", "Move", "Migrate", "Fence", "Restart"}


def test_a_remote_host_comes_and_goes_and_the_scheduler_moves_nothing_else(
    cib: Path, repository: Path, shipped: Templates, steady: Path, simulator: Any
) -> None:
    text = (repository / "examples" / "three-hosts.yaml").read_text()
    described = {
        there: parse(
            text.replace("\n# The key is the domain's name", FAR if there else "\n#", 1).encode(), "x"
        )
        for there in (True, False)
    }

    def load(*, there: bool) -> None:
        live = document.parse(cib.read_bytes(), "live")
        cib.write_bytes(document.write(merge(live, render(described[there], shipped))))

    def follows(name: str) -> set[tuple[str, str]]:
        done = simulator.run(cib, name=f"{name}.xml")
        cib.write_bytes(done.cib.read_bytes())
        found: set[tuple[str, str]] = done.summary
        return found

    cib.write_bytes(steady.read_bytes())
    membership.keep_off("n4")
    membership.set_aside("n4", "n4", Mark(Phase.JOINING, 5).text())
    load(there=True)
    assert follows("joined") == {("Start", "n4"), ("Start", "fence-n4")}
    membership.bring_back("n4")
    assert follows("released") == {("Start", "libvirtd")}
    membership.set_aside("n4", "n4", Mark(Phase.LEAVING, 5).text())
    assert follows("aside") == {("Stop", "libvirtd")}
    membership.disconnect("n4")
    assert follows("disconnected") == {("Stop", "n4")}
    load(there=False)
    assert follows("forgotten") <= {("Stop", "fence-n4"), ("Stop", "n4")}
    assert follows("calm") == set()
