# SPDX-License-Identifier: GPL-2.0-or-later
"""A private host with every agent of this tree, and what the resource of each is given: for tests of whatever lies in agents/.

Where its resource can run on a private host (RESOURCES), an agent's course has to be that of a healthy resource; another
one is told to do the same on a host that does not have what it needs.
"""

from __future__ import annotations

import importlib
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.ocf import codes
from backstay.ocf.agent import Agent
from tests.integration.agents.private_host import PrivateHost, wait
from tests.integration.agents.whole_host import PAGE_URL, Installed

TOP = Path(__file__).resolve().parents[3]
SHIPPED = sorted(door.name for door in (TOP / "agents").iterdir() if door.is_file())
RESOURCES = ("datastore", "domain", "frontend", "libvirtd")
BRIEF = 8.0  # seconds that Pacemaker would give an action where it must not wait for long
DEFINED = set(codes.NAMES)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory that everybody may enter."""
    with tempfile.TemporaryDirectory(prefix="backstay-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture(scope="module")
def installed(machine: PrivateHost, place: Path, repository: Path) -> Installed:
    return Installed(machine, place, repository)


@pytest.fixture
def everything(installed: Installed, host: PrivateHost) -> Iterator[Installed]:
    """The host with nothing on it but what agents need; what a test leaves is removed."""
    store = installed.place / "store"
    store.mkdir(exist_ok=True)
    host.run("mount", "-t", "tmpfs", "store", str(store))
    host.define()
    host.signal_libvirtd(signal.SIGKILL)
    host.run("systemctl", "start", "--", "libvirtd.service")
    wait(lambda: host.virsh("list").returncode == 0, "libvirtd as a unit")
    yield installed
    host.run("systemctl", "kill", "--", "page.service", "libvirtd.service")
    host.run("umount", "--lazy", str(store))
    installed.forget()


def given(agent: str, place: Path) -> dict[str, str]:
    """The parameters of an agent's resource."""
    return {
        "datastore": {"directory": str(place / "store"), "least_free": "0", "least_inodes": "0"},
        "domain": {"config": str(place / "web1.xml"), "force_stop": "true"},
        "frontend": {"units": "page.service", "probes": PAGE_URL, "lease": str(place / "store" / "lease")},
        "libvirtd": {"answer_within": "3s"},
        "drbd": {"drbd_resource": "web1"},
    }.get(agent, {})


def agent_of(name: str) -> Agent:
    found: Agent = importlib.import_module(f"backstay.agents.{name}").AGENT
    return found
