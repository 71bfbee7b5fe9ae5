# SPDX-License-Identifier: GPL-2.0-or-later
"""Run inside a root with Backstay installed: each fence agent, as it lies in sbin, against a simulator of the same package.

Prints one JSON object: of each agent, how its metadata, status, off and a status by a wrong password ended and what it
said, and the power that the BMC had after the off.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping

sys.path.insert(0, "/usr/lib/backstay/current/lib")

from backstay.host import loopback_bmc, loopback_redfish
from backstay.host.loopback_bmc import LoopbackBmc
from backstay.host.loopback_redfish import LoopbackRedfish


def said(agent: str, action: str, options: Mapping[str, str]) -> tuple[int, str]:
    """The agent as Pacemaker runs it: its options on its standard input."""
    given = "".join(f"{name}={value}\n" for name, value in {**options, "action": action}.items())
    done = subprocess.run(
        [f"/usr/sbin/{agent}"], input=given, capture_output=True, text=True, timeout=60, env={}
    )
    return done.returncode, done.stdout + done.stderr


def course(agent: str, bmc: LoopbackBmc | LoopbackRedfish, more: Mapping[str, str]) -> dict[str, object]:
    """What came of each step."""
    login = {"ip": bmc.address, "ipport": str(bmc.port), "username": bmc.user, **more}
    right = {**login, "password_file": bmc.password_file}
    return {
        "metadata": said(agent, "metadata", {}),
        "status": said(agent, "status", right),
        "wrong": said(agent, "status", {**login, "password": "another"}),
        "off": said(agent, "off", right),
        "then": said(agent, "status", right),
        "power": bmc.power(),
    }


def main() -> None:
    found = {}
    with loopback_bmc.simulator() as bmc:
        found["fence_backstay_ipmi"] = course("fence_backstay_ipmi", bmc, {})
    with loopback_redfish.simulator() as other:
        more = {"systems_uri": other.system, "ssl_ca": other.ca, "ssl_name": other.name}
        found["fence_backstay_redfish"] = course("fence_backstay_redfish", other, more)
    print(json.dumps(found))


main()
