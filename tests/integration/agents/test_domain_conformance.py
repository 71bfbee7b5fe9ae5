# SPDX-License-Identifier: GPL-2.0-or-later
"""OCF on a real guest: nobody's rights and an empty environment, to the letter.

What holds for every agent (test_every_agent.py) holds for this one too; its kills on two hosts are in
test_random_kills.py.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.ocf import codes
from tests.integration.agents.private_host import PYTHON, PrivateHost, Result

pytestmark = pytest.mark.usefixtures("tools")
DEFINED = set(codes.NAMES)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory that everybody may enter."""
    with tempfile.TemporaryDirectory(prefix="backstay-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture
def config(host: PrivateHost) -> Path:
    return host.define()


@pytest.fixture(scope="module")
def program(place: Path, repository: Path) -> Path:
    """The agent as a program that everybody may run, with a copy of the package that everybody may read."""
    program = place / "domain"
    shutil.copytree(repository / "lib", place / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    door = place / "door"
    shutil.copy(repository / "agents" / "domain", door)
    subprocess.run(["chmod", "-R", "a+rX", place / "lib", door], check=True)
    code = f'import sys; sys.path.append("{place}/lib"); sys.argv[0] = __file__ = "{door}"; exec(open("{door}").read())'
    program.write_text(f"#!/bin/sh\nexec {PYTHON} -IS -c '{code}' \"$@\"\n")
    program.chmod(0o755)
    return program


def do(host: PrivateHost, action: str, config: Path) -> Result:
    return host.agent(action, config, timeout=20, force_stop="true")


# ---- nobody, and nothing in the environment


def run(host: PrivateHost, program: Path, action: str, user: str = "", **environ: str) -> Result:
    prefix = ["setpriv", f"--reuid={user}", "--regid=nogroup", "--clear-groups", "--"] if user else []
    began = time.monotonic()
    done = subprocess.run(
        host.argv([*prefix, str(program), action]), capture_output=True, text=True, timeout=150, env=environ
    )
    return Result(done, time.monotonic() - began)


def of_one_line(result: Result) -> bool:
    return result.out == "" and result.err.count("\n") <= 1 and result.code in DEFINED


def test_nobody_gets_no_lie(host: PrivateHost, config: Path, program: Path) -> None:
    """Who may not look or act is told so: never that the guest does not run or was stopped."""
    assert do(host, "start", config).code == codes.SUCCESS
    given = {"OCF_RESOURCE_INSTANCE": "web1", "OCF_RESKEY_config": str(config)}
    recurring = given | {"OCF_RESKEY_CRM_meta_interval": "10000"}
    brief = given | {"OCF_RESKEY_CRM_meta_timeout": "6000"}
    looks = {
        "probe": run(host, program, "monitor", "nobody", **given),
        "monitor": run(host, program, "monitor", "nobody", **recurring),
    }
    assert all(of_one_line(look) for look in looks.values()), looks
    assert looks["probe"].code == codes.SUCCESS
    assert looks["monitor"].code in (codes.SUCCESS, codes.DEGRADED)
    stop = run(host, program, "stop", "nobody", **brief)
    assert of_one_line(stop)
    assert stop.code == (codes.GENERIC if host.emulators() else codes.SUCCESS), stop


def test_nobody_who_may_not_even_see_processes_gets_no_lie(
    host: PrivateHost, config: Path, program: Path
) -> None:
    assert do(host, "start", config).code == codes.SUCCESS
    given = {"OCF_RESKEY_config": str(config), "OCF_RESKEY_CRM_meta_timeout": "4000"}
    host.run("mount", "-o", "remount,hidepid=2", "/proc")
    try:
        for action in ("monitor", "stop"):
            answer = run(host, program, action, "nobody", **given)
            assert of_one_line(answer)
            assert answer.code not in (codes.SUCCESS, codes.NOT_RUNNING), (action, answer)
    finally:
        host.run("mount", "-o", "remount,hidepid=0", "/proc")
    assert len(host.emulators()) == 1


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("start", codes.NOT_CONFIGURED),
        ("stop", codes.SUCCESS),
        ("monitor", codes.NOT_RUNNING),
        ("validate-all", codes.NOT_CONFIGURED),
        ("migrate_to", codes.GENERIC),
        ("reload-agent", codes.SUCCESS),
        ("dance", codes.UNIMPLEMENTED),
    ],
)
def test_with_an_empty_environment(
    host: PrivateHost, config: Path, program: Path, action: str, expected: int
) -> None:
    """On a host without a single emulator even a resource that nobody knows is proven to be absent."""
    answer = run(host, program, action)
    assert of_one_line(answer)
    assert answer.code == expected, answer
