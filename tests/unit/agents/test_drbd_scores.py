# SPDX-License-Identifier: GPL-2.0-or-later
"""How much a host offers itself: the table of ocf:linbit:drbd, and what holds for every state."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.agents.drbd_parameters import DrbdParameters, scores_of
from backstay.agents.drbd_scores import score
from backstay.host.drbd_state import PeerDevice
from tests.unit.agents.test_drbd_health import APART, AWAY, peer, state
from tests.unit.host.test_drbd_state import EIGHT, NINE, STATES, eight, nine

FOUR = (5, 10, 1000, 10000)
GOOD = peer()
GIVES = peer("Inconsistent", replication="SyncSource")
TAKES = peer(replication="SyncTarget")
PRIMARY = peer(role="Primary")
THIRD = peer(name="n3", number=2)
CASES = [
    ("promoted and good", state("UpToDate", "Primary", GOOD), 10000),
    ("promoted, nobody else", state("UpToDate", "Primary", AWAY), 10000),
    ("good, and the peer is known", state("UpToDate", "Secondary", GOOD), 10000),
    ("gives a resync", state("UpToDate", "Secondary", GIVES), 10000),
    ("good, and the peer is outdated", state("UpToDate", "Secondary", replace(AWAY, volumes=(PeerDevice(0, "Outdated"),))), 10000),
    ("good, and the peer is not known", state("UpToDate", "Secondary", AWAY), 1000),
    ("good, and one of two is not known", state("UpToDate", "Secondary", GOOD, replace(AWAY, name="n3", number=2)), 1000),
    ("split brain", state("UpToDate", "Secondary", APART), 1000),
    ("takes a resync", state("Inconsistent", "Secondary", TAKES), 10),
    ("no disk", state("Diskless", "Primary", GOOD), 10),
    ("no disk, nobody else", state("Diskless", "Primary", AWAY), 0),
    ("consistent", state("Consistent", "Secondary", AWAY), 5),
    ("outdated", state("Outdated", "Secondary", AWAY), 0),
    ("inconsistent", state("Inconsistent", "Secondary", AWAY), 0),
    ("on its way", state("Negotiating", "Secondary", AWAY), None),
    ("on its way, and a peer is good", state("Negotiating", "Secondary", GOOD), 10),
    ("no quorum", state("UpToDate", "Primary", AWAY, quorum=False), 0),
    ("taken away by force", state("UpToDate", "Secondary", fails_io=True), 0),
    ("a client", state("Diskless", "Secondary", GOOD, THIRD, client=True), 9999),
    ("a client, and one is away", state("Diskless", "Secondary", GOOD, replace(AWAY, name="n3", number=2), client=True), 999),
    ("a promoted client, and one is away", state("Diskless", "Primary", GOOD, replace(AWAY, number=2), client=True), 9999),
    ("a client without data", state("Diskless", "Primary", AWAY, client=True), 0),
    ("the other peer is a client", state("UpToDate", "Secondary", GOOD, peer("Diskless", name="n3", number=2, client=True)), 10000),
]  # fmt: skip


@pytest.mark.parametrize("what,where,wanted", CASES, ids=[case[0] for case in CASES])
def test_the_table(what, where, wanted):
    assert score(where, FOUR) == wanted


def test_a_promoted_peer_costs_the_score_only_where_that_was_asked_for():
    assert score(state("UpToDate", "Secondary", PRIMARY), FOUR) == 10000
    assert score(state("UpToDate", "Secondary", PRIMARY), FOUR, yields=True) == 0
    assert score(state("UpToDate", "Primary", PRIMARY), FOUR, yields=True) == 10000
    assert score(state("UpToDate", "Secondary", peer("Outdated", role="Primary")), FOUR, yields=True) == 10000


def test_a_volume_that_was_added_does_not_cost_the_promoted_side_its_score():
    both = (PeerDevice(0, "UpToDate", "Established"), PeerDevice(1, "Inconsistent", "Established"))
    base = state("UpToDate", "Primary", replace(GOOD, volumes=both))
    added = replace(
        base, devices=(*base.devices, replace(base.devices[0], volume=1, minor=11, disk="Inconsistent"))
    )
    assert score(added, FOUR) == 10000
    assert score(replace(added, role="Secondary"), FOUR) == 0


def test_recorded_states_of_nine():
    said = {title.partition(".")[0]: score(nine(title), FOUR) for title in NINE if "resource" in NINE[title]}
    assert said == {
        "events2-exists-before-create": 0,
        "events2-sync": 10000,
        "events2-all-create-change": 10000,
        "events2-may-promote-quorum": 0,
        "events2-may-promote-peer-role": 1000,
        "events2-may-promote-peer-data": 10,
        "events2-promotion-score-inconsistent": 10,
        "events2-promotion-score-devices": 10000,
        "events2-all-create-helper": 0,
    }


def test_recorded_states_of_eight():
    said = {title: score(eight(title), FOUR) for title in EIGHT if "resource" in EIGHT[title]}
    assert said == {
        "started, the peer is away": 0,
        "both inconsistent": 0,
        "gives the initial resync, promoted": 10000,
        "resync paused by a person": 10000,
        "up to date on both, unpromoted": 10000,
        "up to date on both, promoted": 10000,
        "promoted without a disk": 10,
        "promoted, takes a resync or done": 10000,
        "promoted, disconnected (StandAlone)": 10000,
        "split brain": 10000,
        "split brain resolved": 10000,
        "unpromoted, takes a resync": 10,
        "I/O suspended by a person": 10000,
    }


@given(
    STATES,
    st.lists(st.integers(0, 10**6), min_size=4, max_size=4).map(lambda them: tuple(sorted(them))),
    st.booleans(),
)
def test_no_score_is_negative_or_better_than_the_best(where, four, yields):
    found = score(where, four, yields)
    assert found is None or 0 <= found <= four[3]
    if found and not where.promoted and not yields:
        # Whoever offers itself has quorum, and either own data that may be good or a peer that has it.
        assert where.quorum
        assert where.good_peers or where.local("UpToDate", "Consistent")


@pytest.mark.parametrize("given_,right", [("0 10 1000 10000", True), ("1 1 1 1", True), ("0 10 1000", False),
                                          ("-1 0 0 0", False), ("10 5 20 30", False), ("a b c d", False), ("", False)])  # fmt: skip
def test_four_scores_or_a_complaint(given_, right):
    if right:
        assert scores_of(given_) == tuple(map(int, given_.split()))
    else:
        with pytest.raises(ValueError, match="four whole numbers"):
            scores_of(given_)


def test_the_new_name_wins():
    assert DrbdParameters(drbd_resource="r").scores == (0, 10, 1000, 10000)
    assert DrbdParameters(drbd_resource="r", adjust_master_score="1 2 3 4").scores == (1, 2, 3, 4)
    both = DrbdParameters(drbd_resource="r", adjust_master_score="1 2 3 4", adjust_promotion_scores="5 6 7 8")
    assert both.scores == (5, 6, 7, 8)


@pytest.mark.parametrize("given_,seconds", [("5", 5.0), ("0", 0.0), ("no", 0.0), ("-1", 0.0), ("٣", 0.0)])
def test_wfc_timeout_is_digits_or_no_wait(given_, seconds):
    assert DrbdParameters(drbd_resource="r", wfc_timeout=given_).patience == seconds
