# SPDX-License-Identifier: GPL-2.0-or-later
"""Agents that a cluster uses are not taken away from under it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

CIB = """<cib crm_feature_set="3.16.2" validate-with="pacemaker-3.9" epoch="1" num_updates="0" admin_epoch="0" have-quorum="1">
<configuration><crm_config><cluster_property_set id="options"><nvpair id="maintenance" name="maintenance-mode"
 value="{maintenance}"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1"/><node id="2" uname="n2"/><node id="3" uname="n3"/></nodes><resources>
<primitive id="fence-n2" class="stonith" type="fence_backstay_ipmi"/>
<clone id="others"><primitive id="other" class="ocf" provider="heartbeat" type="Dummy"/></clone>
<primitive id="web1" class="ocf" provider="backstay" type="domain"/>
<primitive id="web2" class="ocf" provider="backstay" type="domain"/>
</resources><constraints/></configuration><status>{status}</status></cib>"""
STATE = """<node_state id="{0}" uname="n{0}" in_ccm="true" crmd="online" join="member" expected="member"><lrm id="{0}">
<lrm_resources><lrm_resource id="{1}" {2}><lrm_rsc_op id="{1}_last_0" operation_key="{1}_start_0" operation="start"
 transition-key="{0}:1:0:aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa" call-id="{0}" rc-code="0" op-status="0" interval="0"
 transition-magic="0:0;{0}:1:0:aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"/></lrm_resource></lrm_resources></lrm></node_state>"""
RUNS = (
    (1, "web1", 'class="ocf" provider="backstay" type="domain"'),
    (2, "other", 'class="ocf" provider="heartbeat" type="Dummy"'),
    (3, "fence-n2", 'class="stonith" type="fence_backstay_ipmi"'),
)
"""What each host runs. The real crm_mon says so of this CIB."""


def cib(*, maintenance: bool) -> str:
    return CIB.format(
        maintenance=str(maintenance).lower(), status="".join(STATE.format(*each) for each in RUNS)
    )


@pytest.fixture
def ask(repository: Path, tmp_path: Path, need):
    """`ask(host, agent)` with tools that are of a cluster; `crm_mon` is the real one and shows the CIB in `seen`."""
    tools, seen = tmp_path / "tools", tmp_path / "seen"
    tools.mkdir()
    seen.write_text(cib(maintenance=False))
    scripts = {
        "crm_node": 'echo "$HOST"',
        "systemctl": 'exit "${INACTIVE:-0}"',
        "crm_mon": f'CIB_file={seen} exec {need("crm_mon")} "$@"',
    }
    for name, script in scripts.items():
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)

    def run(host: str, agent: str, **more: str) -> tuple[int, str]:
        environment = {"PATH": f"{tools}:/usr/bin:/bin", "HOST": host, "BACKSTAY_RUN": str(tmp_path)}
        environment |= {"BACKSTAY_SYSTEM": str(tmp_path), **more}
        argv = [repository / "libexec/let-go", agent]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stderr

    run.place, run.seen = tmp_path, seen
    return run


@pytest.mark.parametrize(
    ("host", "agent", "named"),
    [
        ("n1", "ocf:backstay:", "web1"),
        ("n2", "ocf:backstay:", ""),
        ("n3", "ocf:backstay:", ""),
        ("n3", "stonith:fence_backstay_", "fence-n2"),
        ("n1", "stonith:fence_backstay_", ""),
    ],
)
def test_what_a_host_runs_keeps_its_agents(ask, host, agent, named):
    code, said = ask(host, agent)
    assert code == (1 if named else 0)
    assert not named or f"the cluster runs {named} here by these agents, so they stay" in said
    assert "web2" not in said


def test_without_pacemaker_and_in_maintenance_they_may_go(ask):
    assert ask("n1", "ocf:backstay:", INACTIVE="3") == (0, "")
    assert ask("n1", "ocf:backstay:", BACKSTAY_SYSTEM=str(ask.place / "none")) == (0, "")
    ask.seen.write_text(cib(maintenance=True))
    assert ask("n1", "ocf:backstay:") == (0, "")


def test_a_cluster_that_says_nothing_keeps_them_and_an_admin_may_insist(ask):
    (ask.place / "tools/crm_mon").write_text("#!/bin/sh\nexit 102\n")
    code, said = ask("n1", "ocf:backstay:")
    assert code == 1
    assert "does not say what it runs" in said
    assert f"touch {ask.place}/let-go" in said
    (ask.place / "let-go").touch()
    assert ask("n1", "ocf:backstay:") == (0, "")
