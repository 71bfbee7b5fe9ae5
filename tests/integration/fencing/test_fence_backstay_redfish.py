# SPDX-License-Identifier: GPL-2.0-or-later
"""fence_backstay_redfish against sushy-tools' emulator, by itself and behind a proxy with sessions, tasks and ETags."""

from __future__ import annotations

import base64
import datetime
import threading
from collections import Counter
from types import SimpleNamespace

import pytest
from lxml import etree

from tests.integration.fencing.certificates import Authority
from tests.integration.fencing.redfish_bmc import (
    BASIC,
    PASSWORD,
    TOKEN,
    USER,
    emulator,
    proxied,
    uuid_of,
    wait_until,
)
from tests.integration.fencing.test_fence_backstay_ipmi import command_lines

STORY = [("status", 0), ("monitor", 0), ("off", 0), ("status", 2), ("monitor", 0), ("off", 0), ("on", 0),
         ("status", 0), ("on", 0), ("reboot", 0), ("status", 0)]  # fmt: skip


@pytest.mark.parametrize("session", [0, 1])
def test_the_life_of_a_host(redfish, fence_redfish, session):
    for action, code in STORY:
        spoken = fence_redfish(redfish, action, session=session)
        assert (action, spoken.code, spoken.err) == (action, code, "")
    assert redfish.power == "On"
    assert redfish.kinds == ({"nothing", "token"} if session else {"Basic"})
    assert redfish.resets() == 4


def test_the_emulator_by_itself_and_its_only_system_is_found(tmp_path, certificate, fence_redfish):
    with emulator(tmp_path / "one", 1, certificate) as alone:
        bmc = SimpleNamespace(port=alone.port, system="")
        told = [(action, fence_redfish(bmc, action).code) for action, _ in STORY]
        refused = fence_redfish(bmc, "off", password="other")
    assert told == STORY
    assert (refused.code, "HTTP 401" in refused.err) == (1, True)


def test_off_leaves_the_power_off(redfish, fence_redfish):
    assert fence_redfish(redfish, "off").code == 0
    assert redfish.power == "Off"


def test_a_host_that_is_off_already_gets_no_command(redfish, fence_redfish):
    redfish.become("Off")
    assert fence_redfish(redfish, "off").code == 0
    assert redfish.resets() == 0
    assert fence_redfish(redfish, "list-status").out == "n2,,OFF\n"


def test_a_host_that_is_off_is_rebooted_to_on(redfish, fence_redfish):
    redfish.become("Off")
    assert fence_redfish(redfish, "reboot").code == 0
    assert (redfish.resets(), redfish.power) == (1, "On")


def test_powering_off_is_not_off(redfish, fence_redfish):
    redfish.faults["delay"] = "2"
    spoken = fence_redfish(redfish, "off")
    assert (spoken.code, redfish.power, redfish.pending) == (0, "Off", "")
    assert redfish.resets() == 1
    assert spoken.took > 2


def test_a_host_on_its_way_off_is_not_off_to_status(redfish, fence_redfish):
    redfish.pending = "PoweringOff"
    spoken = fence_redfish(redfish, "status")
    assert (spoken.code, spoken.out) == (0, "Status: ON\n")


def test_a_task_is_followed_to_its_end(redfish, fence_redfish):
    redfish.faults["task"] = "ok"
    assert fence_redfish(redfish, "off").code == 0
    assert redfish.power == "Off"
    assert any("TaskMonitors" in path for _, path in redfish.requests)


@pytest.mark.parametrize("state", ["Exception", "Killed", "Cancelled"])
def test_a_task_that_fails_is_no_success_and_is_told(redfish, fence_redfish, state):
    redfish.faults["task"] = state
    spoken = fence_redfish(redfish, "off")
    assert (spoken.code, len(spoken.errors)) == (1, 1)
    assert "n2 was not powered off" in spoken.err
    assert f"its task failed ({state}: The power supply would not let go)" in spoken.err


@pytest.mark.parametrize(
    ("refuse", "reason"),
    [
        ("403 InsufficientPrivilege Not enough privileges.", "the account fencer may not power off (HTTP 403, Insufficient"),
        ("401 NoValidSession Who are you?", "the account fencer may not power off (HTTP 401, NoValidSession"),
        ("400 ActionNotSupported No such action; really.", "refused to power off (HTTP 400, ActionNotSupported: No such"),
        ("404 ResourceMissingAtURI Nothing there.", "has nothing at /redfish/v1/Systems/"),
        ("405 X Not so.", "refused to power off (HTTP 405, X: Not so)"),
        ("409 X It is busy with its firmware.", "will not power off in its present state (HTTP 409, X: It is busy"),
        ("400 InvalidOperationForSystemState No.", "will not power off in its present state (HTTP 400, Invalid"),
        ("500 InternalError It timed out.", "refused to power off (HTTP 500, InternalError: It took too long)"),
        ("501 X No.", "refused to power off (HTTP 501, X: No)"),
    ],
)  # fmt: skip
def test_a_refused_off_is_reported_at_once(redfish, fence_redfish, refuse, reason):
    redfish.faults["refuse"] = refuse
    spoken = fence_redfish(redfish, "off")
    assert (spoken.code, len(spoken.errors)) == (1, 1)
    assert reason in spoken.err
    assert "imed out" not in spoken.err
    assert (redfish.resets(), redfish.power) == (1, "On")  # it was not asked again


@pytest.mark.parametrize("fault", ["allow", "info"])
def test_only_what_the_bmc_allows_is_sent(redfish, fence_redfish, fault):
    redfish.faults[fault] = "GracefulShutdown ForceRestart ForceOn"
    spoken = fence_redfish(redfish, "off")
    assert (spoken.code, redfish.resets()) == (1, 0)
    assert "offers no ForceOff (but GracefulShutdown, ForceRestart, ForceOn)" in spoken.err
    redfish.become("Off")
    assert fence_redfish(redfish, "on").code == 0
    redfish.faults[fault] = "ForceOff"
    assert fence_redfish(redfish, "off").code == 0
    assert "offers no On and no ForceOn (but ForceOff)" in fence_redfish(redfish, "on").err


def test_a_bmc_that_lists_nothing_is_asked_for_the_usual(redfish, fence_redfish):
    redfish.faults["plain"] = ""
    assert (fence_redfish(redfish, "reboot").code, redfish.power) == (0, "On")


def test_an_etag_is_given_when_it_is_demanded(redfish, fence_redfish):
    redfish.faults["match"] = ""
    assert (fence_redfish(redfish, "off").code, redfish.power, redfish.resets()) == (0, "Off", 2)


@pytest.mark.parametrize("status", ["301", "302", "307", "308"])
def test_redirects_on_the_same_server_are_followed(redfish, fence_redfish, status):
    redfish.faults |= {"move": f"https://127.0.0.1:{redfish.port}/moved{{path}}", "moved": status}
    assert fence_redfish(redfish, "off").code == 0
    redfish.faults["move"] = "/moved{path}"
    assert fence_redfish(redfish, "on").code == 0


def test_nobody_else_hears_the_password(machines, certificate, redfish, fence_redfish):
    with proxied(machines, certificate) as other:
        for place in (
            f"https://127.0.0.1:{other.port}",
            f"http://127.0.0.1:{redfish.port}",
            "https://localhost",
        ):
            redfish.faults["move"] = f"{place}/moved{{path}}"
            spoken = fence_redfish(redfish, "off")
            assert (spoken.code, f"sends requests to {place}/moved" in spoken.err) == (1, True)
        assert other.requests == []
    redfish.faults["move"] = "{path}"
    assert "redirects without an end" in fence_redfish(redfish, "off").err


def test_several_systems_are_told_apart_or_refused(machines, redfish, fence_redfish):
    spoken = fence_redfish(redfish, "off", systems_uri="")
    assert spoken.code == 1
    assert f"has 200 systems ({uuid_of(0)}, " in spoken.err
    assert "set systems_uri to /redfish/v1/Systems/ and one of them" in spoken.err
    uuid = redfish.system.rpartition("/")[2]
    assert fence_redfish(redfish, "off", systems_uri="/redfish/v1/Systems", plug=uuid).code == 0
    assert redfish.power == "Off"
    assert fence_redfish(redfish, "on", systems_uri="", plug=uuid).code == 0
    assert redfish.power == "On"


def test_a_session_is_closed_whatever_happens(redfish, fence_redfish):
    redfish.faults["refuse"] = "403 X No."
    for action, code in (("off", 1), ("status", 0)):
        assert fence_redfish(redfish, action, session=1).code == code
    assert redfish.sessions == 0
    redfish.faults = {"forget": ""}
    assert fence_redfish(redfish, "off", session=1).code == 0
    assert (redfish.faults, redfish.sessions, redfish.power) == ({}, 0, "Off")
    assert "does not accept the account fencer" in fence_redfish(redfish, "off", session=1, password="x").err


@pytest.mark.parametrize("session", [0, 1])
def test_nothing_secret_is_ever_shown(redfish, fence_redfish, session):
    seen: set[bytes] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.update(line for line in command_lines() if b"fence_backstay_redfish" in line)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        said = [
            fence_redfish(redfish, action, session=session, verbose=1) for action in ("status", "off", "on")
        ]
    finally:
        done.set()
        watcher.join()
    assert [spoken.code for spoken in said] == [0, 0, 0]
    assert "ComputerSystem.Reset: HTTP 20" in said[1].err
    assert seen, "the watcher saw no run: it proves nothing"
    coded = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    for secret in (PASSWORD, coded, TOKEN, BASIC):
        assert not [line for line in seen if secret.encode() in line]
        assert not [spoken for spoken in said if secret in spoken.err + spoken.out]


def test_a_defect_shows_no_secret_either(redfish, repository, tmp_path, fence_redfish):
    """The agent as it is installed, broken in the middle of its request."""
    broken = tmp_path / "broken"
    broken.write_text(
        "from backstay.fencing import protocol, redfish\nfrom backstay.host.https import Https\n"
        "def ask(self, method, path, headers, *_):\n    raise NameError(f'{headers}')\n"
        "Https.ask = ask\nprotocol.to_system_log = lambda name, line, action: print('log', line)\n"
        "def main():\n"
        "    import sys\n"
        "    sys.exit(protocol.converse(redfish.AGENT, [], protocol.read_stdin, sys.stdout, sys.stderr,"
        " protocol.to_system_log))\nmain()\n"
    )
    from tests.integration.fencing.conftest import spoken

    given = {
        "action": "off",
        "ip": "127.0.0.1",
        "ipport": redfish.port,
        "username": USER,
        "password": PASSWORD,
    }
    said = spoken(broken, (), "".join(f"{name}={value}\n" for name, value in given.items()), {})
    assert (said.code, "log Traceback" in said.out, "[hidden]" in said.out) == (1, True, True)
    coded = BASIC.split()[1]
    assert coded not in said.out + said.err


@pytest.mark.parametrize("source", ["password_file", "password_script"])
def test_a_password_from_elsewhere(redfish, fence_redfish, tmp_path, source):
    place = tmp_path / "password"
    place.write_text(PASSWORD + "\n")
    value = place if source == "password_file" else f"cat '{place}'"
    assert fence_redfish(redfish, "off", password="", **{source: value}).code == 0


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (
            {"password": "other"},
            "does not accept the account fencer with this password (HTTP 401: Incorrect username",
        ),
        ({"username": "nobody"}, "does not accept the account nobody with this password (HTTP 401"),
        ({"systems_uri": "/redfish/v1/Systems/none"}, "has nothing at /redfish/v1/Systems/none (HTTP 404"),
        (
            {"systems_uri": "/redfish/v1/", "redfish_uri": "/redfish/v1"},
            "names no power state (no PowerState)",
        ),
        ({"ip": "bmc.invalid"}, "the name bmc.invalid has no address"),
    ],
)
def test_what_is_wrong_is_told_apart(redfish, fence_redfish, wrong, reason):
    spoken = fence_redfish(redfish, "off", login_timeout=2, power_timeout=2, **wrong)
    assert (spoken.code, len(spoken.errors)) == (1, 1)
    assert reason in spoken.err
    assert redfish.power == "On"


def test_certificates_that_are_not_good(machines, authority, tmp_path, fence_redfish):
    stranger = Authority(tmp_path, "stranger")
    for made, reason in (
        (stranger.certificate("strange"), "unable to get local issuer certificate"),
        (authority.certificate("elsewhere", "192.0.2.7"), "IP address mismatch"),
        (authority.certificate("old", ends=-datetime.timedelta(hours=1)), "certificate has expired"),
    ):
        with proxied(machines, made) as bmc:
            spoken = fence_redfish(bmc, "off")
            assert (spoken.code, len(spoken.errors), bmc.requests) == (1, 1, [])
            assert f"the certificate of its BMC (127.0.0.1) is not accepted ({reason}" in spoken.err.replace(
                "certificate is not valid for '127.0.0.1'", ""
            )
            pinned = fence_redfish(bmc, "off", ssl_ca="", ssl_fingerprint=made.fingerprint)
            assert (pinned.code, pinned.err, bmc.power) == (0, "", "Off")
            careless = fence_redfish(bmc, "on", ssl_insecure=1)
            assert (careless.code, len(careless.errors)) == (0, 1)
            assert "is not checked (ssl_insecure=1); set ssl_ca or ssl_fingerprint" in careless.err
            assert fence_redfish(bmc, "off", ssl_insecure=1, ssl_secure=1).code == 1


def test_whom_to_trust(redfish, authority, certificate, fence_redfish):
    assert "unable to get local issuer" in fence_redfish(redfish, "off", ssl_ca="").err
    system = {"SSL_CERT_FILE": str(authority.path), "SSL_CERT_DIR": "/nonexistent"}
    assert fence_redfish(redfish, "status", environment=system, ssl_ca="").code == 0
    assert fence_redfish(redfish, "status", ssl_name="bmc.example").code == 0
    assert "Hostname mismatch" in fence_redfish(redfish, "status", ssl_name="other.example").err
    pin = certificate.fingerprint.upper()
    assert fence_redfish(redfish, "status", ssl_fingerprint=pin).code == 0
    assert fence_redfish(redfish, "status", ssl_fingerprint=f"{'00' * 32},{pin}", ssl_ca="").code == 0
    for settings in ({}, {"ssl_ca": ""}, {"ssl_insecure": 1}):
        spoken = fence_redfish(redfish, "off", ssl_fingerprint="00" * 32, **settings)
        assert (spoken.code, f"its SHA-256 fingerprint is {pin}" in spoken.err) == (1, True)
    assert redfish.power == "On"
    missing = fence_redfish(redfish, "off", ssl_ca="/nonexistent/ca.pem")
    assert (
        missing.code,
        "the certificates of authorities in /nonexistent/ca.pem cannot be used" in missing.err,
    ) == (
        1,
        True,
    )


def test_one_connection_carries_a_whole_action(redfish, fence_redfish):
    before = threading.active_count()
    assert fence_redfish(redfish, "off").code == 0
    assert Counter(redfish.requests)[("GET", redfish.system)] == 2
    redfish.requests.clear()
    assert wait_until(lambda: threading.active_count() <= before)  # a thread for each connection


def test_validation_list_and_metadata_need_no_bmc(fence_redfish, schemas):
    good = {"ip": "192.0.2.1", "username": "x", "password": "y"}
    assert fence_redfish(None, "validate-all", **good).code == 0
    assert fence_redfish(None, "list").out == "n2,\n"
    for bad, reason in (
        ({"password": ""}, "no password is given"),
        ({"ssl": "0"}, "plain HTTP) is not offered"),
        ({"username": "a:b"}, "cannot carry a username with a colon"),
        ({"ssl_fingerprint": "ab:cd"}, "must be a SHA-256 fingerprint of 64"),
        ({"systems_uri": "https://other/redfish"}, "systems_uri must be a path"),
        ({"redfish_uri": "//other/redfish"}, "redfish_uri must be a path"),
        ({"power_timeout": "soon"}, "power command to take effect' must be a number"),
    ):
        spoken = fence_redfish(None, "validate-all", **(good | bad))
        assert (spoken.code, len(spoken.errors), reason in spoken.err) == (1, 1, True)
    assert fence_redfish(None, "validate-all", **(good | {"username": "a:b", "session": "1"})).code == 0
    document = etree.fromstring(fence_redfish(None, "metadata").out.encode())
    assert document.get("name") == "fence_backstay_redfish"
    etree.RelaxNG(etree.parse(schemas / "metadata.rng")).assertValid(document)


def test_old_names_and_the_command_line(redfish, authority, fence_redfish):
    old = {"login": USER, "passwd": PASSWORD, "ipaddr": "127.0.0.1", "systems-uri": redfish.system}
    spoken = fence_redfish(None, "status", ssl_ca=authority.path, ipport=redfish.port, nonsense=1, **old)
    assert (spoken.code, spoken.err) == (0, "")
    argv = [
        "-a",
        "127.0.0.1",
        "-u",
        str(redfish.port),
        "-l",
        USER,
        "-p",
        PASSWORD,
        "--ssl-ca",
        str(authority.path),
    ]
    argv += ["--systems-uri", redfish.system, "-z", "-o", "status"]
    assert fence_redfish(None, "", argv=tuple(argv)).code == 0
