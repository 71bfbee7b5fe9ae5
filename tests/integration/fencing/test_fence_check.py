# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay fence check` as a process: the installed agent rehearsed for real, real simulators as the hosts' BMCs."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.fencing.conftest import Bmc, openipmi, pyghmi_server, simulator
from tests.integration.fencing.redfish_bmc import PASSWORD, USER, Proxy, proxied

DOOR = "from backstay.fencing import actions, ipmi\nfrom backstay.fencing.protocol import main\n{defect}\nmain(ipmi.AGENT)\n"


@dataclass
class Answer:
    """What one check said."""

    code: int
    data: dict
    err: str

    def state(self, host: str) -> str:
        (found,) = [cell["state"] for cell in self.data["cells"] if cell["target"] == host]
        return found

    def reason(self, host: str) -> str:
        (found,) = [cell["reason"] for cell in self.data["cells"] if cell["target"] == host]
        return found


FOREIGN = """#!/bin/sh
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH={there} exec /usr/bin/python3 {there}/fence_ipmilan "$@"
"""
# Says yes to everything, as an agent may whose device nobody here can simulate.
DUMMY = """#!/bin/sh
[ "$(grep action=)" = action=metadata ] && echo '<resource-agent name="fence_dummy"><action name="off"/></resource-agent>'
exit 0
"""


def agent(directory: Path, text: str, there: Path) -> Path:
    """A directory of installed agents with this one in it, on the tests' interpreter, and fence_ipmilan."""
    directory.mkdir()
    path = directory / "fence_backstay_ipmi"
    path.write_text(f"#!{sys.executable} -I\n{text}")
    path.chmod(0o755)
    redfish = directory / "fence_backstay_redfish"
    redfish.write_text(f"#!{sys.executable} -I\n{text.replace('ipmi', 'redfish')}")
    redfish.chmod(0o755)
    foreign = directory / "fence_ipmilan"
    foreign.write_text(FOREIGN.format(there=there))
    foreign.chmod(0o755)
    dummy = directory / "fence_dummy"
    dummy.write_text(DUMMY)
    dummy.chmod(0o755)
    return directory


def cib(path: Path, devices: dict[str, dict[str, str]]) -> Path:
    """A CIB with one device for each host; `agent` among its options is the agent's name."""
    rows = []
    for host, options in devices.items():
        kind = options.get("agent", "fence_backstay_ipmi")
        given = {
            "pcmk_host_list": host,
            **{name: value for name, value in options.items() if name != "agent"},
        }
        pairs = "".join(
            f'<nvpair id="{host}-{name}" name="{name}" value="{value}"/>' for name, value in given.items()
        )
        rows.append(
            f'<primitive id="fence-{host}" class="stonith" type="{kind}"><instance_attributes id="i-{host}">{pairs}'
            f'</instance_attributes><operations><op id="o-{host}" name="monitor" interval="120s" timeout="40s"/>'
            f"</operations></primitive><!-- -->"
        )
    nodes = "".join(f'<node id="{number}" uname="{host}"/>' for number, host in enumerate(devices, 1))
    places = "".join(
        f'<rsc_location id="l-{h}" rsc="fence-{h}" node="{h}" score="-INFINITY"/>' for h in devices
    )
    path.write_text(
        f'<cib validate-with="pacemaker-3.7"><configuration><crm_config/><nodes>{nodes}</nodes>'
        f"<resources>{''.join(rows)}</resources><constraints>{places}</constraints></configuration></cib>"
    )
    return path


def reached(bmc: Bmc, **more: str) -> dict[str, str]:
    """The options of a device that reaches a simulator."""
    return {
        "ip": "127.0.0.1",
        "ipport": str(bmc.port),
        **{k: v.replace('"', "&quot;") for k, v in bmc.login.items()},
        **more,
    }


Check = Callable[..., Answer]


@pytest.fixture
def check(tmp_path, need, schemas) -> Check:
    """`check(devices)` runs the command on a CIB with these devices."""
    need("ipmitool", "ipmi_sim")
    whole = agent(tmp_path / "agents", DOOR.format(defect=""), schemas)

    def run(devices: dict[str, dict[str, str]] | Path, agents: Path = whole, *more: str) -> Answer:
        file = devices if isinstance(devices, Path) else cib(tmp_path / "cib.xml", devices)
        argv = [
            sys.executable,
            "-m",
            "backstay",
            "fence",
            "check",
            "--cib",
            str(file),
        ]
        argv += ["--agents", str(agents), "--memory", str(tmp_path / "memory"), "--output", "json", *more]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
        assert done.stdout, done.stderr
        return Answer(done.returncode, json.loads(done.stdout), done.stderr)

    return run


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
        ghmi.login.pop("cipher")
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
                "settings": reached(ours, password="", password_file="/nonexistent/password"),
                "other": {"agent": "fence_ipmilan", **reached(sim, lanplus="1")},
                "dummy": {"agent": "fence_dummy"},
            }
        )
    states = {cell["target"]: cell["state"] for cell in answer.data["cells"]}
    assert states == {
        "good": "ready", "openipmi": "ready", "pyghmi": "ready", "dead": "no answer", "full": "no slot",
        "password": "password", "user": "no account", "role": "role", "suite": "cipher", "settings": "settings",
        "other": "ready", "dummy": "untested",
    }  # fmt: skip
    assert (answer.code, answer.data["ready"]) == (1, False)
    assert "backstay fence drill dummy --untested" in answer.reason("dummy")
    assert answer.data["rehearsals"].keys() == {f"fence-{host}" for host in states} - {"fence-dummy"}
    assert "cannot be read: No such file" in answer.reason("settings")
    assert "does not answer on UDP port" in answer.reason("dead")
    assert any("so 3 is used" in cell["note"] for cell in answer.data["cells"] if cell["target"] == "pyghmi")
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


def spoken(bmc: Proxy, authority, **more: str) -> dict[str, str]:
    """The options of a device that reaches a system by Redfish."""
    given = {"ip": "127.0.0.1", "ipport": str(bmc.port), "username": USER, "ssl_ca": str(authority.path)}
    password = PASSWORD.replace("&", "&amp;").replace('"', "&quot;")
    given |= {"systems_uri": bmc.system, "password": password, "agent": "fence_backstay_redfish", **more}
    return {name: value for name, value in given.items() if value}


@pytest.mark.long
def test_each_bmc_with_redfish_has_its_own_cell(check, machines, certificate, authority, tmp_path):
    kinds = ("good", "shown", "role", "offer", "dead", "busy")
    with contextlib.ExitStack() as running:
        bmcs = {kind: running.enter_context(proxied(machines, certificate)) for kind in kinds}
        bmcs["shown"].faults["role"] = "Operator Login ConfigureSelf ConfigureComponents"
        bmcs["role"].faults["role"] = "ReadOnly Login ConfigureSelf"
        bmcs["offer"].faults["allow"] = "On GracefulShutdown"
        bmcs["dead"].faults["silent"] = ""
        bmcs["busy"].faults["busy"] = "for ever"
        devices = {kind: spoken(bmc, authority) for kind, bmc in bmcs.items()}
        good = bmcs["good"]
        devices["password"] = spoken(good, authority, password="wrong")
        devices["stranger"] = spoken(good, authority, ssl_ca="", ssl_fingerprint="ab" * 32)
        devices["plain"] = spoken(good, authority, ssl="0")
        devices["session"] = spoken(bmcs["shown"], authority, session="1")
        answer = check(devices)
        assert [bmc.resets() for bmc in bmcs.values()] == [0] * len(bmcs)
        assert [bmc.power for bmc in bmcs.values()] == ["On"] * len(bmcs)
        assert bmcs["shown"].sessions == 0, "the session was closed"
    states = {cell["target"]: cell["state"] for cell in answer.data["cells"]}
    assert states == {
        "good": "ready", "shown": "ready", "role": "role", "offer": "unclear", "dead": "slow", "busy": "refused",
        "password": "password", "stranger": "certificate", "plain": "settings", "session": "ready",
    }  # fmt: skip
    assert "its role ReadOnly has no right to" in answer.reason("role")
    assert "offers no ForceOff" in answer.reason("offer")
    notes = {cell["target"]: cell["note"] for cell in answer.data["cells"]}
    assert ("does not show its role" in notes["good"], notes["shown"]) == (True, "")


@pytest.mark.long
def test_swapped_systems_behind_redfish_are_found_next_time(check, machines, certificate, authority):
    with proxied(machines, certificate) as one, proxied(machines, certificate) as two:
        first = check({"n1": spoken(one, authority), "n2": spoken(two, authority)})
        swapped = check({"n1": spoken(two, authority), "n2": spoken(one, authority)})
    assert (first.code, first.data["ready"]) == (0, True), first.data
    assert (swapped.code, swapped.state("n1"), swapped.state("n2")) == (1, "wrong host", "wrong host")
    assert "the BMC of n2, not of n1" in swapped.reason("n1")


@pytest.mark.parametrize(
    ("defect", "reason"),
    [
        ("actions.bring = lambda *_: misspelt", "off ended with exit code 1 instead of 0"),
        ("from backstay.host import https; https.Trust.mismatch = lambda *_: gone", "NameError"),
        pytest.param("from backstay.host import https; import ssl; https.Trust.context = lambda _: ssl._create_unverified_context()",
         "off says that it is done while the BMC is somebody else's", marks=pytest.mark.long),
        ("from backstay.host import redfish_answers as a, bmc; a.STATES = {**a.STATES, 'PoweringOff': bmc.Power.OFF}",
         "off left the power on instead of off"),
        pytest.param("from backstay.host import redfish_answers as a; a.task_end = lambda _: False",
         "does not say 'Exception", marks=pytest.mark.long),
        pytest.param("from backstay.host import redfish_answers as a; a.RESETS = {each: ('PushPowerButton',) for each in a.RESETS}",
         "off ended with exit code 1 instead of 0", marks=pytest.mark.long),
    ],
    ids=["misspelt-in-off", "misspelt-in-tls", "trusts-anybody", "powering-off-is-off", "forgets-its-task", "wrong-button"],
)  # fmt: skip
def test_a_broken_redfish_agent_is_found_before_it_is_needed(
    check, redfish, authority, tmp_path, schemas, defect, reason
):
    broken = agent(tmp_path / "broken", DOOR.format(defect=defect), schemas)
    answer = check({"n1": spoken(redfish, authority)}, broken)
    assert (answer.code, answer.state("n1")) == (1, "broken agent")
    assert reason in answer.reason("n1")
    assert redfish.resets() == 0


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
