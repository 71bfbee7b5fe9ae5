# SPDX-License-Identifier: GPL-2.0-or-later
"""The master role of a real Ganeti on three nodes, which by itself waits for a human: taken, left, lost, given back."""

from __future__ import annotations

import time

import pytest

from backstay.agents.recovery import record
from backstay.host.clock import Deadline, NotYet, until
from backstay.lab import cluster
from backstay.lab.faults import catalogue
from backstay.lab.manager import further
from tests.lab import ganeti
from tests.lab.ganeti import HOSTS
from tests.lab.tenures import never_on_two
from tests.lab.test_templates import by_cibadmin, where

ROLE = "ganeti-role"
LEASE = f"{ganeti.SHARED}/role.lease"
CRASH_TIME = 180


@pytest.fixture(scope="module")
def software(running_lab, tmp_path_factory):
    """Ganeti on every node; the lab is built anew afterwards."""
    running_lab.build()
    ganeti.install(running_lab, ganeti.fetch(running_lab, tmp_path_factory.mktemp("debs")))
    ganeti.make(running_lab)
    yield
    running_lab.build()


@pytest.fixture
def admin(software, running_lab):
    """A host with an admin on it; the role is loaded from the template, and fencing with it."""
    node = running_lab.node("n1")
    for host in HOSTS:
        by_cibadmin(node, "fencing", host=host, address=f"bmc-{host}", username="fencer",
                    password_file="/etc/backstay/bmc.password")  # fmt: skip
    by_cibadmin(node, "properties")
    by_cibadmin(node, "libvirtd")
    by_cibadmin(node, "frontend-ganeti", patience="5s", lease=LEASE)
    return node


def recorded(lab, host, state, seconds=240, since=None):
    """Wait until the cluster's record of a host's recovery has come to a state.

    With `since` (seconds since the epoch) one of a fencing after it that has come further is good too: the host may be
    back before anybody looked.
    """

    def look():
        other = next(name for name in where(lab, "true") if name != host)
        asked = f"crm_attribute --type nodes --node {host} --name backstay-recovery --query --quiet"
        said = lab.node(other).run(asked).stdout.strip()
        known = record(said)
        if known and (known.state == state or further(known, state, since)):
            return said
        raise NotYet(
            f"{said}; {lab.node(other).run('attrd_updater --name backstay-recovering --query --all').stdout}"
        )

    return until(look, Deadline(seconds), 1.0, f"the record of {host} to be {state}")


def pids(lab, host, daemon):
    """The processes of a daemon."""
    return set(lab.node(host).run(["pgrep", "-x", daemon]).stdout.split())


def says(lab, host):
    """What the monitor of the role came to there last."""
    return lab.node(host).run(f"attrd_updater --name backstay-frontend-{ROLE} --query --node {host}").stdout


def back(lab, host):
    """Wait until a host that was fenced is online, healthy and given back."""
    lab.wait_for(cluster.all_online(HOSTS), 240, f"{host} to come back")
    recorded(lab, host, "back")


def a_hung_rapi_is_said(lab, host):
    """Nothing here needs it, so the role stays, degraded until it answers again."""
    lab.node(host).check("pkill -STOP -x ganeti-rapi")
    hung = pids(lab, host, "ganeti-rapi")
    until(
        lambda: '"degraded"' in says(lab, host) or None, Deadline(CRASH_TIME), 1.0, "the hung rapi to be said"
    )
    assert ganeti.masters(lab) == [host]
    lab.node(host).check("pkill -CONT -x ganeti-rapi")
    until(lambda: '"up"' in says(lab, host) or None, Deadline(CRASH_TIME), 1.0, "rapi to answer again")
    assert pids(lab, host, "ganeti-rapi") == hung


@pytest.mark.long
def test_the_master_is_where_the_cluster_says_through_everything(running_lab, admin):
    lab = running_lab
    first = ganeti.the_master(lab)
    for host in HOSTS:
        recorded(lab, host, "seen")

    # an orderly move
    began = time.monotonic()
    admin.check(f"crm_resource --resource ganeti --ban --node {first}", timeout=60)
    second = ganeti.the_master(lab, besides=first)
    print("orderly move", time.monotonic() - began, "s")
    admin.check(f"crm_resource --resource ganeti --clear --node {first}", timeout=60)

    # each daemon hangs: one without which nothing works is killed, and the role is taken again
    for daemon in ("ganeti-luxid", "ganeti-wconfd"):
        here = ganeti.the_master(lab)
        hung = pids(lab, here, daemon)
        lab.node(here).check(f"pkill -STOP -x {daemon}")
        until(
            lambda here=here, daemon=daemon, hung=hung: not hung & pids(lab, here, daemon) or None,
            Deadline(CRASH_TIME),
            1.0,
            f"the hung {daemon} to be ended",
        )
        second = ganeti.the_master(lab)
        where(lab, "crm_resource --cleanup --resource ganeti-role")

    a_hung_rapi_is_said(lab, second)
    second = ganeti.the_master(lab)

    # the master's host dies, with instances on it or not; its instances run elsewhere without a human
    places = ganeti.places(lab, second)
    began, clock = time.monotonic(), time.time()
    lab.cut(second)
    third = ganeti.the_master(lab, besides=second)
    role = time.monotonic() - began
    ganeti.all_run(lab, besides=second)
    print("power cut to role back", role, "s, to instances back", time.monotonic() - began, "s", places)
    recorded(lab, second, "done", since=clock)

    # the old master is back: a node again, and no master beside the other one
    back(lab, second)
    assert ganeti.masters(lab) == [third]
    assert "N" in lab.node(third).check(f"gnt-node list --no-headers --output=offline {second}")

    # a second failure in a row
    lab.cut(third)
    fourth = ganeti.the_master(lab, besides=third)
    ganeti.all_run(lab, besides=third)
    back(lab, third)
    assert ganeti.masters(lab) == [fourth]
    assert lab.node(fourth).check("gnt-cluster getmaster").strip() == fourth
    assert {each.host for each in never_on_two(lab, ROLE, LEASE)} >= {first, second, third, fourth}


@pytest.mark.long
def test_instances_of_a_host_that_is_not_the_master_run_elsewhere_only_after_its_fencing(running_lab, admin):
    lab = running_lab
    master = ganeti.the_master(lab)
    there = {node for node, _ in ganeti.places(lab, master).values()} - {master}
    lost = next(iter(sorted(there)), next(host for host in HOSTS if host != master))
    before = ganeti.places(lab, master)
    catalogue.inject(lab.layout, "ignore-power-off", lost)
    catalogue.inject(lab.layout, "cut-network", lost)
    until(
        lambda: "not proven to be dead" in lab.node(master).run(
            "attrd_updater --name backstay-recovering --query --all").stdout or None,
        Deadline(120), 1.0, "the reason why nothing is recovered",
    )  # fmt: skip
    assert {name: node for name, (node, _) in ganeti.places(lab, master).items()} == {
        name: node for name, (node, _) in before.items()
    }
    catalogue.heal(lab.layout, "ignore-power-off", lost)
    recorded(lab, lost, "done")
    ganeti.all_run(lab, besides=lost)
    catalogue.heal(lab.layout, "cut-network", lost)
    back(lab, lost)
    never_on_two(lab, ROLE, LEASE)
