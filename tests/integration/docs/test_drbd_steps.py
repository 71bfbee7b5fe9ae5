# SPDX-License-Identifier: GPL-2.0-or-later
"""The steps that end a DRBD split brain, as the real drbdadm takes them, for resources' files as Backstay renders them.

drbdadm says what it would have the kernel do (--dry-run) and does nothing: DRBD itself is tried on virtual machines.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.integration.docs.test_commands import BLOCKS, commands

REPOSITORY = Path(__file__).resolve().parents[3]
HOST = "n1"


GENERATIONS = {"8.4": ("drbdadm-84", "two-hosts.res"), "9": ("drbdadm", "three-hosts.res")}
"""What drbd-utils has for each generation of DRBD, and a file for it."""


@pytest.fixture(params=sorted(GENERATIONS))
def drbdadm(request: pytest.FixtureRequest, fetched, tmp_path: Path):
    """Runs drbdadm, which only says what it would do, on a rendered configuration."""
    tool, name = GENERATIONS[request.param]
    text = (REPOSITORY / "tests/golden/drbd.d" / name).read_text(encoding="utf-8")
    file = tmp_path / "drbd.conf"
    file.write_text(
        re.sub(r'^resource "\w+"', 'resource "mail1"', text, flags=re.MULTILINE), encoding="utf-8"
    )
    program = fetched(tool)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        argv = ["unshare", "--uts", "--net", "sh", "-c", f'hostname {HOST}; exec "$@"', "sh", program]
        given = [*argv, "--config-file", file, "--dry-run", *words]
        return subprocess.run(given, capture_output=True, text=True, timeout=60, check=False)

    return run


def steps() -> list[list[str]]:
    (block,) = (
        block for block in BLOCKS if any(Path(name).name == Path(__file__).name for name in block.done)
    )
    return [words[1:] for words in commands(block)]


def test_each_step_is_one_that_drbdadm_knows(drbdadm):
    said = [drbdadm(*words) for words in steps()]
    assert [done.returncode for done in said] == [0, 0, 0], [done.stderr for done in said]
    disconnect, secondary, connect = (done.stdout for done in said)
    assert re.match(r"\S*drbdsetup\S* disconnect ", disconnect)
    assert re.match(r"\S*drbdsetup\S* secondary ", secondary)
    lines = connect.splitlines()
    assert lines
    assert all(re.match(r"\S*drbdsetup\S* connect mail1 .*--discard-my-data", line) for line in lines)


def test_what_drbdadm_does_not_know_fails(drbdadm):
    assert drbdadm("disconnect", "mail2").returncode != 0
    assert drbdadm("connect", "--discard-all-data", "mail1").returncode != 0
