# SPDX-License-Identifier: GPL-2.0-or-later
"""The Fence Agent API's two ways in: lines and options."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.errors import BadInput
from backstay.fencing.inputs import from_lines, from_options
from backstay.fencing.ipmi import PARAMETERS
from backstay.fencing.parameters import Parameter, Values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ip=10.0.0.2\naction=off\n", {"ip": "10.0.0.2", "action": "off"}),
        ("ip=1\nip=2\n", {"ip": "2"}),
        ("# ip=1\n\n  # ip=3\nip=2", {"ip": "2"}),
        ("password=\"a b\" 'c' =#\n", {"password": "\"a b\" 'c' =#"}),
        ("password= lead and trail \n", {"password": " lead and trail "}),
        ("password=\n", {"password": ""}),
        ("  ip=1\n", {"ip": "1"}),
        ("power-timeout=5\n", {"power_timeout": "5"}),
        ("nonsense\n=1\nip=2\n", {"ip": "2"}),
        ("option=off\n", {"option": "off", "action": "off"}),
        ("option=off\naction=on\n", {"option": "off", "action": "on"}),
        ("nodename=n2\nunknown=x\n", {"nodename": "n2", "unknown": "x"}),
    ],
)
def test_lines(text, expected):
    assert from_lines(text.encode()) == expected


@given(st.binary())
def test_any_input_is_taken(data):
    for name, value in from_lines(data).items():
        assert "\n" not in name + value


NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,15}", fullmatch=True).filter(lambda name: name != "option")
TEXT = st.text(alphabet=st.characters(exclude_characters="\n", exclude_categories=("Cs",)))


@given(st.lists(st.tuples(NAMES, TEXT)))
def test_values_come_out_as_they_went_in_and_the_last_one_wins(pairs):
    data = "".join(f"{name}={value}\n" for name, value in pairs).encode()
    assert from_lines(data) == dict(pairs)


def test_a_password_of_any_bytes_survives():
    found = from_lines(b"password=\xff\xfe \xc3\xa4\n")
    assert found["password"].encode("utf-8", "surrogateescape") == b"\xff\xfe \xc3\xa4"


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["-a", "10.0.0.2", "-o", "off"], {"ip": "10.0.0.2", "action": "off"}),
        (["-a10.0.0.2", "-P", "-v"], {"ip": "10.0.0.2", "lanplus": "1", "verbose": "1"}),
        (["--ip=10.0.0.2", "--action=off"], {"ip": "10.0.0.2", "action": "off"}),
        (["--ipaddr=1", "--login", "x", "--passwd", "p w", "--port=n2"],
         {"ip": "1", "username": "x", "password": "p w", "plug": "n2"}),
        (["-a", "1", "-l", "x", "-p", "y", "-u", "6230", "-C", "3", "-L", "operator", "-n", "n2", "-S", "/s"],
         {"ip": "1", "username": "x", "password": "y", "ipport": "6230", "cipher": "3", "privlvl": "operator",
          "plug": "n2", "password_script": "/s"}),
        (["--power-timeout=5"], {"power_timeout": "5"}),
        (["-h"], {"action": "help"}),
        (["--version"], {"action": "version"}),
    ],
)  # fmt: skip
def test_options(argv, expected):
    assert from_options(argv, PARAMETERS) == expected


@pytest.mark.parametrize("argv", [["-Z"], ["--nonsense=1"], ["-a"], ["off"]])
def test_unknown_options_are_refused(argv):
    with pytest.raises(BadInput, match=r"option|argument"):
        from_options(argv, PARAMETERS)


DECLARED = (
    Parameter("ip", "x", old="ipaddr", required=True),
    Parameter("port", "x", "integer", "623", least=1, most=65535),
    Parameter("wait", "x", "second", "2.5"),
    Parameter("fast", "x", "boolean", "0"),
    Parameter("role", "x", "select", "user", choices=("user", "operator")),
    Parameter("password", "x", secret=True),
)


@pytest.mark.parametrize(
    ("given_values", "problems"),
    [
        ({"ip": "1"}, []),
        ({"ipaddr": "1"}, []),
        ({}, ["ip is not given"]),
        ({"ip": " "}, ["ip is not given"]),
        ({"ip": "1", "port": "0"}, ["port must be a number from 1 to 65535, not '0'"]),
        ({"ip": "1", "port": "1.5"}, ["port must be a number from 1 to 65535, not '1.5'"]),
        ({"ip": "1", "wait": "nan"}, ["wait must be a number from 0 to 3600, not 'nan'"]),
        ({"ip": "1", "wait": "1.5", "port": " 7 "}, []),
        ({"ip": "1", "fast": "maybe"}, ["fast must be 1 or 0, not 'maybe'"]),
        ({"ip": "1", "role": "Operator"}, []),
        ({"ip": "1", "role": "king"}, ["role must be user or operator, not 'king'"]),
        ({"ip": "1", "password": "a\0b"}, ["password must be without a NUL byte, not this one"]),
        ({"ip": "1", "unknown": "x"}, []),
    ],
)
def test_problems(given_values, problems):
    values = Values(given_values, DECLARED)
    assert [*values.missing, *values.wrong] == problems


def test_a_bad_value_is_the_default_and_new_names_win():
    values = Values({"ip": "new", "ipaddr": "old", "port": "x", "role": "OPERATOR", "fast": "Yes"}, DECLARED)
    assert values.word("ip") == "new"
    assert values.number("port") == 623
    assert values.word("role") == "operator"
    assert values.flag("fast")


def test_everything_wrong_is_said_at_once():
    with pytest.raises(BadInput, match="ip is not given; port must be a number from 1 to 65535, not 'x'"):
        Values({"port": "x"}, DECLARED).require_sound()


@given(TEXT, st.lists(st.tuples(NAMES, TEXT)))
def test_a_password_is_whole_whatever_stands_around_it(password, pairs):
    before = "".join(f"{name}={value}\n" for name, value in pairs)
    found = Values(
        from_lines(f"{before}password={password}\n# password=x\npassword_x=y\n".encode()), DECLARED
    )
    assert found.text("password") == password


@given(st.binary())
def test_any_input_gives_values_that_are_right_or_defaults(data):
    values = Values(from_lines(data), DECLARED)
    assert 1 <= values.number("port") <= 65535
    assert 0 <= values.number("wait") <= 3600
    assert values.word("role") in ("user", "operator")
    assert values.flag("fast") in (True, False)
