# SPDX-License-Identifier: GPL-2.0-or-later
"""Starts that somebody speaks against, on a real libvirtd, virtlockd and QEMU: locks, leftovers, other hosts."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.agents.domain_birth import MARK
from backstay.agents.domain_features import marked
from backstay.host.elsewhere import sightings
from backstay.ocf import codes
from tests.integration.agents.private_host import PYTHON, UUID, PrivateHost, wait
from tests.integration.agents.test_domain_migration_live import kill_the_agent, slow, two_hosts

pytestmark = pytest.mark.usefixtures("tools")
DISK = """<disk type='file'><driver name='qemu' type='raw'/><source file='{file}'/><target dev='vda' bus='virtio'/></disk>
</devices>"""
LOCKER = "import fcntl, time; held = open({file!r}, 'r+b'); fcntl.lockf(held, fcntl.LOCK_EX, 1, 0); time.sleep(600)"
TEST_DRIVER, ITS_DOMAIN = "test:///default", "6695eb01-f6a4-8304-79aa-97f2502e193f"


@pytest.fixture(scope="module")
def machine(place: Path, repository: Path) -> Iterator[PrivateHost]:
    with PrivateHost(place, repository) as host:
        (host.shared / "disk.raw").write_bytes(bytes(1 << 20))
        yield host


@pytest.fixture
def host(machine: PrivateHost) -> Iterator[PrivateHost]:
    """The host; nothing runs on it afterwards, and libvirtd is as it was."""
    settings = (machine.etc / "qemu.conf").read_text()
    yield machine
    if (machine.etc / "qemu.conf").read_text() != settings:
        (machine.etc / "qemu.conf").write_text(settings)
        restart(machine)
    machine.clear()


def restart(host: PrivateHost) -> None:
    if host.virsh("list").returncode == 0:
        host.signal_libvirtd(signal.SIGKILL)
    host.start_libvirtd()


def with_a_disk(host: PrivateHost, name: str, number: int) -> Path:
    config = host.define(name, number)
    disk = DISK.format(file=host.shared / "disk.raw")
    config.write_text(config.read_text().replace("</devices>", disk))
    return config


def test_the_lock_of_another_guest_is_named_and_outlived(host: PrivateHost) -> None:
    host.run("virsh", "create", str(with_a_disk(host, "db1", 2)))
    holder = host.emulators()[0]
    config = with_a_disk(host, "web1", 1)
    refused = host.agent("start", config, timeout=10, guard="none")
    assert refused.code == codes.GENERIC
    assert refused.seconds < 10
    assert f"held by db1 (pid {holder}) on this host" in refused.err
    later = threading.Timer(5.0, lambda: host.run("virsh", "destroy", "db1"))
    later.start()
    assert host.agent("start", config, timeout=40, guard="none").code == codes.SUCCESS
    later.join()
    assert len(host.emulators()) == 1


def test_a_lock_of_another_host_leaves_no_guest_that_has_read_its_disk(host: PrivateHost) -> None:
    config = with_a_disk(host, "web1", 1)
    insists = host.agent("start", config, guard="lock")
    assert insists.code == codes.GENERIC
    assert "has no lock manager" in insists.err
    assert host.agent("validate-all", config, level=10, guard="lock").code == codes.ARGUMENTS
    (host.etc / "qemu-lockd.conf").touch()
    (host.etc / "qemu.conf").write_text((host.etc / "qemu.conf").read_text() + 'lock_manager = "lockd"\n')
    host.run("virtlockd", "--daemon")
    restart(host)
    assert host.agent("validate-all", config, level=10, guard="lock").code == codes.SUCCESS
    # what virtlockd of another host holds on shared storage is such a lock
    code = LOCKER.format(file=str(host.shared / "disk.raw"))
    with subprocess.Popen(["/usr/bin/python3", "-c", code]) as other:
        try:
            wait(lambda: f":{inode(host)} 0 0" in Path("/proc/locks").read_text(), "the lock")
            refused = host.agent("start", config, timeout=20, guard="lock")
            assert refused.code == codes.GENERIC
            assert "its disks are locked" in refused.err
            assert "Lockspace resource" in refused.err
            assert host.emulators() == []
        finally:
            other.kill()
    assert host.agent("start", config, guard="lock").code == codes.SUCCESS
    assert host.run("virsh", "domstate", "web1").strip() == "running"
    assert host.agent("stop", config, timeout=8).code == codes.SUCCESS


def inode(host: PrivateHost) -> int:
    return (host.shared / "disk.raw").stat().st_ino


def made_to_receive(host: PrivateHost, config: Path) -> Path:
    """The definition of the same guest, waiting for its memory."""
    arriving = host.shared / "arriving.xml"
    arguments = (
        "<qemu:commandline><qemu:arg value='-incoming'/><qemu:arg value='defer'/></qemu:commandline></domain>"
    )
    text = config.read_text().replace(
        "type='qemu'>", "type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>", 1
    )
    arriving.write_text(text.replace("</domain>", arguments))
    return arriving


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL], ids=["hung", "dead"])
def test_what_a_failed_migration_left_is_not_started_because_libvirt_is_silent(
    host: PrivateHost, number: signal.Signals
) -> None:
    config = host.define()
    host.run("virsh", "create", "--paused", str(made_to_receive(host, config)))
    left = host.emulators()
    host.signal_libvirtd(number)
    try:
        outcomes = [host.agent("start", config, timeout=seconds) for seconds in (12, 40)]
    finally:
        if number == signal.SIGSTOP:
            host.signal_libvirtd(signal.SIGCONT)
    assert [outcome.code for outcome in outcomes] == [codes.GENERIC, codes.GENERIC]
    assert all("virsh destroy web1" in outcome.err for outcome in outcomes)
    assert host.emulators() == left


def test_what_a_failed_migration_left_is_ended_and_started_afresh(host: PrivateHost) -> None:
    config = host.define()
    host.run("virsh", "create", "--paused", str(made_to_receive(host, config)))
    left = host.emulators()
    by_hand = host.agent("start", config, timeout=12)
    assert by_hand.code == codes.GENERIC  # somebody paused it
    assert "virsh destroy web1" in by_hand.err
    assert host.emulators() == left
    host.signal_libvirtd(signal.SIGKILL)
    host.run("sed", "-i", "s/reason='user'/reason='migration'/", "/run/libvirt/qemu/web1.xml")
    host.start_libvirtd()
    assert host.run("virsh", "domstate", "--reason", "web1").strip() == "paused (migrating)"
    assert host.agent("start", config).code == codes.SUCCESS
    assert len(host.emulators()) == 1
    assert host.emulators() != left
    assert host.run("virsh", "domstate", "web1").strip() == "running"


def test_what_a_creation_left_is_told_from_a_guest_that_ever_ran(host: PrivateHost) -> None:
    """Its mark alone is no proof: whoever lets it run by hand does not remove that, but then its CPU has run."""
    config, created = host.define(), host.shared / "created.xml"
    created.write_bytes(marked(config.read_bytes(), MARK))
    host.run("virsh", "create", "--paused", str(created))
    left = host.emulators()
    host.run("virsh", "resume", "web1")
    wait(lambda: cpu_time(host) > 0.1, "the guest to do something")
    host.run("virsh", "suspend", "web1")
    refused = host.agent("start", config, timeout=6)
    assert (refused.code, host.emulators()) == (codes.GENERIC, left)
    host.run("virsh", "destroy", "web1")
    host.run("virsh", "create", "--paused", str(created))
    left = host.emulators()
    began = host.agent("start", config)
    assert began.code == codes.SUCCESS
    assert began.seconds < 9
    assert len(host.emulators()) == 1
    assert host.emulators() != left
    assert host.run("virsh", "domstate", "web1").strip() == "running"
    assert "backstay" not in host.run("virsh", "dumpxml", "web1")


def cpu_time(host: PrivateHost) -> float:
    """The seconds that the guest's CPU has run."""
    said = host.run("virsh", "vcpuinfo", "web1").splitlines()
    times = [line.split()[-1].rstrip("s") for line in said if "CPU time" in line]
    return float(times[0]) if times else 0.0  # a guest that has just been resumed may have none yet


def test_others_are_asked_at_once_and_the_silent_ones_are_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uris = {
            "n1": TEST_DRIVER,
            "n2": f"qemu+tcp://127.0.0.1:{silent.getsockname()[1]}/system",
            "n3": "qemu+tcp://127.0.0.1:1/system",
            "n4": f"test+tcp://127.0.0.1:{silent.getsockname()[1]}/default",
        }
        found = {one.host: one for one in sightings(uris, ITS_DOMAIN, "test", 8.0)}
    assert (found["n1"].kind, found["n1"].state, found["n1"].busy) == ("known", "running", False)
    assert found["n2"].kind == found["n4"].kind == "hung"
    assert found["n3"].kind == "refused"
    assert "refused" in found["n3"].text
    assert (
        sightings({"n1": TEST_DRIVER}, "11111111-2222-3333-4444-555555555501", "test", 5.0)[0].kind
        == "absent"
    )
    assert sightings({"n1": TEST_DRIVER}, "", "test", 5.0)[0].kind == "known"


SAYS = """
import sys
sys.path.insert(0, {lib!r})
from backstay.host.elsewhere import sightings
for one in sightings({uris!r}, {uuid!r}, "", 5.0):
    print(one.host, one.state, one.reason or "-", one.busy)
"""


def test_a_guest_in_the_middle_of_its_migration_is_no_leftover(tmp_path: Path, repository: Path) -> None:
    with two_hosts(tmp_path, repository) as (source, target):
        config = source.define()
        assert source.agent("start", config).code == codes.SUCCESS
        uris = {"it": "qemu:///system"}  # each is asked at home: the slow cable is full
        code = SAYS.format(lib=str(repository / "lib"), uris=uris, uuid=UUID.format(1))
        with slow(source):
            kill_the_agent(source, target, config)
            assert source.run(PYTHON, "-I", "-c", code) == "it running - True\n"
            there = target.run(PYTHON, "-I", "-c", code)
            assert there in ("it paused migration True\n", "it paused starting-up True\n")
            before = target.emulators()
            start = target.agent("start", config, timeout=6)
            assert start.code == codes.GENERIC
            assert "paused" in start.err
            assert target.emulators() == before
