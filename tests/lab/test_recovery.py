# SPDX-License-Identifier: GPL-2.0-or-later
"""A manager's machines on real hosts: recovered after, and only after, their host is proven dead. The manager is the
stand-in for oned, whose machines are libvirt's domains and say to the witness where they run.
"""

from __future__ import annotations

import sys
import time

import pytest

from backstay.host.clock import Deadline, pause, until
from backstay.lab import cluster, demo_frontend
from backstay.lab.faults import catalogue
from backstay.lab.manager import HOME, HOSTS, Manager
from backstay.lab.progress import Progress
from tests.lab.tenures import never_on_two

ROLE = "frontend-role"
LEASE = f"{HOME}/role.lease"
FENCING_TRIED = 40  # seconds in which the fencing is tried again and again


@pytest.fixture
def manager(lab):
    """Three hosts with the manager's software and storage; machines are wished for on n2 and n3."""
    manager = Manager(lab.layout)
    manager.install()
    yield manager
    manager.remove()


def cut_off(lab, manager, alive):
    """A host that nobody reaches and whose BMC only says yes runs its machines; then its power really goes."""
    there = [name for name, host in manager.stage.places().items() if host == alive]
    assert there
    told, began = len(manager.starts()), time.time()
    catalogue.inject(lab.layout, "ignore-power-off", alive)
    catalogue.inject(lab.layout, "cut-network", alive)
    until(
        lambda: f"{alive} is not proven to be dead" in manager.said() or None,
        Deadline(120),
        1.0,
        "the reason",
    )
    pause(FENCING_TRIED)
    assert len(manager.starts()) == told
    assert "is not proven to be dead" in manager.said()
    assert {manager.stage.places()[name] for name in there} == {alive}
    catalogue.heal(lab.layout, "ignore-power-off", alive)
    manager.until_recorded(alive, "done", since=began)
    catalogue.heal(lab.layout, "cut-network", alive)
    manager.speak(besides=alive)
    assert len(manager.starts()) - told == len(there)
    lab.wait_for(cluster.all_online(HOSTS), 200, f"{alive} to come back")
    manager.until_recorded(alive, "back")


@pytest.mark.long
def test_machines_of_a_dead_host_come_back_after_its_fencing_and_not_before(lab, manager):
    manager.guard()
    here = manager.role()
    manager.speak()
    begin = time.monotonic()
    pause(12)
    calm = (begin, time.monotonic())
    for host in HOSTS:
        manager.until_recorded(host, "seen")

    told = len(manager.starts())
    dead = next(host for host in ("n3", "n2") if host != here)
    began = time.time()
    lab.cut(dead)
    manager.speak(besides=dead)
    known = manager.until_recorded(dead, "done", since=began)
    started = manager.starts()[told:]
    assert {each["vm"] for each in started} == ({2, 3} if dead == "n3" else {0, 1})
    assert all(began < known.fencing.when <= each["at"] + 1 for each in started), (known, started)
    assert not known.fencing.human
    print("from the power cut to the fencing", known.fencing.when - began, "s, to the starts",
          [each["at"] - began for each in started])  # fmt: skip

    # one that is cut off with a BMC that only says yes is not proven dead, until its power really goes
    lab.wait_for(cluster.all_online(HOSTS), 200, f"{dead} to come back")
    manager.until_recorded(dead, "back")
    cut_off(lab, manager, next(host for host in HOSTS if host not in (manager.role(), dead)))

    # the host of the role dies, with machines on it or not: the next one goes on
    told = len(manager.starts())
    first = manager.role()
    there = [name for name, host in manager.stage.places().items() if host == first]
    began = time.time()
    lab.cut(first)
    moved = until(
        lambda: manager.has_role() if manager.has_role() != first else None, Deadline(180), 1.0, "the role"
    )
    manager.until_recorded(first, "done", since=began)
    manager.speak(besides=first)
    assert moved != first
    assert len(manager.starts()) - told == len(there)
    lab.wait_for(cluster.all_online(HOSTS), 200, f"{first} to come back")
    manager.until_recorded(first, "back")
    assert manager.judge(calm) == []
    assert {each.host for each in never_on_two(lab, ROLE, LEASE)} >= {first, moved}


@pytest.mark.long
def test_a_clean_exit_is_no_death_and_a_humans_word_is_asked_for(lab, manager):
    manager.guard()
    here = manager.role()
    places = manager.speak()
    begin = time.monotonic()
    pause(12)
    calm = (begin, time.monotonic())
    left = next(host for host in ("n3", "n2") if host != here)
    manager.until_recorded(left, "seen")
    told = len(manager.starts())
    lab.node(left).check("systemctl stop pacemaker corosync", timeout=120)
    until(
        lambda: "left the cluster in order" in manager.said() or None,
        Deadline(90),
        1.0,
        "the reason to be said",
    )
    pause(30)
    assert len(manager.starts()) == told
    assert manager.stage.places() == places
    node = lab.node(here)
    shown = node.run("backstay recover")
    assert (shown.returncode, f"{left} left the cluster in order" in shown.stdout) == (1, True), shown
    refused = node.run(f"backstay recover {left} --confirm-dead --proof 'I think so'")
    assert refused.returncode == 4
    refused = node.run(f"backstay recover {here} --confirm-dead --proof '{here} is off'")
    assert (refused.returncode, "is on line" in refused.stderr) == (4, True)
    plan = node.run(f"backstay recover {left} --confirm-dead --plan")
    assert (plan.returncode, "one-" in plan.stdout, "Nothing was changed" in plan.stdout) == (
        0,
        True,
        True,
    ), plan

    # the human goes and sees: its power is cut by hand
    lab.cut(left)
    done = node.run(f"backstay recover {left} --confirm-dead --proof '{left} is off' --wait 200", timeout=240)
    assert done.returncode == 0, done
    assert "confirmed to be off by a human" in done.stdout
    manager.speak(besides=left)
    assert manager.recorded(left).fencing.human
    assert manager.judge(calm) == []
    never_on_two(lab, ROLE, LEASE)


@pytest.mark.long
def test_the_first_story(lab):
    """libvirtd crashes on one host, and the manager sees no machines there: without Backstay they run twice."""
    shown, manager = Progress(sys.__stderr__ or sys.stderr), Manager(lab.layout)
    try:
        for act in (demo_frontend.before, demo_frontend.crashed, demo_frontend.lost):
            done = act(manager, shown)
            print(done)
            assert not done.problem
        never_on_two(lab, ROLE, LEASE)
    finally:
        manager.remove()
