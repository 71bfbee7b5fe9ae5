# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of `backstay drbd repair`, played against a mirror that does what each step says, and what speaks against it.

The table only sees what is there now, so playing it from each state on the way is what a kill at each point comes to.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from backstay.host.drbd_state import Connection, Device, PeerDevice, State
from backstay.mirror.repair import Now, Step, Verb, objections, repairing
from backstay.mirror.sides import FRESH, Lower, Side, progress

FILE, OLD = "the described file", "the file of before"
ONE, TWO, LOST = "192.0.2.1", "192.0.2.2", "192.0.2.9"
EIGHT = (8, 4, 11)
DISK = "/dev/vg/web1"
SIZE = 64 << 20


def peer(disk="UpToDate", state="Connected", replication="Established", done=None):
    return Connection("peer", 0, state, "Secondary", (PeerDevice(0, disk, replication, done=done),))


def runs(disk="UpToDate", role="Secondary", *peers):
    return State("web1", role, (), (Device(0, 10, disk),), peers)


def lower(**said):
    return Lower(0, DISK, **({"size": SIZE} | said))


WHOLE = Side("n1", ONE, FILE, runs("UpToDate", "Primary", peer()), frozenset({TWO}), EIGHT, (lower(),))
OTHER = Side("n2", TWO, FILE, runs("UpToDate", "Secondary", peer()), frozenset({ONE}), EIGHT, (lower(),))
LEFT = replace(
    WHOLE,
    file=OLD,
    peers=frozenset({LOST}),
    state=runs("UpToDate", "Primary", peer("Outdated", "Connecting")),
)
NEW = Side("n2", TWO, None, None, frozenset(), EIGHT, (lower(),))
AFTER_A_LOSS = Now("web1", (LEFT, NEW), FILE, loaded=False, leftover=())
RETURNED = Now("web1", (WHOLE, OTHER), FILE, leftover=("n9",))
NEW_DISK = Now("web1", (replace(WHOLE, state=runs("UpToDate", "Primary", peer("Diskless"))),
                        replace(OTHER, state=runs("Diskless", "Secondary", peer()))), FILE)  # fmt: skip
BACK = Now("web1", (replace(WHOLE, state=runs("UpToDate", "Primary", peer("Outdated", "Connecting"))),
                    replace(OTHER, state=None, peers=frozenset(), lowers=(lower(),))), FILE, failed=("n2",))  # fmt: skip


def deed(now: Now, step: Step) -> Now:
    """What is seen after a step."""
    sides = {side.name: side for side in now.sides}
    side = sides.get(step.where)
    if step.verb is Verb.PART:
        sides[side.name] = replace(
            side, peers=frozenset(), state=runs("UpToDate", "Primary", peer("Outdated", "StandAlone"))
        )
    elif step.verb is Verb.WRITE:
        sides[side.name] = replace(side, file=now.file)
    elif step.verb is Verb.MAKE:
        sides[side.name] = replace(side, lowers=(lower(uuid=FRESH),))
    elif step.verb is Verb.CONNECT:
        sides[side.name] = replace(
            side,
            peers=now.others(side),
            state=runs("UpToDate", "Primary", peer("Outdated", "Connecting")),
        )
    elif step.verb is Verb.APPLY:
        return replace(now, loaded=True)
    elif step.verb is Verb.CLEAN:
        return replace(now, failed=())
    elif step.verb in (Verb.START, Verb.ATTACH):
        assert side.file == now.file
        assert side.lower(0).uuid == FRESH  # nothing starts without metadata
        giving = runs("UpToDate", "Primary", peer("Inconsistent", replication="SyncSource", done=1.5))
        sides["n1"] = replace(sides["n1"], state=giving)
        taking = runs("Inconsistent", "Secondary", peer(replication="SyncTarget"))
        sides["n2"] = replace(side, peers=now.others(side), state=taking, lowers=(lower(),))
    elif step.verb is Verb.SYNC:
        return replace(now, sides=(WHOLE, OTHER))
    elif step.verb is Verb.TIDY:
        return replace(now, leftover=tuple(name for name in now.leftover if name != step.where))
    return replace(now, sides=tuple(sides.values()))


def play(now: Now) -> tuple[list[tuple[str, str]], list[Now]]:
    """The steps as they are done, and what was seen before each; nothing may speak against going on."""
    done, seen = [], []
    while steps := repairing(now):
        assert objections(now) == ()
        assert len(done) < 20
        seen.append(now)
        done.append((steps[0].verb.name, steps[0].where))
        now = deed(now, steps[0])
    assert now.sides == (WHOLE, OTHER)
    return done, [*seen, now]


STARTS = {
    "a host is lost": (
        AFTER_A_LOSS,
        [("PART", "n1"), ("WRITE", "n1"), ("WRITE", "n2"), ("MAKE", "n2"), ("CONNECT", "n1"), ("APPLY", ""),
         ("START", "n2"), ("SYNC", "")],
    ),
    "the lost host is back": (RETURNED, [("TIDY", "n9")]),
    "a disk is new": (NEW_DISK, [("MAKE", "n2"), ("ATTACH", "n2"), ("SYNC", "")]),
    "a disk is new, and Pacemaker gave up": (
        BACK, [("MAKE", "n2"), ("CLEAN", "n2"), ("START", "n2"), ("SYNC", "")]),
    "all is well": (replace(RETURNED, leftover=()), []),
}  # fmt: skip


@pytest.mark.parametrize("what", STARTS)
def test_what_is_done_and_in_which_order(what):
    begin, wanted = STARTS[what]
    assert play(begin)[0] == wanted


@pytest.mark.parametrize("what", STARTS)
def test_wherever_it_is_killed_the_rest_is_what_was_left(what):
    done, seen = play(STARTS[what][0])
    for number, where in enumerate(seen):
        assert play(where)[0] == done[number:]


def test_a_side_that_has_the_data_never_gets_metadata_and_never_starts_anew():
    for begin, _ in STARTS.values():
        for where in play(begin)[1]:
            touched = {step.verb for step in repairing(where) if step.where == "n1"}
            assert not touched & {Verb.MAKE, Verb.ATTACH, Verb.START, Verb.CLEAN}


def against(**change) -> str:
    """What is said of a lost host when something else is not as it should be."""
    return "\n".join(objections(replace(AFTER_A_LOSS, **change)))


def new(**said):
    return (LEFT, replace(NEW, **said))


CASES = [
    ("nobody has the data", {"sides": (replace(LEFT, state=runs("Outdated")), NEW)}, "none of n1, n2 has all of web1"),
    ("it runs nowhere", {"sides": (replace(LEFT, state=None), NEW)}, "none of n1, n2 has all of web1"),
    ("a split brain", {"split": ("n1",)}, "n1 says that both sides were written"),
    ("who is given up is there", {"sides": (replace(LEFT, state=runs("UpToDate", "Primary", peer())), NEW)},
     "n1 is still connected to 192.0.2.9"),
    ("no module", {"sides": new(version=())}, "n2 has no module of DRBD"),
    ("another DRBD", {"sides": new(version=(9, 2, 4))}, "n2 has DRBD 9.2.4, and generation 8 is described"),
    ("no disk", {"sides": new(lowers=(lower(size=0),))}, "/dev/vg/web1 of n2 is not there: make it, with 67108864 bytes"),
    ("too small", {"sides": new(lowers=(lower(size=SIZE - 1),))}, "/dev/vg/web1 of n2 has 67108863 bytes"),
    ("not empty", {"sides": new(lowers=(lower(holds="ext4"),))}, "/dev/vg/web1 of n2 is not empty (ext4)"),
    ("another time", {"sides": new(lowers=(lower(uuid=0xABC),))}, "DRBD's metadata of another time"),
    ("it is away", {"away": ("n2",), "sides": (LEFT,)}, "n2 is no member of the cluster now"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "change", "said"), CASES, ids=[case[0] for case in CASES])
def test_what_speaks_against_it(what, change, said):
    assert said in against(**change)


def test_a_disk_of_the_mirror_that_was_only_away_is_no_disk_of_another_time():
    known = replace(
        BACK, sides=(BACK.sides[0], replace(BACK.sides[1], lowers=(lower(uuid=0xABC, holds="ext4"),)))
    )
    assert objections(known) == ()
    assert [step.verb for step in repairing(known)] == [Verb.CLEAN, Verb.START, Verb.SYNC]


def test_of_three_hosts_the_one_that_is_left_may_be_connected():
    nine = (9, 2, 4)
    new = Side("n3", "192.0.2.3", version=nine, lowers=(lower(),))

    def said(lost):
        peers = (replace(peer(), name="n2"), replace(peer(state=lost), name="n9"))
        left = replace(
            LEFT, version=nine, peers=frozenset({TWO, LOST}), state=runs("UpToDate", "Primary", *peers)
        )
        return objections(Now("web1", (left, replace(OTHER, version=nine), new), FILE, 9))

    assert said("Connecting") == ()
    assert "n1 is still connected to 192.0.2.9" in said("Connected")[0]


def test_nothing_speaks_against_doing_nothing():
    assert objections(replace(RETURNED, leftover=(), split=("n1",))) == ()


def test_a_side_that_stands_alone_is_connected_again():
    alone = replace(OTHER, state=runs("Outdated", "Secondary", peer(state="StandAlone")))
    left = replace(WHOLE, state=runs("UpToDate", "Primary", peer("Outdated", "Connecting")))
    now = Now("web1", (left, alone), FILE)
    assert [(step.verb, step.where) for step in repairing(now)] == [(Verb.CONNECT, "n2"), (Verb.SYNC, "")]


def test_how_far_it_is_is_said_by_who_gives():
    giving = replace(
        WHOLE, state=runs("UpToDate", "Primary", peer("Inconsistent", replication="SyncSource", done=41.5))
    )
    taking = replace(
        OTHER, state=runs("Inconsistent", "Secondary", peer(replication="SyncTarget", done=40.0))
    )
    assert progress((taking, giving)) == "volume 0 is 41.5 % done"
    assert progress((LEFT, OTHER)) == "n1 to be connected and up to date"
    assert progress((WHOLE, OTHER)) == ""
