# SPDX-License-Identifier: GPL-2.0-or-later
"""What ipmitool 1.8.19 really printed (with -vv, against a BMC that was broken in each way), and what it means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.host.bmc import Kind, Power, Trouble
from backstay.host.ipmitool import CODES, Ipmitool, Login, last_words, read_control, read_guid, read_status
from backstay.host.process import Completed

# Shown on standard output when a session was opened (its other messages are left out).
SESSION = """<<RAKP 4 MESSAGE
<<  Message tag                   : 0x00
<<  RMCP+ status                  : no errors
<<  Console Session ID            : 0xa0a2a3a4
<<  Key exchange auth code [sha256]: 0x258f87b790a2bf9ebeea2d507d8ff76b

"""
NOISE = (
    "Loading IANA PEN Registry...\n"
    "Running Get VSO Capabilities my_addr 0x20, transit 0, target 0x20\n"
    "Invalid completion code received: Insufficient privilege level\n"
    "Discovered IPMB address 0x0\n"
)
IANA = "Loading IANA PEN Registry...\n"
NO_SESSION = "Error: Unable to establish IPMI v2 / RMCP+ session\n"
PATIENCE = 1.0
QUICK, SLOW = 0.03, 6.05


def said(stderr: str, stdout: str = "", code: int = 1) -> Completed:
    return Completed(["ipmitool"], code, stdout, stderr)


@pytest.mark.parametrize(
    ("stdout", "stderr", "expected"),
    [
        ("Chassis Power is on\n", "", Power.ON),
        ("Chassis Power is off\n", NOISE, Power.OFF),
        ("Chassis Power is on\n", "Get HPM.x Capabilities request failed, compcode = d4\n" + NOISE, Power.ON),
    ],
)
def test_a_status_is_read(stdout, stderr, expected):
    assert read_status(said(stderr, SESSION + stdout, 0), QUICK, PATIENCE) is expected


@pytest.mark.parametrize(
    "stdout",
    [
        "",
        "Chassis Power is unknown\n",
        "Chassis Power is off\nChassis Power is on\n",
        "x Chassis Power is off\n",
    ],
)
def test_an_odd_status_is_no_status(stdout):
    answer = read_status(said("", SESSION + stdout, 0), QUICK, PATIENCE)
    assert isinstance(answer, Trouble)
    assert answer.kind is Kind.UNCLEAR


# Recorded: all four attempts to open a session ended for want of time, and ipmitool went on. Then a late answer to one of
# them passed for that of the last command, or the BMC refused what came outside any session, or kept silent about it.
FELL_THROUGH = (
    IANA
    + ">> SENDING AN OPEN SESSION REQUEST\n\nTimeout in open session response message.\nRetry lanplus open session, 0\n"
    + "IPMIv2 / RMCP+ SESSION OPENED SUCCESSFULLY\n\nSet Session Privilege Level to OPERATOR\n\n"
)
OPENING = (
    "<<OPEN SESSION RESPONSE\n<<  Message tag : 0x00\n<<  RMCP+ status                       : no errors\n\n"
)


@pytest.mark.parametrize("stdout", ["", OPENING, SESSION.replace("no errors", "invalid role")])
@pytest.mark.parametrize(
    ("words", "last", "code"),
    [
        ("Chassis Power is off\n", "", 0),
        ("Chassis Power is on\n", "", 0),
        ("Chassis Power Control: Down/Off\n", "", 0),
        (" 06 00 ff 07 06 11 00 00 00 00 00 00 00 00 24 00\n", "", 0),
        ("", "Get Chassis Power Status failed: Insufficient privilege level\n", 1),
        ("", "Unable to get Chassis Power Status\n", 1),
        (
            "",
            "Set Session Privilege Level to OPERATOR failed: Insufficient privilege level\n" + NO_SESSION,
            1,
        ),
        ("", "Set Session Privilege Level to OPERATOR failed\n" + NO_SESSION, 1),
    ],
)
def test_what_was_said_outside_a_session_is_no_answer(stdout, words, last, code):
    done = said(FELL_THROUGH + last, stdout + words, code)
    for answer in (
        read_status(done, SLOW, PATIENCE),
        read_control("off", done, SLOW, PATIENCE),
        read_guid(done, SLOW, PATIENCE),
    ):
        assert isinstance(answer, Trouble)
        assert answer.kind is Kind.SLOW


@pytest.mark.parametrize("words", ["Chassis Power is off", "Chassis Power Control: Down/Off"])
def test_an_ipmitool_that_shows_no_session_is_not_believed(words):
    done = said(NOISE, words + "\n", 0)
    for answer in (read_status(done, QUICK, PATIENCE), read_control("off", done, QUICK, PATIENCE)):
        assert isinstance(answer, Trouble)
        assert answer.kind is Kind.UNCLEAR
        assert answer.said == f"{words!r} without showing that it had opened a session"


def test_a_refusal_inside_a_session_counts_though_an_attempt_at_one_came_to_nothing():
    text = FELL_THROUGH + "Get Chassis Power Status failed: Insufficient privilege level\n"
    answer = read_status(said(text, SESSION), SLOW, PATIENCE)
    assert isinstance(answer, Trouble)
    assert (answer.kind, answer.code) == (Kind.REFUSED, 0xD4)


def test_a_status_from_a_failed_ipmitool_does_not_count():
    assert isinstance(read_status(said("", SESSION + "Chassis Power is off\n", 1), QUICK, PATIENCE), Trouble)


@pytest.mark.parametrize(
    ("wanted", "stdout", "accepted"),
    [
        ("off", "Chassis Power Control: Down/Off\n", True),
        ("on", "Chassis Power Control: Up/On\n", True),
        ("cycle", "Chassis Power Control: Cycle\n", True),
        ("off", "Chassis Power Control: Up/On\n", False),
        ("off", "Chassis Power Control: Cycle\n", False),
        ("off", "Chassis Power Control: Soft\n", False),
        ("off", "", False),
    ],
)
def test_a_command_is_accepted_only_in_its_own_words(wanted, stdout, accepted):
    answer = read_control(wanted, said(NOISE, SESSION + stdout, 0), QUICK, PATIENCE)
    assert (answer is None) is accepted


@pytest.mark.parametrize(
    ("kind", "waited", "stderr"),
    [
        (Kind.PASSWORD, QUICK, IANA + "> RAKP 2 HMAC is invalid\n" + NO_SESSION),
        (
            Kind.PASSWORD,
            QUICK,
            "RAKP 4 message indicates an error : invalid integrity check value\n" + NO_SESSION,
        ),
        (Kind.USER, QUICK, IANA + "RAKP 2 message indicates an error : unauthorized name\n" + NO_SESSION),
        (Kind.ROLE, QUICK, IANA + "RAKP 2 message indicates an error : invalid role\n" + NO_SESSION),
        (Kind.ROLE, QUICK, "Set Session Privilege Level to OPERATOR failed: Unknown (0x81)\n" + NO_SESSION),
        (
            Kind.SUITE,
            QUICK,
            "Error in open session response message : no matching cipher suite\n\n" + NO_SESSION,
        ),
        (
            Kind.SUITE,
            QUICK,
            "Error in open session response message : invalid authentication algorithm\n\n" + NO_SESSION,
        ),
        (
            Kind.SESSIONS,
            QUICK,
            "Error in open session response message : insufficient resources for session\n\n" + NO_SESSION,
        ),
        (
            Kind.SILENT,
            SLOW,
            IANA
            + "Get Auth Capabilities error\nError issuing Get Channel Authentication Capabilities request\n"
            + NO_SESSION,
        ),
        (Kind.SILENT, SLOW, NO_SESSION),
        (Kind.SESSION, QUICK, NO_SESSION),
        (
            Kind.SLOW,
            3.6,
            IANA
            + "IPMI Request Match NOT FOUND\n> Error: no response from RAKP 1 message\n> RAKP 2 HMAC is invalid\n"
            + NO_SESSION,
        ),
        (  # recorded with answers that took 1.0 s
            Kind.SLOW,
            3.1,
            IANA
            + "IPMI Request Match NOT FOUND\nError: Received an Unexpected Open Session Response\n> RAKP 2 HMAC is invalid\n"
            + NO_SESSION,
        ),
        (
            Kind.SLOW,
            3.1,
            "IPMI Request Match NOT FOUND\n> RAKP 4 message has invalid integrity check value\n" + NO_SESSION,
        ),
        (
            Kind.UNANSWERED,
            SLOW,
            "Set Session Privilege Level to OPERATOR failed\n"
            + NO_SESSION
            + "Close Session command failed\n",
        ),
        (Kind.KEY, QUICK, IANA + "> RAKP 4 message has invalid integrity check value\n" + NO_SESSION),
        (
            Kind.SUITE,
            QUICK,
            IANA + "Authentication algorithm 0x01 is not what we requested 0x03\n\n" + NO_SESSION,
        ),
        (Kind.UNANSWERED, 3.0, NOISE + "Unable to set Chassis Power Control to Down/Off\n"),
        (Kind.UNANSWERED, 3.0, NOISE + "Unable to get Chassis Power Status\n"),
        (Kind.NAME, QUICK, "Address lookup for no.such.host failed\nCould not open socket!\n" + NO_SESSION),
        (Kind.SILENT, QUICK, IANA + "Could not open socket!\n" + NO_SESSION),
        (Kind.UNCLEAR, QUICK, "Segmentation fault\n"),
        (Kind.UNCLEAR, QUICK, ""),
    ],
)
def test_each_trouble_is_told_apart(kind, waited, stderr):
    for answer in (
        read_status(said(stderr), waited, PATIENCE),
        read_control("off", said(stderr), waited, PATIENCE),
    ):
        assert isinstance(answer, Trouble)
        assert answer.kind is kind


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("Insufficient privilege level", 0xD4),
        ("Node busy", 0xC0),
        ("Timeout", 0xC3),
        ("Device firmeware in update mode", 0xD1),
        ("Command not supported in present state", 0xD5),
        ("Unspecified error", 0xFF),
        ("Unknown (0x81)", 0x81),
        ("Unknown (0xD7)", 0xD7),
        ("Something that a later version says", None),
    ],
)
def test_a_completion_code_is_read_from_its_words(words, code):
    control = said(NOISE + f"Set Chassis Power Control to Down/Off failed: {words}\n")
    status = said(NOISE + f"Get Chassis Power Status failed: {words}\n")
    for answer in (
        read_control("off", control, QUICK, PATIENCE),
        read_status(status, QUICK, PATIENCE),
    ):
        assert isinstance(answer, Trouble)
        assert (answer.kind, answer.code) == (Kind.REFUSED, code)
        assert words in answer.said


RAW = NOISE + "RAW REQ (channel=0x0 netfn=0x6 lun=0x0 cmd=0x37 data_len=0)\n"


@pytest.mark.parametrize(
    ("stdout", "guid"),
    [
        (" 57 47 51 d7 69 6c 34 8e e1 5d ac 3f 1f 4b 3b 94\n\n", "574751d7696c348ee15dac3f1f4b3b94"),
        (" 57 47 51 d7 69 6c 34 8e\n e1 5d ac 3f 1f 4b 3b 94\n", "574751d7696c348ee15dac3f1f4b3b94"),
        (" 57 47\n", None),
        ("", None),
    ],
)
def test_a_guid_has_sixteen_bytes(stdout, guid):
    answer = read_guid(said(RAW, SESSION + stdout, 0), QUICK, PATIENCE)
    assert answer == bytes.fromhex(guid) if guid else isinstance(answer, Trouble)


def test_a_refused_guid_has_its_completion_code():
    stderr = (
        RAW
        + "Unable to send RAW command (channel=0x0 netfn=0x6 lun=0x0 cmd=0x37 rsp=0xc1): Invalid command\n"
    )
    answer = read_guid(said(stderr), QUICK, PATIENCE)
    assert isinstance(answer, Trouble)
    assert (answer.kind, answer.code) == (Kind.REFUSED, 0xC1)


def test_completion_codes_of_other_commands_do_not_count():
    answer = read_control(
        "off", said(NOISE, SESSION + "Chassis Power Control: Down/Off\n", 0), QUICK, PATIENCE
    )
    assert answer is None


def test_the_last_words_are_not_the_noise():
    stderr = (
        "Set Session Privilege Level to OPERATOR failed\n" + NO_SESSION + "Close Session command failed\n"
    )
    answer = read_status(said(IANA + stderr), SLOW, PATIENCE)
    assert isinstance(answer, Trouble)
    assert answer.said == NO_SESSION.strip()


def test_no_key_of_a_session_is_among_the_last_words():
    keys = " ed b2 1f\n 22 bd b1 2f f1 c5 0c 68 d7 19 e7 cd 17 72 19 04\nGenerated K1 (32 bytes)\nClosed Session c626ee71\n"
    assert last_words(said(NOISE + keys, SESSION + "Chassis Power is on\n", 0)) == "Chassis Power is on"


@given(st.text(), st.text(), st.integers(-15, 255), st.floats(0, 60))
def test_any_output_is_an_answer_or_a_trouble(stdout, stderr, code, waited):
    done = said(stderr, SESSION + stdout, code)
    status = read_status(done, waited, PATIENCE)
    assert isinstance(status, Trouble | Power)
    if isinstance(status, Power):
        assert code == 0
        assert "Chassis Power is " in stdout


@given(st.sampled_from(sorted(CODES)), st.text(alphabet=st.characters(exclude_categories=("Cs",))))
def test_noise_around_a_refusal_does_not_hide_it(words, noise):
    lines = "\n".join(noise.splitlines())
    stderr = f"{lines}\nSet Chassis Power Control to Down/Off failed: {words}\n"
    answer = read_control("off", said(stderr), QUICK, PATIENCE)
    assert isinstance(answer, Trouble)
    assert answer.code == CODES[words]


def test_the_password_is_in_no_argument_and_in_no_text():
    login = Login(
        "10.0.0.2", "fencer", "pass word", suite=3, role="operator", seconds=2, port=6230, key="se cret"
    )
    argv = Ipmitool(login).argv(("chassis", "power", "off"))
    assert not {"pass word", "se cret"} & {*argv}
    assert "pass word" not in repr(login)
    assert "se cret" not in repr(login)
    assert argv == [
        "/usr/bin/ipmitool", "-vv", "-I", "lanplus", "-C", "3", "-L", "OPERATOR", "-N", "2", "-R", "2",
        "-H", "10.0.0.2", "-p", "6230", "-U", "fencer", "-E", "-K", "chassis", "power", "off",
    ]  # fmt: skip


@given(st.sampled_from(("off", "on", "cycle")), st.text(), st.text(), st.integers(-15, 255), st.floats(0, 60))
def test_a_command_counts_as_taken_only_when_ipmitool_says_so(verb, stdout, stderr, code, waited):
    line = {"off": "Down/Off", "on": "Up/On", "cycle": "Cycle"}[verb]
    said_so = f"{SESSION}{stdout}\nChassis Power Control: {line}\n"
    assert read_control(verb, said(stderr, stdout, code), waited, PATIENCE) is not None
    taken = read_control(verb, said(stderr, said_so, code), waited, PATIENCE)
    assert (taken is None) == (code == 0)
    others = {"off", "on", "cycle"} - {verb}
    assert all(
        read_control(each, said(stderr, said_so, code), waited, PATIENCE) is not None for each in others
    )


@given(st.binary(max_size=40), st.text(max_size=40), st.integers(0, 1))
def test_a_guid_is_sixteen_bytes_or_a_trouble(sent, noise, code):
    text = " ".join(f"{byte:02x}" for byte in sent)
    answer = read_guid(said(noise, f"{SESSION} {text}\n", code), QUICK, PATIENCE)
    assert isinstance(answer, Trouble) == (len(sent) != 16 or code != 0)
    if not isinstance(answer, Trouble):
        assert answer == sent


@given(st.binary(), st.floats(0, 60))
def test_what_no_version_of_ipmitool_prints_is_a_trouble(data, waited):
    done = said(data.decode("utf-8", "replace"), "", 1)
    for answer in (read_status(done, waited, PATIENCE), read_guid(done, waited, PATIENCE)):
        assert isinstance(answer, Trouble)
        assert "\n" not in answer.said
