# SPDX-License-Identifier: GPL-2.0-or-later
"""OCFS2 on an iSCSI disk and GFS2, with their lock manager, from the templates: a host is lost, the other one goes on.

n1 is also the iSCSI target, under an address of its own; both log in to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from backstay.errors import BackstayError
from backstay.host.clock import Deadline, NotYet, until
from backstay.lab import cluster
from backstay.lab.faults import catalogue
from tests.kernel.shared_disk import (
    DEVICE,
    FREEZE,
    LOGOUT,
    NAMES,
    POINT,
    PORTAL,
    SEEN,
    SERVE_NO_MORE,
    TARGET,
    TOOL,
    SharedDisk,
)
from tests.kernel.test_fencing import fencings

pytestmark = pytest.mark.long

MAKE = {
    "ocfs2": "mkfs.ocfs2 --force -N 2 -J size=8M -b 4K -C 4K --cluster-stack=pcmk --cluster-name={cluster} {device}",
    "gfs2": "mkfs.gfs2 -O -p lock_dlm -t {cluster}:tank -j 2 -J 8 {device}",
}
TEMPLATE = {
    "ocfs2": f"iscsi-ocfs2 --set portal={PORTAL} --set target={TARGET}",
    "gfs2": "gfs2",
}


class Tank(SharedDisk):
    """The file system on both hosts."""

    def make(self, kind: str) -> None:
        self.serve()
        first = self.node("n1")
        known = first.check("corosync-cmapctl -g totem.cluster_name").rpartition(" = ")[2].strip()
        first.check(MAKE[kind].format(cluster=known, device=DEVICE), timeout=TOOL)
        first.check(FREEZE, timeout=TOOL)
        words = f"{TEMPLATE[kind]} --set name=tank --set device={DEVICE} --set directory={POINT}"
        for template in ("dlm", words):
            self.load(template)

    def is_mounted(self, name: str, kind: str) -> None:
        def look() -> bool:
            said = self.node(name).run(f"findmnt --noheadings --output FSTYPE {POINT}").stdout.strip()
            if said != kind:
                raise NotYet(
                    f"{said or 'nothing'} is mounted; {[str(f) for f in self.machines.ask().failures]}"
                )
            return True

        until(look, Deadline(SEEN), every=5.0, what=f"{kind} to be mounted on {name}")

    def write(self, name: str, text: str) -> None:
        self.node(name).check(f"echo {text} >{POINT}/{text}; sync {POINT}/{text}", timeout=TOOL)

    def has(self, name: str, text: str) -> bool:
        return self.node(name).check(f"cat {POINT}/{text}", timeout=TOOL) == f"{text}\n"

    def take_out(self) -> None:
        """Stopped, unmounted on both, the lock manager ended; then out of the configuration.

        What is deleted while it runs is stopped in no order: a target went before the file system on it, and its host
        was fenced.
        """
        first = self.node("n1")
        for clone in ("tank-clone", "dlm-clone"):
            role = f"crm_resource --resource {clone} --meta --set-parameter target-role --parameter-value Stopped"
            first.run(role, TOOL)
            first.run("crm_resource --wait --timeout=240", timeout=300)
        bound = "//constraints/*[@rsc='tank-clone' or @then='tank-clone' or @rsc='dlm-clone']"
        for path in (bound, "//clone[@id='tank-clone']", "//clone[@id='dlm-clone']"):
            first.run(["cibadmin", "--delete-all", "--force", "--xpath", path], TOOL)
        first.run("crm_resource --wait --timeout=240", timeout=300)

    def remove(self) -> None:
        """Nothing of it is left, whatever became of it."""
        with suppress(BackstayError):
            self.take_out()
        for node in reversed(self.machines.nodes):
            with suppress(BackstayError):
                node.run(f"umount {POINT}; {LOGOUT}", timeout=TOOL)
        with suppress(BackstayError):
            self.node("n1").run(SERVE_NO_MORE, timeout=TOOL)


@pytest.fixture
def tank(machines) -> Iterator[Tank]:
    made = Tank(machines)
    try:
        yield made
    finally:
        made.remove()


@pytest.mark.parametrize("kind", sorted(MAKE))
def test_it_outlives_the_loss_of_a_host_and_is_mounted_there_again(tank: Tank, kind: str) -> None:
    tank.make(kind)
    for name in NAMES:
        tank.is_mounted(name, kind)
    tank.write("n1", "one")
    assert tank.has("n2", "one")
    tank.write("n2", "two")
    before = fencings(tank.machines.ask(), "n2")
    catalogue.inject(tank.machines.layout, "cut-power", "n2")
    try:
        # Its locks are free when its fencing is confirmed; until then whoever asks for them waits.
        assert tank.has("n1", "two")
        tank.write("n1", "three")
        assert fencings(tank.machines.ask(), "n2") - before
    finally:
        catalogue.heal(tank.machines.layout, "cut-power", "n2")
    tank.machines.wait_for(cluster.all_online(NAMES), SEEN, "n2 to be back")
    tank.reach("n2")
    tank.node("n1").check("crm_resource --cleanup", timeout=TOOL)
    tank.is_mounted("n2", kind)
    assert tank.has("n2", "three")
    tank.take_out()
    for name in NAMES:
        node = tank.node(name)
        assert not node.run(f"findmnt {POINT}").ok
        assert not node.run("pidof dlm_controld").ok
    assert tank.machines.ask().failures == ()
