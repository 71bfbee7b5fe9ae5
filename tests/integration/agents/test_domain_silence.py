# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that pauses itself while libvirtd cannot see it: dead, stopped, or hung in a way that shows nowhere.

Its first sector waits for a word of the test (a byte of its own disk) before it does what pauses it, so libvirtd is
surely in trouble by then. Under KVM as well, which takes a machine that has it.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from backstay.ocf import codes
from tests.integration.agents.private_host import FAILING, PrivateHost, Result, add, share_failing, wait
from tests.integration.agents.test_domain_states_live import (
    CYLINDERS,
    DISK,
    IB700,
    PANICKED,
    PM_CONTROL,
    PVPANIC,
    REST,
    SECONDS_2,
    SLEEP_S3,
    byte_to,
    word_to,
)

pytestmark = pytest.mark.usefixtures("tools")
KVM = pytest.param("kvm", marks=pytest.mark.long)
BAD_DISK = """<disk type='file' device='disk'>
  <driver name='qemu' type='raw' cache='none' error_policy='stop' rerror_policy='stop'/>
  <source file='{file}'/><target dev='vdb' bus='virtio'/><boot order='2'/></disk>"""


def read(drive: int, sector: int) -> bytes:
    """Code that reads one sector to 0x8000, through the firmware."""
    where = bytes([0xB9, sector, 0, 0xBA, drive, 0])
    return b"\xb8\x01\x02" + where + b"\xbb\x00\x80\xcd\x13"


SEGMENTS = b"\x31\xc0\x8e\xd8\x8e\xc0"
ROUND = read(0x80, 2) + b"\xfb\xf4" + b"\x80\x3e\x00\x80\x00"  # sleep until the next tick; is it zero still?
WAIT = SEGMENTS + ROUND + b"\x74" + bytes([256 - len(ROUND) - 2])
WATCHDOG = "<watchdog model='ib700' action='pause'/>"
DEEDS = {
    "paused (ioerror)": read(0x81, 1),
    "paused (watchdog)": byte_to(IB700, SECONDS_2),
    "pmsuspended": word_to(PM_CONTROL, SLEEP_S3),
    "crashed": byte_to(PVPANIC, PANICKED),
}


@pytest.fixture(scope="module")
def machine(place: Path, repository: Path) -> Iterator[PrivateHost]:
    with PrivateHost(place, repository) as host:
        share_failing(host)
        yield host


class Guest:
    """A guest that was found well, and that does its deed when it is told to."""

    def __init__(self, host: PrivateHost, deed: str, accelerator: str) -> None:
        self.host = host
        self.disk = host.shared / "sector.raw"
        code = WAIT + DEEDS[deed] + REST
        self.disk.write_bytes(code.ljust(510, b"\0") + b"\x55\xaa" + bytes(CYLINDERS))
        self.config = host.define()
        text = self.config.read_text().replace("type='qemu'", f"type='{accelerator}'", 1)
        self.config.write_text(text)
        bad = BAD_DISK.format(file=f"{FAILING}/disk.raw")
        add(self.config, DISK.format(file=self.disk) + bad + WATCHDOG + "<panic model='isa'/>", "</devices>")
        pm = "<on_crash>preserve</on_crash><pm><suspend-to-mem enabled='yes'/></pm>"
        add(self.config, pm, "<devices>")
        assert host.agent("start", self.config).code == codes.SUCCESS
        for _again in range(2):
            assert self.monitor().code == codes.SUCCESS

    def monitor(self, level: int = 0, **given: str) -> Result:
        return self.host.agent("monitor", self.config, interval=10, level=level, **given)

    def act(self) -> None:
        """Let it do its deed, and wait until its processor has stood still for a while."""
        with self.disk.open("r+b") as disk:
            disk.seek(512)
            disk.write(b"\1")
        wait(lambda: self.work() == self.work(seconds=1.0), "its processor to stop", 120.0)

    def work(self, seconds: float = 0.0) -> str:
        pid = self.host.emulators()[0]
        script = f"sleep {seconds}; grep -H switches $(grep -l '^CPU ' /proc/{pid}/task/*/comm | sed s/comm/status/)"
        return self.host.run("sh", "-c", script)


@pytest.fixture
def group(host: PrivateHost) -> Iterator[str]:
    """A control group in which processes can be held; they look as if they slept."""
    place = f"/run/control/backstay-{host.leader}"
    host.run("sh", "-c", "mkdir -p /run/control; mount -t cgroup2 none /run/control")
    host.run("mkdir", place)
    yield place
    host.signal_libvirtd(signal.SIGKILL)
    host.run("sh", "-c", f"until rmdir {place}; do sleep 0.1; done; umount /run/control")
    host.start_libvirtd()


@pytest.mark.parametrize("accelerator", ["qemu", KVM])
@pytest.mark.parametrize("deed", DEEDS)
def test_while_libvirtd_is_dead_the_next_monitor_says_how_the_guest_is(
    host: PrivateHost, deed: str, accelerator: str
) -> None:
    guest = Guest(host, deed, accelerator)
    host.signal_libvirtd(signal.SIGKILL)
    well = guest.monitor()
    assert well.code == codes.SUCCESS, well
    guest.act()
    for level in (0, 10):
        said = guest.monitor(level=level)
        assert said.code == (codes.GENERIC if deed == "crashed" else codes.DEGRADED), said
        assert f"is {deed} for its emulator" in said.err
        assert said.seconds < 5
    host.start_libvirtd()
    after = guest.monitor()
    assert after.code == said.code
    # libvirt has no name for a guest that suspended itself meanwhile
    assert f"is {deed.replace('pmsuspended', 'paused (unknown)')} for libvirt" in after.err


@pytest.mark.parametrize("accelerator", ["qemu", KVM])
def test_beside_a_stopped_libvirtd_a_guest_runs_or_nobody_knows(host: PrivateHost, accelerator: str) -> None:
    guest = Guest(host, "paused (watchdog)", accelerator)
    host.signal_libvirtd(signal.SIGSTOP)
    try:
        well = guest.monitor()
        assert well.code == codes.SUCCESS, well
        guest.act()
        for _again in range(2):
            said = guest.monitor(degraded_limit="1")
            assert said.code == codes.DEGRADED, said
            assert "is paused is not known: for 4 s none of its processors has run" in said.err
            assert said.seconds < 12
    finally:
        host.signal_libvirtd(signal.SIGCONT)
    wait(lambda: "is paused (watchdog) for libvirt" in guest.monitor().err, "libvirtd to have heard of it")


@pytest.mark.long
def test_under_kvm_a_libvirtd_that_hangs_unseen_hides_nothing(host: PrivateHost, group: str) -> None:
    guest = Guest(host, "paused (watchdog)", "kvm")
    host.run("sh", "-c", f"cat /run/libvirtd.pid >{group}/cgroup.procs; echo 1 >{group}/cgroup.freeze")
    well = guest.monitor()
    assert (well.code, well.err) == (codes.SUCCESS, ""), "nothing has changed, as far as anybody can see"
    guest.act()
    said = guest.monitor()
    assert said.code == codes.DEGRADED, said
    assert "is paused is not known" in said.err


@pytest.mark.parametrize("accelerator", ["qemu", KVM])
def test_a_libvirtd_that_is_back_is_asked_before_its_word_counts(host: PrivateHost, accelerator: str) -> None:
    """It has read what the one before wrote, and asks its emulators only then."""
    guest = Guest(host, "paused (watchdog)", accelerator)
    host.signal_libvirtd(signal.SIGKILL)
    assert guest.monitor().code == codes.SUCCESS
    guest.act()
    host.run("libvirtd", "--daemon", "--listen")
    assert guest.monitor().code == codes.DEGRADED
