# SPDX-License-Identifier: GPL-2.0-or-later
"""Live migration between two real libvirtds, each on a host of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.ocf import codes
from tests.integration.agents.private_host import PrivateHost, Result, wait

pytestmark = pytest.mark.usefixtures("tools")
Pair = tuple[PrivateHost, PrivateHost]


@contextlib.contextmanager
def two_hosts(place: Path, repository: Path) -> Iterator[Pair]:
    """Two hosts with a cable between them."""
    both = PrivateHost(place, repository, 1), PrivateHost(place, repository, 2)
    names = "127.0.0.1 localhost\n" + "".join(f"{host.address} {host.name}\n" for host in both)
    with contextlib.ExitStack() as stack:
        for host in both:
            stack.callback(host.down)
            host.up(names)
        ends = [str(host.leader) for host in both]
        cable = f"ip link add cable netns {ends[0]} type veth peer cable netns {ends[1]}"
        subprocess.run(cable.split(), check=True)
        for host in both:
            host.run("ip", "address", "add", f"{host.address}/24", "dev", "cable")
            host.run("ip", "link", "set", "cable", "up")
        yield both


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Pair]:
    with two_hosts(tmp_path_factory.mktemp("pair"), repository) as both:
        yield both


@pytest.fixture
def mortal(tmp_path: Path, repository: Path) -> Iterator[Pair]:
    """Two hosts for this test alone."""
    with two_hosts(tmp_path, repository) as both:
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


@pytest.mark.parametrize(
    "options",
    [
        {"migration_compression": "xbzrle", "migration_downtime": "500", "migration_speed": "200"},
        {"migration_compression": "mt", "migration_auto_converge": "false"},
        {"migration_postcopy": "true", "migrateport": "49160"},
        {"migrate_options": "--parallel --abort-on-error", "migration_auto_converge": "false"},
    ],
    ids=" ".join,
)
def test_libvirt_takes_every_option_of_a_migration(pair: Pair, guest: Path, options: dict[str, str]) -> None:
    source, target = pair
    result = source.agent(
        "migrate_to", guest, timeout=60, target=target.name, migration_transport="tcp", **options
    )
    assert result.code == codes.SUCCESS, result
    assert source.emulators() == []
    assert len(target.emulators()) == 1
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


@pytest.mark.long
def test_a_slow_migration_is_cancelled_and_the_guest_goes_on(pair: Pair, guest: Path) -> None:
    source, target = pair
    with slow(source):
        result = source.agent("migrate_to", guest, timeout=60, target=target.name, migration_transport="tcp")
    assert result.code == codes.GENERIC
    assert "took too long and was cancelled" in result.err
    assert result.seconds < 60
    assert len(source.emulators()) == 1
    wait(lambda: "running" in source.run("virsh", "domstate", "web1"), "the guest to go on")
    wait(lambda: target.emulators() == [], "the rest on the target to go")
    assert target.agent("stop", guest, timeout=15).code == codes.SUCCESS


@contextlib.contextmanager
def slow(source: PrivateHost) -> Iterator[None]:
    """A cable through which even this small guest takes minutes; its short queue lets libvirt's own words through."""
    rate = ["rate", "80kbit", "burst", "4k", "limit", "6k"]
    source.run("tc", "qdisc", "add", "dev", "cable", "root", "tbf", *rate)
    try:
        yield
    finally:
        source.run("tc", "qdisc", "del", "dev", "cable", "root")


def migrating(source: PrivateHost) -> bool:
    return "Outgoing migration" in source.virsh("domjobinfo", "web1").stdout


def kill_the_agent(source: PrivateHost, target: PrivateHost, config: Path, **more: str) -> None:
    """Let the guest be migrated by nobody: its agent was killed in the middle of it."""
    more["migration_transport"] = "tcp"
    agent = source.begin("migrate_to", config, timeout=60, target=target.name, **more)
    wait(lambda: migrating(source) and target.emulators() != [], "the migration to begin")
    os.killpg(agent.pid, signal.SIGKILL)
    agent.wait(10)
    assert migrating(source)
    assert source.agent("monitor", config, interval=10).code == codes.SUCCESS


def test_a_killed_agents_migration_does_not_outlive_a_stop(pair: Pair, guest: Path) -> None:
    source, target = pair
    with slow(source):
        kill_the_agent(source, target, guest, migration_downtime="777")
        assert source.run("virsh", "migrate-getmaxdowntime", "web1").strip() == "777"
        for host in pair:
            assert host.agent("stop", guest, timeout=30, force_stop="true").code == codes.SUCCESS
            assert host.emulators() == []


def test_a_stop_that_asks_the_guest_cancels_its_migration_first(pair: Pair, guest: Path) -> None:
    """Or it would be asked to shut down here, and go on there."""
    source, target = pair
    with slow(source):
        kill_the_agent(source, target, guest)
        stop = source.begin("stop", guest, timeout=120, shutdown_mode="acpi")
        wait(lambda: not migrating(source), "the migration to be cancelled")
        (emulator,) = source.emulators()  # long before the stop has no more time for the guest
        wait(lambda: target.emulators() == [], "the rest on the target to go")
    source.run("kill", str(emulator))  # as if it had shut down: its firmware does not
    assert stop.wait(60) == codes.SUCCESS
    assert source.emulators() == []


def test_a_killed_agents_migration_is_cancelled_by_the_next_one(pair: Pair, guest: Path) -> None:
    source, target = pair
    with slow(source):
        kill_the_agent(source, target, guest)
        second = source.begin("migrate_to", guest, timeout=90, target=target.name, migration_transport="tcp")
        wait(lambda: not migrating(source), "the first migration to be cancelled")
    assert second.wait(100) == codes.SUCCESS
    assert source.emulators() == []
    assert target.agent("migrate_from", guest, target=source.name).code == codes.SUCCESS


NETWORK = "<network><name>lan</name><forward mode='bridge'/><bridge name='br9'/></network>"
CARD = "<interface type='network'><source network='lan'/></interface>"


@pytest.fixture
def connected(pair: Pair) -> Iterator[Path]:
    """A guest on the first host with a card in a network of libvirt's that only this host has."""
    source, _target = pair
    description = source.shared / "lan.xml"
    description.write_text(NETWORK)
    for host in pair:
        host.run("ip", "link", "add", "br9", "type", "bridge")
    source.run("virsh", "net-define", str(description))
    source.run("virsh", "net-start", "lan")
    config = source.define()
    config.write_text(config.read_text().replace("</devices>", f"{CARD}</devices>"))
    assert source.agent("start", config).code == codes.SUCCESS
    yield config
    for host in pair:
        clear(host)
        host.virsh("net-destroy", "lan")
        host.virsh("net-undefine", "lan")
        host.run("ip", "link", "del", "br9")


def test_a_target_without_the_guests_network_is_refused_before_anything_is_sent(
    pair: Pair, connected: Path
) -> None:
    source, target = pair

    def attempt(**more: str) -> Result:
        return source.agent(
            "migrate_to", connected, timeout=60, target=target.name, migration_transport="tcp", **more
        )

    refused = attempt()
    assert refused.code == codes.GENERIC
    assert "private2 has no libvirt network lan" in refused.err
    target.run("virsh", "net-define", str(target.shared / "lan.xml"))
    refused = attempt()
    assert "virsh net-start lan" in refused.err
    assert target.emulators() == []
    assert attempt(start_resources="true").code == codes.SUCCESS
    assert "lan" in target.run("virsh", "net-list", "--name")


def test_one_that_runs_there_already_is_not_sent(pair: Pair, guest: Path) -> None:
    source, target = pair
    assert target.agent("start", guest).code == codes.SUCCESS
    result = source.agent("migrate_to", guest, target=target.name, migration_transport="tcp")
    assert result.code == codes.GENERIC
    assert "on private2 already" in result.err
    assert len(target.emulators()) == 1


def test_a_definition_that_the_target_cannot_carry_out_is_refused(pair: Pair, guest: Path) -> None:
    source, target = pair
    target.run("mount", "--bind", "/dev/null", "/usr/bin/qemu-system-x86_64")
    try:
        result = source.agent("migrate_to", guest, target=target.name, migration_transport="tcp")
    finally:
        target.run("umount", "/usr/bin/qemu-system-x86_64")
    assert result.code == codes.GENERIC
    assert "qemu-system-x86_64" in result.err
    assert "goes on here" in result.err


def test_a_guest_that_moved_under_a_libvirtd_that_died_has_arrived(pair: Pair, guest: Path) -> None:
    source, target = pair
    assert migrate(source, target, guest) == codes.SUCCESS
    target.signal_libvirtd(signal.SIGKILL)
    assert target.agent("migrate_from", guest, target=source.name).code == codes.SUCCESS


# ---- a host that is gone from one moment to the next


def under_way(pair: Pair) -> tuple[Path, subprocess.Popen[bytes]]:
    """A guest in the middle of its migration from the first host to the second, and the agent that moves it."""
    source, target = pair
    config = source.define()
    assert source.agent("start", config).code == codes.SUCCESS
    source.run("tc", *"qdisc add dev cable root tbf rate 400kbit burst 16k latency 1s".split())
    agent = source.begin("migrate_to", config, timeout=120, target=target.name, migration_transport="tcp")
    wait(lambda: migrating(source) and target.emulators() != [], "the migration to begin")
    return config, agent


def test_a_target_that_is_gone_leaves_the_guest_where_it_was(mortal: Pair) -> None:
    source, target = mortal
    config, agent = under_way(mortal)
    target.down()
    assert agent.wait(120) == codes.GENERIC
    assert len(source.emulators()) == 1
    assert "running" in source.run("virsh", "domstate", "web1")
    assert source.agent("monitor", config, interval=10).code == codes.SUCCESS
    assert source.agent("stop", config, timeout=30).code == codes.SUCCESS


def test_a_source_that_is_gone_leaves_nothing_that_a_stop_would_not_end(mortal: Pair) -> None:
    source, target = mortal
    config, agent = under_way(mortal)
    source.down()
    agent.wait(10)
    began = time.monotonic()
    while target.emulators() and time.monotonic() - began < 60:
        print(
            f"{time.monotonic() - began:.0f} s", target.virsh("domstate", "web1", "--reason").stdout.strip()
        )
        time.sleep(3)
    assert target.agent("stop", config, timeout=30).code == codes.SUCCESS
    assert target.emulators() == []
    assert target.agent("start", config, timeout=30).code == codes.SUCCESS


# ---- TLS, with certificates made as the guide says

GUIDE = "docs/how-to-migrate.md"
SERVER = """
listen_tls = 1
listen_tcp = 0
auth_unix_rw = "none"
host_uuid = "11111111-2222-3333-4444-55555555559{number}"
ca_file = "{pki}/ca.pem"
cert_file = "{pki}/{name}.pem"
key_file = "{pki}/{name}.key"
"""


def certificates(host: PrivateHost, repository: Path, pki: Path) -> None:
    """Carry out the guide's first block, for these hosts and in another place."""
    block = (repository / GUIDE).read_text().partition("# on one host\n")[2].partition("```")[0]
    script = block.replace("/root/pki", str(pki)).replace("n1 n2 n3", "private1 private2")
    assert script.count("private1") == 1
    host.run("bash", "-e", "-c", script)


def serve_tls(host: PrivateHost, pki: Path) -> None:
    """Let libvirtd listen for TLS alone, and give libvirt and QEMU their certificates where they look for them."""
    (host.etc / "libvirtd.conf").write_text(SERVER.format(pki=pki, name=host.name, number=host.number))
    own = pki / f"of-{host.name}"
    own.mkdir()
    links = {"cacert.pem": "ca.pem", "ca-cert.pem": "ca.pem"}
    for role in ("client", "server"):
        links |= {f"{role}{dash}cert.pem": f"{host.name}.pem" for dash in ("", "-")}
        links |= {f"{role}{dash}key.pem": f"{host.name}.key" for dash in ("", "-")}
    for name, target in links.items():
        (own / name).symlink_to(pki / target)
    with (host.etc / "qemu.conf").open("a") as conf:
        conf.write(f'default_tls_x509_cert_dir = "{own}"\ndefault_tls_x509_verify = 1\n')
    host.signal_libvirtd(signal.SIGKILL)
    host.start_libvirtd()


def test_a_guest_moves_over_tls_and_its_memory_too(mortal: Pair, repository: Path, tmp_path: Path) -> None:
    source, target = mortal
    pki = tmp_path / "pki"
    certificates(source, repository, pki)
    for host in mortal:
        serve_tls(host, pki)
    config = source.define()
    assert source.agent("start", config).code == codes.SUCCESS

    def attempt(**parameters: str) -> Result:
        return source.agent("migrate_to", config, timeout=60, target=target.name, **parameters)

    with_certificates = f"qemu+tls://%n/system?pkipath={pki}/of-{source.name}"
    assert "does not answer" in attempt(migration_transport="tcp").err
    assert "does not answer" in attempt(remoteuri="qemu+tls://%n/system?pkipath=/nowhere").err
    assert len(source.emulators()) == 1
    moved = attempt(remoteuri=with_certificates, migrate_options="--tls")
    assert moved.code == codes.SUCCESS, moved
    assert target.agent("migrate_from", config, target=source.name).code == codes.SUCCESS


def test_a_paused_guest_moves_as_it_is(pair: Pair, guest: Path) -> None:
    """A host is drained with a guest that somebody paused: it is neither restarted nor let run."""
    source, target = pair
    source.run("virsh", "suspend", "web1")
    assert migrate(source, target, guest) == codes.SUCCESS
    arrived = target.agent("migrate_from", guest, timeout=30, target=source.name)
    assert arrived.code == codes.SUCCESS, arrived
    assert target.run("virsh", "domstate", "--reason", "web1").strip() == "paused (user)"
    assert target.agent("monitor", guest, interval=10).code == codes.DEGRADED
    assert source.emulators() == []
