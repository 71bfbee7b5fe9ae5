# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay fence check` with agents of somebody else: rehearsed as ours are, or proven by a drill alone."""

from __future__ import annotations

import time

import pytest

from tests.integration.fencing.checking import DOOR, agent, cib, reached


@pytest.mark.parametrize(
    ("defect", "options", "reason"),
    [
        ("", {}, ""),
        (("set_power_status(_, options):", "set_power_status(_, options):\n\tmisspelt"), {}, "off ended with exit code 1"),
        (("import atexit", "import atexit, gone"), {}, "metadata ended with exit code 1 instead of 0: ModuleNotFoundError"),
        ("", {"method": "cycle"}, "reboot says that it is done while the BMC accepts and does nothing"),
        ("", {"ipmitool_path": "/nonexistent"}, "fence_ipmilan"),
    ],
    ids=["as-it-is", "misspelt-in-off", "missing-import", "cycle", "no-ipmitool"],
)  # fmt: skip
def test_an_agent_of_somebody_else_is_rehearsed_as_well(
    check, bmc, tmp_path, schemas, defect, options, reason
):
    there = tmp_path / "theirs"
    there.mkdir()
    for name in ("fence_ipmilan", "fencing.py"):
        text = (schemas / name).read_text()
        (there / name).write_text(text.replace(*defect) if defect and name == "fence_ipmilan" else text)
    agents = agent(tmp_path / "broken", DOOR.format(defect=""), there)
    device = {"agent": "fence_ipmilan", **reached(bmc, lanplus="1", privlvl="operator", **options)}
    answer = check({"n1": device}, agents)
    assert answer.state("n1") == ("broken agent" if reason else "ready")
    assert [cell["good"] for cell in answer.data["cells"]] == [not reason]
    assert reason in answer.reason("n1")
    assert bmc.commands() == []


@pytest.mark.parametrize(("drilled", "state"), [(60, "ready"), (-86400, "untested")], ids=["after", "before"])
def test_a_drill_proves_an_agent_that_cannot_be_rehearsed_until_it_changes(check, tmp_path, drilled, state):
    path = cib(tmp_path / "drilled.xml", {"n1": {"agent": "fence_dummy"}})
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + drilled))
    record = (
        f'<nvpair id="r" name="backstay-drilled" value="{at} from n2 by fence-n1: off 2.0 s, back 60.0 s"/>'
    )
    attributes = f'<instance_attributes id="a">{record}</instance_attributes>'
    path.write_text(path.read_text().replace('uname="n1"/>', f'uname="n1">{attributes}</node>'))
    answer = check(path)
    assert answer.state("n1") == state
    assert [cell["good"] for cell in answer.data["cells"]] == [state == "ready"]
