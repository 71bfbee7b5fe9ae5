# SPDX-License-Identifier: GPL-2.0-or-later
"""fence_backstay_ipmi with the real ipmitool, against two independent BMCs, whole and broken in each way."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest

from tests.integration.fencing.conftest import PASSWORD

AT_ONCE = 2.0  # seconds for an answer that needs no waiting; it usually takes 0.15
SHORT = {
    "login_timeout": 7,
    "power_timeout": 3,
}  # a dead BMC costs ipmitool 6 s, and its words tell the reason


@pytest.fixture(params=["bmc", "ipmi_sim"])
def any_bmc(request):
    """Each simulator in turn."""
    return request.getfixturevalue(request.param)


def test_the_life_of_a_host(any_bmc, fence):
    story = [("status", 0), ("monitor", 0), ("off", 0), ("status", 2), ("monitor", 0), ("off", 0), ("on", 0),
             ("status", 0), ("on", 0), ("reboot", 0), ("status", 0)]  # fmt: skip
    for action, code in story:
        spoken = fence(any_bmc, action, login_timeout=10)
        assert (action, spoken.code, spoken.err) == (action, code, "")
        assert spoken.took < 5 * AT_ONCE
    assert any_bmc.power == "on"


def test_off_leaves_the_power_off(any_bmc, fence):
    assert fence(any_bmc, "off").code == 0
    assert any_bmc.power == "off"


@pytest.mark.parametrize("suite", [3, 17])
def test_both_suites(bmc, fence, suite):
    assert fence(bmc, "status", cipher=suite).code == 0


def test_a_host_that_is_off_already_gets_no_command(bmc, fence):
    (bmc.directory / "power").write_text("off\n")
    assert fence(bmc, "off").code == 0
    assert bmc.commands() == []


def test_a_host_that_is_off_is_rebooted_to_on(bmc, fence):
    (bmc.directory / "power").write_text("off\n")
    assert fence(bmc, "reboot").code == 0
    assert (bmc.commands(), bmc.power) == (["on"], "on")


def test_list_validation_and_metadata_need_no_bmc(fence):
    assert fence(None, "list").out == "n2,\n"
    assert fence(None, "validate-all", ip="192.0.2.1", username="x", password="y").code == 0
    assert fence(None, "validate-all", ip="192.0.2.1").code == 1
    assert "<resource-agent" in fence(None, "metadata").out


def test_the_command_line(bmc, fence):
    argv = ("-a", "127.0.0.1", "-u", str(bmc.port), "-l", "fencer", "-p", PASSWORD, "-P", "-o", "status")
    assert fence(bmc, "", argv=argv).code == 0
    assert fence(bmc, "", argv=("-o", "metadata")).out.startswith("<?xml")
    assert fence(bmc, "", argv=("-o", "status")).code == 1


def test_old_names_and_unknown_ones(bmc, fence):
    bmc.login = {"login": "fencer", "passwd": PASSWORD, "nonsense": "1", "auth": "md5"}
    assert fence(bmc, "status", ip="", ipaddr="127.0.0.1").code == 1
    bmc.login |= {"ipaddr": "127.0.0.1"}
    assert fence(bmc, "status").code == 0


@pytest.mark.parametrize("source", ["password_file", "password_script"])
def test_a_password_from_elsewhere(bmc, fence, tmp_path, source):
    place = tmp_path / "password"
    place.write_text(PASSWORD + "\n")
    value = place if source == "password_file" else f"cat '{place}'"
    assert fence(bmc, "off", password="", **{source: value}).code == 0


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"password": "other"}, "does not accept the password of the account fencer"),
        ({"password": PASSWORD + " "}, "does not accept the password of the account fencer"),
        ({"username": "nobody"}, "has no account nobody, or it is disabled"),
        ({"username": "viewer", "password": "viewpass"}, "does not grant the role operator to the account viewer"),
        (
            {"username": "viewer", "password": "viewpass", "privlvl": "user"},
            "the account viewer may not power off (IPMI completion code 0xd4: insufficient privilege)",
        ),
        ({"cipher": 1}, "does not offer cipher suite 1"),
        ({"ipmitool_path": "/nonexistent/ipmitool"}, "cannot be run: No such file"),
    ],
)  # fmt: skip
def test_a_refused_account_is_told_apart_at_once(bmc, fence, wrong, reason):
    spoken = fence(bmc, "off", **wrong)
    assert spoken.code == 1
    assert reason in spoken.err
    assert len(spoken.errors) == 1
    assert spoken.took < AT_ONCE
    assert bmc.power == "on"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"password": "other"}, "does not accept the password"),
        ({"username": "nobody"}, "has no account nobody"),
        ({"cipher": 17}, "does not offer cipher suite 17"),
    ],
)
def test_the_other_bmc_is_understood_as_well(ipmi_sim, fence, wrong, reason):
    fence(ipmi_sim, "monitor")  # it listens
    spoken = fence(ipmi_sim, "monitor", **wrong)
    assert (spoken.code, reason in spoken.err) == (1, True)
    assert spoken.took < AT_ONCE


def test_a_refusal_by_the_other_bmc(ipmi_sim, fence):
    fence(ipmi_sim, "monitor")
    (ipmi_sim.directory / "fail-set").touch()
    spoken = fence(ipmi_sim, "off")
    assert spoken.code == 1
    assert "refused to power off (IPMI completion code 0xff: unspecified error)" in spoken.err
    assert spoken.took < AT_ONCE


def test_a_lie_of_the_other_bmc(ipmi_sim, fence):
    fence(ipmi_sim, "monitor")
    (ipmi_sim.directory / "ignore-set").touch()
    spoken = fence(ipmi_sim, "off", **SHORT)
    assert spoken.code == 1
    assert "timed out waiting for n2 to be powered off" in spoken.err


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("d4", "may not power off (IPMI completion code 0xd4: insufficient privilege)"),
        ("ff", "refused to power off (IPMI completion code 0xff: unspecified error)"),
        ("d5", "refused to power off (IPMI completion code 0xd5: not supported in present state)"),
        ("d6", "refused to power off (IPMI completion code 0xd6: command disabled)"),
        ("81", "refused to power off (IPMI completion code 0x81: defined by its maker)"),
    ],
)
def test_a_refused_off_is_reported_at_once(bmc, fence, code, words):
    bmc.faults.set("fail-set", code)
    spoken = fence(bmc, "off")
    assert (spoken.code, len(spoken.errors)) == (1, 1)
    assert words in spoken.err
    assert spoken.took < AT_ONCE
    assert len(bmc.commands()) == 1


@pytest.mark.parametrize(
    ("fault", "value", "reason", "at_most"),
    [
        ("ignore-set", "", "timed out waiting for n2 to be powered off", 7),
        ("drop", "", "does not answer on UDP port", 12),
        ("drop-session", "", "opens a session but leaves the request to power off unanswered", 12),
        ("drop-control", "", "opens a session but leaves the request to power off unanswered", 12),
        ("maxsess", "", "has no session slot free", 12),
        ("busy", "", "IPMI completion code 0xc0: node busy", 12),
        ("fail-get", "ff", "refused to power off (IPMI completion code 0xff", AT_ONCE),
        ("delay-off", "60", "timed out waiting for n2 to be powered off", 7),
        ("latency", "1.2", "answers too slowly for a session", 14),
        ("latency", "3", "gave no complete answer in the time that it has", 12),
    ],
)  # fmt: skip
def test_a_broken_bmc_ends_in_time_with_its_own_reason(bmc, fence, fault, value, reason, at_most):
    bmc.faults.set(fault, value)
    spoken = fence(bmc, "off", **SHORT)
    assert (spoken.code, len(spoken.errors)) == (1, 1)
    assert reason in spoken.err
    assert spoken.took < at_most
    assert ("imed out" in spoken.err) == (fault in ("ignore-set", "delay-off"))


@pytest.mark.parametrize(("number", "action"), [(signal.SIGSTOP, "off"), (signal.SIGKILL, "monitor")])
def test_a_dead_bmc_is_given_up_in_time(bmc, fence, number, action):
    bmc.process.send_signal(number)
    spoken = fence(bmc, action, **SHORT)
    assert (spoken.code, "does not answer on UDP port" in spoken.err) == (1, True)
    assert spoken.took < 16


@pytest.mark.parametrize(("fault", "value"), [("delay-off", "2"), ("busy", "3"), ("latency", "0.1")])
def test_a_slow_or_busy_bmc_is_waited_for(bmc, fence, fault, value):
    bmc.faults.set(fault, value)
    assert fence(bmc, "off").code == 0
    assert bmc.power == "off"


def test_a_reboot_whose_on_fails_is_done_with_a_warning(bmc, fence):
    bmc.faults.set("delay-on", "60")
    spoken = fence(bmc, "reboot")
    assert spoken.code == 0
    assert "off was seen, so the reboot counts as done" in spoken.err
    assert bmc.commands()[:2] == ["off", "on"]


def test_verbose_shows_the_calls_but_not_the_password(bmc, fence):
    spoken = fence(bmc, "off", verbose=1)
    assert "chassis power off: exit code 0" in spoken.err
    assert PASSWORD not in spoken.err


def command_lines() -> list[bytes]:
    """The arguments of every process on the machine now."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(place.read_bytes())
        except OSError:
            continue
    return found


def test_the_password_is_never_in_a_process_list(bmc, fence):
    seen: set[bytes] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.update(line for line in command_lines() if b"ipmi" in line)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for action in ["status", "off", "on", "monitor"] * 5:
            assert fence(bmc, action).code == 0
    finally:
        done.set()
        watcher.join()
    calls = [line for line in seen if line.startswith(b"/usr/bin/ipmitool")]
    assert calls, "the watcher saw no call of ipmitool: it proves nothing"
    assert not [line for line in seen if PASSWORD.encode() in line]
