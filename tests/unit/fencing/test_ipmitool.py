# SPDX-License-Identifier: GPL-2.0-or-later
"""What ipmitool 1.8.19 really printed (with -v, against a BMC that was broken in each way), and what it means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.host.ipmitool import CODES, Ipmitool, Kind, Login, Power, Trouble, read_control, read_status
from backstay.host.process import Completed

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
    assert read_status(said(stderr, stdout, 0), QUICK, PATIENCE) is expected


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
    answer = read_status(said("", stdout, 0), QUICK, PATIENCE)
    assert isinstance(answer, Trouble)
    assert answer.kind is Kind.UNCLEAR


def test_a_status_from_a_failed_ipmitool_does_not_count():
    assert isinstance(read_status(said("", "Chassis Power is off\n", 1), QUICK, PATIENCE), Trouble)


@pytest.mark.parametrize(
    ("wanted", "stdout", "accepted"),
    [
        (Power.OFF, "Chassis Power Control: Down/Off\n", True),
        (Power.ON, "Chassis Power Control: Up/On\n", True),
        (Power.OFF, "Chassis Power Control: Up/On\n", False),
        (Power.OFF, "Chassis Power Control: Soft\n", False),
        (Power.OFF, "", False),
    ],
)
def test_a_command_is_accepted_only_in_its_own_words(wanted, stdout, accepted):
    answer = read_control(wanted, said(NOISE, stdout, 0), QUICK, PATIENCE)
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
        (
            Kind.UNANSWERED,
            SLOW,
            "Set Session Privilege Level to OPERATOR failed\n"
            + NO_SESSION
            + "Close Session command failed\n",
        ),
        (Kind.UNANSWERED, 3.0, NOISE + "Unable to set Chassis Power Control to Down/Off\n"),
        (Kind.UNANSWERED, 3.0, NOISE + "Unable to get Chassis Power Status\n"),
        (Kind.NAME, QUICK, "Address lookup for no.such.host failed\nCould not open socket!\n" + NO_SESSION),
        (Kind.UNCLEAR, QUICK, "Segmentation fault\n"),
        (Kind.UNCLEAR, QUICK, ""),
    ],
)
def test_each_trouble_is_told_apart(kind, waited, stderr):
    for answer in (
        read_status(said(stderr), waited, PATIENCE),
        read_control(Power.OFF, said(stderr), waited, PATIENCE),
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
        read_control(Power.OFF, control, QUICK, PATIENCE),
        read_status(status, QUICK, PATIENCE),
    ):
        assert isinstance(answer, Trouble)
        assert (answer.kind, answer.code) == (Kind.REFUSED, code)
        assert words in answer.said


def test_completion_codes_of_other_commands_do_not_count():
    answer = read_control(Power.OFF, said(NOISE, "Chassis Power Control: Down/Off\n", 0), QUICK, PATIENCE)
    assert answer is None


def test_the_last_words_are_not_the_noise():
    stderr = (
        "Set Session Privilege Level to OPERATOR failed\n" + NO_SESSION + "Close Session command failed\n"
    )
    answer = read_status(said(IANA + stderr), SLOW, PATIENCE)
    assert isinstance(answer, Trouble)
    assert answer.said == NO_SESSION.strip()


@given(st.text(), st.text(), st.integers(-15, 255), st.floats(0, 60))
def test_any_output_is_an_answer_or_a_trouble(stdout, stderr, code, waited):
    done = said(stderr, stdout, code)
    status = read_status(done, waited, PATIENCE)
    assert isinstance(status, Trouble | Power)
    if isinstance(status, Power):
        assert code == 0
        assert "Chassis Power is " in stdout


@given(st.sampled_from(sorted(CODES)), st.text(alphabet=st.characters(exclude_categories=("Cs",))))
def test_noise_around_a_refusal_does_not_hide_it(words, noise):
    lines = "\n".join(noise.splitlines())
    stderr = f"{lines}\nSet Chassis Power Control to Down/Off failed: {words}\n"
    answer = read_control(Power.OFF, said(stderr), QUICK, PATIENCE)
    assert isinstance(answer, Trouble)
    assert answer.code == CODES[words]


def test_the_password_is_in_no_argument_and_in_no_text():
    login = Login("10.0.0.2", "fencer", "pass word", suite=3, role="operator", seconds=2, port=6230)
    argv = Ipmitool(login).argv("off")
    assert "pass word" not in " ".join(argv)
    assert "pass word" not in repr(login)
    assert argv == [
        "/usr/bin/ipmitool", "-v", "-I", "lanplus", "-C", "3", "-L", "OPERATOR", "-N", "2", "-R", "2",
        "-H", "10.0.0.2", "-p", "6230", "-U", "fencer", "-E", "chassis", "power", "off",
    ]  # fmt: skip
