# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay fence check` on a cluster: a matrix that is ready, and each trouble in the cell where it belongs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import pytest
from lxml import etree

from backstay.cib.render import render
from backstay.cib.templates import Templates, directories
from backstay.cloud.parse import parse
from backstay.host.clock import Deadline, until
from backstay.lab import cluster, network, order
from backstay.lab.bmc import journal
from backstay.lab.bmc.node import faults

NODES = ("n1", "n2", "n3")
CHECK_TIME = 300.0
LEVELS = 150.0  # seconds for both levels: the first is tried twice
STRIP = 6230  # UDP port
AGENT = "/usr/sbin/fence_backstay_ipmi"


def devices(description: Path) -> dict[str, str]:
    """The fence devices of a description and where they may run, as sections of a CIB."""
    cib = render(parse(description.read_bytes(), description.name), Templates(directories(())))
    found = {}
    for name in ("resources", "constraints"):
        section = cib.find(f"configuration/{name}")
        for element in list(section):
            if element.get("class") != "stonith" and not element.get("rsc", "").startswith("fence-"):
                section.remove(element)
        found[name] = etree.tostring(section, encoding="unicode")
    return found


@pytest.fixture
def fenced(lab, repository: Path) -> Iterator[object]:
    """The lab with the fence devices of the three-hosts example and nothing else."""
    for name, section in devices(repository / "examples" / "three-hosts.yaml").items():
        cluster.replace(lab.node("n1"), section, name)
    lab.wait_for(cluster.running([f"fence-{name}" for name in NODES]), 60, "the fence devices")
    yield lab
    for node in lab.nodes:
        if not node.is_ready():
            continue
        node.run(f"test -e /root/agent && cat /root/agent >{AGENT} && rm /root/agent")
        node.run("ip neigh flush nud permanent; rm -f /var/lib/backstay/fence-identities")
    order.restore(lab.layout, NODES, lab.wanted)


def check(lab, *askers: str) -> dict[str, dict]:
    """What these hosts find at the same time, each published."""

    def ask(name: str) -> dict:
        done = lab.node(name).run("backstay fence check --publish --output json", timeout=CHECK_TIME)
        assert done.stdout, done.stderr
        return {**json.loads(done.stdout), "code": done.returncode}

    with ThreadPoolExecutor(len(askers)) as pool:
        return dict(zip(askers, pool.map(ask, askers), strict=True))


def states(answer: dict) -> dict[str, str]:
    """What a host found itself: the state by the host that would be fenced."""
    return {cell["target"]: cell["state"] for cell in answer["cells"] if cell["from"] == answer["host"]}


def switched(lab) -> list[str]:
    """Every chassis command that a real BMC of the lab was sent."""
    events = [event for name in NODES for event in journal.read(lab.layout.node(name).bmc / "events.jsonl")]
    return [event["command"] for event in events if event["event"] == "chassis-control"]


def alarms(node) -> list[str]:
    """Which cells a host has raised the alarm about, in the order of time."""
    said = node.check("journalctl --boot --priority=alert --output=cat --identifier=backstay-fence || true")
    lines = [line for line in said.splitlines() if "could not fence now: " in line]
    return [line.partition("could not fence now: ")[2].partition(": ")[0] for line in lines]


def test_what_fencing_runs_in_is_read_on_a_real_host(fenced) -> None:
    node = fenced.node("n1")
    asked = (
        "from backstay.cli.fence_announcing import around as a; x = a('n1'); print(x.corosync, x.sbd.runs)"
    )
    said = node.check(["/usr/bin/python3", "-I", "-c", asked])
    cmap = node.check("corosync-cmapctl -g runtime.config.totem.token").split("= ")[1].strip()
    assert f"token={int(cmap) / 1000}," in said
    assert ("two_node=False" in said, said.endswith("False\n")) == (True, True)
    node.run("backstay fence check --metrics /root/fence.prom", timeout=CHECK_TIME)
    metrics = node.check("cat /root/fence.prom")
    assert metrics.count('state="ready"} 1') == len(NODES)
    assert "backstay_fence_check_timestamp_seconds" in metrics


@pytest.mark.long
def test_each_trouble_is_in_its_own_cell(fenced) -> None:
    lab, before = fenced, switched(fenced)
    found = check(lab, *NODES)
    assert all(states(found[name]) == dict.fromkeys(NODES, "ready") for name in NODES)
    last = json.loads(
        lab.node("n1").check("backstay fence check --output json 2>/dev/null", timeout=CHECK_TIME)
    )
    assert (last["ready"], len(last["cells"]), {cell["good"] for cell in last["cells"]}) == (True, 9, {True})
    assert lab.node("n1").check("crm_mon -1A").count("backstay-fencing                \t: ready") == 3

    # The BMC of n3 has no power; between n1 and the BMC of n2 something swallows packets.
    faults(lab.layout, "n3").set("drop")
    lab.node("n1").check(f"ip neigh replace {lab.layout.node('n2').bmc_address} lladdr 02:00:00:00:00:99 "
                         "dev $(ip -o route get 10.77.0.1 | grep -o 'dev [^ ]*' | cut -c5-) nud permanent")  # fmt: skip
    found = check(lab, "n1", "n2")
    assert states(found["n1"]) == {"n1": "ready", "n2": "no answer", "n3": "no answer"}
    assert states(found["n2"]) == {"n1": "ready", "n2": "ready", "n3": "no answer"}
    assert (found["n1"]["code"], found["n2"]["code"]) == (1, 1)
    assert "not-ready:fence-n2,fence-n3" in lab.node("n3").check("crm_mon -1A")
    assert alarms(lab.node("n1")) == ["fence-n2 for n2", "fence-n3 for n3"]
    check(lab, "n1")
    assert len(alarms(lab.node("n1"))) == 2, "what is as it was is not said again"
    faults(lab.layout, "n3").clear()
    lab.node("n1").check("ip neigh flush nud permanent")

    # Somebody changed a password, and somebody else the addresses of two BMCs.
    faults(lab.layout, "n1").set("password", "another")
    for device, other in (("n2", "n3"), ("n3", "n2")):
        address = lab.layout.node(other).bmc_address
        lab.node("n1").check(
            f"crm_resource --resource fence-{device} --set-parameter ip --parameter-value {address}"
        )
    (found,) = check(lab, "n1").values()
    assert states(found) == {"n1": "password", "n2": "wrong host", "n3": "wrong host"}
    assert switched(lab) == before


@contextmanager
def second_bmc(lab, name: str, directory: Path) -> Iterator[Path]:
    """Another way to a node's power, as a switched power strip is one; gives the file of its journal."""
    node = lab.layout.node(name)
    directory.mkdir()
    (directory / "users").write_text((node.bmc / "users").read_text())
    argv = [sys.executable, "-m", "backstay.lab.bmc", "--node", name, "--directory", str(directory)]
    argv += ["--address", node.bmc_address, "--port", str(STRIP)]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "BACKSTAY_LAB": str(lab.layout.directory),
    }
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout
            assert process.stdout.readline().startswith("listening")
            yield directory / "events.jsonl"
        finally:
            process.terminate()


def topology(device: str) -> str:
    """Two levels for n3, the second with a device on another port of its BMC's address."""
    return (
        '<fencing-topology><fencing-level id="n3-1" target="n3" index="1" devices="fence-n3"/>'
        f'<fencing-level id="n3-2" target="n3" index="2" devices="{device}"/></fencing-topology>'
    )


def test_a_dead_bmc_is_told_and_real_fencing_succeeds_through_the_second_level(
    fenced, tmp_path: Path
) -> None:
    lab, before = fenced, switched(fenced)
    resources = etree.fromstring(lab.node("n1").check("cibadmin --query --scope resources"))
    strip = deepcopy(resources.find("primitive[@id='fence-n3']"))
    for element in strip.iter():
        if element.get("id"):
            element.set("id", element.get("id").replace("fence-n3", "strip-n3"))
    strip.find("instance_attributes/nvpair[@name='ipport']").set("value", str(STRIP))
    resources.append(strip)
    with second_bmc(lab, "n3", tmp_path / "strip") as events:
        cluster.replace(lab.node("n1"), etree.tostring(resources, encoding="unicode"), "resources")
        lab.node("n1").check("cibadmin --create --scope configuration --xml-pipe", stdin=topology("strip-n3"))
        lab.wait_for(cluster.running(["strip-n3"]), 60, "the second level's device")
        faults(lab.layout, "n3").set("drop")
        (found,) = check(lab, "n1").values()
        by_device = {cell["device"]: cell["state"] for cell in found["cells"] if cell["from"] == "n1"}
        assert by_device == {
            "fence-n1": "ready",
            "fence-n2": "ready",
            "fence-n3": "no answer",
            "strip-n3": "ready",
        }
        begin = time.monotonic()
        network.detach(lab.layout, "n3")
        until(lambda: _off(events), Deadline(LEVELS), 0.5, "n3 to be switched off by the second level")
        print(f"n3 was off {time.monotonic() - begin:.1f} s after its cable was cut")
        lab.wait_for(_fenced("n3"), 60, "the cluster to know that n3 is fenced")
        assert switched(lab) == before, "the first level's BMC was dead"


def _off(events: Path) -> bool | None:
    """Whether that BMC was told to switch off, None while it was not."""
    told = [event["command"] for event in journal.read(events) if event["event"] == "chassis-control"]
    return True if "off" in told else None


def _fenced(name: str) -> cluster.Predicate:
    """Want a fencing of that node that has succeeded."""

    def look(state: cluster.State) -> str:
        done = [each for each in state.fencing if each.target == name and each.status == "success"]
        return "" if done else f"{name} was not fenced"

    return look


def test_a_broken_agent_is_found_on_the_host_that_has_it(fenced) -> None:
    lab, before = fenced, switched(fenced)
    lab.node("n2").check(f"cp -p {AGENT} /root/agent; sed -i --follow-symlinks '$i from backstay.fencing import actions; "
                         f"actions.bring = lambda *_: misspelt' {AGENT}")  # fmt: skip
    for action in ("metadata", "monitor"):
        done = lab.node("n2").run(
            f"{AGENT} -o {action} -a 10.77.0.201 -l fencer --password-file /etc/backstay/bmc.password"
        )
        assert done.ok, "it is broken in its off alone"
    found = check(lab, "n1", "n2")
    assert states(found["n1"]) == dict.fromkeys(NODES, "ready")
    assert states(found["n2"]) == dict.fromkeys(NODES, "broken agent")
    assert "misspelt" in found["n2"]["cells"][0]["reason"]
    assert not lab.ask().failures
    assert switched(lab) == before


@pytest.mark.long
def test_while_a_host_is_fenced_no_bmc_is_asked(fenced) -> None:
    lab, node = fenced, fenced.node("n2")
    assert states(check(lab, "n2")["n2"]) == dict.fromkeys(NODES, "ready")
    shown = node.check("attrd_updater --name backstay-fencing-cells --query --node n2")
    sent = len(journal.read(lab.layout.node("n3").bmc / "events.jsonl"))
    faults(lab.layout, "n3").set("delay-off", "12")
    lab.node("n1").check("systemd-run --collect --unit=order stonith_admin --reboot n3 --timeout 120")

    def told() -> bool | None:
        events = journal.read(lab.layout.node("n3").bmc / "events.jsonl")[sent:]
        return any(event["event"] == "chassis-control" for event in events) or None

    until(told, Deadline(60), 0.1, "the BMC of n3 to be told to switch off")
    found = check(lab, "n2")["n2"]
    faults(lab.layout, "n3").clear()
    assert states(found) == dict.fromkeys(NODES, "unproven")
    reasons = {cell["reason"] for cell in found["cells"] if cell["from"] == "n2"}
    assert reasons == {"a fencing of n3 is under way, so no BMC is asked; try again later"}
    assert node.check("attrd_updater --name backstay-fencing-cells --query --node n2") == shown, (
        "the last proof stands"
    )
    lab.wait_for(_fenced("n3"), 120, "n3 to be fenced")
    lab.wait_for(cluster.all_online(NODES), 120, "n3 to be back")
