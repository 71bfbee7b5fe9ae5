# SPDX-License-Identifier: GPL-2.0-or-later
"""fence_backstay_ipmi with the real ipmitool, against three independent BMCs, whole and broken in each way.

What only some of them can do is said at the test: OpenIPMI's and pyghmi's know cipher suite 3 alone and have no roles (the
proxy before them says the no to a role); OpenIPMI's has one completion code for every refusal, cycles visibly, and opens
no session with a Kg key.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.integration.fencing.conftest import PASSWORD, pyghmi_server, simulator

KEYED = {"ours": lambda place, key: simulator(place, "--kg", key), "pyghmi": pyghmi_server}


@pytest.fixture(params=["bmc", "ipmi_sim", "pyghmi"])
def any_bmc(request):
    """Each simulator in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["ipmi_sim", "pyghmi"])
def other_bmc(request):
    """Each simulator of somebody else."""
    return request.getfixturevalue(request.param)


def test_the_life_of_a_host(any_bmc, fence, at_once):
    story = [("status", 0), ("monitor", 0), ("off", 0), ("status", 2), ("monitor", 0), ("off", 0), ("on", 0),
             ("status", 0), ("on", 0), ("reboot", 0), ("status", 0)]  # fmt: skip
    for action, code in story:
        spoken = fence(any_bmc, action, login_timeout=10)
        assert (action, spoken.code, spoken.err) == (action, code, "")
        assert spoken.took < 8 + at_once()
    assert any_bmc.power == "on"


def test_off_leaves_the_power_off(any_bmc, fence):
    assert fence(any_bmc, "off").code == 0
    assert any_bmc.power == "off"


def test_list_status(any_bmc, fence):
    assert fence(any_bmc, "list-status", login_timeout=10).out == "n2,,ON\n"
    (any_bmc.directory / "power").write_text("off\n")
    assert fence(any_bmc, "list-status").out == "n2,,OFF\n"


def test_a_cycle_is_seen_off_and_ends_on(any_bmc, fence):
    fence(any_bmc, "monitor", login_timeout=10)  # it listens
    spoken = fence(any_bmc, "reboot", method="cycle", stonith_status_sleep=0.2)
    assert (spoken.code, spoken.err) == (0, "")
    assert fence(any_bmc, "status").code == 0


@pytest.mark.parametrize("maker", ["bmc", "pyghmi"])  # OpenIPMI's takes at least a second for a cycle
def test_a_cycle_that_nobody_saw_is_followed_by_a_plain_off(request, maker, fence):
    bmc = request.getfixturevalue(maker)
    fence(bmc, "monitor", login_timeout=10)  # it listens
    bmc.faults.set("quick-cycle")
    assert fence(bmc, "reboot", method="cycle", power_timeout=6).code == 0
    assert bmc.commands() == ["cycle", "off", "on"]


def test_a_cycle_that_does_nothing_is_no_success(any_bmc, fence):
    bmc = any_bmc
    fence(bmc, "monitor", login_timeout=10)  # it listens
    bmc.faults.set("ignore-set")
    spoken = fence(bmc, "reboot", method="cycle", power_timeout=3)
    assert spoken.code == 1
    assert "timed out waiting for n2 to be powered off" in spoken.err


def test_a_bmc_without_suite_17_is_reached_with_3_and_that_is_said(tmp_path, other_bmc, fence):
    other_bmc.login.pop("cipher")
    fence(other_bmc, "monitor", login_timeout=10)
    spoken = fence(other_bmc, "off")
    assert (spoken.code, other_bmc.power, len(spoken.errors)) == (0, "off", 1)
    assert "does not offer cipher suite 17, so 3 is used; set cipher=3" in spoken.err


def test_suite_3_can_be_forbidden(other_bmc, fence):
    other_bmc.login.pop("cipher")
    fence(other_bmc, "monitor", login_timeout=10)
    spoken = fence(other_bmc, "off", cipher_fallback="none")
    assert (spoken.code, other_bmc.power) == (1, "on")
    assert "does not offer cipher suite 17; enable it there" in spoken.err


# OpenIPMI's (2.0.33) does not start with a key of less than 20 bytes, and opens no session with one of 20.
@pytest.mark.parametrize("maker", ["ours", "pyghmi"])
def test_a_bmc_with_a_key(tmp_path, fence, need, maker):
    need("ipmitool")
    key = "6b65792001fe"
    with KEYED[maker](tmp_path / "bmc", key) as bmc:
        assert fence(bmc, "off", hexadecimal_kg=key, login_timeout=10).code == 0
        for more in ({"hexadecimal_kg": "6b6579"}, {}):
            spoken = fence(bmc, "monitor", **more)
            assert (spoken.code, "has another Kg key; correct hexadecimal_kg" in spoken.err) == (1, True)


def test_a_plug_that_is_an_address(any_bmc, fence):
    spoken = fence(any_bmc, "off", ip="", plug="127.0.0.1", port_as_ip=1, login_timeout=10)
    assert (spoken.code, any_bmc.power) == (0, "off")


@pytest.mark.parametrize("suite", [3, 17])
def test_both_suites(bmc, fence, suite):
    """The others know suite 3 alone, with which all other tests ask them."""
    assert fence(bmc, "status", cipher=suite).code == 0


def test_a_host_that_is_off_already_gets_no_command(any_bmc, fence):
    bmc = any_bmc
    (bmc.directory / "power").write_text("off\n")
    assert fence(bmc, "off", login_timeout=10).code == 0
    assert bmc.commands() == []


def test_a_host_that_is_off_is_rebooted_to_on(any_bmc, fence):
    (any_bmc.directory / "power").write_text("off\n")
    assert fence(any_bmc, "reboot", login_timeout=10).code == 0
    assert any_bmc.power == "on"


def test_list_validation_and_metadata_need_no_bmc(fence):
    assert fence(None, "list").out == "n2,\n"
    assert fence(None, "validate-all", ip="192.0.2.1", username="x", password="y").code == 0
    assert fence(None, "validate-all", ip="192.0.2.1").code == 1
    assert "<resource-agent" in fence(None, "metadata").out


def test_the_command_line(any_bmc, fence):
    bmc, given = any_bmc, {"cipher": "17", **any_bmc.login}
    fence(bmc, "monitor", login_timeout=10)  # it listens
    argv = (
        "-a",
        "127.0.0.1",
        "-u",
        str(bmc.port),
        "-l",
        "fencer",
        "-p",
        given["password"],
        "-C",
        given["cipher"],
        "-P",
    )
    assert fence(bmc, "", argv=(*argv, "-o", "status")).code == 0
    assert fence(bmc, "", argv=("-o", "metadata")).out.startswith("<?xml")
    assert fence(bmc, "", argv=("-o", "status")).code == 1


def test_old_names_and_unknown_ones(any_bmc, fence):
    bmc = any_bmc
    fence(bmc, "monitor", login_timeout=10)  # it listens
    old = {"username": "login", "password": "passwd"}
    bmc.login = {old.get(name, name): value for name, value in bmc.login.items()} | {
        "nonsense": "1",
        "auth": "md5",
    }
    assert fence(bmc, "status", ip="", ipaddr="127.0.0.1").code == 1
    bmc.login |= {"ipaddr": "127.0.0.1"}
    assert fence(bmc, "status").code == 0


@pytest.mark.parametrize("source", ["password_file", "password_script"])
def test_a_password_from_elsewhere(any_bmc, fence, tmp_path, source):
    place = tmp_path / "password"
    place.write_text(any_bmc.login["password"] + "\n")
    value = place if source == "password_file" else f"cat '{place}'"
    spoken = fence(any_bmc, "off", login_timeout=10, password="", **{source: value})
    assert (spoken.code, any_bmc.power) == (0, "off")


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
        ({"cipher": 1, "cipher_fallback": "none"}, "does not offer cipher suite 1;"),
        ({"ipmitool_path": "/nonexistent/ipmitool"}, "cannot be run: No such file"),
    ],
)  # fmt: skip
def test_a_refused_account_is_told_apart_at_once(bmc, fence, wrong, reason, at_once):
    spoken = fence(bmc, "off", **wrong)
    assert spoken.code == 1
    assert reason in spoken.err
    assert len(spoken.errors) == 1
    assert spoken.took < at_once()
    assert bmc.power == "on"


@pytest.mark.parametrize("other", ["ipmi_sim", "pyghmi"])
@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"password": "other"}, "does not accept the password"),
        ({"username": "nobody"}, "account nobody"),
        ({"cipher": 17, "cipher_fallback": "none"}, "does not offer cipher suite 17"),
    ],
)
def test_the_other_bmcs_are_understood_as_well(request, fence, other, wrong, reason, at_once):
    bmc = request.getfixturevalue(other)
    fence(bmc, "monitor")  # it listens
    spoken = fence(bmc, "monitor", **wrong)
    assert (spoken.code, reason in spoken.err) == (1, True)
    # pyghmi's server says nothing at all about a user that it does not know
    assert spoken.took < (at_once() if (other, "username") != ("pyghmi", *wrong) else 25.0)


def test_a_role_that_another_bmc_does_not_grant(other_bmc, fence, at_once):
    fence(other_bmc, "monitor", login_timeout=10)  # it listens
    other_bmc.faults.directory.mkdir(exist_ok=True)
    (other_bmc.faults.directory / "role").touch()
    spoken = fence(other_bmc, "off")
    assert (spoken.code, other_bmc.power) == (1, "on")
    assert "does not grant the role operator to the account fencer" in spoken.err
    assert spoken.took < at_once()


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
@pytest.mark.parametrize("maker", ["bmc", "ipmi_sim", "pyghmi"])
def test_a_refused_off_is_reported_at_once(request, maker, fence, code, words, at_once):
    bmc = request.getfixturevalue(maker)
    if maker == "ipmi_sim":  # it has one code for every refusal of its chassis
        words = "refused to power off (IPMI completion code 0xff: unspecified error)"
    fence(bmc, "monitor", login_timeout=10)  # it listens
    bmc.faults.set("fail-set", code)
    spoken = fence(bmc, "off")
    assert (spoken.code, len(spoken.errors)) == (1, 1)
    assert words in spoken.err
    assert spoken.took < at_once()
    assert len(bmc.commands()) == 1


def test_verbose_shows_the_calls_but_not_the_password(any_bmc, fence):
    spoken = fence(any_bmc, "off", verbose=1, login_timeout=10)
    assert "chassis power off: exit code 0" in spoken.err
    assert any_bmc.login["password"] not in spoken.err


@pytest.mark.parametrize(("closed", "code"), [("2>&-", 0), (">&-", 0), (">/dev/full", 0), ("<&-", 1)])
def test_streams_that_the_caller_closed(any_bmc, fence, repository, closed, code):
    bmc = any_bmc
    fence(bmc, "monitor", login_timeout=10)  # it listens
    account = "".join(f"{name}={value}\n" for name, value in bmc.login.items())
    given = f"action=off\nip=127.0.0.1\nipport={bmc.port}\n{account}"
    argv = ["/bin/sh", "-c", f'exec "$0" -I "$1" {closed}', sys.executable]
    argv.append(str(repository / "fencing" / "fence_backstay_ipmi"))
    done = subprocess.run(argv, input=given, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, bmc.power) == (code, "on" if code else "off")
    assert "Traceback" not in done.stderr


def test_a_failure_that_nobody_can_be_told_is_a_failure_of_the_same_code(repository):
    argv = ["/bin/sh", "-c", 'exec "$0" -I "$1" 2>/dev/full', sys.executable]
    argv.append(str(repository / "fencing" / "fence_backstay_ipmi"))
    done = subprocess.run(
        argv, input="action=bogus\n", capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")


def test_a_host_without_a_way_to_the_bmc_says_so(repository, need):
    agent = [sys.executable, "-I", str(repository / "fencing" / "fence_backstay_ipmi")]
    argv = [need("unshare"), *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "--net", *agent]
    given = "action=off\nip=192.0.2.1\nusername=a\npassword=b\nlogin_timeout=2\nnodename=n2\n"
    done = subprocess.run(argv, input=given, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "fence_backstay_ipmi: n2 was not powered off: this host has no route to its BMC (192.0.2.1); "
        "check its own network (ip route get 192.0.2.1)\n",
    )


def test_a_document_that_nobody_gets_is_a_failure(repository):
    argv = ["/bin/sh", "-c", 'exec "$0" -I "$1" -o metadata >/dev/full', sys.executable]
    argv.append(str(repository / "fencing" / "fence_backstay_ipmi"))
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "fence_backstay_ipmi: what was asked for cannot be written: No space left on device\n"
    )


def test_neither_the_agent_nor_what_it_starts_may_dump_core(any_bmc, fence, tmp_path):
    bmc = any_bmc
    fence(bmc, "monitor", login_timeout=10)  # it listens
    script, seen = tmp_path / "ask", tmp_path / "limits"
    script.write_text(
        f"#!/bin/sh\ncat /proc/self/limits >{seen}\necho {shlex.quote(bmc.login['password'])}\n"
    )
    script.chmod(0o755)
    assert fence(bmc, "status", password="", password_script=script).code == 0
    assert "Max core file size        1 " in seen.read_text()


def command_lines() -> list[bytes]:
    """The arguments of every process on the machine now."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(place.read_bytes())
        except OSError:
            continue
    return found


def test_the_password_is_never_in_a_process_list(any_bmc, fence):
    bmc = any_bmc
    fence(bmc, "monitor", login_timeout=10)  # it listens
    seen: set[bytes] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.update(line for line in command_lines() if b"ipmi" in line)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for action in ["status", "off", "on", "monitor"]:
            assert fence(bmc, action).code == 0
    finally:
        done.set()
        watcher.join()
    calls = [line for line in seen if line.startswith(b"/usr/bin/ipmitool")]
    assert calls, "the watcher saw no call of ipmitool: it proves nothing"
    assert not [line for line in seen if bmc.login["password"].encode() in line]
