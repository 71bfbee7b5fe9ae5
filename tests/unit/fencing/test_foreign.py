# SPDX-License-Identifier: GPL-2.0-or-later
"""How agents of somebody else are rehearsed: what they are given, and what they may not get away with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from backstay.fencing.foreign import IPMI_STEPS, IPMILAN, KNOWN, REDFISH, script_of
from backstay.fencing.ours import OURS
from backstay.fencing.rehearsal import FAILED, rehearse
from tests.unit.fencing.test_redfish_rehearsal import Faulty
from tests.unit.fencing.test_rehearsal import Bmc, Said


@dataclass
class Agent:
    """A fence agent as fence-agents has them; `defect` is what is wrong with it."""

    bmc: Bmc
    defect: str = ""

    def run(self, agent: str, action: str, given: Mapping[str, str], timeout: float) -> Said:
        assert (given["disable_timeout"] == "0") if self.patience(given) else True
        if action == "metadata":
            return Said(0, '<resource-agent><action name="off"/></resource-agent>')
        if action in ("monitor", "status"):
            return self.look(action)
        if self.defect == "name":
            return Said(1, "", "Traceback (most recent call last)\nNameError")
        faults = self.bmc.faults
        if "fail-set" in faults or "ignore-set" in faults:
            done = self.defect == "believes" or (self.defect == "cycle" and action == "reboot")
            return Said(0) if done else Said(1, "", "Failed: Timed out waiting to power OFF")
        if self.defect != "idle":
            self.bmc.state = "off" if action == "off" else "on"
            self.bmc.sent.append("off" if action == "reboot" else action)
        return Said(0)

    def patience(self, given: Mapping[str, str]) -> bool:
        return bool({"fail-set", "ignore-set", "delay-off"} & set(self.bmc.faults))

    def look(self, action: str) -> Said:
        if "fail-get" in self.bmc.faults:
            return Said(
                2 if self.defect == "blind" else 1, "", "Failed: Unable to obtain correct plug status"
            )
        return Said(2 if (action, self.bmc.state) == ("status", "off") else 0)


@pytest.mark.parametrize(
    ("defect", "words"),
    [
        ("", ""),
        ("name", "fence_ipmilan off ended with exit code 1 instead of 0"),
        ("idle", "fence_ipmilan off left the power on instead of off"),
        ("believes", "says that it is done while the BMC accepts and does nothing and the power is on"),
        ("cycle", "fence_ipmilan reboot says that it is done while the BMC accepts and does nothing"),
        ("blind", "fence_ipmilan status ended with exit code 2 instead of 1"),
    ],
)
def test_what_a_rehearsal_finds(defect: str, words: str) -> None:
    bmc = Bmc()
    said = rehearse("fence_ipmilan", {"ip": "bmc"}, Agent(bmc, defect), bmc, KNOWN["fence_ipmilan"])
    assert (words in said, bool(said)) == (True, bool(defect))


def test_each_refusal_is_a_no_and_bounded() -> None:
    for step in IPMI_STEPS:
        if step.fault and step.action in ("off", "reboot"):
            assert dict(step.settings)["disable_timeout"] == "0"
        assert step.code == FAILED or step.fault in ("", "delay-off")


def test_fence_ipmilan_is_given_what_is_configured() -> None:
    configured = {
        "ip": "192.0.2.1",
        "login": "me",
        "passwd": "p",
        "privlvl": "operator",
        "cipher": "3",
        "power_wait": "4",
    }
    given = KNOWN["fence_ipmilan"].parameters(configured, Bmc())
    kept = {"privlvl": "operator", "cipher": "3", "lanplus": "1", "power_wait": "0", "username": "rehearsal"}
    assert kept.items() <= given.items()
    assert not {"login", "passwd"} & set(given)
    assert given["ip"] != "192.0.2.1"


def test_fence_redfish_is_given_what_is_configured() -> None:
    configured = {
        "ip": "192.0.2.1",
        "systems_uri": "/redfish/v1/Systems/7",
        "redfish_uri": "/x",
        "ssl_secure": "1",
    }
    bmc = Faulty()
    given = KNOWN["fence_redfish"].parameters(configured, bmc)
    assert (given["systems_uri"], given["ssl_insecure"], given["ip"]) == (bmc.system, "1", bmc.address)
    assert "redfish_uri" not in given


def test_who_can_be_rehearsed() -> None:
    assert [name for name in (*OURS, *IPMILAN, *REDFISH) if script_of(name) is None] == []
    assert script_of("fence_apc") is None
