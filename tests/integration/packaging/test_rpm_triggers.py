# SPDX-License-Identifier: GPL-2.0-or-later
"""The triggers of our RPM package, fired by the real rpm in a root of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.packaging.built import run

SPEC = """Name: {name}
Version: 1
Release: 1
Summary: It brings one file
License: GPL-2.0-or-later
BuildArch: noarch
%description
It brings one file.
%install
mkdir -p "%{{buildroot}}$(dirname {path})"
echo another >"%{{buildroot}}{path}"
%files
{path}
"""
BEGUN = "--no-block start backstay-agents.service;"
CHANGES = {
    "an-ipmitool": "/usr/bin/ipmitool",
    "a-module": "/usr/lib/python3/dist-packages/another.py",
    "a-fence-library": "/usr/share/fence/fencing.py",
    "an-agent": "/usr/lib/ocf/resource.d/heartbeat/Another",
    "a-fence-agent": "/usr/sbin/fence_ipmilan",
}
OTHERS = {"a-document": "/usr/share/doc/another/README", "a-command": "/usr/bin/another"}


@pytest.fixture(scope="module")
def told(rpm, need, tmp_path_factory) -> dict[str, str]:
    """What systemd was told when a package with one file came or went: `install NAME`, `remove NAME`."""
    need("unshare", "rpm", "rpmbuild", "mount")
    place = tmp_path_factory.mktemp("rpm-root")
    built = [built_rpm(place, name, path) for name, path in (CHANGES | OTHERS).items()]
    (place / "namespace").mkdir()
    script = Path(__file__).with_name("rpm_root.sh")
    argv = ["unshare", "--mount", "sh", script, place / "namespace", rpm.files["python3-backstay"], *built]
    lines = run(*argv, timeout=300).stdout.splitlines()
    pairs = (line.split(":", 1) for line in lines)
    return {what.removesuffix("-1-1.noarch.rpm"): words for what, words in pairs}


def built_rpm(place: Path, name: str, path: str) -> Path:
    """A package that brings one file."""
    spec = place / f"{name}.spec"
    spec.write_text(SPEC.format(name=name, path=path))
    run("rpmbuild", "-bb", "--nodeps", "--define", f"_topdir {place}", spec)
    return place / "RPMS/noarch" / f"{name}-1-1.noarch.rpm"


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("verb", ["install", "remove"])
def test_a_change_of_what_agents_stand_on_begins_a_proof(told, verb, name):
    assert told[f"{verb} {name}"] == BEGUN


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("verb", ["install", "remove"])
def test_what_they_do_not_stand_on_begins_none(told, verb, name):
    assert told[f"{verb} {name}"] == ""
