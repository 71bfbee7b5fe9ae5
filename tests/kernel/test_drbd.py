# SPDX-License-Identifier: GPL-2.0-or-later
"""ocf:backstay:drbd and its handlers over a real DRBD 8.4, in a cluster of two machines that really fence each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from backstay.agents.drbd_scores import ATTRIBUTE
from backstay.lab import power
from backstay.lab.faults import catalogue
from tests.kernel.mirror import BACK, DEVICE, FENCED, PROMOTED, TOOL, Mirror
from tests.kernel.writer import Writer, lost

AGENT = "/usr/lib/ocf/resource.d/backstay/drbd"
STATE = "backstay-drbd-web1"
SCORE = f"{ATTRIBUTE}web1-disk"
SLOWLY = "drbdsetup disk-options 10 --c-plan-ahead=0 --resync-rate=250"
"""KiB/s at which the side that takes a resync asks for it."""


@pytest.fixture(scope="module")
def made(running_machines) -> Iterator[Mirror]:
    running_machines.put_in_order()
    plain = running_machines.wanted
    mirror = Mirror(running_machines)
    try:
        mirror.make()
        yield mirror
    finally:
        running_machines.wanted = plain
        mirror.remove()


@pytest.fixture
def mirror(made) -> Mirror:
    made.put_in_order()
    return made


@pytest.fixture
def cut(running_machines) -> Iterator[Callable[[str], None]]:
    """`cut("n2")` cuts its power; whoever nobody fenced is switched on at the end."""
    done = []

    def act(name: str) -> None:
        done.append(name)
        catalogue.inject(running_machines.layout, "cut-power", name)

    yield act
    for name in done:
        catalogue.heal(running_machines.layout, "cut-power", name)
        assert power.is_on(running_machines.layout, name)


@pytest.mark.long
def test_what_was_acknowledged_survives_the_loss_of_each_side_in_turn(mirror, cut) -> None:
    writer = Writer(mirror.node("n1"), DEVICE)
    writer.goes_on(20, TOOL)
    cut("n2")
    writer.goes_on(60, FENCED)  # its next one waits for the fencing
    assert mirror.constraint("n1")
    mirror.log_says("n1", "fence-peer helper returned 7")
    mirror.is_whole_again("n1")

    writer.goes_on(20, TOOL)
    cut("n1")
    mirror.is_promoted_on("n2", FENCED)
    last = writer.acknowledged()
    assert last > 100
    assert lost(mirror.node("n2"), DEVICE, last) == ""
    assert str(last + 2) in lost(mirror.node("n2"), DEVICE, last + 2)  # it would say so
    mirror.write("n2", "two")
    mirror.is_whole_again("n2")
    mirror.is_the_same()


@pytest.mark.long
def test_a_resync_that_a_power_cut_interrupts_is_finished(mirror, cut) -> None:
    taker = mirror.node("n2")
    taker.check("drbdadm disconnect web1", timeout=TOOL)
    mirror.attribute_is("n2", STATE, lambda value: value == "degraded:standalone", "that it stands alone")
    mirror.fill("n1", 24)
    taker.check(f"{SLOWLY} && drbdadm connect web1", timeout=TOOL)
    mirror.see("n1", lambda said: "replication:SyncSource" in said, "the resync to begin")
    mirror.attribute_is("n2", SCORE, lambda value: value in ("", "10"), "no offer of what is half there")
    assert "replication:SyncSource" in mirror.said("n1")
    cut("n2")
    mirror.write("n1", "meanwhile")
    mirror.is_whole_again("n1")
    mirror.is_the_same()


@pytest.mark.long
def test_io_goes_on_when_the_fencing_is_seen_after_the_handler_gave_up(mirror, cut) -> None:
    mirror.configure("/bin/false")
    cut("n2")
    mirror.see("n1", lambda said: "suspended:fencing" in said, "I/O to wait")
    mirror.write("n1", "two")
    mirror.log_says("n1", "fence-peer helper broken, returned 1")
    mirror.log_says("n1", "I/O goes on", "journalctl --boot --no-pager")
    assert mirror.constraint("n1")
    mirror.is_whole_again("n1")


@pytest.mark.long
def test_a_promoted_side_without_a_disk_goes_on_says_so_and_is_mended(mirror, running_machines) -> None:
    node = mirror.node("n1")
    # Or the cluster promotes the other side, which has the data.
    node.check("crm_resource --resource web1-disk-clone --meta --set-parameter is-managed -v false", TOOL)
    catalogue.inject(running_machines.layout, "fail-disk", "n1")
    try:
        mirror.write("n1", "on the other side")
        mirror.see("n1", lambda said: " disk:Diskless" in said, "the disk to be given up")
        mirror.attribute_is("n1", STATE, lambda value: value == "degraded:no-disk", "what is wrong")
        assert mirror.read("n1") == "on the other side\n"
        shown = [failure for failure in running_machines.ask().failures if failure.node == "n1"]
        assert [failure.code for failure in shown] == [191]
        assert "volume 0 is Diskless here; it is read and written on n2 only" in shown[0].reason
    finally:
        catalogue.heal(running_machines.layout, "fail-disk", "n1")
    node.check("drbdadm attach web1", timeout=TOOL)
    mirror.is_whole("n1", BACK)
    mirror.attribute_is("n1", STATE, lambda value: value == "", "that all is well")
    mirror.is_the_same()
    node.check("crm_resource --resource web1-disk-clone --meta --delete-parameter is-managed", TOOL)


@pytest.mark.long
def test_both_sides_written_apart_is_said_to_be_a_split_brain_until_one_gives_up(mirror) -> None:
    giving, keeping = mirror.node("n2"), mirror.node("n1")
    for node in (giving, keeping):  # by hand, and against all that Backstay configures
        node.check("drbdsetup disk-options 10 --fencing=dont-care", timeout=TOOL)
    keeping.check("crm_attribute --name maintenance-mode --update true", timeout=TOOL)
    keeping.check("drbdadm disconnect web1", timeout=TOOL)
    mirror.write("n1", "kept")
    giving.check("drbdadm disconnect web1; drbdadm primary --force web1", timeout=TOOL)
    mirror.write("n2", "given up")
    giving.check("drbdadm secondary web1 && drbdadm adjust web1", timeout=TOOL)
    keeping.check("drbdadm adjust web1", timeout=TOOL)
    keeping.check("crm_attribute --name maintenance-mode --delete", timeout=TOOL)
    mirror.some_attribute_is(STATE, "degraded:split-brain")  # the other side may still wait to be connected

    giving.check("drbdadm disconnect web1; drbdadm secondary web1", timeout=TOOL)
    giving.check("drbdadm connect --discard-my-data web1", timeout=TOOL)
    keeping.check("drbdadm connect web1 || drbdadm adjust web1", timeout=TOOL)
    mirror.is_whole("n1", BACK)
    assert mirror.read("n1") == "kept\n"
    mirror.attribute_is("n1", STATE, lambda value: value == "", "that all is well")
    mirror.has_no_constraint("n1")
    mirror.is_the_same()


@pytest.mark.long
def test_a_held_device_is_not_demoted_its_holder_is_named_and_the_log_stays_readable(mirror) -> None:
    node = mirror.node("n1")
    environment = "OCF_ROOT=/usr/lib/ocf OCF_RESOURCE_INSTANCE=by-hand OCF_RESKEY_drbd_resource=web1"
    demote = f"env {environment} OCF_RESKEY_CRM_meta_timeout=60000 {AGENT} demote"
    before = node.check("dmesg | grep -c 'State change failed' || :")
    done = node.run(f"exec 3<>{DEVICE}; {demote}; echo ended with $?", timeout=TOOL * 2)
    assert "ended with 1" in done.stdout
    assert "(bash)" in done.stderr
    assert "(drbd)" not in done.stderr
    assert "(python3)" not in done.stderr
    after = node.check("dmesg | grep -c 'State change failed' || :")
    assert int(after) - int(before) < 40
    assert PROMOTED in mirror.said("n1")


@pytest.mark.long
def test_taken_out_of_the_configuration_it_is_stopped_on_both_sides(mirror) -> None:
    mirror.take_out()
    for name in ("n1", "n2"):
        assert "web1" not in mirror.node(name).check("drbdsetup events2 --now", timeout=TOOL)
