# SPDX-License-Identifier: GPL-2.0-or-later
"""Agents run as Pacemaker runs them: a fresh isolated interpreter, no inherited environment."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]

PYTHON = "/usr/bin/python3"  # what the agents' first line says
DOOR = """
import sys, runpy
sys.path[:0] = {path!r}
sys.argv = {argv!r}
{before}
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="session")
def tree(repository: Path) -> Iterator[Path]:
    """A copy of the package and the agents that every user may read."""
    with tempfile.TemporaryDirectory(prefix="backstay-") as made:
        top = Path(made)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(repository / "lib" / "backstay", top / "lib" / "backstay", ignore=ignored)
        if (repository / "agents").is_dir():
            shutil.copytree(repository / "agents", top / "agents", ignore=ignored)
        shutil.copy(Path(__file__).with_name("sample_agent.py"), top / "lib")
        sample = top / "agents" / "sample"
        sample.parent.mkdir(exist_ok=True)
        sample.write_text("from backstay.ocf.runtime import enter\nenter('sample_agent')\n")
        subprocess.run(["chmod", "-R", "a+rX", top], check=True)
        yield top


@pytest.fixture(scope="session")
def call(tree: Path) -> Run:
    """`call("sample", "monitor", OCF_RESKEY_x="1", before="...", user="nobody")` runs an agent."""

    def run(agent: str, *argv: str, before: str = "", user: str = "", **environ: str) -> Any:
        code = DOOR.format(
            path=[str(tree / "lib")],
            argv=[str(tree / "agents" / agent), *argv],
            before=textwrap.dedent(before),
        )
        more: dict[str, Any] = {"user": user, "extra_groups": ()} if user else {}
        return subprocess.run(
            [PYTHON, "-I", "-c", code],
            env=environ,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            **more,
        )

    return run
