# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages as an admin's repository may bring them tomorrow: Backstay with a defect in it, or somebody else's broken.

Decides nothing about what they do to a node. Everything is built from what lies here or in the node: no network.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from backstay.lab.installation import parts
from backstay.lab.node import Node

BUILDING = 300.0
INSTALLING = 300.0


def _run(*argv: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=BUILDING, check=False)
    assert done.returncode == 0, f"{argv} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def backstay(repository: Path, place: Path, additions: Mapping[str, str]) -> Path:
    """Backstay's packages from this source, with a text added to the end of each of these files; the command's."""
    source = place / "source"
    source.mkdir(parents=True)
    _run(repository / "scripts/copy-source", source)
    for file, text in additions.items():
        with (source / file).open("a") as stream:
            stream.write(text)
    built = Path(_run(source / "scripts/build-deb").splitlines()[-1])
    return Path(shutil.move(built.parent, place / "packages")) / built.name


def foreign(place: Path, name: str, version: str, files: Mapping[str, bytes]) -> Path:
    """A package of somebody else with these files (paths from the root, executable)."""
    tree = place / f"{name}-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: nobody <nobody@backstay.invalid>\n"
        "Description: a test of Backstay\n"
    )
    for file, data in files.items():
        path = tree / file.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o755)
    deb = place / f"{name}-{version}.deb"
    _run("dpkg-deb", "--root-owner-group", "--build", tree, deb)
    return deb


def install(node: Node, deb: Path) -> str:
    """Install a package, and those that belong to it, as an admin does; what dpkg said. It must succeed."""
    for part in parts(deb):
        shutil.copyfile(part, node.root / "var/cache" / part.name)
    files = " ".join(f"/var/cache/{part.name}" for part in parts(deb))
    done = node.run(f"DEBIAN_FRONTEND=noninteractive dpkg -i {files} 2>&1", timeout=INSTALLING)
    assert done.ok, done.stdout
    return done.stdout
