# SPDX-License-Identifier: GPL-2.0-or-later
"""fence_backstay_ipmi with the real ipmitool, against two independent BMCs, whole and broken in each way."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.integration.fencing.conftest import PASSWORD

AT_ONCE = 2.0  # seconds for an answer that needs no waiting; it usually takes 0.15


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


def test_verbose_shows_the_calls_but_not_the_password(bmc, fence):
    spoken = fence(bmc, "off", verbose=1)
    assert "chassis power off: exit code 0" in spoken.err
    assert PASSWORD not in spoken.err


@pytest.mark.parametrize(("closed", "code"), [("2>&-", 0), (">&-", 0), ("<&-", 1)])
def test_streams_that_the_caller_closed(bmc, repository, closed, code):
    given = f"action=off\nip=127.0.0.1\nipport={bmc.port}\nusername=fencer\npassword={PASSWORD}\n"
    argv = ["/bin/sh", "-c", f'exec "$0" -I "$1" {closed}', sys.executable]
    argv.append(str(repository / "fencing" / "fence_backstay_ipmi"))
    done = subprocess.run(argv, input=given, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, bmc.power) == (code, "on" if code else "off")
    assert "Traceback" not in done.stderr


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
        for action in ["status", "off", "on", "monitor"] * 2:
            assert fence(bmc, action).code == 0
    finally:
        done.set()
        watcher.join()
    calls = [line for line in seen if line.startswith(b"/usr/bin/ipmitool")]
    assert calls, "the watcher saw no call of ipmitool: it proves nothing"
    assert not [line for line in seen if PASSWORD.encode() in line]
