# SPDX-License-Identifier: GPL-2.0-or-later
"""Puts Backstay into the layer that all nodes share: the package that an admin would install, or a source tree.

Needs no network. Decides where things lie only for a source tree; the package decides for itself.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from backstay.errors import BadInput, CannotAsk
from backstay.host.process import run

SECONDS = 120.0
PACKAGES = "usr/lib/python3/dist-packages"
AGENTS = "usr/lib/ocf/resource.d/backstay"
TEMPLATES = "usr/share/backstay/crm-templates"
DOOR = """\
#!/usr/bin/python3 -I
# SPDX-License-Identifier: GPL-2.0-or-later
import sys

from backstay.cli import main

sys.exit(main())
"""


@dataclass(frozen=True, slots=True)
class Payload:
    """What is installed in the nodes: a Debian package, a source tree, or (neither) nothing."""

    deb: Path | None = None
    source: Path | None = None

    def describe(self) -> str:
        """What it is, in the admin's words."""
        if self.deb:
            return f"the package {self.deb.name}"
        return f"the source tree {self.source}" if self.source else "nothing of Backstay"


def check(payload: Payload) -> None:
    """Raise BadInput when there is nothing to install where the admin said there was."""
    if payload.deb and not payload.deb.is_file():
        raise BadInput(f"there is no package {payload.deb}", hint="build it with make deb")
    if payload.source and not (payload.source / "lib/backstay").is_dir():
        raise BadInput(f"{payload.source} is not a source tree of Backstay (it has no lib/backstay)")


def install(payload: Payload, root: Path) -> None:
    """Install into a mounted root."""
    if payload.deb:
        install_package(payload.deb, root)
    elif payload.source:
        install_tree(payload.source, root)


def install_package(deb: Path, root: Path) -> None:
    """Install a package as `dpkg -i` does. CannotAsk when dpkg refuses, with its reason."""
    inside = root / "var/cache/backstay.deb"
    shutil.copyfile(deb, inside)
    try:
        completed = run(
            ["chroot", str(root), "dpkg", "-i", "/var/cache/backstay.deb"],
            timeout=SECONDS,
            environment={"DEBIAN_FRONTEND": "noninteractive"},
        )
    finally:
        inside.unlink()
    if not completed.ok:
        reasons = [line.strip() for line in completed.stderr.splitlines() if "depends on" in line]
        reason = "; ".join(reasons) or completed.complaint()
        raise CannotAsk(f"the package {deb.name} cannot be installed in the nodes: {reason}")


def install_tree(source: Path, root: Path) -> None:
    """Copy a source tree to where the package puts things."""
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc", "README*")
    for origin, target in (("lib/backstay", f"{PACKAGES}/backstay"), ("crm-templates", TEMPLATES)):
        if (source / origin).is_dir():
            shutil.copytree(source / origin, root / target, ignore=ignore, dirs_exist_ok=True)
    for origin, target in (("agents", AGENTS), ("fencing", "usr/sbin")):
        for script in sorted(p for p in (source / origin).glob("*") if p.is_file()):
            _executable(root / target / script.name, script.read_text())
    _executable(root / "usr/bin/backstay", DOOR)
    compiled = run(
        ["chroot", str(root), "/usr/bin/python3", "-I", "-m", "compileall", "-q", f"/{PACKAGES}/backstay"],
        timeout=SECONDS,
    )
    if not compiled.ok:
        raise CannotAsk(f"the source tree {source} does not compile: {compiled.complaint()}")


def _executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
