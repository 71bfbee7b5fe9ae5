# SPDX-License-Identifier: GPL-2.0-or-later
"""Starting, promoting, demoting and stopping: the steps, who is named, and that every action ends in time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backstay.agents import drbd_roles as roles
from backstay.agents.drbd_parameters import DrbdParameters
from backstay.host.drbd_state import Device
from backstay.host.process import ProcessTimedOut
from backstay.ocf import codes
from tests.unit.agents.drbd_fake import HELD, NO_DATA, Fake
from tests.unit.agents.test_drbd_health import AWAY, peer, state

GIVEN = DrbdParameters(drbd_resource="web1")
RUNS, LEADS = state("UpToDate", "Secondary"), state("UpToDate", "Primary")


def given(**values):
    return DrbdParameters(drbd_resource="web1", **values)


def start(fake, parameters=GIVEN, seconds=60):
    return roles.start(fake, parameters, fake.deadline(seconds), fake.warn, fake.warn)


def promote(fake, parameters=GIVEN, seconds=60, alone=True):
    return roles.promote(fake, parameters, fake.deadline(seconds), fake.warn, alone)


def demote(fake, seconds=60):
    return roles.demote(fake, fake.deadline(seconds), fake.warn)


def stop(fake, seconds=60):
    return roles.stop(fake, fake.deadline(seconds), fake.warn)


@pytest.mark.parametrize("version,attach", [((8, 4, 11), "attach"), ((9, 2, 4), "adjust --skip-net")])
def test_a_start_from_nothing(version, attach):
    fake = Fake(None, version, module=False)
    assert start(fake).code == codes.SUCCESS
    assert fake.told == ["modprobe", "check-resize", "new-resource", "new-minor", attach, "adjust"]
    assert fake.now == RUNS


def test_a_start_of_what_runs_changes_nothing_but_connects():
    fake = Fake(RUNS)
    assert start(fake).code == codes.SUCCESS
    assert fake.told == ["adjust"]


@pytest.mark.parametrize("late", [False, True], ids=["connects", "connects only after promotion"])
@pytest.mark.parametrize(
    "left",
    [
        replace(RUNS, devices=(), connections=()),
        replace(RUNS, devices=(Device(0, 10, "Diskless"),), connections=()),
    ],
    ids=["killed before its volumes were made", "killed before its disk was attached"],
)
@pytest.mark.parametrize(
    "broken", [{}, {"attach": "can not open backing device"}], ids=["", "its disk is broken"]
)
def test_a_start_that_was_killed_is_begun_anew(left, broken, late):
    """What has no volume, or no disk, is not started, whatever configures it later."""
    fake = Fake(left, broken=broken)
    outcome = start(fake, given(connect_only_after_promote=late))
    assert outcome.code == (codes.GENERIC if broken else codes.SUCCESS), outcome
    assert fake.now is None if broken else fake.now.devices == RUNS.devices


def test_a_start_leaves_alone_what_is_connected_without_a_disk_and_a_client():
    for now in (
        state("Diskless", "Secondary"),
        replace(RUNS, devices=(Device(0, 10, "Diskless", client=True),), connections=()),
    ):
        fake = Fake(now, there=now)
        start(fake)
        assert fake.told == ["adjust"]


def test_a_start_that_connects_only_after_promotion():
    fake = Fake(None)
    assert start(fake, given(connect_only_after_promote=True)).code == codes.SUCCESS
    assert "adjust" not in fake.told
    assert promote(fake, given(connect_only_after_promote=True)).code == codes.SUCCESS
    assert fake.told[-2:] == ["primary", "adjust"]


def test_without_the_module_it_is_not_installed():
    outcome = start(Fake(None, module=False, broken={"modprobe": "Module drbd not found"}))
    assert (outcome.code, "Module drbd not found" in outcome.reason) == (codes.NOT_INSTALLED, True)


@pytest.mark.parametrize(
    "bound", [{"require_drbd_module_version_ge": "9.0.0"}, {"require_drbd_module_version_lt": "8.4.11"}]
)
def test_a_version_that_is_not_wanted_is_not_started(bound):
    fake = Fake(None)
    assert start(fake, given(**bound)).code == codes.NOT_INSTALLED
    assert fake.told == []


def test_a_disk_that_cannot_be_attached_is_tried_twice_and_leaves_nothing_behind():
    fake = Fake(None, broken={"attach": "can not open backing device"})
    outcome = start(fake)
    assert (outcome.code, "can not open backing device" in outcome.reason) == (codes.GENERIC, True)
    assert fake.told.count("attach") == 2
    assert fake.told[-1] == "drbdsetup down"
    assert fake.now is None


def test_a_disk_that_fails_as_soon_as_it_is_there_fails_the_start():
    assert "volume 0" in start(Fake(None, there=state("Diskless", "Secondary"))).reason


def test_a_start_waits_for_peers_only_as_long_as_it_was_told():
    fake = Fake(None, there=state("UpToDate", "Secondary", AWAY))
    assert start(fake).code == codes.SUCCESS
    assert 5 < fake.clock < 8
    assert "goes on without waiting for n2" in fake.said[-1]
    assert start(Fake(None, there=fake.there), given(wfc_timeout="none")).code == codes.SUCCESS


def test_a_start_never_demotes_without_saying_so():
    fake = Fake(LEADS)
    assert start(fake).code == codes.SUCCESS
    assert "demoted" in fake.said[0]
    used = Fake(LEADS, held="the domain web1 (its emulator is process 7)")
    outcome = start(used, seconds=20)
    assert (outcome.code, "the domain web1" in outcome.reason) == (codes.GENERIC, True)
    assert used.now == LEADS


def test_a_promotion():
    fake = Fake(RUNS)
    assert promote(fake).code == codes.SUCCESS
    assert fake.told == ["primary"]


def test_a_promotion_of_what_is_promoted_or_not_started():
    assert promote(Fake(LEADS)).code == codes.SUCCESS
    assert promote(Fake(None)).code == codes.NOT_RUNNING


def test_a_promotion_is_tried_until_the_peer_has_given_up():
    fake = Fake(RUNS, refuses=5)
    assert promote(fake).code == codes.SUCCESS
    assert fake.told == ["primary"] * 6


def test_a_promotion_without_good_data_gives_up_but_not_at_once():
    fake = Fake(state("Inconsistent", "Secondary", AWAY), refuses=99, complaint=NO_DATA, code=17)
    outcome = promote(fake)
    assert (outcome.code, "volume 0 is Inconsistent" in outcome.reason) == (codes.GENERIC, True)
    assert fake.told == ["primary"]
    assert fake.clock >= roles.CALM


@pytest.mark.parametrize("alone,tries", [(True, 1), (False, 12)])
def test_a_promoted_peer_ends_it_early_where_that_is_wanted(alone, tries):
    fake = Fake(state("UpToDate", "Secondary", peer(role="Primary")), refuses=99)
    outcome = promote(fake, given(fail_promote_early_if_peer_primary=True), 14, alone)
    assert outcome.code == codes.GENERIC
    assert len(fake.told) == pytest.approx(tries, abs=1)


def test_a_promoted_peer_that_the_try_finds_dead_does_not_end_it():
    """DRBD asks its peer whether it is alive only when it is told to promote."""
    fake = Fake(state("UpToDate", "Secondary", peer(role="Primary")), refuses=1)
    tried = fake.adm

    def adm(*words, timeout):
        done = tried(*words, timeout=timeout)
        fake.now = replace(fake.now, connections=(AWAY,))
        return done

    fake.adm = adm
    assert promote(fake, given(fail_promote_early_if_peer_primary=True)).code == codes.SUCCESS


def test_a_demotion_waits_for_whoever_holds_the_device_and_names_them():
    fake = Fake(LEADS, held="the mount /srv", held_for=10)
    assert demote(fake).code == codes.SUCCESS
    assert [text for text in fake.said if "the mount /srv" in text]
    held = Fake(LEADS, held="the mount /srv")
    outcome = demote(held, 30)
    assert (outcome.code, "the mount /srv" in outcome.reason) == (codes.GENERIC, True)
    assert held.now == LEADS


def test_a_demotion_of_what_is_demoted_or_not_started():
    assert demote(Fake(RUNS)).code == codes.SUCCESS
    assert demote(Fake(None)).code == codes.NOT_RUNNING


def test_a_stop_of_each_role():
    for now, told in ((None, []), (RUNS, ["down"]), (LEADS, ["secondary", "down"])):
        fake = Fake(now)
        assert stop(fake).code == codes.SUCCESS
        assert (fake.told, fake.now) == (told, None)


def test_a_stop_with_a_broken_configuration_takes_it_down_all_the_same():
    fake = Fake(LEADS, broken={"down": "web1.res:3: Parse error"})
    assert stop(fake).code == codes.SUCCESS
    assert fake.told == ["secondary", "down", "drbdsetup down"]
    assert "Parse error" in fake.said[0]


def test_a_stop_where_drbd_cannot_be_asked_takes_it_down_and_looks_again():
    fake = Fake(RUNS, blind=1)
    assert stop(fake).code == codes.SUCCESS
    assert fake.told == ["drbdsetup down"]


def test_a_stop_is_not_done_on_hope():
    blind = Fake(RUNS, blind=10**6)
    assert stop(blind, 20).code == codes.GENERIC
    held = Fake(LEADS, held="swap")
    outcome = stop(held, 20)
    assert (outcome.code, "swap" in outcome.reason) == (codes.GENERIC, True)


@pytest.mark.parametrize(
    "hangs", [(), ("secondary",), ("down",), ("drbdsetup",), ("primary",), ("attach",), ("adjust",)]
)
@pytest.mark.parametrize("now", [None, RUNS, LEADS], ids=["down", "unpromoted", "promoted"])
@pytest.mark.parametrize("act", [start, stop, demote, promote])
@pytest.mark.parametrize("seconds", [5, 30, 90])
def test_every_action_ends_in_time(hangs, now, act, seconds):
    fake = Fake(now, hangs=hangs, held="the process 7 (dd)", refuses=10**6, blind=0)
    try:
        outcome = act(fake, seconds=seconds)
    except Exception as error:  # what the runtime turns into an outcome
        assert "did not answer" in str(error)
    else:
        assert outcome.reason
    assert fake.clock <= seconds + 1.0


def test_nothing_is_promoted_or_demoted_by_a_stop_of_an_unpromoted_side():
    fake = Fake(replace(RUNS, role="Secondary"))
    stop(fake)
    assert "secondary" not in fake.told


def test_what_is_held_is_known_by_drbds_words():
    assert roles.is_held(Fake(LEADS, held="x").secondary(LEADS, 1))
    assert HELD


@pytest.mark.parametrize("act", [demote, stop])
def test_a_device_that_stays_held_is_tried_ever_more_seldom(act):
    """Each refusal stands in the kernel's log."""
    fake = Fake(LEADS, held="the process 7 (dd)")
    assert act(fake, 90).code == codes.GENERIC
    assert len(fake.told) < 30
    freed = Fake(LEADS, held="the process 7 (dd)", held_for=60)
    assert act(freed, 90).code == codes.SUCCESS
    assert freed.clock < 60 + roles.SELDOM + 1
    late = Fake(LEADS, held="the process 7 (dd)", held_for=86)
    assert act(late, 90).code == codes.SUCCESS, "the last try is kept"


def test_a_promotion_that_runs_out_of_time_says_why_it_was_refused():
    """The last try has next to no time, and what it says then is not the reason."""
    fake = Fake(
        RUNS,
        refuses=10**6,
        complaint="0: State change failed: (-7) Refusing to be Primary while peer is not outdated",
    )
    tried = fake.adm

    def adm(*words, timeout):
        if timeout < 1.5:
            raise ProcessTimedOut(words, timeout)
        return tried(*words, timeout=timeout)

    fake.adm = adm
    assert "peer is not outdated" in promote(fake, seconds=30).reason
