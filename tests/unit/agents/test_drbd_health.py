# SPDX-License-Identifier: GPL-2.0-or-later
"""What Pacemaker is told of a DRBD resource: the table, case by case, and what holds for every case."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstay.agents import drbd_health as health
from backstay.host.drbd_state import Connection, Device, PeerDevice, State, read
from backstay.ocf import codes
from tests.unit.host.test_drbd_state import EIGHT, NINE, STATES, eight, nine

PROMOTED, FAILED, WELL, LESS, LESS_PROMOTED = (
    codes.PROMOTED, codes.FAILED_PROMOTED, codes.SUCCESS, codes.DEGRADED, codes.DEGRADED_PROMOTED,
)  # fmt: skip


def peer(
    disk="UpToDate",
    *,
    replication="Established",
    state="Connected",
    role="Secondary",
    name="n2",
    number=1,
    **more,
):
    """A peer with one volume."""
    return Connection(name, number, state, role, (PeerDevice(0, disk, replication, **more),))


def state(disk="UpToDate", role="Primary", *peers, quorum=True, client=False, suspended=(), **more):
    """A resource with one volume; connected to a good peer unless other peers are given."""
    return State("web1", role, suspended, (Device(0, 10, disk, client, quorum),), peers or (peer(),), **more)


AWAY = peer("DUnknown", state="Connecting", replication="Off", role="Unknown")
APART = replace(AWAY, state="StandAlone")
CASES = [
    # what, the state, split brain, others offer themselves, code, attribute, in the reason
    ("all well", state(), False, PROMOTED, "", ["web1 is promoted"]),
    ("all well", state(role="Secondary"), False, WELL, "", ["unpromoted"]),
    ("a peer is away", state("UpToDate", "Primary", AWAY), False, PROMOTED, "alone", []),
    ("a peer is away", state("UpToDate", "Secondary", AWAY), False, WELL, "alone", []),
    ("no disk", state("Diskless"), False, LESS_PROMOTED, "degraded:no-disk", ["volume 0", "Diskless", "n2"]),
    ("no disk", state("Failed"), False, LESS_PROMOTED, "degraded:no-disk", ["volume 0", "Failed", "n2"]),
    ("no disk", state("Diskless", "Secondary"), False, LESS, "degraded:no-disk", ["volume 0", "Diskless"]),
    ("no disk, no peer", state("Diskless", "Primary", AWAY), False, FAILED, "broken:no-data", ["volume 0", "I/O fails"]),
    (
        "no disk, no peer, I/O waits",
        state("Diskless", "Primary", AWAY, suspended=("no-data",)), False, LESS_PROMOTED, "broken:no-data", ["waits"],
    ),
    ("no disk on purpose", state("Diskless", client=True), False, PROMOTED, "", []),
    ("no disk on purpose", state("Diskless", "Secondary", client=True), False, WELL, "", []),
    ("no disk on purpose, no peer", state("Diskless", "Primary", AWAY, client=True), False, FAILED, "broken:no-data", []),
    ("the peer's disk failed", state("UpToDate", "Primary", peer("Failed")), False, PROMOTED, "peer-no-disk", []),
    ("inconsistent", state("Inconsistent"), False, LESS_PROMOTED, "degraded:inconsistent", ["volume 0", "n2"]),
    ("inconsistent", state("Inconsistent", "Secondary"), False, LESS, "degraded:inconsistent", ["no resync runs"]),
    ("inconsistent, alone", state("Inconsistent", "Secondary", AWAY), False, WELL, "inconsistent", []),
    ("inconsistent, no peer", state("Inconsistent", "Primary", AWAY), False, FAILED, "broken:no-data", ["volume 0"]),
    (
        "never synchronised",
        state("Inconsistent", "Secondary", peer("Inconsistent")), False, LESS, "degraded:not-synchronised", ["volume 0"],
    ),
    (
        "a volume that was added",
        replace(
            state(), devices=(Device(0, 10, "UpToDate"), Device(1, 11, "Inconsistent")),
            connections=(replace(peer(), volumes=(PeerDevice(0, "UpToDate", "Established"), PeerDevice(1, "Inconsistent"))),),
        ),
        False, LESS_PROMOTED, "degraded:not-synchronised", ["volume 1"],
    ),
    ("outdated", state("Outdated", "Secondary", AWAY), False, WELL, "outdated", []),
    # DRBD neither reads nor writes what may be old
    ("outdated while promoted", state("Outdated", "Primary", AWAY), False, FAILED, "broken:no-data", ["volume 0", "I/O fails"]),
    ("consistent while promoted", state("Consistent", "Primary", AWAY), False, FAILED, "broken:no-data", ["I/O fails"]),
    (
        "outdated while promoted, I/O waits",
        state("Outdated", "Primary", AWAY, suspended=("no-data",)), False, LESS_PROMOTED, "broken:no-data", ["waits"],
    ),
    (
        "outdated while promoted, a peer is good",
        state("Outdated", "Primary", peer()), False, LESS_PROMOTED, "degraded:outdated", ["on n2 only"],
    ),
    (
        "no disk, no peer, I/O waits for a fencing",
        state("Diskless", "Primary", AWAY, suspended=("fencing",)), False, LESS_PROMOTED, "broken:no-data", ["waits"],
    ),
    (
        "no disk, no peer, an admin suspended I/O",
        state("Diskless", "Primary", AWAY, suspended=("user", "no-data")), False, LESS_PROMOTED, "broken:no-data",
        ["waits", "resume-io"],
    ),
    (
        "takes a resync",
        state("Inconsistent", "Primary", peer(replication="SyncTarget", done=37.5)), False, LESS_PROMOTED,
        "degraded:resyncing", ["volume 0", "n2", "37.5 %", "alone has all"],
    ),
    (
        "takes a resync",
        state("Inconsistent", "Secondary", peer(replication="SyncTarget", done=37.5)), False, WELL, "resyncing", [],
    ),
    (
        "gives a resync",
        state("UpToDate", "Primary", peer("Inconsistent", replication="SyncSource")), False, PROMOTED, "resyncing", [],
    ),
    (
        "gives a resync",
        state("UpToDate", "Secondary", peer("Inconsistent", replication="SyncSource")), False, WELL, "resyncing", [],
    ),
    (
        "paused by a person",
        state("UpToDate", "Primary", peer("Inconsistent", replication="PausedSyncS", held="user")), False, LESS_PROMOTED,
        "degraded:resync-paused", ["volume 0", "n2", "paused"],
    ),
    (
        "waits for another resync",
        state("UpToDate", "Primary", peer("Inconsistent", replication="PausedSyncS", held="dependency")), False, PROMOTED,
        "resyncing", [],
    ),
    (
        "paused by a person",
        state("Inconsistent", "Secondary", peer(replication="PausedSyncT", held="peer")), False, LESS,
        "degraded:resync-paused", ["volume 0", "n2"],
    ),
    ("stands alone", state("UpToDate", "Primary", APART), False, LESS_PROMOTED, "degraded:standalone", ["n2", "StandAlone"]),
    ("stands alone", state("UpToDate", "Secondary", APART), False, LESS, "degraded:standalone", ["n2"]),
    ("split brain", state("UpToDate", "Primary", APART), True, LESS_PROMOTED, "degraded:split-brain", ["n2", "discard"]),
    ("split brain", state("UpToDate", "Secondary", APART), True, LESS, "degraded:split-brain", ["n2", "split brain"]),
    (
        "waits for fencing",
        state("UpToDate", "Primary", AWAY, suspended=("fencing",)), False, LESS_PROMOTED, "degraded:waits-for-fencing",
        ["n2", "fence"],
    ),
    ("suspended", state(suspended=("user",)), False, LESS_PROMOTED, "degraded:suspended", ["resume-io"]),
    ("no quorum", state("UpToDate", "Primary", AWAY, quorum=False), False, FAILED, "broken:no-quorum", ["volume 0"]),
    (
        "no quorum, I/O waits",
        state("UpToDate", "Primary", AWAY, quorum=False, suspended=("quorum",)), False, LESS_PROMOTED, "broken:no-quorum",
        ["volume 0", "waits"],
    ),
    ("no quorum", state("UpToDate", "Secondary", AWAY, quorum=False), False, LESS, "degraded:no-quorum", ["volume 0"]),
    ("by force", state("UpToDate", "Secondary", fails_io=True), False, LESS, "degraded:fails-io", ["by force"]),
    (
        "one of three is away",
        state("UpToDate", "Primary", peer(), replace(AWAY, name="n3", number=2)), False, PROMOTED, "alone", [],
    ),
    (
        "one of three has another history",
        state("UpToDate", "Primary", peer(), replace(APART, name="n3", number=2)), True, LESS_PROMOTED,
        "degraded:split-brain", ["n3"],
    ),
    (
        "no disk, and one of two peers is good",
        state("Diskless", "Primary", peer("Outdated"), peer(name="n3", number=2)), False, LESS_PROMOTED,
        "degraded:no-disk", ["on n3 only"],
    ),
    ("on its way", state("Negotiating", "Secondary"), False, WELL, "", []),
]  # fmt: skip


def told(where: State, split: bool = False, elsewhere: bool | None = False, may_fail: bool = True):
    around = health.Around(lambda connection: connection.name, split, elsewhere)
    found = health.findings(where, around)
    return health.judge(where, found, around, may_fail), health.attribute(found)


@pytest.mark.parametrize(
    "what,where,split,code,attribute,words", CASES, ids=[f"{c[0]}-{c[1].role}" for c in CASES]
)
def test_the_table(what, where, split, code, attribute, words):
    outcome, value = told(where, split)
    assert (outcome.code, value) == (code, attribute), outcome
    assert not [word for word in words if word not in outcome.reason], outcome


@pytest.mark.parametrize("reason", ["no-data", "quorum"])
@pytest.mark.parametrize("elsewhere,code", [(True, FAILED), (False, LESS_PROMOTED), (None, LESS_PROMOTED)])
def test_io_that_waits_is_failed_only_when_another_host_offers_itself(reason, elsewhere, code):
    quorum = reason != "quorum"
    disk = "UpToDate" if reason == "quorum" else "Diskless"
    assert (
        told(state(disk, "Primary", AWAY, quorum=quorum, suspended=(reason,)), elsewhere=elsewhere)[0].code
        == code
    )


SUSPENDED = [
    "no", "user", "no-data", "user,no-data", "fencing", "user,fencing", "no-data,fencing", "user,no-data,fencing", "quorum",
    "user,quorum", "no-data,quorum", "user,no-data,quorum", "fencing,quorum", "user,fencing,quorum", "no-data,fencing,quorum",
    "user,no-data,fencing,quorum",
]  # fmt: skip
"""Every word that drbdsetup of DRBD 9 has for it (susp_str in user/v9/drbdsetup.c of drbd-utils at b4b2f5b9)."""


@pytest.mark.parametrize("word", SUSPENDED)
def test_each_way_in_which_io_of_nine_waits(word):
    """In the form of the recorded lines, with what goes with it: a quorum that is lost, a disk and peers that are."""
    quorum, disk = ("no" if "quorum" in word else "yes"), ("Diskless" if "no-data" in word else "UpToDate")
    away = [
        f"exists connection name:r peer-node-id:{number} conn-name:n{number} connection:Connecting role:Unknown\n"
        f"exists peer-device name:r peer-node-id:{number} conn-name:n{number} volume:0 replication:Off "
        "peer-disk:DUnknown peer-client:no resync-suspended:no\n"
        for number in (2, 3)
    ]
    found = read(
        f"exists resource name:r role:Primary suspended:{word} force-io-failures:no may_promote:no promotion_score:0\n"
        f"exists device name:r volume:0 minor:1000 backing_dev:none disk:{disk} client:no open:yes quorum:{quorum}\n"
        f"{''.join(away)}exists -\n",
        "r",
    )
    assert found is not None
    assert ",".join(found.suspended) == ("" if word == "no" else word)
    waits = "no-data" in word or "quorum" in word
    alone, value = told(found, elsewhere=False)
    assert alone.code == (PROMOTED if word == "no" else LESS_PROMOTED)
    assert told(found, elsewhere=True)[0].code == (FAILED if waits else alone.code)
    assert value.startswith("broken:") == waits
    for reason, words in (
        ("user", "resume-io"),
        ("fencing", "n2, n3 is fenced"),
        ("quorum", "no quorum: I/O waits"),
    ):
        assert (words in alone.reason) == (reason in word)


def test_recorded_states_of_nine():
    said = {title: told(nine(title))[0].code for title in NINE if "resource" in NINE[title]}
    assert said == {
        "events2-exists-before-create.test": LESS,
        "events2-sync.test --statistics": WELL,
        "events2-all-create-change.test": PROMOTED,
        "events2-may-promote-quorum.test": LESS,
        "events2-may-promote-peer-role.test": WELL,
        "events2-may-promote-peer-data.test": LESS,
        "events2-promotion-score-inconsistent.test": LESS,
        "events2-promotion-score-devices.test": WELL,
        "events2-all-create-helper.test": LESS,
    }


def test_recorded_states_of_eight():
    """What the agent itself answered beside each of these on the real DRBD 8.4.11."""
    said = {
        title: told(eight(title), title == "split brain")[0].code
        for title in EIGHT
        if "resource" in EIGHT[title]
    }
    assert said == {
        "started, the peer is away": WELL,
        "both inconsistent": LESS,
        "gives the initial resync, promoted": PROMOTED,
        "resync paused by a person": PROMOTED,  # it had ended before it was paused
        "up to date on both, unpromoted": WELL,
        "up to date on both, promoted": PROMOTED,
        "promoted without a disk": LESS_PROMOTED,
        "promoted, takes a resync or done": PROMOTED,
        "promoted, disconnected (StandAlone)": LESS_PROMOTED,
        "split brain": LESS_PROMOTED,
        "split brain resolved": PROMOTED,
        "unpromoted, takes a resync": WELL,
        "I/O suspended by a person": LESS_PROMOTED,
    }


@given(STATES, st.booleans(), st.sampled_from([True, False, None]))
def test_what_holds_for_every_state(where, split, elsewhere):
    outcome, value = told(where, split, elsewhere)
    probed, _ = told(where, split, elsewhere, may_fail=False)
    allowed = (PROMOTED, LESS_PROMOTED, FAILED) if where.promoted else (WELL, LESS)
    assert outcome.code in allowed
    assert probed.code in allowed[:2]
    assert where.name in outcome.reason
    assert (outcome.code in (WELL, PROMOTED)) == (not value.startswith(("degraded:", "broken:")))
    if outcome.code == FAILED:
        # Never while all of its data can be read and it has its quorum.
        assert not (where.quorum and all(where.readable(device) for device in where.devices))
