# SPDX-License-Identifier: GPL-2.0-or-later
"""What fence_backstay_redfish makes of its settings, and what it says: no socket, an answering machine."""

from __future__ import annotations

import pytest

from backstay.errors import BadInput
from backstay.fencing import actions, redfish, redfish_wording
from backstay.fencing.parameters import Values
from backstay.fencing.power import GiveUp
from backstay.fencing.redfish_wording import Device
from backstay.fencing.wording import not_known, not_reached
from backstay.host.bmc import Kind, Power, Trouble
from backstay.host.https import Answer
from tests.unit.fencing.test_redfish import SYSTEM, TARGET, Wire, system

PACEMAKER_READS = ("imed out", "imeout", "nrecognised action", "nsupported action")
GOOD = {"ip": "10.0.0.2", "username": "u", "password": "p"}
DEVICE = Device("192.168.100.200", 443, "pacemaker-fencer", "host-17.example")


@pytest.mark.parametrize("kind", list(Kind))
def test_every_trouble_has_a_sentence(kind):
    said = "offers nothing; enable it" if kind is Kind.OFFER else "HTTP 400, ActionNotSupported: no"
    trouble = Trouble(kind, 400, said)
    for sentence in (
        not_reached(Power.OFF, GiveUp(trouble), DEVICE, 1.0),
        not_reached(Power.OFF, GiveUp(trouble, accepted=True), DEVICE, 1.0),
        not_known(trouble, DEVICE),
        redfish_wording.unchecked(DEVICE),
    ):
        assert "host-17.example" in sentence
        assert "192.168.100.200" in sentence
        assert "; " in sentence
        assert not any(phrase in sentence for phrase in PACEMAKER_READS)
    cause = not_reached(Power.OFF, GiveUp(trouble), DEVICE, 1.0).split("; ")[0]
    assert len(f"fence_backstay_redfish: {cause}") <= 200


def test_a_task_that_failed_leaves_no_doubt():
    words = not_reached(Power.OFF, GiveUp(Trouble(Kind.TASK, None, "Exception"), accepted=True), DEVICE, 1.0)
    assert words.startswith("host-17.example was not powered off: its BMC")


PIN = "ab" * 32


@pytest.mark.parametrize(
    ("text", "pins"),
    [
        ("", ()),
        (PIN, (b"\xab" * 32,)),
        (":".join(["AB"] * 32), (b"\xab" * 32,)),
        (f"sha256:{PIN}", (b"\xab" * 32,)),
        ("SHA256 Fingerprint=" + ":".join(["AB"] * 32), (b"\xab" * 32,)),
        (f"{PIN}, {'cd' * 32},", (b"\xab" * 32, b"\xcd" * 32)),
    ],
)
def test_fingerprints(text, pins):
    assert redfish.fingerprints(text) == pins


@pytest.mark.parametrize("text", ["ab", "zz" * 32, "ab" * 20, f"{PIN},x", "sha1:" + "ab" * 20])
def test_what_is_no_fingerprint(text):
    with pytest.raises(BadInput):
        redfish.fingerprints(text)


@pytest.mark.parametrize(
    ("given", "insecure"),
    [({}, False), ({"ssl_insecure": "1"}, True), ({"ssl_insecure": "1", "ssl_secure": "1"}, False)],
)
def test_trust(given, insecure):
    assert redfish.trust_of(Values(GOOD | given, redfish.PARAMETERS)).insecure is insecure


@pytest.mark.parametrize(
    ("given", "address", "host"),
    [
        ({"plug": "n2"}, "10.0.0.2", "n2"),
        ({"nodename": "n2"}, "10.0.0.2", "n2"),
        ({"plug": "10.0.0.3", "port_as_ip": "1", "nodename": "n2"}, "10.0.0.3", "n2"),
        ({"ip": "[fe80::1]"}, "fe80::1", ""),
    ],
)
def test_which_device(given, address, host):
    device = redfish.device_of(Values(GOOD | given, redfish.PARAMETERS))
    assert (device.address, device.host) == (address, host)


def test_a_long_password_is_no_trouble_here():
    redfish.check(Values(GOOD | {"password": "x" * 64}, redfish.PARAMETERS))


def test_the_metadata_are_as_recorded(golden):
    from backstay.fencing.metadata import render

    golden("fence_backstay_redfish.xml", render(redfish.AGENT))


class Call:
    """One run, as the agent sees it."""

    def __init__(self, action: str, **given: str) -> None:
        self.action = action
        self.values = Values(GOOD | given, redfish.PARAMETERS)
        self.said: list[str] = []
        self.warned: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str) -> None:
        self.warned.append(text)

    def trace(self, text: str) -> None:
        """Nothing."""

    def hide(self, secret: str) -> None:
        """Nothing."""

    def settle(self, code: int) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    ("action", "states", "code", "said"),
    [
        ("status", ["On"], 0, "Status: ON"),
        ("status", ["Off"], 2, "Status: OFF"),
        ("status", ["PoweringOff"], 0, "Status: ON"),
        ("monitor", ["Off"], 0, "Status: OFF"),
        ("list-status", ["PoweringOff"], 0, "n2,,ON"),
        ("off", ["On", "Off"], 0, "Success: Powered OFF"),
        ("off", ["On", "PoweringOff", "Off"], 0, "Success: Powered OFF"),
        ("on", ["Off", "PoweringOn", "On"], 0, "Success: Powered ON"),
        ("reboot", ["On", "PoweringOff", "Off", "Off", "On"], 0, "Success: Rebooted"),
    ],
)
def test_what_an_action_does(monkeypatch, action, states, code, said):
    wire = Wire(GET=[SYSTEM, *map(system, states)], POST=[TARGET, Answer(204)])
    monkeypatch.setattr(redfish, "Https", lambda *_: wire)
    monkeypatch.setattr(actions, "pause", lambda _: None)
    call = Call(action, plug="n2", systems_uri=SYSTEM)
    assert (redfish.act(call), call.said, call.warned) == (code, [said], [])
    assert wire.closed
    assert len([path for path in wire.asked if path == ("GET", SYSTEM)]) == len(states)


def test_what_needs_no_bmc(monkeypatch):
    monkeypatch.setattr(redfish, "Https", None)
    call = Call("list", plug="n2")
    assert (redfish.act(call), call.said) == (0, ["n2,"])
    call = Call("validate-all", plug="n2")
    assert (redfish.act(call), call.said, call.warned) == (0, [], [])


def test_a_typing_error_keeps_no_host_alive_and_stops_a_monitor(monkeypatch):
    wire = Wire(GET=[SYSTEM, system(), system("Off")], POST=[TARGET, Answer(204)])
    monkeypatch.setattr(redfish, "Https", lambda *_: wire)
    monkeypatch.setattr(actions, "pause", lambda _: None)
    call = Call("off", systems_uri=SYSTEM, power_timeout="soon", ssl_insecure="1")
    assert redfish.act(call) == 0
    assert "the default is used" in call.warned[0]
    assert "is not checked (ssl_insecure=1)" in call.warned[1]
    with pytest.raises(BadInput):
        redfish.act(Call("monitor", power_timeout="soon"))


@pytest.mark.parametrize("path", ["redfish/v1", "//other/x", "https://other/", "/with\nbreak"])
def test_what_is_no_path(path):
    for name in ("redfish_uri", "systems_uri"):
        with pytest.raises(BadInput):
            redfish.places_of(Values(GOOD | {name: path}, redfish.PARAMETERS))
