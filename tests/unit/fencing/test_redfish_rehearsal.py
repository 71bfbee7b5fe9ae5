# SPDX-License-Identifier: GPL-2.0-or-later
"""What fence_backstay_redfish is given in its rehearsal, and which steps are played: tables, no process."""

from __future__ import annotations

import pytest

from backstay.fencing.redfish_rehearsal import NO_RIGHT, REDFISH, STEPS, STRANGER, trust_of
from backstay.fencing.rehearsal import OFF, rehearse, wrong
from tests.unit.fencing.test_rehearsal import Bmc, Said, refusal


class Server(Bmc):
    """A BMC with a certificate."""

    sessions = 0

    def left(self) -> int:
        return self.sessions

    ca, fingerprint, name, system = "/own.crt", "AB", "bmc.invalid", "/redfish/v1/Systems/rehearsal"


SAYS = {
    "only": "offers no ForceOff",
    "only-info": "offers no ForceOff",
    "impostor": "the certificate",
    "task": "Exception: The request failed",
    "password": "does not accept the account",
    "silent": "no answer",
}


class Agent:
    """An agent that is right, but for what a test breaks in it; what it refuses follows from the fault."""

    def __init__(self, bmc: Server, broken: str = "") -> None:
        self.bmc, self.broken = bmc, broken

    def run(self, agent, action, given, timeout) -> Said:
        if action == "metadata":
            return Said(0, '<action name="off"/>')
        if action in ("list", "list-status"):
            return Said(0, "rehearsal," + ",ON" * (action == "list-status"))
        refused = refusal(STEPS, action, given) or ("unsupported action" if action == "no-action" else "")
        if refused:
            return Said(1, err=refused)
        self.bmc.sessions = int(self.broken == "leaves" and action == "off")
        if "dies" in self.bmc.faults:
            return Said(0 if self.broken == "dies" else 1, err="whether it is off is not known")
        faults = self.bmc.faults - {self.broken}
        for fault in (
            "only",
            "only-info",
            "impostor",
            "fail-set",
            "fail-get",
            "ignore-set",
            "password",
            "silent",
        ):
            if (
                fault in faults
                and not (fault == "ignore-set" and self.bmc.value == "1")
                and (fault in ("fail-get", "password")) == (action == "status")
            ):
                told = {"ignore-set": "timed out"}.get(fault, NO_RIGHT)
                return Said(1, err=SAYS.get(fault, told))
        if "task" in faults and self.bmc.value == "Exception":
            return Said(1, err=SAYS["task"])
        if action in ("off", "on", "reboot"):
            self.bmc.sent += ["off", "on"] if action == "reboot" else [action]
            self.bmc.state = "off" if action == "off" or "fail-on" in self.bmc.faults else "on"
        if "fail-on" in self.bmc.faults and self.broken == "pedant":
            return Said(1, err="on was refused")
        dark = action == "status" and self.bmc.state == "off"
        return Said(OFF if dark else 0, "Status: ON" if given.get("verbose") else "")


class Faulty(Server):
    """Remembers what a fault was set to."""

    value = ""

    def fault(self, name, value) -> None:
        super().fault(name, value)
        self.value = value or ""


def play(broken: str = "", **configured: str) -> str:
    bmc = Faulty()
    return rehearse("fence_backstay_redfish", configured, Agent(bmc, broken), bmc, REDFISH)


def test_a_good_agent_has_nothing_wrong():
    assert play() == ""


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("impostor", "off says that it is done while the BMC is somebody else's and the power is off"),
        ("task", "off says that it is done while the BMC says that its task failed"),
        ("only", "off says that it is done while the BMC offers no hard power-off"),
        ("fail-set", "off says that it is done while the BMC refuses"),
        ("ignore-set", "off says that it is done while the BMC accepts and does nothing"),
        ("fail-get", "status says that it is done while the BMC refuses"),
        ("password", "status says that it is done while the BMC has another password"),
        ("silent", "off says that it is done while the BMC answers nothing"),
        ("dies", "off says that it is done while the BMC dies of the command"),
        ("leaves", "off leaves a session open"),
        ("pedant", "reboot ended with exit code 1 instead of 0: on was refused"),
    ],
)
def test_an_agent_that_believes_too_much_is_found(broken, said):
    assert said in play(broken)


@pytest.mark.parametrize(
    ("configured", "given"),
    [
        ({}, {"ssl_ca": "/own.crt"}),
        ({"ssl_ca": "/etc/ca.pem"}, {"ssl_ca": "/own.crt"}),
        ({"ssl_fingerprint": "12:34"}, {"ssl_fingerprint": "AB"}),
        ({"ssl_ca": "/x", "ssl_fingerprint": "12"}, {"ssl_ca": "/own.crt", "ssl_fingerprint": "AB"}),
        ({"ssl_insecure": "1"}, {"ssl_insecure": "1"}),
        (
            {"ssl_insecure": "1", "ssl_secure": "1"},
            {"ssl_insecure": "1", "ssl_secure": "1", "ssl_ca": "/own.crt"},
        ),
        ({"ssl_insecure": "1", "ssl_fingerprint": "12"}, {"ssl_insecure": "1", "ssl_fingerprint": "AB"}),
        ({"ssl_ca": "/x", "ssl_name": "bmc1"}, {"ssl_ca": "/own.crt", "ssl_name": "bmc.invalid"}),
    ],
)
def test_the_certificate_is_checked_as_it_is_configured(configured, given):
    found = REDFISH.parameters(configured, Server())
    assert {name: value for name, value in found.items() if name.startswith("ssl")} == given
    assert (STRANGER in REDFISH.steps(configured)) == (trust_of(configured) != ("nobody",))


def test_address_account_and_system_are_the_simulators():
    configured = {"ip": "bmc1", "username": "me", "password_file": "/etc/pw", "systems_uri": "/redfish/v1/Systems/9",
                  "redfish_uri": "/other/", "session": "1", "power_timeout": "40", "plug": "n1"}  # fmt: skip
    assert REDFISH.parameters(configured, Server()) == {
        "session": "1", "power_timeout": "40", "ip": "127.0.0.1", "ipport": "9000", "username": "rehearsal",
        "password_file": "/simulated/password", "ssl_ca": "/own.crt", "systems_uri": "/redfish/v1/Systems/rehearsal",
        "plug": "rehearsal", "nodename": "rehearsal",
    }  # fmt: skip
    assert "systems_uri" not in REDFISH.parameters({}, Server())


def test_devices_that_differ_in_address_and_certificate_share_a_rehearsal():
    one = {"ip": "1", "ssl_fingerprint": "12", "systems_uri": "/a", "password": "p"}
    two = {"ip": "2", "ssl_fingerprint": "34", "systems_uri": "/b", "password": "q"}
    assert REDFISH.signature(one) == REDFISH.signature(two)
    for other in (
        {**two, "session": "1"},
        {**two, "ssl_ca": "/x"},
        {**two, "systems_uri": ""},
        {**two, "ssl_name": "n"},
    ):
        assert REDFISH.signature(other) != REDFISH.signature(one)


def test_who_refuses_and_switches_all_the_same_is_found():
    refused = Said(1, err="the certificate of its BMC is not accepted")
    assert wrong(STRANGER, refused, "on", []) == ""
    assert wrong(STRANGER, refused, "off", ["off"]) == "left the power off instead of on"
