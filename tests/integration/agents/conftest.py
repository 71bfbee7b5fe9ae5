# SPDX-License-Identifier: GPL-2.0-or-later
"""What the integration tests of the agents share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.agents.private_host import PrivateHost


@pytest.fixture(scope="session")
def tools(need: Callable[..., str]) -> None:
    """What a private host is made of."""
    need("libvirtd", "virsh", "qemu-system-x86_64", "unshare", "nsenter", "ip")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("definition")


@pytest.fixture(scope="module")
def machine(place: Path, repository: Path) -> Iterator[PrivateHost]:
    with PrivateHost(place, repository) as host:
        yield host


@pytest.fixture
def host(machine: PrivateHost) -> Iterator[PrivateHost]:
    """The host with nothing running on it, nothing defined, and a libvirtd that is well."""
    yield machine
    machine.clear()


@pytest.fixture
def share(place: Path, tmp_path: Path) -> Path:
    """A directory that stands for the share with the definitions, disks and memories."""
    directory = place / tmp_path.name
    directory.mkdir()
    return directory


@pytest.fixture
def config(host: PrivateHost, share: Path) -> Path:
    return host.define().rename(share / "web1.xml")
