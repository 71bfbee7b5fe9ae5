# SPDX-License-Identifier: GPL-2.0-or-later
"""What `backstay fence rotate` takes, what it says of a password's place, and what it says at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from lxml import etree

from backstay.cli import fence, fence_rotate
from backstay.errors import BadInput
from backstay.fencing import rotate
from backstay.fencing.rotate import Candidate

NEW = Candidate("17", "fencer2", "/etc/x", ("fence-n1",))


@pytest.mark.parametrize("given", [[], ["--file", "/a", "--script", "/b"]])
def test_the_password_comes_from_one_place(given: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fence.cores, "forbid", lambda: None)
    result = CliRunner().invoke(fence.fence, ["rotate", "--user", "fencer2", *given])
    assert isinstance(result.exception, BadInput)
    assert str(result.exception) == "one of --file and --script is needed, and not both"


def test_a_script_has_to_be_one_that_can_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fence_rotate, "changeable", lambda _: "")
    script = tmp_path / "print"
    said = [f"{script} is no program that can be run on this host"]
    assert fence_rotate._file(rotate.SCRIPT, str(script)) == said
    script.write_text("#!/bin/sh\n")
    assert fence_rotate._file(rotate.SCRIPT, str(script)) == said
    script.chmod(0o700)
    assert fence_rotate._file(rotate.SCRIPT, str(script)) == []
    monkeypatch.setattr(fence_rotate, "changeable", lambda path: f"{path} can be changed by others")
    assert fence_rotate._file(rotate.SCRIPT, str(script)) == [f"{script} can be changed by others"]
    assert "is no absolute path" in fence_rotate._file(rotate.SCRIPT, "print")[0]


def cib(*names: str) -> Any:
    pairs = "".join(f'<nvpair id="{name}" name="{name}" value="x"/>' for name in names)
    one = f'<primitive id="fence-n1"><instance_attributes id="a">{pairs}</instance_attributes></primitive>'
    return etree.fromstring(f"<cib><configuration><resources>{one}</resources></configuration></cib>")


def test_an_account_that_could_not_be_changed_is_said_before_anybody_proves_it() -> None:
    assert fence_rotate._places(cib("username", "password"), NEW) == []
    (said,) = fence_rotate._places(cib("username"), NEW)
    assert said.startswith(
        "fence-n1 does not have its password in one place of its own; write it into the resource"
    )


def test_at_the_end_it_says_what_is_left_to_do() -> None:
    said = fence_rotate._done(NEW, ("fence-n1 password",))
    assert "Write username: fencer2 and password_file: /etc/x into the cloud description" in said
    assert said.splitlines()[-1] == "  cibsecret delete fence-n1 password"
    assert "cibsecret" not in fence_rotate._done(NEW, ())
