# SPDX-License-Identifier: GPL-2.0-or-later
"""What pip gets: a wheel and a source distribution that bring the library, the command and the templates."""

from __future__ import annotations

import json
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from backstay import __version__

BUILDING = 300.0


def run(*argv: str | Path, cwd: Path | None = None) -> str:
    """What a tool that has to succeed says. Nothing of this environment reaches it."""
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        argv, cwd=cwd, env=environment, capture_output=True, text=True, timeout=BUILDING, check=False
    )
    assert done.returncode == 0, f"{argv} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(repository) -> dict[str, Path]:
    """Both, by how their names end."""
    return {Path(line).suffix: Path(line) for line in run(repository / "scripts/build-wheel").splitlines()}


def test_a_second_build_gives_the_same_bytes(built, repository):
    first = {suffix: file.read_bytes() for suffix, file in built.items()}
    assert first.keys() == {".gz", ".whl"}
    run(repository / "scripts/build-wheel")
    assert {suffix: file.read_bytes() for suffix, file in built.items()} == first


@pytest.mark.parametrize("suffix", [".whl", pytest.param(".gz", marks=pytest.mark.long)])
def test_pip_brings_library_command_and_templates(built, repository, tmp_path, suffix):
    """Into a fresh environment, on the distribution's libraries and without a network."""
    place = tmp_path / "venv"
    run("/usr/bin/python3", "-m", "venv", "--system-site-packages", place)
    how = ("--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    run(place / "bin/python", "-m", "pip", "install", *how, built[suffix])
    command = place / "bin/backstay"
    assert run(command, "--version", cwd=tmp_path) == f"backstay {__version__}\n"
    (golden,) = repository.glob("tests/golden/three-hosts.xml")
    assert (
        run(command, "render", repository / "examples/three-hosts.yaml", cwd=tmp_path) == golden.read_text()
    )
    told = json.loads(run(command, "render", "--describe", "nfs", "--output", "json", cwd=tmp_path))
    assert told["file"] == str(place / "share/backstay/crm-templates/nfs.xml")
    assert told["whose"] == "shipped"
    where = "import backstay; print(backstay.__file__)"
    assert run(place / "bin/python", "-I", "-c", where, cwd=tmp_path).startswith(f"{place}/lib/")


def test_the_wheel_has_the_whole_library(built, repository):
    source = repository / "lib"
    wanted = {
        path.relative_to(source).as_posix()
        for path in source.glob("backstay/**/*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(built[".whl"]) as wheel:
        assert wanted <= set(wheel.namelist())


def test_the_source_distribution_has_all_of_the_source(built, repository, tmp_path):
    run(repository / "scripts/copy-source", tmp_path)
    wanted = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    with tarfile.open(built[".gz"]) as sdist:
        there = {name.partition("/")[2] for name in sdist.getnames()}
    assert wanted <= there, sorted(wanted - there)
