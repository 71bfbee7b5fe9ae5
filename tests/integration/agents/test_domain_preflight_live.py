# SPDX-License-Identifier: GPL-2.0-or-later
"""What speaks against a target that its libvirt does not tell: real libvirtds, real FUSE mounts, virtlockd.

The attribute daemon is a stand-in, a directory that both hosts have; what is in it comes from the libvirtd agent.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.lab import stallfs
from backstay.ocf import codes
from tests.integration.agents.private_host import PrivateHost, Result, add, wait
from tests.integration.agents.test_domain_migration_live import Pair, mortal

__all__ = ["mortal"]
pytestmark = pytest.mark.usefixtures("tools")
UPDATER = """#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in
    --name) name=$2 ;;
    --update) do=update value=$2 ;;
    --query | --delete) do=${{1#--}} ;;
    esac
    shift
done
cd {place} || exit 1
case $do in
update) printf %s "$value" >"$name@$(hostname)" ;;
delete) rm -f "$name@$(hostname)" ;;
query) for each in "$name"@*; do [ ! -e "$each" ] || echo "name=\\"$name\\" host=\\"${{each#*@}}\\" value=\\"$(cat "$each")\\""; done ;;
esac
"""
DISK = "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{disk}'/><target dev='vda' bus='virtio'/>{more}</disk>"
SHARED = "fuse.glusterfs"
STALL = "import sys; code = open({file!r}).read().replace('fuse.stallfs', {kind!r}); exec(compile(code, {file!r}, 'exec'))"


@pytest.fixture
def cluster(mortal: Pair) -> Pair:
    """Two hosts that hear one another's attributes."""
    place = mortal[0].shared / "attributes"
    place.mkdir()
    updater = mortal[0].shared / "attrd_updater"
    updater.write_text(UPDATER.format(place=place))
    updater.chmod(0o755)
    for host in mortal:
        host.run("mount", "--bind", str(updater), "/usr/sbin/attrd_updater")
    return mortal


def tell(host: PrivateHost) -> None:
    """Let the libvirtd agent's recurring monitor tell the others what is here."""
    environ = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "OCF_RESOURCE_INSTANCE": "libvirtd",
        "OCF_RESKEY_CRM_meta_interval": "10000",
        "OCF_RESKEY_CRM_meta_timeout": "30000",
        "OCF_RESKEY_CRM_meta_on_node": host.name,
    }
    door = str(host.repository / "agents" / "libvirtd")
    done = subprocess.run(
        host.argv([door, "monitor"]), env=environ, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == codes.SUCCESS, done.stderr


def start(host: PrivateHost, disk: Path, more: str = "", **given: str) -> Path:
    config = host.define()
    add(config, DISK.format(disk=disk, more=more), "</devices>")
    assert host.agent("start", config, **given).code == codes.SUCCESS
    return config


def attempt(pair: Pair, config: Path, **given: str) -> Result:
    return pair[0].agent(
        "migrate_to",
        config,
        timeout=60,
        target=pair[1].name,
        migration_transport="tcp",
        migrate_options="--unsafe",
        **given,
    )


def goes_on_here(pair: Pair, refused: Result) -> None:
    source, target = pair
    assert refused.code == codes.GENERIC, refused
    assert "it goes on" in refused.err
    assert target.emulators() == []
    assert len(source.emulators()) == 1
    assert source.run("virsh", "domstate", "web1").strip() == "running"


@contextlib.contextmanager
def share(host: PrivateHost, where: Path) -> Iterator[None]:
    """A shared file system with a disk, for as long as it is mounted on that host."""
    code = STALL.format(file=stallfs.__file__, kind=SHARED)
    with subprocess.Popen(
        host.argv([sys.executable, "-c", code, str(where), str(where) + ".switch"])
    ) as server:
        try:
            wait(lambda: SHARED in host.run("cat", "/proc/self/mounts"), "the mount")
            yield
        finally:
            host.run("umount", "--lazy", str(where))
            server.kill()


def test_a_share_that_is_not_mounted_there_is_refused_though_its_file_seems_to_be_there(
    cluster: Pair,
) -> None:
    source, target = cluster
    where = source.shared / "vms"
    where.mkdir()
    (where / "base.img").write_bytes(bytes(1 << 20))  # below the mount point, where nobody means it to be
    with contextlib.ExitStack() as mounted:
        mounted.enter_context(share(source, where))
        config = start(source, where / "base.img", "<readonly/>")
        tell(target)
        refused = attempt(cluster, config)
        goes_on_here(cluster, refused)
        assert (
            f"private2 has not mounted stallfs at {where}, where its disk {where}/base.img lies"
            in refused.err
        )
        assert refused.seconds < 10
        mounted.enter_context(share(target, where))
        tell(target)
        assert attempt(cluster, config).code == codes.SUCCESS
        assert len(target.emulators()) == 1
        for host in cluster:
            host.clear()


def test_a_disk_that_is_missing_there_is_named_before_anything_is_sent(cluster: Pair) -> None:
    source, target = cluster
    where = source.shared / "vms"
    where.mkdir()
    (where / "disk.raw").write_bytes(bytes(1 << 20))
    config = start(source, where / "disk.raw")
    target.run("mount", "-t", "tmpfs", "none", str(where))
    refused = attempt(cluster, config)
    goes_on_here(cluster, refused)
    assert f"Cannot access storage file '{where}/disk.raw': No such file or directory" in refused.err
    assert refused.seconds < 20


def with_locks(host: PrivateHost) -> None:
    (host.etc / "qemu-lockd.conf").touch()
    with (host.etc / "qemu.conf").open("a") as conf:
        conf.write('lock_manager = "lockd"\n')
    host.run("virtlockd", "--daemon")
    host.signal_libvirtd(signal.SIGKILL)
    host.start_libvirtd()


def test_a_lock_that_would_get_lost_is_refused_where_an_admin_insists_on_locks(cluster: Pair) -> None:
    source, target = cluster
    disk = source.shared / "disk.raw"
    disk.write_bytes(bytes(1 << 20))
    with_locks(source)
    tell(target)
    config = start(source, disk, guard="lock")
    refused = attempt(cluster, config, guard="lock")
    goes_on_here(cluster, refused)
    assert "the lock managers of libvirt differ (here lockd, there none)" in refused.err
    with_locks(target)
    tell(target)
    assert attempt(cluster, config, guard="lock").code == codes.SUCCESS
    assert len(target.emulators()) == 1


CACHE = "/var/cache/libvirt/qemu/capabilities"
PROMISED = "bmi1"
PICKY = f"""<cpu mode='custom' match='exact' check='{{check}}'><model fallback='forbid'>qemu64</model>
  <feature policy='require' name='{PROMISED}'/></cpu>"""


@contextlib.contextmanager
def lesser(host: PrivateHost) -> Iterator[None]:
    """A host whose CPU lacks a feature, for its libvirt: that believes what it noted of its emulator earlier."""
    host.run("virsh", "domcapabilities", "--virttype", "qemu")
    host.signal_libvirtd(signal.SIGKILL)
    host.run("cp", "-a", CACHE, "/run/capabilities")
    host.run("sh", "-c", f"sed -i \"/name='{PROMISED}'/s/value='true'/value='false'/\" {CACHE}/*.xml")
    host.start_libvirtd()
    yield
    host.signal_libvirtd(signal.SIGKILL)
    host.run("sh", "-c", f"cp -a /run/capabilities/* {CACHE}/")
    host.start_libvirtd()


def picky(host: PrivateHost, check: str) -> Path:
    config = host.define()
    add(config, PICKY.format(check=check), "<devices>")
    assert host.agent("start", config).code == codes.SUCCESS
    return config


@pytest.mark.long
def test_a_target_whose_cpu_lacks_what_the_guest_was_promised_is_refused(cluster: Pair) -> None:
    """By hand: libvirt 9.0 takes a note that was changed for good or not, one time in three, by its own word too.

    `virsh hypervisor-cpu-compare` says "superset" then; a run is worth something when it is refused.
    """
    source, target = cluster
    config = picky(source, "partial")
    with lesser(target):
        refused = attempt(cluster, config)
        goes_on_here(cluster, refused)
        assert "the CPU of private2 lacks what the guest was promised" in refused.err
        assert refused.seconds < 10
    assert attempt(cluster, config).code == codes.SUCCESS
    assert len(target.emulators()) == 1


@pytest.mark.long
def test_where_nobody_insists_on_the_promise_it_goes(cluster: Pair) -> None:
    """check='none': libvirt there does not insist on it either."""
    source, target = cluster
    config = picky(source, "none")
    with lesser(target):
        went = attempt(cluster, config)
        assert went.code == codes.SUCCESS, went
        assert len(target.emulators()) == 1


def with_memory(host: PrivateHost, mib: int) -> None:
    """Let that host have so much free memory."""
    told = host.shared / f"meminfo-{mib}"
    names = {"MemTotal": 1 << 20, "MemFree": mib, "Buffers": 0, "Cached": 0}
    told.write_text("".join(f"{name}: {value * 1024} kB\n" for name, value in names.items()))
    host.run("mount", "--bind", str(told), "/proc/meminfo")


def test_a_target_without_the_memory_that_the_guest_uses_is_refused(cluster: Pair) -> None:
    """Not one without what it may come to use."""
    source, target = cluster
    config = source.define()
    config.write_text(
        config.read_text().replace("<memory unit='MiB'>32</memory>", "<memory unit='MiB'>512</memory>")
    )
    assert source.agent("start", config).code == codes.SUCCESS
    with_memory(target, 10)
    refused = attempt(cluster, config)
    goes_on_here(cluster, refused)
    assert "private2 has 10 MiB of free memory, and the guest uses " in refused.err
    with_memory(target, 400)
    went = attempt(cluster, config)
    assert went.code == codes.SUCCESS, went
    assert len(target.emulators()) == 1
