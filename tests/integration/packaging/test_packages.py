# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages as an admin gets them: built, unpacked, and looked at as Pacemaker would look.

Pacemaker takes every executable file below resource.d for an agent and every file called fence_* in sbin for a fence
agent, so what lies there is listed here one by one.
"""

from __future__ import annotations

import configparser
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from lxml import etree

from backstay import __version__

AGENTS = "usr/lib/ocf/resource.d/backstay"


@dataclass(frozen=True)
class Package:
    """One built package and what is in it."""

    file: Path
    root: Path
    library: Path


def run(*argv: str | Path, cwd: Path | None = None, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """A tool that has to succeed."""
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, f"{argv} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done


@pytest.fixture(scope="session")
def deb(repository, need, tmp_path_factory) -> Package:
    """The Debian package, unpacked."""
    need("dpkg-buildpackage", "dpkg-deb")
    file = Path(run(repository / "scripts/build-deb").stdout.strip())
    root = tmp_path_factory.mktemp("deb")
    run("dpkg-deb", "-x", file, root)
    return Package(file, root, root / "usr/lib/python3/dist-packages/backstay")


@pytest.fixture(scope="session")
def rpm(repository, need, tmp_path_factory) -> Package:
    """The RPM package, unpacked."""
    need("rpmbuild", "rpm2cpio")
    file = Path(run(repository / "scripts/build-rpm").stdout.strip())
    root = tmp_path_factory.mktemp("rpm")
    run("/bin/sh", "-c", 'rpm2cpio "$1" | cpio --quiet -idm', "sh", file, cwd=root)
    (library,) = root.glob("usr/lib/python3*/site-packages/backstay")
    return Package(file, root, library)


@pytest.fixture(params=["deb", "rpm"])
def package(request) -> Package:
    """Each of the two packages."""
    return request.getfixturevalue(request.param)


def names(directory: Path) -> list[str]:
    """What lies in a directory, whatever it is."""
    return sorted(path.name for path in directory.iterdir())


def is_executable(path: Path) -> bool:
    """A regular file that everybody may run and only root may change."""
    return path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o777 == 0o755


def test_exactly_the_agents_are_there(package, repository):
    assert names(package.root / "usr/lib/ocf/resource.d") == ["backstay"]
    assert names(package.root / AGENTS) == names(repository / "agents")
    assert {"domain", "libvirtd"} <= set(names(package.root / AGENTS))
    assert all(is_executable(path) for path in (package.root / AGENTS).iterdir())


def test_exactly_the_fence_agents_are_there(package):
    assert names(package.root / "usr/sbin") == ["fence_backstay_ipmi"]
    assert is_executable(package.root / "usr/sbin/fence_backstay_ipmi")


def test_the_library_is_whole(package, repository):
    source = repository / "lib/backstay"
    wanted = {
        path.relative_to(source)
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    there = {
        path.relative_to(package.library)
        for path in package.library.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert there == wanted


def test_templates_and_examples_are_there(package, repository):
    assert names(package.root / "usr/share/backstay/crm-templates") == names(repository / "crm-templates")
    (examples,) = package.root.glob("usr/share/doc/backstay*/examples")
    assert names(examples) == names(repository / "examples")


def test_nothing_lies_elsewhere(package):
    top = {
        "/".join(path.relative_to(package.root).parts[:2])
        for path in package.root.rglob("*")
        if path.is_file()
    }
    assert top == {"usr/bin", "usr/lib", "usr/sbin", "usr/share"}
    assert names(package.root / "usr/bin") == ["backstay"]


def isolated(package: Package, program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program from the unpacked tree with an empty environment, as if the tree were the system.

    The shebang's isolated mode looks only into the system's own directories, so the interpreter is told where the
    library lies; everything else of the isolated mode (-s -P) stays.
    """
    argv = ["/usr/bin/python3", "-s", "-P", str(program), *arguments]
    environment = {"PYTHONPATH": str(package.library.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        argv,
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("agent", ["domain", "libvirtd"])
def test_an_agent_gives_its_metadata(package, agent):
    done = isolated(package, package.root / AGENTS / agent, "meta-data")
    assert (done.returncode, done.stderr) == (0, "")
    assert etree.fromstring(done.stdout.encode()).get("name") == agent


def test_the_fence_agent_gives_its_metadata(package):
    done = isolated(package, package.root / "usr/sbin/fence_backstay_ipmi", "-o", "metadata")
    assert (done.returncode, done.stderr) == (0, "")
    assert etree.fromstring(done.stdout.encode()).get("name") == "fence_backstay_ipmi"


def test_the_command_runs(package):
    done = isolated(package, package.root / "usr/bin/backstay", "--version")
    assert done.returncode == 0, done.stderr
    assert __version__ in done.stdout


def test_programs_run_isolated_on_the_distributions_python(package):
    programs = [*(package.root / AGENTS).iterdir(), package.root / "usr/sbin/fence_backstay_ipmi"]
    assert {path.read_text().split("\n")[0] for path in programs} == {"#!/usr/bin/python3 -I"}


def test_the_library_is_where_the_isolated_python_looks(deb):
    look = "import sys; print('\\n'.join(sys.path))"
    path = run("/usr/bin/python3", "-I", "-c", look).stdout.splitlines()
    assert f"/{deb.library.parent.relative_to(deb.root)}" in path


def test_nothing_is_restarted_on_installation(deb, tmp_path):
    run("dpkg-deb", "-e", deb.file, tmp_path)
    scripts = [path for path in tmp_path.iterdir() if os.access(path, os.X_OK)]
    assert {path.name for path in scripts} <= {"postinst", "prerm"}
    for script in scripts:
        assert not re.search(r"systemctl|invoke-rc\.d|deb-systemd|service ", script.read_text())
    assert "py3compile" in (tmp_path / "postinst").read_text()


def test_everything_that_is_imported_is_depended_on(deb, repository):
    depends = run("dpkg-deb", "-f", deb.file, "Depends").stdout
    setup = configparser.ConfigParser()
    setup.read(repository / "setup.cfg", encoding="utf-8")
    wanted = {
        "click": "python3-click",
        "Jinja2": "python3-jinja2",
        "lxml": "python3-lxml",
        "PyYAML": "python3-yaml",
    }
    assert set(setup["options"]["install_requires"].split()) == set(wanted)
    there = {re.split(r"[ :(]", entry.strip())[0] for entry in depends.split(",")}
    assert {*wanted.values(), "python3-libvirt", "ipmitool", "pacemaker-cli-utils"} <= there


def test_all_say_the_same_version(deb, rpm):
    assert deb.file.name == f"backstay_{__version__}_all.deb"
    assert re.match(rf"backstay-{re.escape(__version__)}-\d", rpm.file.name)


def test_a_second_build_gives_the_same_bytes(deb, rpm, repository):
    first = deb.file.read_bytes(), rpm.file.read_bytes()
    run(repository / "scripts/build-deb")
    run(repository / "scripts/build-rpm")
    assert (deb.file.read_bytes(), rpm.file.read_bytes()) == first
