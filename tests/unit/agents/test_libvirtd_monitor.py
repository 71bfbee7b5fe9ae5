# SPDX-License-Identifier: GPL-2.0-or-later
"""What the libvirtd agent answers and does, on a host that is as the test says."""

from __future__ import annotations

from typing import Any

import pytest

from backstay.agents.libvirtd import LibvirtdParameters
from backstay.agents.libvirtd_leaving import start_failed
from backstay.agents.libvirtd_memory import Memory
from backstay.agents.libvirtd_monitor import probe, watch
from backstay.host.jobs import Job
from backstay.host.libvirt_ping import Ping
from backstay.host.systemd import Unit
from backstay.ocf import codes
from backstay.ocf.outcome import Outcome, failed
from tests.unit.agents.libvirtd_fake import (
    ABSENT,
    CRASHED,
    GOOD,
    LIMITED,
    LISTENS,
    NO_SOCKET,
    OFF,
    RECURRING,
    REFUSED,
    SILENT,
    FakeHost,
    context,
    daemon,
)

STILL = [daemon(50, when) for when in (1000.0, 1010.0)]


def last(host: FakeHost, **parameters: Any) -> Outcome:
    """Let the rest of the budget pass, and the second look at the other hosts."""
    host.time += 61
    assert look(host, **parameters)[0].code == 190
    host.time += 20
    return look(host, **parameters)[0]


def look(host: FakeHost, seconds: float = 27.0, **parameters: Any) -> tuple[Outcome, list[str]]:
    called = context(host, LibvirtdParameters(**parameters), seconds=seconds)
    outcome = watch(called, host)  # type: ignore[arg-type]
    return outcome, called.journal.lines  # type: ignore[attr-defined]


def test_healthy_says_so_once() -> None:
    host = FakeHost(GOOD)
    assert look(host)[0] == Outcome(0, "libvirt answers")
    assert look(host)[0].code == 0
    assert host.did == ["publish healthy"]


def test_an_answer_to_the_second_question_is_slow_and_running() -> None:
    host = FakeHost(SILENT, GOOD, daemons=STILL)
    outcome, said = look(host)
    assert outcome.code == 0
    assert host.did == ["publish degraded:slow"]
    assert said == [f"warn: {outcome.reason}"]


def test_hung_is_degraded_and_healed() -> None:
    host = FakeHost(SILENT, daemons=STILL)
    outcome, _ = look(host)
    assert outcome.code == 190
    assert "hangs" in outcome.reason
    assert "healing it" in outcome.reason
    assert host.did == ["publish degraded:hung", "heal abort within 60"]


def test_one_silence_alone_is_not_hung_when_there_is_no_time_to_ask_again() -> None:
    host = FakeHost(SILENT, daemons=STILL)
    assert "does not answer yet" in look(host, seconds=10.0)[0].reason
    assert host.did == ["publish degraded:busy"]
    host.time = 1010.0
    assert "hangs" in look(host, seconds=10.0)[0].reason, "the next monitor's silence is the second one"


def test_after_the_budget_the_guests_leave_if_they_have_a_better_place() -> None:
    host = FakeHost(REFUSED, service=CRASHED, sockets=(NO_SOCKET,))
    codes = []
    for _ in range(8):
        outcome, said = look(host)
        codes.append(outcome.code)
        host.time += 10
    assert codes == [190] * 6 + [1, 1]
    assert "n2 can take its guests" in outcome.reason
    assert [entry for entry in host.did if entry.startswith("publish")] == [
        "publish degraded:crashed",
        "publish broken:crashed",
    ]
    assert not said, "the alarm is not raised again by every monitor"


@pytest.mark.parametrize("unhealable", ["leave", "fence"])
def test_nothing_is_moved_when_no_other_host_is_known_to_be_healthy(unhealable: str) -> None:
    host = FakeHost(REFUSED, service=CRASHED, healthy=())
    look(host, unhealable=unhealable)
    host.time += 61
    outcome, said = look(host, unhealable=unhealable)
    assert outcome.code == 190
    assert "no other host is known to be healthy" in outcome.reason
    assert said == [f"ALERT: {outcome.reason}"]


def test_nothing_is_moved_when_the_cluster_cannot_be_asked() -> None:
    host = FakeHost(REFUSED, service=CRASHED)
    host.deaf_cluster = True
    look(host)
    host.time += 61
    outcome, said = look(host)
    assert outcome.code == 190
    assert "nothing is moved: crm_mon" in outcome.reason
    assert f"ALERT: {outcome.reason}" in said


def test_when_another_host_is_mended_first_this_one_is_tried_again_before_its_guests_go_there() -> None:
    host = FakeHost(REFUSED, service=CRASHED, healthy=())
    look(host)
    host.time += 70
    assert look(host)[0].code == 190
    host.healthy = ("n2",)
    host.time += 10
    outcome, _ = look(host)
    assert outcome.code == 190
    assert "n2 is healthy again" in outcome.reason
    host.did.clear()
    host.time += 10
    assert look(host)[0].code == 190
    assert [entry for entry in host.did if entry.startswith("heal")] == ["heal start within 50"]
    host.time += 60
    assert look(host)[0].code == 1


def test_unhealable_degrade_never_fails() -> None:
    host = FakeHost(REFUSED, service=CRASHED)
    look(host, unhealable="degrade")
    for _later in range(5):  # others have been seen healthy twice by now, and could take the guests
        host.time += 300
        assert look(host, unhealable="degrade")[0].code == 190
    assert [last(host, unhealable="leave").code, look(host)[0].code] == [1, 1], "that makes the difference"


def test_what_was_given_up_is_tried_again_now_and_then() -> None:
    host = FakeHost(REFUSED, service=CRASHED, healthy=())
    for _ in range(70):
        look(host)
        host.time += 10
    heals = [entry for entry in host.did if entry.startswith("heal")]
    assert len(heals) == 6 + 5
    assert len(Memory.read(host.memory, host.time).heals) <= 1, "trying again is not a crash loop"


def test_what_an_admin_stopped_is_left_alone_for_ever() -> None:
    host = FakeHost(REFUSED, service=OFF, sockets=(NO_SOCKET,))
    for _ in range(20):
        outcome, _said = look(host)
        assert outcome.code == 190
        host.time += 100
    assert host.did == ["publish degraded:stopped"]
    assert "systemctl start libvirtd" in outcome.reason


def test_what_this_resource_stopped_is_not_running_until_somebody_starts_it() -> None:
    host = FakeHost(REFUSED, service=OFF, sockets=(NO_SOCKET,), memory="ended=yes\n")
    outcome, _ = look(host)
    assert (outcome.code, outcome.reason) == (7, "libvirtd was stopped by this resource")
    host.pings = [Ping("answered", 0.1)]
    assert look(host)[0].code == 0
    host.pings = [REFUSED]
    assert look(host)[0].code == 190


def test_the_budget_counts_from_when_healing_is_allowed() -> None:
    host = FakeHost(REFUSED, service=CRASHED, forbidden="a package manager is at work")
    for _ in range(20):
        assert look(host)[0].code == 190
        host.time += 10
    assert host.did == ["publish degraded:crashed"]
    host.forbidding = ""
    assert "healing it" in look(host)[0].reason
    assert last(host).code == 1


def test_blocked_is_neither_aborted_nor_waited_for() -> None:
    stuck = [daemon(50, when, blocked=("nfs_wait_bit_killable",)) for when in (1000.0, 1010.0)]
    host = FakeHost(SILENT, daemons=stuck)
    outcome, _ = look(host)
    assert outcome.code == 190
    assert "D state in nfs_wait_bit_killable" in outcome.reason
    assert "goes on by itself" in outcome.reason
    assert last(host).code == 1
    assert not [entry for entry in host.did if entry.startswith("heal")]


def test_a_migration_that_advances_is_not_aborted() -> None:
    migrating = [[Job("web1", "migration out", ticks)] for ticks in (5, 9)]
    host = FakeHost(SILENT, daemons=STILL, jobs=migrating)
    outcome, _ = look(host)
    assert outcome.code == 190
    assert "because a migration out of web1 still advances" in outcome.reason
    assert host.did == ["publish degraded:hung"]


def test_heal_never_leaves_it_alone_and_still_gives_up() -> None:
    host = FakeHost(SILENT, daemons=STILL)
    assert look(host, heal="never")[0].code == 190
    assert last(host, heal="never").code == 1
    assert host.did == ["publish degraded:hung", "publish broken:hung"]


def test_a_healer_at_work_is_not_counted_twice() -> None:
    host = FakeHost(REFUSED, service=CRASHED)
    look(host)
    host.healer_works = True
    host.time += 10
    look(host)
    assert len(Memory.read(host.memory, host.time).heals) == 1


def test_well_again_is_told_and_strays_are_named() -> None:
    host = FakeHost(REFUSED, GOOD, service=CRASHED, emulators=("web1", "db1"))
    look(host)
    host.time += 5
    outcome, said = look(host)
    assert outcome.code == 190
    assert "libvirtd came back without guests that run: db1" in outcome.reason
    assert host.did[-1] == "publish degraded:incomplete"
    assert any("well again after 5 s (crashed)" in line for line in said)
    assert any("without guests that run: db1" in line for line in said)
    assert Memory.read(host.memory, host.time).first == 0.0
    host.time += 59
    outcome, said = look(host)
    assert (outcome.code, said) == (190, [])
    host.time += 1
    assert look(host)[0].code == 0, "what can run on is not held against the host for ever"
    assert host.did[-1] == "publish degraded:incomplete", "but nobody sends guests here"
    host.running = ("web1",)
    assert look(host)[0] == Outcome(0, "libvirt answers")
    assert host.did[-1] == "publish healthy"
    assert Memory.read(host.memory, host.time).lost == ""


def test_well_again_with_all_its_guests_is_just_well() -> None:
    host = FakeHost(REFUSED, GOOD, service=CRASHED)
    look(host)
    host.time += 5
    outcome, said = look(host)
    assert outcome.code == 0
    assert host.did[-1] == "publish healthy"
    assert said == ["note: libvirtd is well again after 5 s (crashed)"]


def test_a_host_that_was_healthy_only_once_is_no_place_for_guests() -> None:
    """It breaks a moment later than this one, and had not seen it yet when it was looked at first."""
    host = FakeHost(REFUSED, service=CRASHED, healthy=("n2",))
    look(host)
    host.time += 60
    assert "n2 is looked at once more" in look(host)[0].reason
    host.healthy = ()
    host.time += 20
    outcome, _ = look(host)
    assert outcome.code == 190
    assert "no other host is known to be healthy" in outcome.reason


def test_each_other_host_is_looked_at_twice() -> None:
    host = FakeHost(REFUSED, service=CRASHED, healthy=("n2",))
    look(host)
    host.time += 60
    look(host)
    host.healthy = ("n3",)
    host.time += 20
    assert "n3 is looked at once more" in look(host)[0].reason
    host.time += 19
    assert look(host)[0].code == 190
    host.time += 1
    outcome, _ = look(host)
    assert (outcome.code, "n3 can take its guests" in outcome.reason) == (1, True)


def test_the_second_look_takes_no_time_of_its_own() -> None:
    host = FakeHost(REFUSED, service=CRASHED)
    for _ in range(6):
        assert look(host)[0].code == 190
        host.time += 10
    assert look(host)[0].code == 1, "at the end of the budget, not a look later"


def test_a_failed_start_keeps_guests_that_have_no_better_place() -> None:
    host = FakeHost(healthy=())
    called = context(host, LibvirtdParameters(), action="start", **RECURRING)
    memory = Memory.read("", host.time)
    outcome = start_failed(called, host, memory, failed("libvirtd does not start"))  # type: ignore[arg-type]
    assert outcome.code == 190
    assert "libvirtd does not start; its guests stay" in outcome.reason
    assert called.journal.lines == [f"ALERT: {outcome.reason}"]  # type: ignore[attr-defined]
    assert memory.stayed == host.time, "when another host is mended, this one is tried again first"


@pytest.mark.parametrize("host", [FakeHost(), FakeHost(healthy=(), emulators=())])
def test_a_failed_start_is_one_when_the_guests_may_go_or_there_are_none(host: FakeHost) -> None:
    called = context(host, LibvirtdParameters(), action="start", **RECURRING)
    said = failed("libvirtd does not start", codes.NOT_INSTALLED)
    assert start_failed(called, host, Memory.read("", host.time), said) == said  # type: ignore[arg-type]


def test_a_failed_start_stays_when_the_cluster_cannot_be_asked() -> None:
    host = FakeHost()
    host.deaf_cluster = True
    called = context(host, LibvirtdParameters(), action="start", **RECURRING)
    assert start_failed(called, host, Memory.read("", host.time), failed("x")).code == 190  # type: ignore[arg-type]


def test_messages_go_by_the_name_of_the_daemon_once_it_was_looked_up() -> None:
    down = Unit("virtqemud.service", active="failed", result="signal", exit_code="2", exit_status="11")
    host = FakeHost(REFUSED, GOOD, service=down, sockets=())
    assert look(host)[0].reason.startswith("virtqemud crashed (signal, signal 11)")
    host.time += 5
    assert look(host)[1] == ["note: virtqemud is well again after 5 s (crashed)"]
    host.pings = [SILENT]
    host.deaf_systemd = True
    assert look(host)[0].reason.startswith("virtqemud does not answer, and why is not known")


def test_one_that_hangs_while_an_admin_stops_it_is_left_alone() -> None:
    stops = Unit(
        "libvirtd.service", active="deactivating", sub="stop-sigterm", pid=100, job=True, stopping=True
    )
    host = FakeHost(SILENT, service=stops, daemons=STILL)
    for _ in range(20):
        outcome, _said = look(host)
        assert outcome.code == 190
        host.time += 10
    assert "is being stopped by an admin" in outcome.reason
    assert host.did == ["publish degraded:stopping"]


def test_that_the_cluster_cannot_be_told_fails_nothing() -> None:
    host = FakeHost(GOOD)
    host.deaf_cluster = True
    assert look(host)[0].code == 0
    host.deaf_cluster = False
    look(host)
    assert host.did == ["publish healthy"], "it is tried again"


def test_a_silent_systemd_is_degraded_without_end() -> None:
    host = FakeHost(SILENT)
    host.deaf_systemd = True
    for _ in range(5):
        assert look(host)[0].code == 190
        host.time += 1000
    assert host.did == ["publish degraded:unknown"], "nobody counts on this host"


@pytest.mark.parametrize(
    ("host", "code"),
    [
        (FakeHost(GOOD), 0),
        (FakeHost(SILENT, GOOD, daemons=STILL), 0),
        (FakeHost(REFUSED, service=ABSENT, sockets=(), emulators=()), 5),
        (FakeHost(REFUSED, service=CRASHED, sockets=(NO_SOCKET,), emulators=()), 7),
        (FakeHost(REFUSED, service=CRASHED, sockets=(LIMITED,), emulators=()), 7),
        (FakeHost(REFUSED, service=ABSENT, sockets=()), 190),
        (FakeHost(REFUSED, service=CRASHED, sockets=(NO_SOCKET,)), 190),
        (FakeHost(REFUSED, service=CRASHED, sockets=(LIMITED,)), 190),
        (FakeHost(REFUSED, service=OFF, sockets=(NO_SOCKET,)), 7),
        (FakeHost(REFUSED, service=Unit("libvirtd.service", active="activating")), 190),
        (FakeHost(SILENT, daemons=STILL), 190),
        (FakeHost(SILENT, daemons=[daemon(blocked=("x",))] * 2), 190),
        (FakeHost(Ping("driverless", "no connection driver")), 190),
        (FakeHost(Ping("unasked", "no python3-libvirt")), 190),
        (FakeHost(REFUSED, sockets=(LISTENS,), daemons=STILL), 190),
    ],
)
def test_a_probe_never_fails_and_never_heals(host: FakeHost, code: int) -> None:
    called = context(host, LibvirtdParameters(), OCF_RESKEY_CRM_meta_interval="0")
    assert called.is_probe
    assert probe(called, host).code == code  # type: ignore[arg-type]
    assert host.did == []


def test_a_probe_with_a_silent_systemd_does_not_fail() -> None:
    host = FakeHost(SILENT)
    host.deaf_systemd = True
    assert probe(context(host, LibvirtdParameters(), OCF_RESKEY_CRM_meta_interval="0"), host).code == 190  # type: ignore[arg-type]


def test_after_a_probe_the_attribute_is_told_again() -> None:
    host = FakeHost(GOOD)
    look(host)
    probe(context(host, LibvirtdParameters(), OCF_RESKEY_CRM_meta_interval="0"), host)  # type: ignore[arg-type]
    look(host)
    assert host.did == ["publish healthy", "publish healthy"]
