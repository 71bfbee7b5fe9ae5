# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a password comes from, and that it arrives whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backstay.errors import BadInput, CannotAsk
from backstay.fencing import password
from backstay.fencing.ipmi import PARAMETERS
from backstay.fencing.parameters import Values
from backstay.host.process import Completed, ToolMissing


def find(run=None, **given):
    return password.find(Values(given, PARAMETERS), run)


@pytest.mark.parametrize("text", ["simple", " blanks around ", "'quotes' \"both\"", "", "=#;$(x)"])
def test_a_parameter_is_taken_as_it_is(text):
    assert find(password=text) == text


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"secret\n", "secret"),
        (b"secret", "secret"),
        (b" se cret \n", " se cret "),
        (b"secret\r\n", "secret"),
        (b"first\nsecond\n", "first"),
        (b"", ""),
    ],
)
def test_the_first_line_of_a_file(tmp_path, content, expected):
    file = tmp_path / "password"
    file.write_bytes(content)
    assert find(password_file=str(file), password="other") == expected


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CannotAsk, match=r"the password file .*gone cannot be read: No such file"):
        find(password_file=str(tmp_path / "gone"))


def test_what_is_no_file_is_not_read(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for never in (pipe, Path("/dev/zero"), tmp_path):  # the first never begins, the second never ends
        with pytest.raises(CannotAsk, match=rf"the password file {never} is no regular file"):
            find(password_file=str(never))


def test_of_a_huge_file_only_the_beginning_is_read(tmp_path):
    file = tmp_path / "password"
    with file.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(BadInput, match="has 65536 bytes"):
        find(password_file=str(file))


def test_a_script_that_is_not_there_is_called_the_password_script():
    def run(argv, **_):
        raise ToolMissing(argv, "No such file or directory")

    with pytest.raises(CannotAsk, match="the password script /s -x cannot be run: No such file or directory"):
        find(run, password_script="/s -x")


def test_a_script_comes_first():
    calls = []

    def run(argv, timeout, leashed):
        calls.append((argv, timeout, leashed))
        return Completed(argv, 0, "from script\n", "")

    assert find(run, password_script="/usr/bin/tool --of 'n 2'", password_file="/x") == "from script"
    assert calls == [(["/usr/bin/tool", "--of", "n 2"], 5.0, True)]


def test_a_script_with_an_open_quotation_is_no_command():
    with pytest.raises(BadInput, match="password_script is no command: No closing quotation"):
        find(None, password_script="/usr/bin/tool 'n 2")


def test_a_failing_script_says_nothing_of_its_output():
    with pytest.raises(CannotAsk, match="failed with exit code 3") as caught:
        find(lambda argv, **_: Completed(argv, 3, "s3cret", "s3cret"), password_script="/s")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("text", ["x" * 21, "ä" * 11, "a\0b"])
def test_what_no_bmc_can_have_is_refused(text):
    with pytest.raises(BadInput) as caught:
        password.checked(text)
    assert text not in str(caught.value)
