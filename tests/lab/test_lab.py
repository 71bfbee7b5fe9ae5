# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab itself: its nodes are a cluster, power is power, and what the nodes are given is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backstay.errors import CannotAsk
from backstay.host.clock import Deadline, until
from backstay.lab import cluster, logs, network, power, report

NODES = ("n1", "n2", "n3")


def test_three_nodes_are_one_cluster(lab) -> None:
    state = lab.ask()
    assert state.online() == set(NODES)
    assert state.quorate
    assert [m.is_dc for m in state.members].count(True) == 1


@pytest.mark.parametrize("name", NODES)
def test_services_are_those_of_a_real_host(lab, name: str) -> None:
    host = lab.host(name)
    for unit in ("corosync", "pacemaker"):
        assert host.service(unit).is_running
        assert host.service(unit).is_enabled
    assert host.check_output("hostname") == name
    for socket in ("libvirtd.socket", "libvirtd-tcp.socket"):
        assert host.check_output("systemctl is-active %s", socket) == "active"
    assert host.run("virsh --connect qemu:///system list").rc == 0
    assert host.file("/etc/backstay/bmc.password").mode == 0o600
    failed = host.check_output("systemctl list-units --state=failed --plain --no-legend")
    assert failed == ""


def test_every_node_has_an_identity_of_its_own(lab) -> None:
    for command in ("cat /etc/machine-id", "virsh capabilities | grep -m1 uuid", "uname -n"):
        assert len({node.check(command) for node in lab.nodes}) == len(NODES)


def test_nodes_reach_each_other_and_every_bmc(lab) -> None:
    for node in lab.nodes:
        for name in (*NODES, *(f"bmc-{name}" for name in NODES)):
            assert node.run(["ping", "-c1", "-W5", name]).ok, f"{node.name} does not reach {name}"


def test_the_shared_directory_is_one_and_the_witness_place_is_not(lab) -> None:
    lab.node("n1").check("echo here >/srv/vm/seen; echo n1 >/srv/witness/seen")
    try:
        assert lab.node("n2").read("/srv/vm/seen") == "here\n"
        assert not lab.node("n2").run("test -e /srv/witness/seen").ok
        assert (lab.layout.node("n1").witness / "seen").read_text() == "n1\n"
    finally:
        lab.node("n1").check("rm /srv/vm/seen /srv/witness/seen")


def test_a_node_without_power_is_dead_at_once_and_comes_back(lab) -> None:
    begin = time.monotonic()
    lab.cut("n3")
    assert time.monotonic() - begin < 10
    assert not power.is_on(lab.layout, "n3")
    assert not Path("/run/netns/bk-n3").exists()
    assert not lab.node("n1").run(["ping", "-c1", "-W1", "n3"]).ok
    with pytest.raises(CannotAsk, match="n3 is off"):
        lab.node("n3").run("true")
    lab.wait_for(lambda s: "" if "n3" not in s.online() else "n3 is still a member", 60, "n3 to be missed")
    lab.cut("n3")  # off already is as good
    lab.boot("n3")
    lab.boot("n3")
    lab.wait_for(cluster.all_online(NODES), 150, "n3 to come back")


def test_what_a_node_wrote_survives_a_power_cut(lab) -> None:
    lab.node("n2").write("/var/lib/kept", "kept")
    lab.cut("n2")
    assert lab.node("n2").read("/var/lib/kept") == "kept"
    lab.boot("n2")
    lab.wait_for(cluster.all_online(NODES), 150, "n2 to come back")
    assert lab.node("n2").read("/var/lib/kept") == "kept"


def test_a_detached_node_lives_on_alone(lab) -> None:
    network.detach(lab.layout, "n1")
    try:
        assert not lab.node("n1").run(["ping", "-c1", "-W1", "n2"]).ok
        assert lab.node("n1").check("systemctl is-active corosync") == "active\n"
    finally:
        network.attach(lab.layout, "n1")
    until(
        lambda: lab.node("n1").run(["ping", "-c1", "-W1", "n2"]).ok or None,
        Deadline(30),
        what="n1 to reach n2",
    )


def test_status_tells_power_network_and_membership(lab) -> None:
    shown = report.look(lab.layout)
    assert shown.problem == ""
    assert [(row.name, row.power, row.attached, row.cluster) for row in shown.rows] == [
        (name, True, True, "online") for name in NODES
    ]
    assert all(len(line) <= 80 for line in shown.as_text().splitlines())


@pytest.fixture
def command(repository: Path):
    """Runs `backstay lab ...` as an admin does."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "backstay", "lab", *words]
        environment = {**os.environ, "PYTHONPATH": str(repository / "lib")}
        return subprocess.run(argv, capture_output=True, text=True, timeout=120, env=environment, check=False)

    return run


def test_exec_gives_output_and_exit_code(lab, command) -> None:
    done = command("exec", "n2", "--", "sh", "-c", "hostname; exit 7")
    assert (done.returncode, done.stdout) == (7, "n2\n")


def test_a_fault_is_in_force_until_it_is_healed(lab, command) -> None:
    assert command("fault", "ignore-power-off", "n3").stdout == "ignore-power-off on n3: injected\n"
    assert "in force: ignore-power-off on n3" in command("fault").stdout
    assert command("fault", "--heal").stdout == "ignore-power-off on n3: healed\n"
    assert "in force" not in command("fault").stdout
    assert command("fault", "--heal").stdout == "Nothing was broken.\n"


def test_logs_bring_the_past_of_nodes_on_and_off(lab, tmp_path: Path) -> None:
    lab.cut("n3")
    folder = logs.collect(lab.layout, tmp_path / "logs")
    for name in NODES:
        assert "pacemaker" in (folder / name / "journal.txt").read_text()
        assert (folder / name / "corosync/corosync.log").stat().st_size > 0
        assert (folder / name / "pacemaker/pacemaker.log").stat().st_size > 0
        assert (folder / name / "cib/cib.xml").exists()
    assert "<cib " in (folder / "n1/cib.xml").read_text()
    assert not (folder / "n3/cib.xml").exists()
    assert "n3: cib.xml: n3 is off" in (folder / "missing.txt").read_text()
    assert json.loads((folder / "status.json").read_text())["nodes"][2]["power"] is False
