# SPDX-License-Identifier: GPL-2.0-or-later
"""A real libvirtd that comes back: every emulator is known to it again, or the difference is reported."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.ocf import codes
from tests.integration.agents.private_host import PrivateHost, Result
from tests.integration.agents.whole_host import Installed

pytestmark = pytest.mark.usefixtures("tools")
STATUS = "/run/libvirt/qemu/web1.xml"
BUDGET = {"heal_budget": "10s"}


@pytest.fixture(scope="module")
def installed(machine: PrivateHost, repository: Path) -> Iterator[Installed]:
    with tempfile.TemporaryDirectory(prefix="backstay-") as made:
        place = Path(made)
        place.chmod(0o755)
        yield Installed(machine, place, repository)


def watch(installed: Installed, level: int = 0) -> Result:
    return installed.call("libvirtd", "monitor", installed.environ("libvirtd", BUDGET, 10.0, level))


@pytest.fixture
def lost(host: PrivateHost, installed: Installed, config: Path) -> Path:
    """A guest that runs beside a libvirtd that was found well and is dead."""
    assert host.agent("start", config).code == codes.SUCCESS
    assert watch(installed).code == codes.SUCCESS
    host.signal_libvirtd(signal.SIGKILL)
    assert watch(installed).code == codes.DEGRADED
    return config


def test_a_libvirtd_that_is_back_knows_every_emulator_again(
    host: PrivateHost, installed: Installed, lost: Path
) -> None:
    pids = host.emulators()
    host.start_libvirtd()
    said = watch(installed)
    assert (said.code, host.run("virsh", "list", "--name").split()) == (codes.SUCCESS, ["web1"])
    assert host.emulators() == pids
    assert host.agent("monitor", lost, interval=10).code == codes.SUCCESS


@pytest.mark.parametrize("gone", [STATUS, "/run/libvirt/qemu/web1.*"])
def test_an_emulator_that_libvirt_does_not_know_any_more_is_reported(
    host: PrivateHost, installed: Installed, lost: Path, gone: str
) -> None:
    """Also when nothing of libvirt's own names it: its agent has seen it."""
    pids = host.emulators()
    host.run("sh", "-c", f"rm {gone}")
    host.start_libvirtd()
    assert host.run("virsh", "list", "--name").split() == []
    for _again in range(2):
        said = watch(installed)
        assert said.code == codes.DEGRADED
        assert "came back without guests that run: web1" in said.err
    assert host.emulators() == pids, "reported, and nothing is done to it"
    guest = host.agent("monitor", lost, interval=10)
    assert guest.code == codes.DEGRADED
    assert "libvirt does not know it" in guest.err

    # a libvirtd that is restarted adopts it no more than the first did; its resource ends and starts it
    host.signal_libvirtd(signal.SIGKILL)
    host.start_libvirtd()
    assert host.run("virsh", "list", "--name").split() == []
    assert host.agent("stop", lost, timeout=60, force_stop="true").code == codes.SUCCESS
    assert host.agent("start", lost).code == codes.SUCCESS
    assert watch(installed).code == codes.SUCCESS
    assert host.agent("monitor", lost, interval=10).code == codes.SUCCESS
