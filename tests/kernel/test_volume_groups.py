# SPDX-License-Identifier: GPL-2.0-or-later
"""A volume group on a disk that two hosts see, from the template lvm: on both at once, and on one at a time.

The disk is n1's, by iSCSI, as for the cluster file systems (test_cluster_file_systems.py). What is written to a logical
volume goes past the hosts' caches, as a guest's disk does.
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
    SEEN,
    SERVE_NO_MORE,
    TOOL,
    SharedDisk,
)
from tests.kernel.test_fencing import fencings

pytestmark = pytest.mark.long

VOLUME = "/dev/vmvg/web1"
BLOCK = 4096
LOCAL = "/etc/lvm/lvmlocal.conf"
BY_NAME = 'global { system_id_source = "uname" }\n'
"""What a volume group for one host at a time needs on each host (lvmsystemid(7))."""


class Group(SharedDisk):
    """The volume group vmvg as the cluster has it."""

    def make(self, mode: str) -> None:
        self.serve()
        first = self.node("n1")
        if mode == "shared":
            first.check(FREEZE, timeout=TOOL)
            self.load("dlm --set lvmlockd=yes")
            for name in NAMES:
                self.come_to(name, lambda node: node.run("pidof lvmlockd").ok, "lvmlockd to run")
            first.check(f"vgcreate --yes --shared vmvg {DEVICE}", timeout=TOOL)
            first.check("lvcreate --yes --activate sy --size 16M --name web1 vmvg", timeout=TOOL)
            first.check("vgchange --activate n vmvg && vgchange --lockstop vmvg", timeout=TOOL)
        else:
            for name in NAMES:
                self.node(name).write(LOCAL, BY_NAME)
            first.check(f"vgcreate --yes vmvg {DEVICE}", timeout=TOOL)
            first.check("lvcreate --yes --size 16M --name web1 vmvg", timeout=TOOL)
            first.check("vgchange --activate n vmvg", timeout=TOOL)
        self.load(f"lvm --set name=tank --set volume_group=vmvg --set mode={mode}")

    def come_to(self, name: str, look, what: str) -> None:
        """Wait for a host to be so."""

        def seen() -> bool:
            if not look(self.node(name)):
                raise NotYet(f"{[str(f) for f in self.machines.ask().failures]}")
            return True

        until(seen, Deadline(SEEN), every=5.0, what=f"{what} on {name}")

    def is_fenced(self, name: str, before: set) -> None:
        """The cluster saw the loss of a host and had it fenced, once more than `before`."""

        def seen() -> bool:
            if not fencings(self.machines.ask(), name) - before:
                raise NotYet("it is not")
            return True

        until(seen, Deadline(SEEN), every=2.0, what=f"{name} to be fenced")

    def is_active(self, name: str) -> None:
        self.come_to(name, lambda node: node.run(f"test -b {VOLUME}").ok, "the volume to be active")

    def write(self, name: str, text: str) -> None:
        words = f"dd of={VOLUME} bs={BLOCK} count=1 oflag=direct iflag=fullblock status=none"
        self.node(name).check(f"printf '%-{BLOCK}s' {text} | {words}", timeout=TOOL)

    def read(self, name: str) -> str:
        words = f"dd if={VOLUME} bs={BLOCK} count=1 iflag=direct status=none"
        return self.node(name).check(words, timeout=TOOL).strip()

    def take_out(self) -> None:
        """Stopped, the lock manager too, then out of the configuration."""
        first = self.node("n1")
        for name in ("tank-clone", "tank", "dlm-clone"):
            role = (
                f"crm_resource --resource {name} --meta --set-parameter target-role --parameter-value Stopped"
            )
            first.run(role, TOOL)
            first.run("crm_resource --wait --timeout=240", timeout=300)
        bound = "//constraints/*[@rsc='tank-clone' or @then='tank-clone' or @rsc='dlm-clone' or @rsc='tank']"
        paths = (bound, "//clone[@id='tank-clone']", "//primitive[@id='tank']", "//clone[@id='dlm-clone']")
        for path in paths:
            first.run(["cibadmin", "--delete-all", "--force", "--xpath", path], TOOL)
        first.run("crm_resource --wait --timeout=240", timeout=300)

    def remove(self) -> None:
        """Nothing of it is left, whatever became of it."""
        with suppress(BackstayError):
            self.take_out()
        for node in reversed(self.machines.nodes):
            with suppress(BackstayError):
                node.run(f"dmsetup remove --force {VOLUME}; {LOGOUT}; rm -f {LOCAL}", timeout=TOOL)
                node.run(["sed", "-i", "s/^ *use_lvmlockd = 1/use_lvmlockd = 0/", "/etc/lvm/lvm.conf"])
        with suppress(BackstayError):
            self.node("n1").run(SERVE_NO_MORE, timeout=TOOL)


@pytest.fixture
def group(machines) -> Iterator[Group]:
    made = Group(machines)
    try:
        yield made
    finally:
        made.remove()


def lost(group: Group, name: str) -> set:
    """Cut a host's power; what fencing there was before."""
    before = fencings(group.machines.ask(), name)
    catalogue.inject(group.machines.layout, "cut-power", name)
    return before


def back(group: Group, name: str) -> None:
    group.machines.wait_for(cluster.all_online(NAMES), SEEN, f"{name} to be back")
    group.reach(name)
    group.node("n1").check("crm_resource --cleanup", timeout=TOOL)


def test_a_shared_group_is_active_on_both_and_outlives_the_loss_of_one(group: Group) -> None:
    group.make("shared")
    for name in NAMES:
        group.is_active(name)
    group.write("n1", "one")
    assert group.read("n2") == "one"
    group.write("n2", "two")
    before = lost(group, "n2")
    try:
        group.is_fenced("n2", before)
        # Whoever changes the group takes its lock, which a lost host gives back when its fencing is confirmed.
        group.node("n1").check("lvcreate --yes --activate sy --size 16M --name web2 vmvg", timeout=SEEN)
        assert group.read("n1") == "two"
        group.write("n1", "three")
    finally:
        catalogue.heal(group.machines.layout, "cut-power", "n2")
    back(group, "n2")
    group.is_active("n2")
    assert group.read("n2") == "three"
    group.take_out()
    for name in NAMES:
        node = group.node(name)
        assert not node.run(f"test -e {VOLUME}").ok
        assert not node.run("pidof lvmlockd dlm_controld").ok
    assert group.machines.ask().failures == ()


def test_an_exclusive_group_goes_where_it_is_wanted_and_away_from_a_host_that_is_lost(group: Group) -> None:
    group.make("exclusive")
    move = "crm_resource --resource tank --move --node n2 && crm_resource --wait --timeout=240"
    group.node("n1").check(move, timeout=300)
    group.is_active("n2")
    assert not group.node("n1").run(f"test -e {VOLUME}").ok
    group.write("n2", "two")
    group.node("n1").check("crm_resource --resource tank --clear", timeout=TOOL)
    before = lost(group, "n2")
    try:
        group.is_active("n1")
        assert fencings(group.machines.ask(), "n2") - before
        assert group.read("n1") == "two"
    finally:
        catalogue.heal(group.machines.layout, "cut-power", "n2")
    back(group, "n2")
    # The mark on the disk is n1's by now: n2 does not take it by itself, neither at boot nor when it sees the disk.
    assert not group.node("n2").run(f"test -e {VOLUME}").ok
    assert not group.node("n2").run(f"vgchange --activate y vmvg && test -e {VOLUME}").ok
    assert group.read("n1") == "two"
    group.take_out()
    assert not group.node("n1").run(f"test -e {VOLUME}").ok
    assert group.machines.ask().failures == ()
