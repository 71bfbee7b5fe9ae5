# SPDX-License-Identifier: GPL-2.0-or-later
"""`backstay fence check` with BMCs that are reached by Redfish."""

from __future__ import annotations

import contextlib

import pytest

from tests.integration.fencing.checking import DOOR, agent
from tests.integration.fencing.redfish_bmc import PASSWORD, USER, Proxy, proxied


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
