# SPDX-License-Identifier: GPL-2.0-or-later
"""A dead host's machines under the stand-in for oned: each gets where it belongs, once, however often one begins."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from backstay.agents.opennebula_recovery import Oned as Manager
from backstay.agents.opennebula_recovery import foresee, give_back, recover
from backstay.errors import CannotAsk
from backstay.host.clock import Deadline
from backstay.host.opennebula import Refused
from backstay.lab import oned_model as model
from backstay.lab.oned import Oned
from backstay.lab.oned_model import ACTIVE, BOOT, MIGRATE, POWEROFF, RUNNING, UNKNOWN, Place, Vm


class World:
    """The role's host: time passes while it waits, and with it the manager's; `crash` interrupts it."""

    def __init__(self, oned: Oned, directory: Path) -> None:
        self.oned_, self.time = oned, 0.0
        self.directory = directory
        self.asked: list[str] = []
        self.crash: Callable[[str], bool] = lambda method: False

    def now(self) -> float:
        return self.time

    def clock(self) -> float:
        return self.oned_.model.world.now() + 1000

    def pause(self, seconds: float) -> None:
        self.time += seconds
        self.oned_.tick()

    def oned(self, url: str, credentials: str, method: str, words: Sequence[object], timeout: float) -> str:
        self.asked.append(method)
        if self.crash(method):
            raise KeyboardInterrupt
        good, said, code, _ = self.oned_.answer(method, ["oneadmin:x", *words])
        if not good:
            raise Refused(str(said), int(str(code)))
        return str(said)

    def calls(self) -> list[list[Any]]:
        """What changed something, in order."""
        path = self.directory / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Three hosts; oned itself looks at them every hour only, so that waiting for it would be seen."""
    (tmp_path / "one_auth").write_text("oneadmin:x")
    (tmp_path / "hosts").mkdir()
    for host in ("n1", "n2", "n3"):
        (tmp_path / "hosts" / host).write_text("")
    oned = Oned(tmp_path, ["n1", "n2", "n3"], interval=3600.0)
    oned.tick()
    return World(oned, tmp_path)


def machine(world: World, name: str, state: int = ACTIVE, lcm: int = RUNNING, **place: Any) -> Vm:
    made: Vm = world.oned_.model.place(name, "n1")
    made.be(state, lcm)
    for key, value in place.items():
        setattr(made.places[-1], key, value)
    if (state, lcm) == (ACTIVE, RUNNING):
        world.oned_.model.world.boot("n1", made.number)
    return made


def die(world: World) -> float:
    """The host loses its power; when that was."""
    (world.directory / "hosts" / "n1").unlink()
    return world.oned_.model.world.now() + 1


def recovered(world: World, fenced: float, within: float = 600.0) -> tuple[str, list[str]]:
    said: list[str] = []
    manager = Manager(world, "", "")  # type: ignore[arg-type]
    remark = recover("n1", fenced, manager, world, Deadline(within, world.now), said.append)  # type: ignore[arg-type]
    return remark, said


def where(world: World, vm: Vm) -> str:
    return world.oned_.model.hosts[vm.host].name


def everywhere(world: World) -> list[int]:
    """Which machines run, each as often as it does."""
    return sorted(number for numbers in running(world).values() for number in numbers)


def running(world: World) -> dict[str, list[int]]:
    hosts = sorted((world.directory / "hosts").iterdir())
    return {host.name: [int(word) for word in host.read_text().split()] for host in hosts}


def test_running_machines_are_placed_elsewhere_without_waiting_for_oned(world: World) -> None:
    vms = [machine(world, f"vm{number}") for number in range(4)]
    remark, said = recovered(world, die(world))
    assert remark == "4 machines placed elsewhere"
    assert world.time < 60
    for _ in range(3):
        world.oned_.tick()
    assert all((vm.state, vm.lcm) == (ACTIVE, RUNNING) for vm in vms)
    assert everywhere(world) == [0, 1, 2, 3]
    assert world.oned_.model.named("n1").state == model.OFFLINE
    assert any("is placed elsewhere" in line for line in said)


@pytest.mark.parametrize("lcm", [BOOT, model.BOOT_FAILURE, model.SAVE_SUSPEND, model.HOTPLUG, UNKNOWN])
def test_what_hung_in_an_operation_runs_elsewhere(world: World, lcm: int) -> None:
    vm = machine(world, "web", lcm=lcm)
    recovered(world, die(world))
    for _ in range(3):
        world.oned_.tick()
    assert (vm.lcm, where(world, vm) != "n1") == (RUNNING, True)


def test_what_its_user_wanted_off_stays_off(world: World) -> None:
    off = machine(world, "off", POWEROFF, 0, action=model.BY_USER)
    ending = machine(world, "ending", lcm=model.SHUTDOWN_POWEROFF, action=model.BY_USER)
    asleep = machine(world, "asleep", model.SUSPENDED, 0)
    remark, _ = recovered(world, die(world))
    assert remark == "no machine had to be placed"
    assert (off.state, ending.state, asleep.state) == (POWEROFF, POWEROFF, model.SUSPENDED)
    assert running(world) == {"n2": [], "n3": []}


def test_one_that_oned_took_for_powered_off_comes_back(world: World) -> None:
    """The story of the manager that saw no machines, and called them off: then their host died."""
    vm = machine(world, "web", POWEROFF, 0, action=model.BY_MONITOR)
    recovered(world, die(world))
    for _ in range(3):
        world.oned_.tick()
    assert (vm.state, vm.lcm, where(world, vm) != "n1") == (ACTIVE, RUNNING, True)
    assert vm.user == {"BACKSTAY_RESUME": ""}


@pytest.mark.parametrize(("last", "stays"), [("n1", True), ("n2", False)])
def test_a_migration_ends_where_its_machine_can_live(world: World, last: str, stays: bool) -> None:
    """The dead host was its target: it runs on at the source. It was the source: it is placed elsewhere."""
    vm = machine(world, "web")
    first = "n2" if stays else "n1"
    number = world.oned_.model.named
    vm.places = [Place(number(first).number, 1), Place(number(last).number, 1)]
    vm.be(ACTIVE, MIGRATE)
    if stays:
        world.oned_.model.world.boot("n2", vm.number)
    recovered(world, die(world))
    for _ in range(3):
        world.oned_.tick()
    assert vm.lcm == RUNNING
    assert where(world, vm) == "n2" if stays else where(world, vm) in ("n2", "n3")
    assert everywhere(world) == [vm.number]


def test_disks_on_the_dead_host_are_left_and_said(world: World) -> None:
    vm = machine(world, "web", driver="ssh")
    remark, _ = recovered(world, die(world))
    assert "web (0) has its disks on the dead host (transfer driver ssh)" in remark
    assert (vm.lcm, where(world, vm)) == (UNKNOWN, "n1")


def test_what_was_put_there_after_the_fencing_is_left(world: World) -> None:
    vm = machine(world, "web", lcm=UNKNOWN)
    vm.places[-1].since += 500
    remark, _ = recovered(world, die(world))
    assert (vm.lcm, remark) == (UNKNOWN, "no machine had to be placed")


def test_no_room_elsewhere_is_said_and_gone_on_with(world: World) -> None:
    vm = machine(world, "web")
    fenced = die(world)
    others = [world.oned_.model.named(name) for name in ("n2", "n3")]
    for host in others:
        host.state = model.DISABLED
    with pytest.raises(CannotAsk, match=r"web \(0\) waits for the scheduler to place it"):
        recovered(world, fenced, within=100.0)
    for host in others:
        host.state = model.MONITORED
    recovered(world, fenced)
    assert where(world, vm) != "n1"


@pytest.mark.parametrize("after", range(1, 26))
def test_interrupted_anywhere_it_is_gone_on_with(world: World, after: int) -> None:
    """Whoever has the role next begins anew: every machine runs once, none is given up."""
    vms = [machine(world, "a"), machine(world, "b"), machine(world, "c", lcm=BOOT)]
    off = machine(world, "d", POWEROFF, 0, action=model.BY_MONITOR)
    fenced = die(world)
    world.crash = lambda method: len(world.asked) == after
    try:
        recovered(world, fenced)
    except KeyboardInterrupt:
        world.crash = lambda method: False
        recovered(world, fenced)
    for _ in range(3):
        world.oned_.tick()
    assert [vm.lcm for vm in (*vms, off)] == [RUNNING] * 4
    assert everywhere(world) == [0, 1, 2, 3]


def test_a_second_time_does_nothing(world: World) -> None:
    machine(world, "web")
    fenced = die(world)
    recovered(world, fenced)
    for _ in range(3):
        world.oned_.tick()
    before = world.calls()
    recovered(world, fenced)
    assert world.calls() == before


def test_a_host_that_is_back_before_it_is_over(world: World) -> None:
    """It rebooted fast: oned finds it without its machines and calls them off; they come back all the same."""
    vm = machine(world, "web")
    fenced = die(world)
    (world.directory / "hosts" / "n1").write_text("")
    recovered(world, fenced)
    for _ in range(3):
        world.oned_.tick()
    assert (vm.lcm, where(world, vm) != "n1") == (RUNNING, True)
    assert running(world)["n1"] == []
    give_back("n1", Manager(world, "", ""), lambda _: None)  # type: ignore[arg-type]
    world.oned_.tick()
    assert world.oned_.model.named("n1").state == model.MONITORED
    assert everywhere(world) == [0]


@pytest.mark.parametrize("resched", [0, 1])
def test_one_that_was_unknown_when_its_host_came_back(world: World, resched: int) -> None:
    """Seen in the lab: placed anew as UNKNOWN, then POWEROFF because its host was back, and so placed elsewhere off."""
    vm = machine(world, "web", lcm=UNKNOWN)
    vm.resched = resched
    fenced = die(world)
    (world.directory / "hosts" / "n1").write_text("")
    recovered(world, fenced)
    for _ in range(3):
        world.oned_.tick()
    assert (vm.state, vm.lcm, where(world, vm) != "n1") == (ACTIVE, RUNNING, True)
    assert running(world)["n1"] == []


def test_a_version_that_is_not_known_is_not_touched(world: World) -> None:
    machine(world, "web")
    (world.directory / "version").write_text("8.0.0")
    with pytest.raises(CannotAsk, match=r"OpenNebula 8\.0\.0 is not known here"):
        recovered(world, die(world))
    assert world.calls() == []


def test_hosts_are_found_by_their_names(world: World) -> None:
    hosts = world.oned_.model.hosts
    hosts[0].name = "n1.example.org"
    assert Manager(world, "", "").find("n1") == (0, model.MONITORED)  # type: ignore[arg-type]
    assert Manager(world, "", "").find("other") is None  # type: ignore[arg-type]
    hosts[1].name = "n1.example.com"
    with pytest.raises(CannotAsk, match="2 hosts that may be n1"):
        recovered(world, 1.0)


def test_what_would_be_done_is_said_and_nothing_is(world: World) -> None:
    machine(world, "web", lcm=UNKNOWN)
    machine(world, "db", driver="ssh", lcm=UNKNOWN)
    said = foresee("n1", world.clock(), Manager(world, "", ""))  # type: ignore[arg-type]
    assert said[0] == "web (0) is placed elsewhere"
    assert "has its disks on the dead host" in said[1]
    assert foresee("elsewhere", 1.0, Manager(world, "", "")) == [  # type: ignore[arg-type]
        "OpenNebula has no host elsewhere: nothing is done"
    ]
    assert world.calls() == []
