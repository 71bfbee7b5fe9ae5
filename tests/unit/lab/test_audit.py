# SPDX-License-Identifier: GPL-2.0-or-later
"""The auditor finds each thing that must not be, and nothing in a run in which all was well."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backstay.lab import audit as audits
from backstay.lab import records
from backstay.lab.actions import Action, Fencing
from backstay.lab.audit import (
    BLIND,
    LOST,
    MISSING,
    NEEDLESS,
    NOTHING,
    RAN_TWICE,
    SILENT,
    Evidence,
    Period,
    Silence,
    Verdict,
    audit,
)
from backstay.lab.records import Heard, Record, Stall

WEB, DB = "11111111-0000-0000-0000-000000000001", "11111111-0000-0000-0000-000000000002"
OLD, NEW = "aaaaaaaa-0000-0000-0000-000000000000", "bbbbbbbb-0000-0000-0000-000000000000"
NAMES = {WEB: "web1", DB: "db1"}
WALL = 1_700_000_000.0
CALM = (0.0, 20.0)


def speech(uuid, boot, host, begin, end, first=0, every=0.5):
    """Records from `begin` to `end` (seconds), numbered from `first`."""
    count = int((end - begin) / every)
    return [
        Heard(Record(uuid, boot, first + n, "run"), host, begin + n * every, WALL + begin + n * every)
        for n in range(count)
    ]


def disks_of(heard):
    disks: dict[str, dict[int, Record]] = {WEB: {}, DB: {}}
    for each in heard:
        disks[each.record.uuid][each.record.sequence] = each.record
    return disks


def evidence(heard, deeds=(), end=100.0, disks=None, stalls=()):
    ordered = tuple(sorted(heard, key=lambda each: each.at))
    testimony = records.Testimony(ordered, tuple(stalls))
    return Evidence(NAMES, testimony, disks_of(ordered) if disks is None else disks, tuple(deeds), 0.0, end)


def steady(uuid, boot=OLD, host="n1", begin=0.0, end=100.0):
    return speech(uuid, boot, host, begin, end)


def found(verdict):
    return [(finding.kind, finding.subject) for finding in verdict.findings]


def test_a_quiet_run_is_clean():
    verdict = audit(evidence([*steady(WEB), *steady(DB)]), [], CALM)
    assert verdict.clean
    assert verdict.usual == 0.5
    assert verdict.tolerance == 2.5
    assert verdict.lost() == 0.0


def moved(gap=10.0):
    """web1 is killed at 40 s and speaks again from n2 `gap` seconds later."""
    before = speech(WEB, OLD, "n1", 0, 40)
    return [*before, *speech(WEB, NEW, "n2", 39.5 + gap, 100, first=len(before))]


def recovery():
    return (
        Fencing(43.0, "n1", "n2", "reboot", "OK", "event-1"),
        Action(44.0, "n2", "fence-n1", "start", "ok"),
        Action(49.0, "n2", "web1", "start", "ok"),
        Action(70.0, "n1", "libvirtd", "start", "ok"),
    )


FENCED = NOTHING.fencing(["n1"]).starting(["web1"]).restarting("libvirtd", ["n1"])
POWER = Period("power", 39.8, 80.0, FENCED)


def test_a_host_that_was_fenced_and_whose_guest_started_elsewhere_is_clean():
    verdict = audit(evidence([*moved(), *steady(DB, host="n2")], recovery()), [POWER], CALM)
    assert found(verdict) == []
    (silence,) = verdict.during(POWER)
    assert (silence.guest, silence.before, silence.after) == ("web1", "n1", "n2")
    assert silence.lost == pytest.approx(9.5)


def test_a_live_migration_is_clean_although_two_hosts_speak_for_one_guest():
    there = speech(WEB, OLD, "n1", 0, 40)
    moved_on = speech(WEB, OLD, "n2", 40.2, 70, first=len(there))
    back = speech(WEB, OLD, "n1", 70.2, 100, first=len(there) + len(moved_on))
    deeds = (
        Action(40.0, "n1", "web1", "migrate_to", "ok"),
        Action(40.3, "n2", "web1", "migrate_from", "ok"),
        Action(40.5, "n1", "web1", "stop", "ok"),
    )
    period = Period("drain", 39.0, 45.0, NOTHING.migrating(["web1"], "n1"))
    verdict = audit(evidence([*there, *moved_on, *back, *steady(DB)], deeds), [period], CALM)
    assert found(verdict) == []


def test_two_boots_that_speak_alternately_ran_twice():
    heard = [*steady(WEB), *steady(DB), *speech(WEB, NEW, "n2", 40.1, 42, first=500)]
    (finding,) = audit(evidence(heard), [], CALM).findings
    assert (finding.kind, finding.subject) == (RAN_TWICE, "web1")
    assert finding.text == (
        "web1 ran twice: boot bbbbbbbb spoke from n2 at 22:14:00, and boot aaaaaaaa still spoke from n1 at 22:14:00"
    )


def test_a_second_boot_that_said_one_thing_only_ran_twice():
    heard = [*steady(WEB), *steady(DB), *speech(WEB, NEW, "n1", 40.1, 40.6, first=500)]
    assert found(audit(evidence(heard), [], CALM)) == [(RAN_TWICE, "web1")]


def test_one_memory_that_runs_on_two_hosts_ran_twice():
    """A migration that left both copies running: same boot, same numbers, from two hosts."""
    heard = [*steady(WEB), *steady(DB), *speech(WEB, OLD, "n2", 40.1, 60, first=81)]
    kinds = found(audit(evidence(heard), [], CALM))
    assert kinds == [(RAN_TWICE, "web1")]


def test_an_acknowledged_record_that_is_not_on_the_disk_is_lost():
    heard = [*steady(WEB), *steady(DB)]
    disks = disks_of(heard)
    del disks[DB][100]
    (finding,) = audit(evidence(heard, disks=disks), [], CALM).findings
    assert (finding.kind, finding.subject, finding.at) == (LOST, "db1", 50.0)
    assert "an acknowledged record: number 100 of boot aaaaaaaa, heard from n1" in finding.text


def test_records_that_another_boot_wrote_over_are_lost():
    heard = [*steady(WEB), *steady(DB)]
    disks = disks_of(heard)
    for number in range(150, 160):
        disks[WEB][number] = replace(disks[WEB][number], boot=NEW)
    (finding,) = audit(evidence(heard, disks=disks), [], CALM).findings
    assert finding.kind == LOST
    assert "10 acknowledged records" in finding.text


def test_a_record_on_the_disk_that_nobody_heard_is_not_a_loss():
    heard = [*steady(WEB), *steady(DB)]
    disks = disks_of(heard)
    disks[WEB][200] = Record(WEB, OLD, 200, "run")
    assert audit(evidence(heard, disks=disks), [], CALM).clean


def test_a_disk_that_cannot_be_read_proves_nothing():
    heard = [*steady(WEB), *steady(DB)]
    disks = {WEB: disks_of(heard)[WEB]}
    assert found(audit(evidence(heard, disks=disks), [], CALM)) == [(BLIND, "db1")]


@pytest.mark.parametrize(
    ("gap", "clean"),
    [(0.9, True), (2.5, True), (2.6, False), (5.0, False)],
)
def test_a_gap_above_the_tolerance_is_silence(gap, clean):
    before = speech(WEB, OLD, "n1", 0, 40.5)
    heard = [*before, *speech(WEB, OLD, "n1", 40.0 + gap, 100, first=len(before)), *steady(DB)]
    verdict = audit(evidence(heard), [Period("hung", 39, 60, NOTHING)], CALM)
    assert verdict.clean == clean
    if not clean:
        assert found(verdict) == [(SILENT, "web1")]
        assert verdict.lost() == pytest.approx(gap - 0.5)
        assert "during «hung»" in verdict.findings[0].text


def test_a_reboot_is_silence_however_short_it_was():
    before = speech(WEB, OLD, "n1", 0, 40.5)
    heard = [*before, *speech(WEB, NEW, "n1", 41.5, 100, first=len(before)), *steady(DB)]
    verdict = audit(evidence(heard), [], CALM)
    assert found(verdict) == [(SILENT, "web1")]
    assert verdict.lost() == pytest.approx(1.0)


def test_the_tolerance_comes_from_the_calm_time():
    uneven = [h for h in steady(WEB) if h.record.sequence not in (10, 11, 12)]
    verdict = audit(evidence([*uneven, *steady(DB)]), [], CALM)
    assert verdict.tolerance == 4.0
    assert verdict.clean


def test_a_guest_that_was_silent_in_the_calm_time_gives_no_tolerance():
    late = speech(WEB, OLD, "n1", 18.0, 100)
    assert (BLIND, "web1") in found(audit(evidence([*late, *steady(DB)]), [], CALM))


def test_a_guest_that_does_not_come_back_is_found_even_where_it_might_stop():
    heard = [*speech(WEB, OLD, "n1", 0, 40), *steady(DB, host="n2")]
    verdict = audit(evidence(heard, recovery()), [POWER], CALM)
    assert found(verdict) == [(SILENT, "web1")]
    assert verdict.findings[0].text == "web1 was not heard again after 22:13:59"


def test_a_guest_that_never_spoke_is_found():
    assert (SILENT, "web1") in found(audit(evidence(steady(DB)), [], CALM))


RESTART = (Action(45.0, "n1", "db1", "stop", "ok"), Action(46.0, "n1", "db1", "start", "ok"))


@pytest.mark.parametrize(
    ("deeds", "expected", "kinds"),
    [
        pytest.param(RESTART, NOTHING, [NEEDLESS, NEEDLESS], id="a needless restart"),
        pytest.param(RESTART[1:], NOTHING.starting(["db1"]), [], id="a start that was expected"),
        pytest.param(RESTART, NOTHING.starting(["db1"]), [NEEDLESS], id="a stop beside an expected start"),
        pytest.param(RESTART[1:] * 2, NOTHING.starting(["db1"]), [NEEDLESS], id="started twice"),
        pytest.param((), NOTHING.starting(["db1"]), [MISSING], id="a start that did not happen"),
        pytest.param(
            (Action(46.0, "n1", "db1", "start", "error (no)"),),
            NOTHING.starting(["db1"]),
            [MISSING],
            id="failed start",
        ),
        pytest.param(RESTART[:1], NOTHING.stopping(["db1"], ["n1"]), [], id="an expected stop"),
        pytest.param(
            RESTART[:1], NOTHING.stopping(["db1"], ["n2"]), [NEEDLESS, MISSING], id="a stop on another host"
        ),
        pytest.param(RESTART, NOTHING.restarting("db1", ["n1"]), [], id="a restart as often as it likes"),
        pytest.param((), NOTHING.restarting("db1", ["n1"]), [], id="a restart that need not be"),
        pytest.param(recovery()[:1], NOTHING, [NEEDLESS], id="a needless fencing"),
        pytest.param((), NOTHING.fencing(["n1"]), [MISSING], id="a fencing that did not happen"),
        pytest.param(
            recovery()[:1], NOTHING.fencing(["n2"]), [NEEDLESS, MISSING], id="the wrong host fenced"
        ),
        pytest.param(
            (replace(recovery()[0], result="Timed Out"),),
            NOTHING.fencing(["n1"]),
            [MISSING],
            id="a fencing that failed",
        ),
        pytest.param(recovery()[:2], NOTHING.fencing(["n1"]), [], id="a device moves with a fencing"),
        pytest.param(recovery()[1:2], NOTHING, [NEEDLESS], id="a device moves without reason"),
        pytest.param(
            (Action(45.0, "n1", "web1", "migrate_to", "ok"),), NOTHING, [NEEDLESS], id="a needless migration"
        ),
    ],
)
def test_the_cluster_may_do_what_there_was_reason_for_and_nothing_else(deeds, expected, kinds):
    heard = [*steady(WEB), *steady(DB)]
    verdict = audit(evidence(heard, deeds), [Period("fault", 40, 60, expected)], CALM)
    assert [finding.kind for finding in verdict.findings] == kinds


def test_a_deed_outside_every_period_is_needless():
    heard = [*steady(WEB), *steady(DB)]
    verdict = audit(
        evidence(heard, RESTART), [Period("later", 60, 90, NOTHING.restarting("db1", ["n1"]))], CALM
    )
    assert [f.text for f in verdict.findings] == [
        "needless stop of db1 on n1 at 22:14:05: nothing was broken",
        "needless start of db1 on n1 at 22:14:06: nothing was broken",
    ]


def test_what_was_heard_before_the_run_is_nobodys_business():
    earlier = [*speech(WEB, NEW, "n2", -20, -15, first=900), *speech(WEB, OLD, "n1", -18, -17, first=900)]
    heard = [*steady(WEB), *steady(DB)]
    assert audit(evidence([*earlier, *heard], disks=disks_of(heard)), [], CALM).clean


def test_deeds_before_the_run_are_nobodys_business():
    heard = [*steady(WEB), *steady(DB)]
    assert audit(evidence(heard, (Action(-5.0, "n1", "db1", "start", "ok"),)), [], CALM).clean


def test_a_witness_that_stood_still_says_so():
    heard = [*steady(WEB), *steady(DB)]
    stalls = (Stall(50.0, WALL + 50, 3.0), Stall(-10.0, WALL - 10, 3.0))
    verdict = audit(evidence(heard, stalls=stalls), [], CALM)
    assert found(verdict) == [(BLIND, "witness")]
    assert "stood still for 3.0 s until 22:14:10" in verdict.findings[0].text


def test_a_calm_time_that_was_not_calm_is_said():
    heard = [each for each in [*steady(WEB), *steady(DB)] if not 8 < each.at < 14]
    verdict = audit(evidence(heard), [], CALM)
    assert verdict.tolerance == 12.0
    assert found(verdict) == [(BLIND, "calm time")]
    assert "silent for 6.0 s in calm time, so no silence under 12.0 s is seen" in verdict.findings[0].text


@pytest.mark.parametrize(("seconds", "clean"), [(-60.0, False), (60.0, False), (0.5, True)])
def test_a_clock_that_was_set_leaves_a_hole(seconds, clean):
    heard = [
        replace(each, wall=each.wall + seconds) if each.at > 50 else each
        for each in [*steady(WEB), *steady(DB)]
    ]
    verdict = audit(evidence(heard), [], CALM)
    assert found(verdict) == ([] if clean else [(BLIND, "clock")])
    assert clean or f"the machine's clock was set by {seconds:+.1f} s after" in verdict.findings[0].text


def test_findings_come_in_the_order_of_time():
    heard = [*steady(WEB), *steady(DB), *speech(WEB, NEW, "n2", 70.1, 72, first=500)]
    verdict = audit(evidence(heard, RESTART), [], CALM)
    assert [finding.at for finding in verdict.findings] == sorted(finding.at for finding in verdict.findings)
    assert [finding.kind for finding in verdict.findings] == [NEEDLESS, NEEDLESS, RAN_TWICE]
    assert audits.RAN_TWICE in found(verdict)[2]


def test_a_silence_belongs_to_the_fault_that_began_it():
    first, second = Period("first", 100, 200), Period("second", 200, 300)
    before_the_fault = Silence("web1", 99.6, 105.0, 4.9, "n1", "n2")
    long = Silence("db1", 150.0, 280.0, 129.5, "n1", "n2")
    short = Silence("db2", 199.8, 201.5, 1.2, "n1", "n1")
    verdict = Verdict((), (before_the_fault, long, short), 0.5, 2.5)
    assert verdict.during(first) == (before_the_fault, long)
    assert verdict.during(second) == (short,)


def test_a_guest_that_the_fault_itself_silences_is_no_finding_and_its_restart_is():
    heard = steady(WEB, end=40) + steady(WEB, begin=60) + steady(DB, end=40) + steady(DB, begin=60)
    stopped = Period("stopped", 39.0, 70.0, NOTHING.silencing(["web1"]))
    verdict = audit(evidence(renumbered(heard), [Action(50.0, "n1", "web1", "start", "ok")]), [stopped], CALM)
    assert [(each.kind, each.subject) for each in verdict.findings] == [
        (SILENT, "db1"),
        (NEEDLESS, "cluster"),
    ]


def renumbered(heard):
    """The same records with growing numbers, as one boot has them."""
    counts: dict[str, int] = {}
    fresh = []
    for each in sorted(heard, key=lambda one: one.at):
        number = counts[each.record.uuid] = counts.get(each.record.uuid, -1) + 1
        fresh.append(replace(each, record=replace(each.record, sequence=number)))
    return fresh


def test_a_fence_device_that_is_watched_elsewhere_is_no_finding_and_a_guest_that_moves_is():
    leaving = Period("leaving", 30.0, 70.0, NOTHING.watching_elsewhere())
    deeds = [Action(50.0, "n1", "fence-n3", "stop", "ok"), Action(51.0, "n2", "fence-n3", "start", "ok")]
    moved = Action(52.0, "n2", "web1", "migrate_to", "ok")
    verdict = audit(evidence(steady(WEB) + steady(DB), [*deeds, moved]), [leaving], CALM)
    assert [each.kind for each in verdict.findings] == [NEEDLESS]
