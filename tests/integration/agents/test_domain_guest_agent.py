# SPDX-License-Identifier: GPL-2.0-or-later
"""A stop that asks the guest's agent: a real kernel with a few lines of shell that speak the agent's protocol."""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.lab import kernel
from backstay.lab.initramfs import Entry, archive
from backstay.ocf import codes
from tests.integration.agents.private_host import PrivateHost, wait

pytestmark = pytest.mark.usefixtures("tools")
MODULES = (*kernel.MODULES[:5], "drivers/char/virtio_console")
APPLETS = ("echo", "insmod", "mount", "poweroff", "sh", "sleep")
BOOT = 300  # seconds; emulated beside other tests on two slow cores, a boot was seen to take more than 60
NAME = "org.qemu.guest_agent.0"
INIT = f"""#!/bin/busybox sh
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
for module in {" ".join(module.rpartition("/")[2] for module in MODULES)}; do insmod "/modules/$module.ko"; done
# the port comes a moment after its driver, and its name a moment after the port
opened=
while [ -z "$opened" ]; do
    for port in /sys/class/virtio-ports/*; do
        [ -e "$port/name" ] && read -r name <"$port/name" && [ "$name" = {NAME} ] &&
            exec 3<>"/dev/${{port##*/}}" && opened=yes
    done
    [ -n "$opened" ] || sleep 1
done
read -r how </proc/cmdline
case "$how" in *deaf*) while :; do sleep 100; done ;; esac
while :; do
    read -r line <&3 || {{ sleep 1; continue; }} # nobody has opened the other end
    case "$line" in
    *guest-sync*) id=${{line##*:}}; echo "{{\\"return\\":${{id%%\\}}*}}}}" >&3 ;;
    *guest-ping*) echo '{{"return":{{}}}}' >&3 ;;
    *guest-shutdown*) sleep 2; poweroff -f ;;
    esac
done
"""
CHANNEL = f"<channel type='unix'><target type='virtio' name='{NAME}'/></channel></devices>"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[PrivateHost]:
    """A host with a kernel and an initramfs for its guests."""
    place = tmp_path_factory.mktemp("agent")
    # not below pytest's own directory, which is closed: apt drops its rights while it downloads
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as scratch:
        patch.setattr(kernel, "MODULES", MODULES)
        image, busybox, modules = kernel.fetch(Path(scratch))
    (place / "vmlinuz").write_bytes(image)
    (place / "initrd").write_bytes(initramfs(busybox, modules))
    with PrivateHost(place, repository) as machine:
        yield machine


def initramfs(busybox: bytes, modules: dict[str, bytes]) -> bytes:
    directories = [Entry(name, stat.S_IFDIR | 0o755) for name in ("bin", "dev", "modules", "proc", "sys")]
    links = [Entry(f"bin/{applet}", stat.S_IFLNK | 0o777, b"busybox") for applet in APPLETS]
    files = {"init": INIT.encode(), "bin/busybox": busybox}
    files |= {f"modules/{path.rpartition('/')[2]}.ko": content for path, content in modules.items()}
    return archive([*directories, *(Entry(n, stat.S_IFREG | 0o755, c) for n, c in files.items()), *links])


def started(host: PrivateHost, how: str) -> Path:
    """Start a guest whose agent is connected, and give its definition."""
    config = host.define()
    boot = "".join(
        f"<{key}>{host.shared / name}</{key}>" for key, name in (("kernel", "vmlinuz"), ("initrd", "initrd"))
    )
    text = config.read_text().replace("</os>", f"{boot}<cmdline>{how} quiet panic=-1</cmdline></os>")
    config.write_text(text.replace("'MiB'>32<", "'MiB'>128<").replace("</devices>", CHANNEL))
    assert host.agent("start", config, timeout=240).code == codes.SUCCESS
    wait(lambda: "state='connected'" in host.run("virsh", "dumpxml", "web1"), "the agent to connect", BOOT)
    return config


def ended_by(host: PrivateHost, reason: str) -> None:
    """Wait for libvirt's last word on the guest: it comes a moment after the end of the emulator."""
    words = f"reason={reason}"
    wait(lambda: words in host.run("tail", "-1", "/var/log/libvirt/qemu/web1.log"), words)


def test_a_guest_is_shut_down_by_its_agent(host: PrivateHost) -> None:
    config = started(host, "well")
    stop = host.agent("stop", config, timeout=240, shutdown_mode="agent")  # a busy machine: half a minute
    assert stop.code == codes.SUCCESS
    ended_by(host, "shutdown")
    assert stop.seconds < 100
    assert host.emulators() == []


@pytest.mark.long
def test_an_agent_that_hangs_costs_seconds_and_the_guest_is_asked_in_another_way(host: PrivateHost) -> None:
    config = started(host, "deaf")
    stop = host.agent("stop", config, timeout=30)
    assert stop.code == codes.SUCCESS
    assert stop.seconds < 30
    ended_by(host, "destroyed")  # this guest hears no power button either
    assert host.emulators() == []


@pytest.mark.long
def test_a_guest_without_an_agent_is_not_waited_for(host: PrivateHost) -> None:
    config = host.define()
    config.write_text(config.read_text().replace("</devices>", CHANNEL))
    assert host.agent("start", config, timeout=240).code == codes.SUCCESS
    stop = host.agent("stop", config, timeout=240, shutdown_mode="agent")  # a busy machine: half a minute
    assert stop.code == codes.SUCCESS
    assert stop.seconds < 60  # asked in vain, then ended: a mode that is not open is no reason to wait
    assert host.emulators() == []
