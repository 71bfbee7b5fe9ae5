# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of `backstay drbd grow`, played against a mirror that does what each step says, and what speaks against it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backstay.host.drbd_state import Connection, Device, PeerDevice, State
from backstay.mirror.grow import Guest, Now, Step, Verb, growing, objections
from backstay.mirror.sides import Lower, Side

MIB = 1 << 20
SMALL, BIG = 64 * MIB, 96 * MIB
USABLE = {SMALL: 67067904, BIG: 100622336}
"""What DRBD 8.4.11 has on a device of 64 MiB (recorded: drbdmeta, bm_offset), and by the same formula on one of 96."""


def runs(size, role="Secondary", disk="UpToDate", there="UpToDate", state="Connected"):
    device = Device(0, 10, disk, size=size // 1024)
    return State(
        "web1", role, (), (device,), (Connection("peer", 0, state, "Secondary", (PeerDevice(0, there),)),)
    )


def side(name, size, drbd=USABLE[SMALL], role="Secondary", room=BIG, **how):
    below = (Lower(0, "/dev/vg/web1", size, room=room, extent=4 * MIB),)
    return Side(name, "", "", runs(drbd, role, **how), frozenset(), (8, 4, 11), below)


def now(*sides, **said):
    there = sides or (side("n1", SMALL, role="Primary"), side("n2", SMALL))
    return Now("web1", 0, BIG, there, **({"guest": Guest("n1", "vda", USABLE[SMALL])} | said))


def deed(seen: Now, step: Step) -> Now:
    if step.verb is Verb.EXTEND:
        sides = tuple(
            replace(one, lowers=(replace(one.lower(0), size=BIG),)) if one.name == step.where else one
            for one in seen.sides
        )
        return replace(seen, sides=sides)
    if step.verb is Verb.RESIZE:
        assert all(one.whole for one in seen.sides)
        assert all(one.lower(0).size >= BIG for one in seen.sides)
        first, second = seen.sides
        return replace(
            seen,
            sides=(
                replace(first, state=runs(USABLE[BIG], "Primary", there="Inconsistent")),
                replace(second, state=runs(USABLE[BIG], disk="Inconsistent")),
            ),
        )
    if step.verb is Verb.GUEST:
        return replace(seen, guest=replace(seen.guest, size=seen.size))
    return replace(seen, sides=(side("n1", BIG, seen.size, "Primary"), side("n2", BIG, seen.size)))


def play(seen: Now) -> tuple[list[tuple[str, str]], list[Now]]:
    done, on_the_way = [], []
    while steps := growing(seen):
        assert objections(seen) == ()
        assert len(done) < 20
        on_the_way.append(seen)
        done.append((steps[0].verb.name, steps[0].where))
        seen = deed(seen, steps[0])
    assert seen.size == USABLE[BIG]
    return done, [*on_the_way, seen]


WHOLE_COURSE = [("EXTEND", "n1"), ("EXTEND", "n2"), ("RESIZE", "n1"), ("GUEST", "n1"), ("SYNC", "")]


def test_below_first_then_drbd_then_the_guest():
    assert play(now())[0] == WHOLE_COURSE
    assert [(step.verb.name, step.where) for step in growing(now())] == WHOLE_COURSE


def test_wherever_it_is_killed_the_rest_is_what_was_left():
    done, seen = play(now())
    for number, where in enumerate(seen):
        assert play(where)[0] == done[number:]


def test_without_a_guest_there_is_nobody_to_tell():
    assert play(now(guest=None))[0] == [each for each in WHOLE_COURSE if each[0] != "GUEST"]


def test_a_resync_is_waited_for_before_drbd_is_made_bigger():
    taking = now(side("n1", BIG, role="Primary", there="Inconsistent"), side("n2", BIG, disk="Inconsistent"))
    assert [step.verb for step in growing(taking)] == [Verb.SYNC, Verb.RESIZE, Verb.GUEST, Verb.SYNC]


def test_what_drbd_keeps_for_itself_is_what_drbdmeta_says():
    assert now(side("n1", SMALL), side("n2", BIG)).usable == USABLE[SMALL]
    assert now(side("n1", BIG), side("n2", BIG)).usable == USABLE[BIG]
    three = now(side("n1", BIG), side("n2", BIG), side("n3", BIG), generation=9)
    assert three.usable == USABLE[BIG] - 4096


def test_drbd_that_stays_a_little_smaller_is_told_once():
    little = USABLE[BIG] - 8192
    seen = now(side("n1", BIG, little, "Primary"), side("n2", BIG, little), guest=Guest("n1", "vda", little))
    assert [step.verb for step in growing(seen)] == [Verb.RESIZE, Verb.GUEST, Verb.SYNC]
    assert growing(replace(seen, resized=True)) == ()


CASES = [
    ("smaller", now(side("n1", 128 * MIB, role="Primary"), side("n2", SMALL)), "never made smaller"),
    ("no room", now(side("n1", SMALL, role="Primary"), side("n2", SMALL, room=28 * MIB)),
     "of n2 needs 33554432 bytes more, and its volume group has 29360128"),
    ("no logical volume", now(side("n1", SMALL, role="Primary"), side("n2", SMALL, room=None)),
     "of n2 is no logical volume"),
    ("not there", now(side("n1", SMALL, role="Primary"), side("n2", 0)), "/dev/vg/web1 of n2 is not there"),
    ("disconnected", now(side("n1", SMALL, role="Primary", state="Connecting"), side("n2", SMALL)),
     "n1 does not have web1 connected"),
    ("without a disk", now(side("n1", SMALL, role="Primary"), side("n2", SMALL, disk="Diskless")), "n2 has no disk"),
    ("promoted nowhere", now(side("n1", SMALL), side("n2", SMALL)), "web1 is promoted nowhere"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "seen", "said"), CASES, ids=[case[0] for case in CASES])
def test_what_speaks_against_it(what, seen, said):
    assert said in "\n".join(objections(seen))


def test_what_somebody_made_bigger_by_hand_needs_no_logical_volume():
    seen = now(side("n1", BIG, role="Primary", room=None), side("n2", BIG, room=None))
    assert objections(seen) == ()
    assert [step.verb for step in growing(seen)] == [Verb.RESIZE, Verb.GUEST, Verb.SYNC]


def test_a_size_between_two_extents_is_rounded_up_and_then_enough():
    seen = replace(now(), wanted=BIG - 5)
    assert seen.short(seen.sides[0]) == 32 * MIB
    grown = replace(now(side("n1", BIG, USABLE[BIG], "Primary"), side("n2", BIG, USABLE[BIG]),
                        guest=Guest("n1", "vda", USABLE[BIG])), wanted=BIG - 5)  # fmt: skip
    assert (growing(grown), objections(grown)) == ((), ())
