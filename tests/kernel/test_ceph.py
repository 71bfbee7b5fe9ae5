# SPDX-License-Identifier: GPL-2.0-or-later
"""An image of a real Ceph, mapped by the kernels of both hosts from the template ceph-rbd.

n1 also is the Ceph: one monitor and one OSD in memory (tests/integration/agents/ceph_here.sh).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from backstay.errors import BackstayError
from backstay.host.clock import Deadline, NotYet, pause, until
from backstay.lab import cluster
from backstay.lab.faults import catalogue
from backstay.lab.node import Node
from tests.kernel.test_fencing import fencings

pytestmark = pytest.mark.long

NAMES = ("n1", "n2")
SEEN, TOOL = 900.0, 240.0
PLACE = "/var/tmp/ceph"
CONF, KEYRING = f"{PLACE}/ceph.conf", f"{PLACE}/libvirt.keyring"
DEVICE = "/dev/rbd/vms/web1"
BLOCK = 4096
SCRIPT = Path(__file__).parents[1] / "integration/agents/ceph_here.sh"
UNIT = "ceph-of-the-test"
SERVE = f"""\
mkdir -p {PLACE}
mount -t tmpfs none {PLACE}
systemd-run --quiet --no-block --unit={UNIT} --property=Type=oneshot --property=RemainAfterExit=yes \
    sh {PLACE}.sh {PLACE} @ADDRESS@
until systemctl is-active --quiet {UNIT}; do
    sleep 1
    ! systemctl is-failed --quiet {UNIT} || {{ journalctl --no-pager --unit={UNIT} | tail -n 5 >&2; exit 1; }}
done
"""
TEMPLATE = (
    f"ceph-rbd --set name=tank --set image=web1 --set pool=vms --set client=libvirt --set ceph_conf={CONF}"
)
MONITORS = 50  # seconds: two intervals of its monitor, and more


class Image:
    """The image on both hosts."""

    def __init__(self, machines) -> None:
        self.machines = machines

    def node(self, name: str) -> Node:
        return self.machines.node(name)

    def make(self) -> None:
        first, second = self.node("n1"), self.node("n2")
        first.write(f"{PLACE}.sh", SCRIPT.read_text())
        first.check(SERVE.replace("@ADDRESS@", self.machines.layout.node("n1").address), timeout=SEEN)
        for path in (CONF, KEYRING):
            second.write(path, first.check(["cat", path]), 0o600)
        first.check(f"backstay render --template {TEMPLATE} -o /root/part.xml", timeout=TOOL)
        first.check("cibadmin --modify --allow-create --xml-file /root/part.xml", timeout=TOOL)

    def is_mapped(self, name: str) -> None:
        def look() -> bool:
            if not self.node(name).run(f"test -b {DEVICE}").ok:
                raise NotYet(f"{[str(f) for f in self.machines.ask().failures]}")
            return True

        until(look, Deadline(SEEN), every=5.0, what=f"the image to be mapped on {name}")

    def write(self, name: str, text: str) -> None:
        words = f"dd of={DEVICE} bs={BLOCK} count=1 oflag=direct iflag=fullblock status=none"
        self.node(name).check(f"printf '%-{BLOCK}s' {text} | {words}", timeout=TOOL)

    def read(self, name: str) -> str:
        words = f"dd if={DEVICE} bs={BLOCK} count=1 iflag=direct status=none"
        return self.node(name).check(words, timeout=TOOL).strip()

    def signal(self, name: str) -> None:
        self.node("n1").check(f"kill -{name} $(cat {PLACE}/mon.pid {PLACE}/osd.pid)")

    def take_out(self) -> None:
        first = self.node("n1")
        role = (
            "crm_resource --resource tank-clone --meta --set-parameter target-role --parameter-value Stopped"
        )
        first.run(role, TOOL)
        first.run("crm_resource --wait --timeout=240", timeout=300)
        first.run(["cibadmin", "--delete-all", "--force", "--xpath", "//clone[@id='tank-clone']"], TOOL)
        first.run("crm_resource --wait --timeout=240", timeout=300)

    def remove(self) -> None:
        """Nothing of it is left, whatever became of it."""
        with suppress(BackstayError):
            self.signal("CONT")
        with suppress(BackstayError):
            self.take_out()
        for node in reversed(self.machines.nodes):
            with suppress(BackstayError):
                node.run(f"rbd device unmap -o force {DEVICE}", timeout=TOOL)
        with suppress(BackstayError):
            self.node("n1").run(f"systemctl stop {UNIT}; umount {PLACE}; rm -f {PLACE}.sh", timeout=TOOL)
        with suppress(BackstayError):
            self.node("n2").run(f"rm -rf {PLACE}", timeout=TOOL)


@pytest.fixture
def image(machines) -> Iterator[Image]:
    made = Image(machines)
    try:
        yield made
    finally:
        made.remove()


def test_an_image_is_mapped_on_both_and_outlives_a_host_and_a_ceph_that_hangs(image: Image) -> None:
    image.make()
    for name in NAMES:
        image.is_mapped(name)
    image.write("n1", "one")
    assert image.read("n2") == "one"
    # A Ceph that hangs for all moves nothing and fences nobody: the monitor asks the kernel, not Ceph.
    before = {name: fencings(image.machines.ask(), name) for name in NAMES}
    image.signal("STOP")
    pause(MONITORS)
    assert image.machines.ask().failures == ()
    image.signal("CONT")
    image.write("n2", "two")
    assert {name: fencings(image.machines.ask(), name) for name in NAMES} == before
    catalogue.inject(image.machines.layout, "cut-power", "n2")
    try:
        # n2 had the image's lock: n1 takes it, and Ceph lets no late write of n2 through.
        image.write("n1", "three")
    finally:
        catalogue.heal(image.machines.layout, "cut-power", "n2")
    image.machines.wait_for(cluster.all_online(NAMES), SEEN, "n2 to be back")
    assert fencings(image.machines.ask(), "n2") - before["n2"]
    image.is_mapped("n2")
    assert image.read("n2") == "three"
    image.take_out()
    for name in NAMES:
        assert not image.node(name).run(f"test -e {DEVICE}").ok
    assert image.machines.ask().failures == ()
