# SPDX-License-Identifier: GPL-2.0-or-later
"""The short way of a monitor, on a real libvirtd and a real emulator: what it loads, and that it misses nothing."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.ocf import codes
from tests.integration.agents.private_host import PYTHON, PrivateHost, wait

pytestmark = pytest.mark.usefixtures("tools")
LOADS = {
    "backstay",
    "backstay.host",
    "backstay.host.libvirt_status",
    "backstay.host.state",
    "backstay.host.unchanged",
}
LONG_WAY = "backstay.agents.domain"
# what the interpreter loads by itself, site and what the door and the modules above need of it
BARE = {
    "__future__", "_abc", "_codecs", "_collections_abc", "_frozen_importlib_external", "_io", "_signal",
    "_sitebuiltins", "_stat", "abc", "builtins", "codecs", "encodings", "encodings.aliases", "encodings.ascii",
    "encodings.utf_8", "genericpath", "io", "marshal", "os", "posix", "posixpath", "site", "stat", "time", "winreg",
    "zipimport",
}  # fmt: skip


@pytest.fixture
def config(host: PrivateHost) -> Iterator[Path]:
    """A guest that was started and found well once."""
    config = host.define()
    assert host.agent("start", config).code == codes.SUCCESS
    assert host.agent("monitor", config, interval=10).code == codes.SUCCESS
    yield config
    assert host.agent("stop", config, force_stop="true").code == codes.SUCCESS


def loaded(host: PrivateHost, config: Path, **environ: str) -> set[str]:
    """The modules of a monitor as the door's own first line runs it, and its exit code as a word."""
    door = host.repository / "agents" / "domain"
    place = host.repository / "lib"
    code = f"import sys; sys.path.append({str(place)!r}); sys.argv = [{str(door)!r}, 'monitor']; __file__ = sys.argv[0]; exec(open({str(door)!r}).read())"
    done = subprocess.run(
        host.argv([PYTHON, "-IS", "-X", "importtime", "-c", code]),
        capture_output=True,
        text=True,
        timeout=60,
        env={
            "OCF_RESOURCE_INSTANCE": "web1",
            "OCF_RESKEY_config": str(config),
            "OCF_RESKEY_CRM_meta_interval": "10000",
            **environ,
        },
    )
    assert done.returncode == codes.SUCCESS, done.stderr
    return set(re.findall(r"^import time:[^|]*\|[^|]*\|\s+(\S+)$", done.stderr, re.MULTILINE)) - {"imported"}


def fewest(host: PrivateHost, config: Path) -> set[str]:
    """The modules of the first short way in five; libvirt may be writing its word just now, and then it is not taken."""
    modules: set[str] = set()
    for _ in range(5):
        modules = loaded(host, config)
        if LONG_WAY not in modules:
            break
    return modules


def test_a_healthy_monitor_loads_next_to_nothing(host: PrivateHost, config: Path) -> None:
    modules = fewest(host, config)
    assert modules >= LOADS
    assert modules - LOADS - BARE == set()


def test_another_parameter_and_another_level_take_the_long_way(host: PrivateHost, config: Path) -> None:
    assert LONG_WAY not in fewest(host, config)
    assert LONG_WAY in loaded(host, config, OCF_CHECK_LEVEL="10")
    assert LONG_WAY in loaded(host, config, OCF_RESKEY_migration_transport="ssh")


def test_a_pause_is_seen_by_the_next_monitor_and_its_end_by_the_one_after(
    host: PrivateHost, config: Path
) -> None:
    for _ in range(3):
        assert host.agent("monitor", config, interval=10).code == codes.SUCCESS
        host.run("virsh", "suspend", "web1")
        assert host.agent("monitor", config, interval=10).code == codes.DEGRADED
        assert host.agent("monitor", config, interval=10).code == codes.DEGRADED
        host.run("virsh", "resume", "web1")


def test_a_pause_is_not_forgotten_because_libvirtd_dies(host: PrivateHost, config: Path) -> None:
    host.run("virsh", "suspend", "web1")
    host.signal_libvirtd(signal.SIGKILL)
    try:
        for _again in range(2):
            said = host.agent("monitor", config, interval=10)
            assert said.code == codes.DEGRADED
            assert "is paused (user) for its emulator (no libvirtd attends)" in said.err
    finally:
        host.start_libvirtd()
    host.run("virsh", "resume", "web1")
    assert host.agent("monitor", config, interval=10).code == codes.SUCCESS


def test_a_signal_is_seen_by_the_next_monitor(host: PrivateHost, config: Path) -> None:
    pid = str(host.emulators()[0])
    host.run("kill", "-STOP", pid)
    assert host.agent("monitor", config, interval=10).code == codes.DEGRADED
    host.run("kill", "-CONT", pid)
    assert host.agent("monitor", config, interval=10).code == codes.SUCCESS


def test_an_end_is_seen_by_the_next_monitor_also_without_libvirtd(host: PrivateHost, config: Path) -> None:
    host.signal_libvirtd(signal.SIGKILL)
    try:
        assert host.agent("monitor", config, interval=10).code == codes.SUCCESS
        host.run("kill", "-KILL", str(host.emulators()[0]))
        wait(lambda: not host.emulators(), "the emulator to end")
        assert host.agent("monitor", config, interval=10).code == codes.NOT_RUNNING
    finally:
        host.start_libvirtd()


def test_a_status_that_libvirtd_could_not_write_is_not_believed(host: PrivateHost, config: Path) -> None:
    """Libvirtd only warns in its log when /run is full, and leaves the file as it was."""
    host.run("mount", "-o", "remount,size=16m", "/run")
    host.run("sh", "-c", "head -c 32m /dev/zero >/run/filler 2>/dev/null || :")
    try:
        host.run("virsh", "suspend", "web1")
        assert host.agent("monitor", config, interval=10).code == codes.DEGRADED
    finally:
        host.run("rm", "-f", "/run/filler")
        host.run("virsh", "resume", "web1")
