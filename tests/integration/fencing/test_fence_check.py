# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay fence check` as a process: the installed agent rehearsed for real, real simulators as the hosts' BMCs."""

from __future__ import annotations

import contextlib
import signal

import pytest

from tests.integration.fencing.checking import DOOR, agent, reached
from tests.integration.fencing.conftest import Bmc, openipmi, pyghmi_server, simulator


def test_each_bmc_has_its_own_cell(check, fence, tmp_path):
    with contextlib.ExitStack() as running:
        ours, dead, full = (
            running.enter_context(simulator(tmp_path / name)) for name in ("ours", "dead", "full")
        )
        sim = running.enter_context(openipmi(tmp_path / "sim"))
        ghmi = running.enter_context(pyghmi_server(tmp_path / "ghmi"))
        fence(sim, "monitor")  # it listens
        dead.process.send_signal(signal.SIGSTOP)
        full.faults.set("maxsess")
        for each in (sim, ghmi):  # so that all share one rehearsal
            each.login.pop("cipher")
        answer = check(
            {
                "good": reached(ours),
                "openipmi": reached(sim),
                "pyghmi": reached(ghmi),
                "dead": reached(dead),
                "full": reached(full),
                "password": reached(ours, password="wrong"),
                "user": reached(ours, username="nobody"),
                "role": reached(ours, username="viewer", password="viewpass"),
                "suite": reached(sim, cipher="17", cipher_fallback="none"),
                "settings": reached(ours, username="x" * 17),
                "dummy": {"agent": "fence_dummy"},
            }
        )
    states = {cell["target"]: cell["state"] for cell in answer.data["cells"]}
    assert states == {
        "good": "ready", "openipmi": "ready", "pyghmi": "ready", "dead": "no answer", "full": "no slot",
        "password": "password", "user": "no account", "role": "role", "suite": "cipher", "settings": "settings",
        "dummy": "untested",
    }  # fmt: skip
    assert (answer.code, answer.data["ready"]) == (1, False)
    assert "backstay fence drill dummy --untested" in answer.reason("dummy")
    rehearsed = states.keys() - {"dummy", "settings"}
    assert answer.data["rehearsals"].keys() == {f"fence-{host}" for host in rehearsed}
    assert "the username has 17 bytes" in answer.reason("settings")
    assert "does not answer on UDP port" in answer.reason("dead")
    notes = {cell["target"]: cell["note"] for cell in answer.data["cells"]}
    assert ["so 3 is used" in notes[host] for host in ("good", "openipmi", "pyghmi")] == [False, True, True]
    assert ours.commands() == sim_commands(sim) == []
    assert [bmc.power for bmc in (ours, sim, ghmi)] == ["on", "on", "on"]


def sim_commands(sim: Bmc) -> list[str]:
    """OpenIPMI's simulator has no journal: its chassis tells whether it was switched."""
    return [] if sim.power == "on" else [sim.power]


@pytest.mark.long
def test_a_good_one_is_ready_and_swapped_bmcs_are_found_next_time(check, tmp_path):
    with simulator(tmp_path / "one") as one, simulator(tmp_path / "two") as two:
        metrics = tmp_path / "backstay.prom"
        first = check(
            {"n1": reached(one), "n2": reached(two)}, tmp_path / "agents", "--metrics", str(metrics)
        )
        again = check({"n1": reached(one), "n2": reached(two)})
        swapped = check({"n1": reached(two), "n2": reached(one)})
        accepted = check(
            {"n1": reached(two), "n2": reached(one)}, tmp_path / "agents", "--accept", "n1", "--accept", "n2"
        )
        assert one.commands() == two.commands() == []
    assert (first.code, first.data["ready"], first.state("n1")) == (0, True, "ready")
    assert metrics.read_text().count('state="ready"} 1') == 2
    assert {cell["identity"] for cell in again.data["cells"]} == {"as at the first proof"}
    assert (swapped.code, swapped.state("n1"), swapped.state("n2")) == (1, "wrong host", "wrong host")
    assert "the BMC of n2, not of n1" in swapped.reason("n1")
    assert accepted.code == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def broken(:\n", "metadata ended with exit code 1 instead of 0: SyntaxError"),
        (
            DOOR.format(defect="actions.bring = lambda *_: misspelt"),
            "off ended with exit code 1 instead of 0",
        ),
        (
            DOOR.format(defect="import gone"),
            "metadata ended with exit code 1 instead of 0: ModuleNotFoundError",
        ),
        (DOOR.format(defect="actions.bring = lambda *_: ''"), "off left the power on instead of off"),
    ],
    ids=["syntax", "misspelt-in-off", "missing-import", "believes-itself"],
)
def test_a_broken_agent_is_found_before_it_is_needed(check, bmc, tmp_path, schemas, text, reason):
    answer = check({"n1": reached(bmc)}, agent(tmp_path / "broken", text, schemas))
    assert (answer.code, answer.state("n1")) == (1, "broken agent")
    assert reason in answer.reason("n1")
    assert bmc.commands() == []


def test_a_missing_ipmitool_and_a_missing_agent_are_found(check, bmc, tmp_path):
    answer = check({"n1": reached(bmc, ipmitool_path="/nonexistent/ipmitool")})
    assert (answer.code, answer.state("n1")) == (1, "broken agent")
    assert "/nonexistent/ipmitool cannot be run" in answer.reason("n1")
    (tmp_path / "empty").mkdir()
    assert "No such file" in check({"n1": reached(bmc)}, tmp_path / "empty").reason("n1")


def test_a_cib_without_devices_is_a_no_that_monitoring_sees(check, tmp_path):
    metrics = tmp_path / "backstay.prom"
    answer = check({}, tmp_path / "agents", "--metrics", str(metrics))
    assert (answer.code, answer.data["ready"], answer.data["cells"]) == (1, False, [])
    assert [each["text"] for each in answer.data["findings"]] == ["there is no fence device"]
    assert 'backstay_fence_findings{severity="error"} 1' in metrics.read_text()
