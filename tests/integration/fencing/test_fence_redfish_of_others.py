# SPDX-License-Identifier: GPL-2.0-or-later
"""fence_redfish of fence-agents, rehearsed as `backstay fence check` rehearses it."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from backstay.cli.proving import simulator
from backstay.fencing.foreign import KNOWN
from backstay.fencing.rehearsal import rehearse
from backstay.host.fence_agents import FenceAgents

# It imports requests, which the distribution has for its own interpreter and the tests have for theirs.
DOOR = """#!/bin/sh
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH={schemas}:{ours} exec /usr/bin/python3 {agent} "$@"
"""
CONFIGURED = {"ip": "192.0.2.1", "username": "fencer", "password": "secret", "ssl_secure": "1"}


def installed(directory: Path, schemas: Path, defect: tuple[str, str]) -> FenceAgents:
    """A directory with the agent in it, with a defect."""
    text = (schemas / "fence_redfish").read_text()
    assert not defect[0] or defect[0] in text
    (directory / "fence_redfish.py").write_text(text.replace(*defect) if defect[0] else text)
    door = directory / "fence_redfish"
    ours = sysconfig.get_path("purelib")
    door.write_text(DOOR.format(schemas=schemas, ours=ours, agent=directory / "fence_redfish.py"))
    door.chmod(0o755)
    return FenceAgents(directory)


@pytest.mark.parametrize(
    ("defect", "more", "said"),
    [
        (("", ""), {}, ""),
        (("", ""), {"systems_uri": "/redfish/v1/Systems/7"}, ""),
        (("payload = {'ResetType': action}", "payload = misspelt"), {}, "fence_redfish off ended with exit code 1"),
        (('"PowerState is: "', "gone"), {}, "fence_redfish monitor ended with exit code 1 instead of 0"),
        (('== "Off"', '!= "x"'), {}, "fence_redfish status ended with exit code 2 instead of 0"),
    ],
    ids=["as-it-is", "a-system", "misspelt-in-off", "misspelt-in-status", "believes-itself"],
)  # fmt: skip
def test_fence_redfish_is_rehearsed(tmp_path, schemas, defect, more, said):
    configured = {**CONFIGURED, **more}
    agents = installed(tmp_path, schemas, defect)
    with simulator("fence_redfish", configured) as bmc:
        found = rehearse("fence_redfish", configured, agents, bmc, KNOWN["fence_redfish"])
    assert (said in found, bool(found)) == (True, bool(said)), found
