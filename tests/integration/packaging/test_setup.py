# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/setup in bad circumstances: one sentence each, an exit code, and nothing half done.

Each circumstance is made in a mount namespace of its own, by laying another file over what setup looks at, so that
nothing on this machine changes.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

BUSTER = 'PRETTY_NAME="Slackware 15"\nID=slackware\nVERSION_ID=15\n'


def setup(
    repository: Path, what: str, *, before: str = "true", wrap: str = "", **environment: str
) -> tuple[int, list[str]]:
    """Run `scripts/setup WHAT` after `before`, in namespaces of its own; give its exit code and what it said."""
    script = f"set -e\nmount --make-rprivate /\n{before}\nexec {wrap} scripts/setup {what}"
    done = subprocess.run(
        ["unshare", "--mount", "/bin/bash", "-c", script],
        cwd=repository,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stderr.strip().splitlines()


def lay_over(tmp_path: Path, text: str, target: str) -> str:
    """A command that lays a file with this text over another."""
    cover = tmp_path / "cover"
    cover.write_text(text, encoding="utf-8")
    return f"mount --bind {shlex.quote(str(cover))} {target}"


@pytest.fixture(autouse=True)
def as_root(need):
    need("unshare")
    assert os.geteuid() == 0, "these tests lay mounts over files, which only root may"


def test_nothing_is_said_and_done_when_all_is_there(repository):
    assert setup(repository, "packages") == (0, [])


def test_a_machine_that_can_carry_a_lab(repository):
    assert setup(repository, "lab") == (0, [])


def test_not_root(repository):
    code, said = setup(repository, "lab", wrap="setpriv --reuid=65534 --regid=65534 --clear-groups")
    assert (code, len(said)) == (3, 1)
    assert "Root is needed" in said[0]


def test_another_distribution(repository, tmp_path):
    code, said = setup(repository, "packages", before=lay_over(tmp_path, BUSTER, "/etc/os-release"))
    assert (code, len(said)) == (3, 1)
    assert "Slackware 15" in said[0]


def test_too_little_memory(repository, tmp_path):
    little = "MemTotal: 2048000 kB\nMemAvailable: 1200000 kB\n"
    code, said = setup(repository, "lab", before=lay_over(tmp_path, little, "/proc/meminfo"))
    assert (code, len(said)) == (3, 1)
    assert "GiB of memory, and 1 GiB are available" in said[0]


def test_too_little_disk(repository, tmp_path):
    before = f"mount -t tmpfs -o size=64m none {tmp_path}"
    code, said = setup(repository, "lab", before=before, BACKSTAY_CACHE=str(tmp_path / "cache"))
    assert (code, len(said)) == (3, 1)
    assert f"below {tmp_path}/cache, and 0 GiB are free there" in said[0]


def test_no_namespaces(repository):
    code, said = setup(repository, "lab", wrap="setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin")
    assert (code, len(said)) == (3, 1)
    assert "no network, mount and process namespaces" in said[0]


def test_no_network(repository, tmp_path):
    """A package that is missing, and no way to any mirror: said after the tries, with apt's own reason."""
    packages = "hello # missing here\n"
    before = f"{lay_over(tmp_path, packages, 'scripts/packages.txt')}; ip() {{ :; }}"
    before += (
        "; dpkg-query -W -f '${db:Status-Status}' hello 2>/dev/null | grep -qx installed && exit 99 || true"
    )
    before += "; sleep() { :; }; export -f sleep"  # between the tries
    code, said = setup(repository, "packages", before=before, wrap="unshare --net")
    assert code == 3
    assert "could not be" in said[-1]
    assert any("again in" in line for line in said)


@pytest.mark.parametrize("apt_ends_with", [0, 100])
def test_daemons_that_come_along_are_not_started(repository, tmp_path, apt_ends_with):
    """Debian starts what it installs; a machine that carries a lab shall be no cluster. Tried with stand-ins."""
    log, new = tmp_path / "log", tmp_path / "installed"
    stand_ins = {
        "/usr/bin/apt-get": f"echo apt-get >>{log}; touch {new}; exit {apt_ends_with}",
        "/usr/bin/systemctl": f'[ "$1" = cat ] && {{ [ "$2" = logd.service ] || [ -e {new} ]; exit; }}; echo "$@" >>{log}',
    }
    covers = [lay_over(tmp_path, "hello # missing here\n", "scripts/packages.txt")]
    for number, (target, script) in enumerate(stand_ins.items()):
        cover = tmp_path / f"stand-in-{number}"
        cover.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        cover.chmod(0o755)
        covers.append(f"mount --bind {cover} {target}")
    booted = "mount -t tmpfs none /run/systemd; mkdir /run/systemd/system; sleep() { :; }; export -f sleep"
    code, _ = setup(repository, "packages", before="\n".join([*covers, booted]))
    assert code == (3 if apt_ends_with else 0)
    did = [line for line in log.read_text().splitlines() if line != "apt-get"]
    daemons = "corosync.service pacemaker.service pacemaker_remote.service pcsd.service pcsd-ruby.service"
    assert did[:2] == [f"mask --runtime --quiet {daemons}", f"unmask --runtime --quiet {daemons}"]
    assert did[2:] == [f"disable --quiet {daemon}" for daemon in daemons.split()]
    assert "apt-get" in log.read_text().partition(did[0])[2].partition(did[1])[0]


def test_an_unknown_part(repository):
    code, said = setup(repository, "nonsense")
    assert (code, len(said)) == (2, 1)
