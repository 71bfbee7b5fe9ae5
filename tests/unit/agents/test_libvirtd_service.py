# SPDX-License-Identifier: GPL-2.0-or-later
"""Start, stop and heal of libvirtd: the steps, in their order, on a host that is as the test says."""

from __future__ import annotations

import pytest

from backstay.agents import libvirtd_heal, libvirtd_service
from backstay.agents.libvirtd_heal import heal
from backstay.agents.libvirtd_service import bring_down, bring_up, equipped
from backstay.host import cores
from backstay.host import daemon as process
from backstay.host.clock import Deadline
from backstay.host.jobs import Job
from backstay.host.libvirt_ping import Ping
from backstay.host.libvirtd import HEALER, Host
from backstay.host.systemd import Unit
from backstay.ocf.outcome import Outcome
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
    SILENT,
    FakeHost,
    daemon,
)

DRIVERLESS = Ping("driverless", "no connection driver available for qemu:///system")
STILL = [daemon(50, when) for when in (1000.0, 1010.0)]
STUCK = [daemon(50, 1000.0, blocked=("x",))] * 2


def up(host: FakeHost, seconds: float = 100.0) -> Outcome:
    return bring_up(host, 5.0, Deadline(seconds, host.now))  # type: ignore[arg-type]


def down(host: FakeHost, seconds: float = 100.0) -> tuple[Outcome, list[str]]:
    warnings: list[str] = []
    return bring_down(host, HEALER, Deadline(seconds, host.now), warnings.append), warnings  # type: ignore[arg-type]


def test_start_of_what_answers_does_nothing() -> None:
    host = FakeHost(GOOD)
    assert up(host).code == 0
    assert host.did == []


def test_start_forgets_failures_of_service_and_sockets_first() -> None:
    host = FakeHost(REFUSED, GOOD, service=CRASHED, sockets=(LIMITED, NO_SOCKET))
    assert up(host).code == 0
    assert host.did == ["reset-failed libvirtd.service libvirtd.socket", "start"]


TCP = Unit("libvirtd-tcp.socket", enabled="enabled")
TLS = Unit("libvirtd-tls.socket", enabled="disabled")
FAILED_TCP = Unit("libvirtd-tcp.socket", active="failed", enabled="enabled")


def test_start_brings_the_sockets_for_other_hosts_too() -> None:
    host = FakeHost(REFUSED, GOOD, service=OFF, sockets=(NO_SOCKET, TCP, TLS))
    assert up(host).code == 0
    assert host.did == ["start libvirtd-tcp.socket"]


def test_heal_brings_the_sockets_for_other_hosts_too() -> None:
    host = FakeHost(REFUSED, GOOD, service=CRASHED, sockets=(LIMITED, FAILED_TCP, TLS))
    assert work(host, "start")[0]
    assert host.did == [
        "reset-failed libvirtd.service libvirtd.socket libvirtd-tcp.socket",
        "start libvirtd-tcp.socket",
    ]


def test_start_fails_at_once_when_systemd_gives_up() -> None:
    host = FakeHost(REFUSED, service=CRASHED)
    outcome = up(host)
    assert outcome.code == 1
    assert "signal, signal 11" in outcome.reason
    assert host.time < 1005


@pytest.mark.parametrize(
    ("host", "code", "reason"),
    [
        (FakeHost(REFUSED, service=ABSENT, sockets=()), 5, "not installed"),
        (FakeHost(REFUSED, service=Unit("libvirtd.service", loaded="masked")), 1, "masked by an admin"),
        (FakeHost(SILENT, daemons=STUCK), 1, "D state in x"),
        (FakeHost(SILENT, daemons=STILL), 1, "has to be stopped before"),
    ],
)
def test_start_says_why_it_cannot(host: FakeHost, code: int, reason: str) -> None:
    outcome = up(host)
    assert outcome.code == code
    assert reason in outcome.reason
    assert host.did == []


def test_start_waits_for_a_restart_under_way() -> None:
    host = FakeHost(
        REFUSED, REFUSED, REFUSED, GOOD, service=Unit("libvirtd.service", active="activating", sub="start")
    )
    assert up(host).code == 0


def test_start_that_never_answers_ends_with_its_deadline() -> None:
    host = FakeHost(REFUSED, service=Unit("libvirtd.service", active="activating", sub="start"))
    outcome = up(host, seconds=20)
    assert outcome.code == 1
    assert "does not answer in time" in outcome.reason
    assert host.time < 1030


def test_stop_ends_healer_sockets_and_daemon() -> None:
    host = FakeHost(GOOD, service=OFF, sockets=(NO_SOCKET,))
    outcome, warnings = down(host)
    assert outcome.code == 0
    assert host.did == [f"stop {HEALER} libvirtd.socket libvirtd.service"]
    assert warnings == []


def test_stop_gives_a_daemon_time_to_end_by_itself() -> None:
    host = FakeHost(GOOD, daemons=STILL)
    plain = host.pause

    def pause(seconds: float) -> None:
        plain(seconds)
        if host.time > 1008:
            host.service, host.sockets = OFF, (NO_SOCKET,)

    host.pause = pause  # type: ignore[method-assign]
    assert down(host) == (Outcome(0, "libvirtd and its sockets are stopped"), [])


@pytest.mark.parametrize(("service", "code"), [(RUNS, 0), (OFF, 0), (ABSENT, 5)])
def test_what_the_agent_needs_is_libvirtd(service: Unit, code: int) -> None:
    host = FakeHost(GOOD, service=service)
    assert equipped(host, Deadline(10.0, host.now)).code == code  # type: ignore[arg-type]


def test_stop_kills_a_daemon_that_does_not_end() -> None:
    host = FakeHost(GOOD, daemons=STILL)
    host.on_signal["KILL"] = lambda: vars(host).update(service=OFF, sockets=(NO_SOCKET,))
    outcome, warnings = down(host)
    assert outcome == Outcome(0, "libvirtd was killed, its sockets are stopped")
    assert host.did[-1] == "signal KILL to 100"
    assert len(warnings) == 1


def test_stop_of_one_that_cannot_die_is_no_failure() -> None:
    host = FakeHost(GOOD, daemons=STUCK)
    outcome, warnings = down(host)
    assert outcome.code == 0
    assert "it waits in x" in warnings[-1]
    assert host.time < 1000 + 5, "nobody waits for it"


def work(host: FakeHost, how: str = "abort", seconds: float = 60.0) -> tuple[bool, list[str]]:
    said: list[str] = []
    return heal(host, how, 5.0, Deadline(seconds, host.now), daemon(), said.append), said  # type: ignore[arg-type]


def test_heal_aborts_a_hung_one_with_a_continue_behind_and_follows_systemd() -> None:
    host = FakeHost(SILENT, REFUSED, GOOD, daemons=[*STILL, None])
    host.on_signal["CONT"] = lambda: setattr(
        host, "service", Unit("libvirtd.service", active="activating", sub="auto-restart")
    )
    host.daemons = [daemon(50, 1010.0), None]
    assert work(host)[0]
    assert host.did == ["signal ABRT CONT to 100"]


def test_heal_kills_what_survives_its_abort() -> None:
    host = FakeHost(SILENT, GOOD, daemons=[daemon(50, 1010.0)])
    host.on_signal["KILL"] = lambda: vars(host).update(daemons=[None])
    assert work(host)[0]
    assert host.did == ["signal ABRT CONT to 100", "signal KILL to 100"]
    assert 1010 < host.time < 1030


def test_heal_starts_a_crashed_one() -> None:
    host = FakeHost(REFUSED, GOOD, service=CRASHED, sockets=(LIMITED, LISTENS))
    assert work(host, "start")[0]
    assert host.did == ["reset-failed libvirtd.service libvirtd.socket", "start"]


def test_heal_does_not_start_a_broken_one_in_a_tight_loop() -> None:
    host = FakeHost(REFUSED, service=CRASHED, sockets=())
    assert not work(host, "start")[0]
    assert 10 <= host.did.count("start") <= 13
    assert host.time < 1070


@pytest.mark.parametrize(
    ("host", "how", "why"),
    [
        (FakeHost(SILENT, daemons=STILL), "start", "hangs"),
        (FakeHost(SILENT, daemons=STILL, forbidden="an inhibit file"), "abort", "an inhibit file"),
        (FakeHost(REFUSED, service=CRASHED, forbidden="a package manager"), "abort", "a package manager"),
        (FakeHost(REFUSED, service=OFF, sockets=(NO_SOCKET,)), "abort", "stopped by an admin"),
        (FakeHost(REFUSED, service=ABSENT), "abort", "not installed"),
        (FakeHost(DRIVERLESS), "start", "without its QEMU driver"),
        (
            FakeHost(REFUSED, sockets=(NO_SOCKET,), daemons=STILL),
            "abort",
            "its socket was stopped by an admin",
        ),
    ],
)
def test_heal_keeps_its_hands_off(host: FakeHost, how: str, why: str) -> None:
    healed, said = work(host, how)
    assert not healed
    assert why in said[-1]
    assert host.did == []


def test_heal_restarts_what_lacks_its_driver_and_its_sockets_with_it() -> None:
    host = FakeHost(DRIVERLESS, GOOD, sockets=(LISTENS, Unit("libvirtd-tls.socket")))
    healed, said = work(host)
    assert healed
    assert host.did == ["restart libvirtd.service libvirtd.socket"]
    assert "without its QEMU driver" in said[0]


def test_heal_restarts_what_takes_no_connections() -> None:
    host = FakeHost(REFUSED, daemons=STILL)
    host.on_start = lambda: vars(host).update(pings=[GOOD])
    assert work(host)[0]
    assert host.did == ["restart libvirtd.service libvirtd.socket"]


def test_heal_does_not_restart_what_comes_back_no_better_in_a_tight_loop() -> None:
    host = FakeHost(DRIVERLESS)
    assert not work(host)[0]
    assert host.did == ["restart libvirtd.service libvirtd.socket"] * 6


def test_heal_does_not_restart_during_a_migration_that_advances() -> None:
    jobs = [[Job("web1", "migration out", ticks)] for ticks in (5, 9)]
    host = FakeHost(DRIVERLESS, daemons=STILL, jobs=jobs)
    assert not work(host)[0]
    assert host.did == []


def test_a_migration_is_given_time_to_show_that_it_advances(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two looks at the same moment would see none of it, and the restart would end it."""
    host = FakeHost(DRIVERLESS, daemons=STILL)
    monkeypatch.setattr(host, "jobs", lambda: [Job("web1", "migration out", int(100 * host.now()))])
    assert not work(host)[0]
    assert host.did == []


def test_what_is_aborted_may_leave_a_core_of_limited_size(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[list[int], int | None]] = []
    monkeypatch.setattr(cores, "allowance", lambda _state, _now: 4096)
    monkeypatch.setattr(process, "signal", lambda _daemon, numbers, core: sent.append((numbers, core)))
    Host().signal(STILL[0], ("ABRT", "CONT"))
    Host().signal(STILL[0], ("KILL",))
    assert sent == [([6, 18], 4096), ([9], None)]


def test_heal_uses_the_name_of_the_daemon() -> None:
    down = Unit("virtqemud.service", active="failed", result="signal", exit_code="2", exit_status="11")
    host = FakeHost(REFUSED, GOOD, service=down, sockets=())
    healed, said = work(host, "start")
    assert healed
    assert said == ["starting virtqemud (signal, signal 11)", "virtqemud answers again"]


def test_start_restarts_one_whose_socket_was_stopped() -> None:
    host = FakeHost(REFUSED, sockets=(NO_SOCKET, Unit("libvirtd-tls.socket")), daemons=STILL)
    host.on_start = lambda: vars(host).update(pings=[GOOD])
    assert up(host).code == 0
    assert host.did == ["restart libvirtd.service libvirtd.socket"]


def test_heal_leaves_one_in_d_state_alone() -> None:
    host = FakeHost(SILENT, daemons=STUCK)
    said: list[str] = []
    looked = daemon(50, 1000.0, blocked=("x",))
    assert not heal(host, "abort", 5.0, Deadline(60, host.now), looked, said.append)  # type: ignore[arg-type]
    assert host.did == []


def test_heal_does_not_abort_during_a_migration_that_advances() -> None:
    jobs = [[Job("web1", "migration out", ticks)] for ticks in (5, 9)]
    host = FakeHost(SILENT, daemons=STILL, jobs=jobs)
    healed, said = work(host)
    assert not healed
    assert "migration out of web1" in said[-1]
    assert host.did == []


def test_heal_waits_for_one_that_works_unless_it_is_overdue() -> None:
    busy = [daemon(50 + step * 1000, 1000.0 + step * 10) for step in range(1, 50)]
    host = FakeHost(SILENT, daemons=busy)
    assert not work(host)[0]
    assert host.did == []
    host = FakeHost(SILENT, GOOD, daemons=[busy[0], None])
    assert work(host, "overdue")[0]
    assert host.did == ["signal ABRT CONT to 100"]


def test_heal_does_not_abort_one_that_hangs_at_every_start_for_ever() -> None:
    host = FakeHost(SILENT, daemons=[daemon(50, 1010.0)])
    host.on_signal["KILL"] = lambda: setattr(host, "gone", True)
    looks = iter(range(10_000))
    host.look = lambda _pid: None if next(looks) % 4 == 3 else daemon(50, host.time)  # type: ignore[method-assign]
    healed, said = work(host, seconds=600)
    assert not healed
    assert said[-1] == "not healing: it hangs again as soon as it is started"
    assert host.did.count("signal ABRT CONT to 100") == 2


def test_timings_fit_into_the_advertised_timeouts() -> None:
    stop_at_most = libvirtd_service.POLITE + libvirtd_service.DEATH + 3 * libvirtd_service.SYSTEMD_TIME
    assert stop_at_most < 120 - 5
    assert libvirtd_heal.CORE_TIME + libvirtd_heal.DEATH < 60
