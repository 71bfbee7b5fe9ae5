# SPDX-License-Identifier: GPL-2.0-or-later
"""Puts Backstay into the layer that all nodes share: the packages that an admin would install, or a source tree.

Needs no network. Decides where things lie only for a source tree; the package decides for itself.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from backstay.errors import BadInput, CannotAsk
from backstay.host.process import run

SECONDS = 120.0
VERSIONS = "usr/lib/backstay"
NAME = "source"  # what a source tree is called among the versions; a package's own names have a fingerprint
PROGRAMS = {
    "agents": "usr/lib/ocf/resource.d/backstay",
    "fencing": "usr/sbin",
    "bin": "usr/bin",
    "libexec": "",
}
"""Where the package has a link to each executable, by the directory of the version that it lies in."""

LINKED = (
    ("usr/lib/drbd/backstay-drbd-fence", "libexec/drbd-fence"),
    ("usr/libexec/backstay/alert", "libexec/alert"),
)
ON_A_HOST = ("python3-backstay", "backstay-resource-agents", "backstay-fence-agents", "backstay")
"""The packages of a host, each after those that it needs."""

LIBRARY = "usr/lib/python3/dist-packages/backstay"
TEMPLATES = "usr/share/backstay/crm-templates"
SCRIPTS = "usr/share/crmsh/scripts"
UNITS = "usr/lib/systemd/system"


@dataclass(frozen=True, slots=True)
class Payload:
    """What is installed in the nodes: Debian packages (`deb` is one of them), a source tree, or (neither) nothing."""

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


def parts(deb: Path) -> tuple[Path, ...]:
    """The packages of a host that were built with `deb` and lie beside it, in the order in which dpkg takes them."""
    rest = deb.name.partition("_")[2]
    beside = [deb.with_name(f"{name}_{rest}") for name in ON_A_HOST]
    return tuple(file for file in beside if file.is_file()) if deb in beside else (deb,)


def install_package(deb: Path, root: Path) -> None:
    """Install a package, and those beside it, as `dpkg -i` does. CannotAsk when dpkg refuses, with its reason."""
    inside = root / "var/cache/backstay-packages"
    inside.mkdir(exist_ok=True)
    try:
        for file in parts(deb):
            shutil.copyfile(file, inside / file.name)
        completed = run(
            [
                *("chroot", str(root), "dpkg", "-i"),
                *(f"/var/cache/{inside.name}/{file.name}" for file in parts(deb)),
            ],
            timeout=SECONDS,
            environment={"DEBIAN_FRONTEND": "noninteractive"},
        )
    finally:
        shutil.rmtree(inside)
    if not completed.ok:
        reasons = [line.strip() for line in completed.stderr.splitlines() if "depends on" in line]
        reason = "; ".join(reasons) or completed.complaint()
        raise CannotAsk(f"the package {deb.name} cannot be installed in the nodes: {reason}")


def install_tree(source: Path, root: Path) -> None:
    """Copy a source tree to where the package puts things, as the version that serves."""
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc", "README*")
    place = f"{VERSIONS}/{NAME}"
    trees = (
        ("lib/backstay", f"{place}/lib/backstay"),
        ("crm-templates", TEMPLATES),
        ("crm-scripts", SCRIPTS),
        ("packaging/systemd", UNITS),
    )
    for origin, target in trees:
        if (source / origin).is_dir():
            shutil.copytree(source / origin, root / target, ignore=ignore, dirs_exist_ok=True)
    for origin, target in PROGRAMS.items():
        for script in sorted(p for p in (source / origin).glob("*") if p.is_file()):
            _executable(root / place / origin / script.name, script.read_text())
            if target:
                _link(root / target / script.name, f"/{VERSIONS}/current/{origin}/{script.name}")
    for name, program in LINKED:
        _link(root / name, f"/{VERSIONS}/current/{program}")
    _link(root / LIBRARY, f"/{VERSIONS}/current/lib/backstay")
    _link(root / VERSIONS / "current", NAME)
    compiled = run(
        ["chroot", str(root), "/usr/bin/python3", "-I", "-m", "compileall", "-q", f"/{place}/lib"],
        timeout=SECONDS,
    )
    if not compiled.ok:
        raise CannotAsk(f"the source tree {source} does not compile: {compiled.complaint()}")


def _executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def _link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(target)
