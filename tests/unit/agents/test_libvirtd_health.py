# SPDX-License-Identifier: GPL-2.0-or-later
"""The tables of the libvirtd agent, enumerated."""

from __future__ import annotations

import pytest

from backstay.agents import libvirtd_health as health
from backstay.agents.libvirtd_health import Decision, Seen, decide, diagnose
from backstay.host.jobs import Job
from backstay.host.libvirt_ping import Ping
from backstay.host.systemd import Unit
from tests.unit.agents.libvirtd_fake import (
    ABSENT,
    CRASHED,
    GOOD,
    LIMITED,
    LISTENS,
    NO_SOCKET,
    OFF,
    REFUSED,
    RUNS,
    SERVICE,
    SILENT,
    daemon,
)

DRIVERLESS = Ping("driverless", "no connection driver available for qemu:///system")
STOPS = Unit(SERVICE, active="deactivating", sub="stop-sigterm", pid=100, job=True, stopping=True)
FORCED = Unit(SERVICE, active="failed", sub="failed", result="timeout", restart="on-failure")
LATER = 1010.0  # the second look, ten seconds after the first


@pytest.mark.parametrize(
    ("seen", "kind"),
    [
        (Seen(GOOD), "healthy"),
        (Seen(GOOD, RUNS, asked=1), "slow"),
        (Seen(Ping("unasked", "no python3-libvirt")), "unasked"),
        (Seen(DRIVERLESS, RUNS), "driverless"),
        (Seen(DRIVERLESS, Unit(SERVICE, active="activating", sub="start")), "restarting"),
        (Seen(DRIVERLESS), "unasked"),
        (Seen(REFUSED, ABSENT), "not-installed"),
        (Seen(REFUSED, OFF, (NO_SOCKET,)), "stopped"),
        (Seen(REFUSED, OFF, ()), "stopped"),
        (Seen(REFUSED, OFF, (LISTENS,)), "crashed"),
        (Seen(REFUSED, CRASHED, (NO_SOCKET,)), "crashed"),
        (Seen(REFUSED, CRASHED, (LISTENS,)), "crashed"),
        (Seen(REFUSED, CRASHED, (NO_SOCKET, LIMITED)), "start-limit"),
        (Seen(REFUSED, OFF, (LIMITED,)), "start-limit"),
        (Seen(REFUSED, Unit(SERVICE, active="failed", result="start-limit-hit"), ()), "start-limit"),
        (Seen(REFUSED, Unit(SERVICE, loaded="masked"), (LISTENS,)), "stopped"),
        (
            Seen(REFUSED, Unit(SERVICE, active="activating", sub="auto-restart", result="signal")),
            "restarting",
        ),
        (Seen(REFUSED, Unit(SERVICE, active="deactivating", sub="stop-sigterm")), "restarting"),
        (Seen(REFUSED, Unit(SERVICE, active="failed", result="signal", job=True)), "restarting"),
        (Seen(SILENT, Unit(SERVICE, active="activating", sub="start")), "restarting"),
        (Seen(SILENT, OFF, (LISTENS,)), "crashed"),
        (Seen(REFUSED, STOPS, (LISTENS,)), "stopping"),
        (Seen(SILENT, STOPS, (LISTENS,)), "stopping"),
        (Seen(REFUSED, FORCED, (NO_SOCKET,)), "stopped"),
        (Seen(REFUSED, FORCED, ()), "stopped"),
        (Seen(REFUSED, FORCED, (LISTENS,)), "crashed"),
        (Seen(REFUSED, FORCED, (LIMITED,)), "start-limit"),
        (Seen(REFUSED, Unit(SERVICE, active="failed", result="timeout", restart="no")), "crashed"),
        (Seen(REFUSED, Unit(SERVICE, active="failed", result="watchdog", restart="on-failure")), "crashed"),
        (Seen(REFUSED, RUNS, (), None, daemon()), "deaf"),
        (Seen(REFUSED, RUNS, (LISTENS,), None, daemon()), "deaf"),
        (Seen(REFUSED, RUNS, (NO_SOCKET,), None, daemon()), "stopped"),
        (Seen(REFUSED, RUNS, (LIMITED,), None, daemon()), "deaf"),
        (Seen(REFUSED, RUNS, (Unit("libvirtd-tls.socket"), LISTENS), None, daemon()), "deaf"),
        (Seen(REFUSED, RUNS, (Unit("libvirtd.socket", loaded="masked"),), None, daemon()), "deaf"),
        (Seen(SILENT, RUNS, (), None, daemon()), "busy"),
        (Seen(SILENT, RUNS, (), daemon(), daemon(when=LATER, runnable=True), 2), "busy"),
        (Seen(SILENT, RUNS, (), daemon(runnable=True), daemon(when=LATER), 2), "hung"),
        (Seen(SILENT, RUNS, (), daemon(), None), "busy"),
        (Seen(SILENT, RUNS, (), daemon(), daemon(50, LATER)), "hung"),
        (Seen(SILENT, RUNS, (), daemon(), daemon(73, LATER)), "hung"),
        (Seen(SILENT, RUNS, (), daemon(), daemon(74, LATER)), "busy"),
        (Seen(SILENT, RUNS, (), daemon(stopped=True), daemon(50, LATER, stopped=True)), "hung"),
        (Seen(SILENT, RUNS, (), daemon(blocked=("nfs_wait",)), daemon(50, LATER, blocked=("x",))), "blocked"),
        (Seen(SILENT, RUNS, (), daemon(), daemon(50, LATER, blocked=("x",))), "hung"),
        (Seen(SILENT, RUNS, (), daemon(blocked=("x",)), daemon(50, LATER)), "hung"),
    ],
)
def test_kinds(seen: Seen, kind: str) -> None:
    assert diagnose(seen) == kind
    assert health.describe(kind, seen)


def test_another_process_with_the_same_pid_proves_nothing() -> None:
    other = daemon(50, LATER)
    other.start += 1
    assert diagnose(Seen(SILENT, RUNS, (), daemon(), other)) == "busy"


@pytest.mark.parametrize(
    ("kind", "lasting", "heal", "decision"),
    [
        ("crashed", 0, "abort", Decision("heal", "start")),
        ("crashed", 0, "start", Decision("heal", "start")),
        ("crashed", 0, "never", Decision("wait", why="heal=never")),
        ("start-limit", 59, "abort", Decision("heal", "start")),
        ("hung", 0, "abort", Decision("heal", "abort")),
        ("hung", 0, "start", Decision("wait", why="heal=start")),
        ("deaf", 0, "abort", Decision("heal", "restart")),
        ("deaf", 0, "start", Decision("wait", why="heal=start")),
        ("busy", 29, "abort", Decision("wait")),
        ("busy", 30, "abort", Decision("heal", "overdue")),
        ("busy", 30, "start", Decision("wait", why="heal=start")),
        ("blocked", 0, "abort", Decision("wait")),
        ("driverless", 0, "abort", Decision("heal", "restart")),
        ("driverless", 0, "never", Decision("wait", why="heal=never")),
        ("restarting", 0, "abort", Decision("wait")),
        ("not-installed", 0, "abort", Decision("wait")),
        ("crashed", 60, "abort", Decision("give up", "start")),
        ("crashed", 60, "never", Decision("give up")),
        ("hung", 60, "abort", Decision("give up", "abort")),
        ("busy", 60, "abort", Decision("give up", "overdue")),
        ("blocked", 60, "abort", Decision("give up")),
        ("driverless", 60, "abort", Decision("give up", "restart")),
        ("stopping", 9999, "abort", Decision("wait")),
        ("restarting", 60, "abort", Decision("give up")),
        ("not-installed", 60, "abort", Decision("give up")),
        ("stopped", 9999, "abort", Decision("wait")),
        ("unasked", 9999, "abort", Decision("wait")),
    ],
)
def test_what_follows(kind: str, lasting: float, heal: str, decision: Decision) -> None:
    assert decide(kind, lasting=lasting, budget=60, heal=heal) == decision


EVERY_KIND = [
    "busy", "hung", "blocked", "deaf", "driverless", "crashed", "start-limit", "restarting", "stopped", "stopping",
    "not-installed", "unasked",
]  # fmt: skip


@pytest.mark.parametrize("kind", EVERY_KIND)
@pytest.mark.parametrize("lasting", [0, 60, 9999])
def test_what_is_forbidden_is_neither_done_nor_given_up(kind: str, lasting: float) -> None:
    decision = decide(
        kind, lasting=lasting, budget=60, heal="abort", forbidden="an admin said so", recent_heals=99
    )
    assert decision.step == "wait"


@pytest.mark.parametrize("kind", ["hung", "deaf", "driverless"])
def test_a_job_that_advances_is_not_aborted_for_a_long_time(kind: str) -> None:
    for lasting in (0, 60, 599):
        decision = decide(kind, lasting=lasting, budget=60, heal="abort", job="migration out of web1")
        assert decision == Decision("wait", why="a migration out of web1 still advances")
    assert decide(kind, lasting=600, budget=60, heal="abort", job="migration out of web1").step == "give up"


def test_a_job_does_not_keep_a_dead_daemon_from_being_started() -> None:
    assert decide("crashed", lasting=0, budget=60, heal="abort", job="migration out of web1").step == "heal"


def test_a_crash_loop_is_given_up() -> None:
    assert decide("crashed", lasting=0, budget=60, heal="abort", recent_heals=8).step == "heal"
    assert decide("crashed", lasting=0, budget=60, heal="abort", recent_heals=9).step == "give up"


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        ((), (), ""),
        ((Job("web1", "migration out", 5),), (Job("web1", "migration out", 6),), "migration out of web1"),
        ((Job("web1", "migration out", 5),), (Job("web1", "migration out", 5),), ""),
        ((Job("web1", "block job", 5),), (Job("web1", "migration out", 6),), ""),
        ((), (Job("web1", "block job", 6),), ""),
        ((Job("web1", "block job", 5), Job("db1", "dump", 7)), (Job("db1", "dump", 9),), "dump of db1"),
    ],
)
def test_jobs_that_advance(first: tuple[Job, ...], second: tuple[Job, ...], named: str) -> None:
    assert health.advancing(first, second) == named


@pytest.mark.parametrize("name", ["libvirtd", "virtqemud"])
@pytest.mark.parametrize("kind", [*EVERY_KIND, "healthy", "slow"])
def test_a_sentence_names_the_daemon_that_it_is_about(kind: str, name: str) -> None:
    seen = Seen(SILENT, Unit(f"{name}.service", active="active", pid=100), (), daemon(), daemon())
    assert name in health.describe(kind, seen)
    assert ("libvirtd" in health.describe(kind, seen)) == (name == "libvirtd")


def test_what_was_not_looked_up_is_not_named() -> None:
    assert health.describe("healthy", Seen(GOOD)) == "libvirt answers"


def test_each_kind_says_what_is_wrong_in_one_line() -> None:
    seen = Seen(SILENT, CRASHED, (), daemon(), daemon(blocked=("fuse_get_req",)))
    said = {kind: health.describe(kind, seen) for kind in [*EVERY_KIND, "healthy", "slow"]}
    assert "D state in fuse_get_req" in said["blocked"]
    assert "signal, signal 11" in said["crashed"]
    assert len(set(said.values())) == len(said)
    assert all("\n" not in sentence for sentence in said.values())
