# SPDX-License-Identifier: GPL-2.0-or-later
"""Live migration between two real libvirtds, each on a host of its own."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.ocf import codes
from tests.integration.agents.private_host import PrivateHost, wait

pytestmark = pytest.mark.usefixtures("tools")
Pair = tuple[PrivateHost, PrivateHost]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Pair]:
    """Two hosts with a cable between them."""
    place = tmp_path_factory.mktemp("pair")
    both = PrivateHost(place, repository, 1), PrivateHost(place, repository, 2)
    names = "127.0.0.1 localhost\n" + "".join(f"{host.address} {host.name}\n" for host in both)
    with contextlib.ExitStack() as stack:
        for host in both:
            stack.callback(host.down)
            host.up(names)
        ends = [str(host.leader) for host in both]
        words = [
            "ip",
            "link",
            "add",
            "cable",
            "netns",
            ends[0],
            "type",
            "veth",
            "peer",
            "cable",
            "netns",
            ends[1],
        ]
        subprocess.run(words, check=True)
        for host in both:
            host.run("ip", "address", "add", f"{host.address}/24", "dev", "cable")
            host.run("ip", "link", "set", "cable", "up")
        yield both


@pytest.fixture
def guest(pair: Pair) -> Iterator[Path]:
    """A guest that runs on the first host; gone from both afterwards."""
    config = pair[0].define()
    assert pair[0].agent("start", config).code == codes.SUCCESS
    yield config
    for host in pair:
        clear(host)


def clear(host: PrivateHost) -> None:
    """Leave nothing running, and a libvirtd that is well."""
    for pid in host.emulators():
        host.run("kill", "-9", str(pid))
    if host.virsh("list").returncode:
        host.start_libvirtd()
    wait(lambda: not host.emulators() and not host.run("virsh", "list", "--name").strip(), "an empty host")
    host.run("rm", "-rf", "/run/backstay")


def migrate(source: PrivateHost, target: PrivateHost, config: Path, timeout: float = 60) -> int:
    result = source.agent(
        "migrate_to", config, timeout=timeout, target=target.name, migration_transport="tcp"
    )
    return result.code


def test_a_guest_moves_there_and_back(pair: Pair, guest: Path) -> None:
    for source, target in (pair, pair[::-1]):
        assert migrate(source, target, guest) == codes.SUCCESS
        assert source.emulators() == []
        assert target.agent("migrate_from", guest, target=source.name).code == codes.SUCCESS
        assert len(target.emulators()) == 1
        assert source.agent("stop", guest).code == codes.SUCCESS
        assert source.agent("monitor", guest).code == codes.NOT_RUNNING
        assert target.agent("monitor", guest, interval=10).code == codes.SUCCESS


def test_a_target_without_libvirtd_leaves_the_guest_where_it_was(pair: Pair, guest: Path) -> None:
    source, target = pair
    target.signal_libvirtd(signal.SIGKILL)
    assert migrate(source, target, guest) == codes.GENERIC
    assert len(source.emulators()) == 1
    assert source.agent("monitor", guest, interval=10).code == codes.SUCCESS
    assert target.agent("migrate_from", guest, target=source.name, timeout=4).code == codes.GENERIC


def test_a_target_that_hangs_is_given_up_in_time(pair: Pair, guest: Path) -> None:
    source, target = pair
    target.signal_libvirtd(signal.SIGSTOP)
    try:
        result = source.agent("migrate_to", guest, timeout=15, target=target.name, migration_transport="tcp")
    finally:
        target.signal_libvirtd(signal.SIGCONT)
    assert result.code == codes.GENERIC
    assert result.seconds < 15
    assert len(source.emulators()) == 1
    assert source.agent("monitor", guest, interval=10).code == codes.SUCCESS


def test_a_slow_migration_is_cancelled_and_the_guest_goes_on(pair: Pair, guest: Path) -> None:
    source, target = pair
    source.run(
        "tc",
        "qdisc",
        "add",
        "dev",
        "cable",
        "root",
        "tbf",
        "rate",
        "400kbit",
        "burst",
        "16k",
        "latency",
        "1s",
    )
    try:
        result = source.agent("migrate_to", guest, timeout=15, target=target.name, migration_transport="tcp")
    finally:
        source.run("tc", "qdisc", "del", "dev", "cable", "root")
    assert result.code == codes.GENERIC
    assert result.seconds < 15
    assert len(source.emulators()) == 1
    assert "running" in source.run("virsh", "domstate", "web1")
    assert target.agent("stop", guest, timeout=15).code == codes.SUCCESS
    assert target.emulators() == []


def test_a_guest_that_moved_under_a_libvirtd_that_died_has_arrived(pair: Pair, guest: Path) -> None:
    source, target = pair
    assert migrate(source, target, guest) == codes.SUCCESS
    target.signal_libvirtd(signal.SIGKILL)
    assert target.agent("migrate_from", guest, target=source.name).code == codes.SUCCESS
