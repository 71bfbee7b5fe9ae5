# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay fence check` as a process, on a CIB that is made for it: what its tests share."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.fencing.conftest import Bmc

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
