# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of packages look at: both formats, built once for all workers (not in dist/), and unpacked."""

from __future__ import annotations

import fcntl
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from backstay import __version__

PARTS = (
    "python3-backstay",
    "backstay-resource-agents",
    "backstay-fence-agents",
    "backstay",
    "backstay-lab",
    "backstay-doc",
)
VERSIONS = "usr/lib/backstay"
DELIVERED = f"{VERSIONS}/delivered"


@dataclass(frozen=True)
class Package:
    """What was built in one format: the packages by name, and the root that they make together."""

    files: dict[str, Path]
    root: Path

    @property
    def file(self) -> Path:
        """The package of the command, by which all are called."""
        return self.files["backstay"]

    @property
    def delivered(self) -> Path:
        """The version in it."""
        return self.root / DELIVERED

    @property
    def library(self) -> Path:
        return self.delivered / "lib/backstay"

    def leads_to(self, link: Path) -> Path:
        """Where a link leads once this version serves."""
        assert link.is_symlink()
        absolute = os.path.normpath(Path("/", link.parent.relative_to(self.root), link.readlink()))
        return self.root / DELIVERED / Path(absolute).relative_to(f"/{VERSIONS}/current")


def run(
    *argv: str | Path, cwd: Path | None = None, timeout: float = 300, **more: str
) -> subprocess.CompletedProcess[str]:
    """A tool that has to succeed, with `more` in its environment."""
    done = subprocess.run(
        argv,
        cwd=cwd,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"{argv} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done


def build(repository: Path, kind: str, place: Path) -> Path:
    """Builds the packages of one kind (deb, rpm) into `place`; the one of the command."""
    return Path(
        run(repository / f"scripts/build-{kind}", timeout=900, BACKSTAY_DIST=str(place)).stdout.strip()
    )


def built(repository: Path, kind: str, temporary: pytest.TempPathFactory) -> Path:
    """The package of the command, built by the first of pytest's workers that asks; the others wait for it."""
    base = temporary.getbasetemp()
    place = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"built-{kind}"
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        told = place / "told"
        if not told.exists():
            told.write_text(str(build(repository, kind, place)))
        return Path(told.read_text())


@pytest.fixture(scope="session")
def deb(repository, need, tmp_path_factory) -> Package:
    """The Debian packages, unpacked."""
    need("dpkg-buildpackage", "dpkg-deb")
    main = built(repository, "deb", tmp_path_factory)
    root = tmp_path_factory.mktemp("deb")
    files = {name: main.with_name(f"{name}_{__version__}_all.deb") for name in PARTS}
    assert sorted(files.values()) == sorted(main.parent.glob("*.deb"))
    for file in files.values():
        run("dpkg-deb", "-x", file, root)
    return Package(files, root)


@pytest.fixture(scope="session")
def rpm(repository, need, tmp_path_factory) -> Package:
    """The RPM packages, unpacked."""
    need("rpmbuild", "rpm2cpio")
    main = built(repository, "rpm", tmp_path_factory)
    root = tmp_path_factory.mktemp("rpm")
    files = {name: main.with_name(f"{name}-{main.name.removeprefix('backstay-')}") for name in PARTS}
    assert sorted(files.values()) == sorted(main.parent.glob("*.rpm"))
    for file in files.values():
        run("/bin/sh", "-c", 'rpm2cpio "$1" | cpio --quiet -idmu', "sh", file, cwd=root)
    return Package(files, root)


@pytest.fixture(params=["deb", "rpm"])
def package(request) -> Package:
    """Each of the two formats."""
    return request.getfixturevalue(request.param)
