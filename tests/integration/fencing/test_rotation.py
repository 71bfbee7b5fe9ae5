# SPDX-License-Identifier: GPL-2.0-or-later
"""The trial of a new account against real simulators, by IPMI and by Redfish: it is asked for, and nothing is switched."""

from __future__ import annotations

import time
from pathlib import Path
from types import MappingProxyType

import pytest

from backstay.cli import proving
from backstay.fencing import asking
from backstay.fencing.asking import World
from backstay.fencing.configuration import Device, Fencing
from backstay.fencing.rotate import Candidate, trial
from backstay.host.clock import pause
from backstay.host.fence_agents import FenceAgents
from tests.integration.fencing.redfish_bmc import PASSWORD, SECOND, USER


@pytest.fixture(autouse=True)
def at_leisure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is not what these are about."""
    monkeypatch.setattr(asking, "PATIENCE", 100.0)


SEPARATELY = MappingProxyType({"password": "of the old account"})


def proven(device: Device, user: str, secret: Path, text: str) -> list[tuple[str, str]]:
    """What the account comes to for each host of the device."""
    secret.write_text(f"{text}\n")
    world = World(
        agents=FenceAgents(), simulator=proving.simulator, reach=proving.reach, pause=pause, now=time.time,
        say=lambda _: None,
    )  # fmt: skip
    fencing = Fencing(("n1", "n2"), (device,), (), MappingProxyType({}))
    cells = trial(Candidate("1", user, str(secret), (device.name,)), fencing, "n1", world)
    return [(cell.target, cell.state.value) for cell in cells]


@pytest.mark.parametrize(
    ("user", "text", "state"),
    [(SECOND, PASSWORD, "ready"), (SECOND, "mistyped", "password"), ("nobody", PASSWORD, "password")],
)
def test_a_second_account_of_a_redfish_service(redfish, authority, tmp_path, user, text, state) -> None:
    options = {
        "ip": "127.0.0.1",
        "ipport": str(redfish.port),
        "ssl_ca": str(authority.path),
        "username": USER,
    }
    options |= {"systems_uri": redfish.system, **SEPARATELY}
    device = Device("fence-n2", "fence_backstay_redfish", MappingProxyType(options), ("n2",))
    assert proven(device, user, tmp_path / "new", text) == [("n2", state)]
    assert redfish.resets() == 0


@pytest.mark.parametrize(
    ("user", "text", "state"),
    [("admin", "adminpass", "ready"), ("admin", "mistyped", "password"), ("viewer", "viewpass", "role")],
)
def test_a_second_account_of_a_bmc_with_ipmi_for_each_host_behind_it(
    bmc, tmp_path, user, text, state
) -> None:
    options = {"ip": "127.0.0.1", "ipport": str(bmc.port), "username": bmc.login["username"], **SEPARATELY}
    device = Device("fence", "fence_backstay_ipmi", MappingProxyType(options), ("n1", "n2"))
    assert proven(device, user, tmp_path / "new", text) == [("n1", state), ("n2", state)]
    assert bmc.commands() == []
