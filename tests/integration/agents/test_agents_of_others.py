# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay agents check` and the agents of other projects, the real ones, as a CIB uses them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest

HEAD = '<cib validate-with="pacemaker-3.7" epoch="1" num_updates="0" admin_epoch="0"><configuration><crm_config/><nodes/>'
TAIL = "<constraints/></configuration><status/></cib>"
AGENTS = Path("/usr/lib/ocf/resource.d")


def resource(number: int, standard: str, provider: str, kind: str, parameters: Mapping[str, str]) -> str:
    """One primitive."""
    pairs = "".join(
        f"<nvpair id='r{number}-{name}' name='{name}' value={quoteattr(value)}/>"
        for name, value in parameters.items()
    )
    by = f" provider='{provider}'" if provider else ""
    given = f"<instance_attributes id='r{number}-i'>{pairs}</instance_attributes>"
    return f"<primitive id='r{number}' class='{standard}'{by} type='{kind}'>{given}</primitive>"


# standard, provider, kind, parameters, column, what has to come of it, words of the reason
USED = [
    ("ocf", "heartbeat", "Dummy", {}, "valid", "ok", ""),
    ("ocf", "pacemaker", "Stateful", {}, "valid", "ok", ""),
    ("ocf", "heartbeat", "IPaddr2", {"ip": "127.0.0"}, "valid", "broken", "IPaddr2 validate-all ended with exit code 6"),
    ("ocf", "heartbeat", "VirtualDomain", {"config": "/nonexistent/vm.xml"}, "valid", "-",
     "Configuration file /nonexistent/vm.xml does not exist"),
    ("ocf", "heartbeat", "Filesystem", {"device": "/dev/null", "directory": "/mnt", "fstype": "ext4"}, "valid", "ok", ""),
    ("ocf", "heartbeat", "NoSuchAgent", {}, "meta", "broken", "No such file or directory"),
    ("lsb", "", "nonesuch", {}, "load", "-", "there is no script /etc/init.d/nonesuch on this host"),
    ("lsb", "", "procps", {}, "load", "ok", ""),
    ("service", "", "procps", {}, "load", "ok", ""),
]  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, need) -> dict[tuple[str, str], tuple[str, str]]:
    """State and reason of each cell that the command gives for such a CIB; no agent of Backstay's is asked."""
    need("ip")
    assert (AGENTS / "heartbeat" / "VirtualDomain").is_file(), "install resource-agents"
    place = tmp_path_factory.mktemp("others")
    resources = "".join(resource(number, *used[:4]) for number, used in enumerate(USED))
    (place / "cib.xml").write_text(f"{HEAD}<resources>{resources}</resources>{TAIL}")
    argv = [sys.executable, "-m", "backstay", "agents", "check", "--output", "json"]
    argv += ["--cib", str(place / "cib.xml"), "--version", str(place), "--memory", str(place / "memory")]
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=120, check=False, env=dict(os.environ)
    )
    assert done.returncode == 1, done.stderr
    cells = json.loads(done.stdout)["cells"]
    return {(cell["agent"], cell["column"]): (cell["state"], cell["reason"]) for cell in cells}


@pytest.mark.parametrize("used", USED, ids=lambda used: f"{used[0]}-{used[2]}")
def test_a_real_agent_of_others_is_asked_and_understood(told, used) -> None:
    standard, provider, kind, _, column, state, words = used
    name = f"{provider}:{kind}" if provider else f"{standard}:{kind}"
    found, reason = told[name, column]
    assert (found, words in reason) == (state, True), reason
    if standard == "ocf" and column == "valid":
        assert told[name, "meta"] == ("ok", "")
