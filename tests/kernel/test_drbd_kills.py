# SPDX-License-Identifier: GPL-2.0-or-later
"""Every action of ocf:backstay:drbd is killed at random moments and repeated, on a real DRBD 8.4 with a peer; ocf-tester.

No cluster manages the resource: only these calls act. The peer is up all the time, so nobody is fenced.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from backstay.agents.drbd import AGENT
from backstay.lab.node import Node
from backstay.ocf import codes
from tests.integration.agents.kills import EARLIEST, KILLS, SEED, moments
from tests.integration.agents.whole_host import Step, course
from tests.kernel.mirror import TOOL, Mirror
from tests.kernel.test_drbd import AGENT as DOOR

PATIENCE = 300.0  # seconds for one action on an emulated machine
TESTER = "/root/ocf-tester"
GIVEN = {"drbd_resource": "web1", "wfc_timeout": "120"}
TOLD = {
    "OCF_ROOT": "/usr/lib/ocf",
    "OCF_RESOURCE_INSTANCE": "by-hand",
    "OCF_RESKEY_CRM_meta_timeout": f"{PATIENCE * 1000:.0f}",
    **{f"OCF_RESKEY_{name}": value for name, value in GIVEN.items()},
}


def test_no_action_is_left_out() -> None:
    assert {action.name for action in AGENT.actions} <= {step.name for step in course(AGENT)}


@pytest.fixture
def mirror(machines) -> Iterator[Mirror]:
    """The resource is down on n1, and up on n2, which has the same."""
    made = Mirror(machines)
    try:
        made.create("/bin/false")
        made.node("n2").check("drbdadm up web1", timeout=TOOL)
        yield made
    finally:
        made.remove()


def act(node: Node, step: Step, before: str = "") -> int:
    told = TOLD | {
        "OCF_CHECK_LEVEL": str(step.level),
        "OCF_RESKEY_CRM_meta_interval": f"{step.interval * 1000:.0f}",
    }
    environment = " ".join(f"{name}={value}" for name, value in told.items())
    done = node.run(f"env {environment} {before}{DOOR} {step.name}", timeout=PATIENCE * 2)
    print(step.title, before, done.returncode, done.stderr)
    return done.returncode


def take(mirror: Mirror, kills: int, took: dict[str, float]) -> None:
    """Go the whole course on n1; before each step, the same one is killed so many times."""
    node = mirror.node("n1")
    for step in course(AGENT):
        for part in moments(f"drbd {step.title}", 1.1, kills):
            after = max(EARLIEST, part * took[step.title])
            print(f"seed {SEED}: {step.title} killed after {after:.2f} s")
            act(node, step, f"timeout --signal=KILL {after:.2f} ")
        began = time.monotonic()
        code = act(node, step)
        took.setdefault(step.title, time.monotonic() - began)
        if step.expected is not None:
            assert code == step.expected, step.title
        if step.name in ("start", "promote", "demote"):
            role = "Primary" if step.name == "promote" else "Secondary"
            assert f"resource name:web1 role:{role}" in mirror.said("n1"), step.title
        if step.name == "stop":
            assert "web1" not in node.check("drbdsetup events2 --now"), step.title


@pytest.mark.long
@pytest.mark.parametrize("kills", [1, 2 * KILLS])
def test_each_action_killed_and_repeated(mirror: Mirror, kills: int) -> None:
    took: dict[str, float] = {}
    take(mirror, 0, took)
    take(mirror, kills, took)
    for name in ("start", "promote"):
        assert act(mirror.node("n1"), Step(name, codes.SUCCESS)) == codes.SUCCESS
    mirror.see("n1", lambda said: "peer-disk:UpToDate" in said, "both to be up to date")
    mirror.write("n1", "one")
    assert mirror.read("n1") == "one\n"


@pytest.mark.long
def test_ocf_tester_objects_to_the_schema_alone(mirror: Mirror, schemas) -> None:
    """Its schema is that of 1.0, and a node has no xmllint to read it with; either is one objection."""
    node = mirror.node("n1")
    node.write(TESTER, (schemas / "ocf-tester").read_text())
    options = " ".join(f"-o {name}={value}" for name, value in GIVEN.items())
    done = node.run(f"OCF_ROOT=/usr/lib/ocf sh {TESTER} -n by-hand {options} {DOOR}", timeout=PATIENCE * 8)
    objections = [line for line in done.stdout.splitlines() if line.startswith("* rc=")]
    assert len(objections) == 1, done.stdout + done.stderr
    assert "meta-data" in objections[0]
