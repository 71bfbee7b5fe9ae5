# SPDX-License-Identifier: GPL-2.0-or-later
"""The linters are tests: ruff, its formatter, mypy --strict, bash -n; they report all their findings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(sys.prefix) / "bin"


def findings(repository: Path, *argv: str | Path) -> str:
    """What a linter says about the repository: "" when it is content."""
    done = subprocess.run(
        argv,
        cwd=repository,
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def programs(repository: Path) -> list[Path]:
    """The executables without a suffix, which the linters must be told about."""
    places = (
        *repository.glob("agents/*"),
        *repository.glob("fencing/fence_*"),
        repository / "libexec/command",
        repository / "libexec/drbd-fence",
    )
    return sorted(path for path in places if path.is_file())


def shell_scripts(repository: Path) -> list[Path]:
    """Every script for a shell, found by its first line."""
    places = (
        *repository.glob("scripts/*"),
        *repository.glob(".ci/*"),
        *repository.glob("packaging/debian/*"),
        *repository.glob("bin/*"),
        *repository.glob("libexec/*"),
    )
    files = sorted(path for path in places if path.is_file())
    return [path for path in files if path.suffix == ".sh" or b"sh" in path.read_bytes().split(b"\n")[0][:20]]


def test_ruff_is_content(repository):
    said = findings(repository, TOOLS / "ruff", "check", "--quiet", "--output-format=concise", ".")
    if said:
        pytest.fail(f"ruff has findings:\n{said}", pytrace=False)


def test_the_formatter_would_change_nothing(repository):
    said = findings(repository, TOOLS / "ruff", "format", "--check", "--output-format=concise", ".")
    if said:
        pytest.fail(f"not in the house's form (make format):\n{said}", pytrace=False)


def test_mypy_is_content(repository):
    said = findings(
        repository,
        TOOLS / "mypy",
        "--no-error-summary",
        "--scripts-are-modules",
        "lib",
        *programs(repository),
        repository / "bench/agents",
    )
    if said:
        pytest.fail(f"mypy --strict has findings:\n{said}", pytrace=False)


def test_shell_scripts_can_be_read_by_bash(repository):
    scripts = shell_scripts(repository)
    assert scripts
    said = "".join(findings(repository, "/bin/bash", "-n", script) for script in scripts)
    if said:
        pytest.fail(said, pytrace=False)


def test_every_file_says_whose_it_is_and_under_which_licence(repository, tmp_path):
    """Of the source alone: where it is no clone of a repository, reuse takes .venv and .cache for parts of it."""
    assert findings(repository, repository / "scripts/copy-source", tmp_path) == ""
    assert (tmp_path / "README.md").exists()
    assert not (tmp_path / ".venv").exists()
    said = findings(tmp_path, TOOLS / "reuse", "lint", "--lines")
    if said:
        pytest.fail(f"reuse has findings:\n{said}", pytrace=False)
