# SPDX-License-Identifier: GPL-2.0-or-later
"""The tables of steps, played against a world that does what each step says: nothing early, nothing twice, no dead end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from backstay.members.steps import (
    WAITS,
    Mark,
    Now,
    Phase,
    Step,
    Verb,
    joining,
    leaving,
    mark,
    replacing,
)

MEMBERS = ("n1", "n2", "n3")
HOST = "n4"
Table = Callable[[Now], tuple[Step, ...]]

FRESH = Now(
    HOST,
    members=MEMBERS,
    written=False,
    loaded=False,
    keyless=(HOST,),
    leftovers=True,
    mounts=False,
    stale=(HOST, *MEMBERS),
    running=False,
)
FRESH_REMOTE = replace(FRESH, remote=True, keyless=("n2", HOST), leftovers=False, stale=(), running=True)
MEMBER = Now(HOST, members=MEMBERS, joined=True, active=True, listed=True)
MEMBER_THAT_GOES = replace(
    MEMBER,
    written=False,
    loaded=False,
    leftovers=True,
    stale=MEMBERS,
    running=False,
    busy=("web1",),
)
REMOTE_THAT_GOES = replace(MEMBER_THAT_GOES, remote=True, connected=True, stale=(), running=True)
OTHER_MACHINE = replace(
    MEMBER, changed=True, busy=("web1",), loaded=False, active=False, keyless=(HOST,),
    stale=(HOST, *MEMBERS), running=False, moved=True, naming=MEMBERS,
)  # fmt: skip
DEAD = replace(OTHER_MACHINE, joined=False, busy=(), changed=False, loaded=True)
SAME_ADDRESS = replace(DEAD, stale=(HOST,), running=True, moved=False, naming=())


def deed(now: Now, step: Step, table: Table) -> Now:
    """What is seen after a step."""
    going = table is leaving
    after = {
        Verb.WRITE: lambda: replace(now, written=True),
        Verb.STRIKE: lambda: replace(now, written=True),
        Verb.APPLY: lambda: replace(now, loaded=True, changed=False, connected=now.remote and not going),
        Verb.PROVE: lambda: replace(now, proven=now.proven | set(step.where.split(", "))),
        Verb.PROVE_OTHERS: lambda: replace(now, proven=now.proven | {HOST}),
        Verb.CLEAR: lambda: replace(now, leftovers=False),
        Verb.KEY: lambda: replace(now, keyless=tuple(name for name in now.keyless if name != step.where)),
        Verb.MOUNTS: lambda: replace(now, mounts=True),
        Verb.HOLD: lambda: (
            replace(now, mark=Mark(Phase.JOINING, 1), standby=True) if now.remote else replace(now, held=True)
        ),
        Verb.CONF: lambda: replace(now, stale=tuple(name for name in now.stale if name != step.where)),
        Verb.RELOAD: lambda: replace(now, running=True),
        Verb.OMIT: lambda: replace(now, naming=tuple(name for name in now.naming if name != step.where)),
        Verb.PART: lambda: replace(now, moved=False),
        Verb.START: lambda: replace(now, active=True),
        # The host's own capacity can be written only when Pacemaker knows it.
        Verb.JOIN: lambda: replace(now, joined=True, standby=True, listed=True, loaded=now.remote),
        Verb.RELEASE: lambda: replace(now, standby=False, mark=None, held=False),
        Verb.SET_ASIDE: lambda: replace(
            now, standby=True, mark=Mark(Phase.LEAVING if going else Phase.REPLACING, 1)
        ),
        Verb.EMPTY: lambda: replace(now, busy=()),
        Verb.DISCONNECT: lambda: replace(now, connected=False, joined=False),
        Verb.STOP: lambda: replace(now, active=False, joined=False),
        Verb.TIDY: lambda: replace(now, leftovers=False),
        Verb.FORGET: lambda: replace(now, listed=False, mark=None, standby=False),
        Verb.OFF: lambda: replace(now, joined=False, mark=Mark(Phase.REPLACED, 1), standby=True),
    }
    return after[step.verb]()


def play(start: Now, table: Table, killed: int | None = None) -> tuple[list[Step], Now]:
    """Do the first step and look again, until nothing is left; `killed` after so many steps, once, and begun again."""
    now, done = start, list[Step]()
    while steps := table(now):
        assert len(done) < 60, done[-5:]
        now = deed(now, steps[0], table)
        done.append(steps[0])
        if len(done) == killed:
            now = replace(now, proven=frozenset())
    return done, now


STORIES = {
    "a new member": (FRESH, joining),
    "a new remote host": (FRESH_REMOTE, joining),
    "a member that goes": (MEMBER_THAT_GOES, leaving),
    "a remote host that goes": (REMOTE_THAT_GOES, leaving),
    "another machine": (OTHER_MACHINE, replacing),
    "a machine in the place of a dead one": (DEAD, replacing),
    "a machine with the address of a dead one": (SAME_ADDRESS, replacing),
    "a dead member that goes": (
        replace(MEMBER_THAT_GOES, joined=False, active=False, reached=False, leftovers=False, busy=()),
        leaving,
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_each_story_ends_and_repeats_nothing(story: str) -> None:
    start, table = STORIES[story]
    done, end = play(start, table)
    assert table(end) == ()
    once = [step for step in done if step.verb is not Verb.APPLY]
    assert len(once) == len(set(once))
    assert end.written
    assert not end.open


@pytest.mark.parametrize("story", STORIES)
def test_it_ends_wherever_it_was_killed(story: str) -> None:
    start, table = STORIES[story]
    whole, wanted = play(start, table)
    for killed in range(1, len(whole)):
        done, end = play(start, table, killed)
        assert replace(end, proven=frozenset()) == replace(wanted, proven=frozenset()), killed
        changes = [step for step in done if step.verb not in WAITS and step.verb is not Verb.APPLY]
        assert len(changes) == len(set(changes)), killed


@pytest.mark.parametrize("story", STORIES)
def test_the_plan_is_what_is_done(story: str) -> None:
    start, table = STORIES[story]
    done, _ = play(start, table)
    planned = table(start)
    assert list(dict.fromkeys(step for step in done if step in planned)) == list(dict.fromkeys(planned))


def test_the_way_of_a_new_member() -> None:
    done, end = play(FRESH, joining)
    assert [(step.verb, step.where) for step in done] == [
        (Verb.WRITE, ""),
        (Verb.APPLY, ""),
        (Verb.PROVE, "n1, n2, n3"),
        (Verb.CLEAR, ""),
        (Verb.KEY, HOST),
        (Verb.MOUNTS, ""),
        (Verb.HOLD, ""),
        (Verb.CONF, HOST),
        (Verb.CONF, "n1"),
        (Verb.CONF, "n2"),
        (Verb.CONF, "n3"),
        (Verb.RELOAD, ""),
        (Verb.START, ""),
        (Verb.JOIN, ""),
        (Verb.APPLY, ""),
        (Verb.PROVE_OTHERS, ""),
        (Verb.RELEASE, ""),
    ]
    assert not end.standby


@pytest.mark.parametrize("story", ["a new member", "a new remote host", "another machine"])
def test_nothing_may_run_there_before_every_member_has_proven_it(story: str) -> None:
    start, table = STORIES[story]
    for killed in range(40):
        now, done, proven = start, list[Step](), set[str]()
        while steps := table(now):
            step = steps[0]
            if step.verb is Verb.RELEASE:
                assert set(MEMBERS) <= proven
            if step.verb is Verb.START:
                assert now.held or now.standby
            now = deed(now, step, table)
            proven |= set(step.where.split(", ")) if step.verb is Verb.PROVE else set()
            done.append(step)
            if len(done) == killed:
                now = replace(now, proven=frozenset())


def test_a_remote_host_is_in_standby_before_its_connection_is_loaded() -> None:
    done = [step.verb for step in play(FRESH_REMOTE, joining)[0]]
    assert done.index(Verb.HOLD) < done.index(Verb.APPLY) < done.index(Verb.JOIN) < done.index(Verb.PROVE)
    assert Verb.CONF not in done


def test_a_member_is_emptied_and_stopped_before_the_others_forget_it() -> None:
    done = [step.verb for step in play(MEMBER_THAT_GOES, leaving)[0]]
    order = [
        Verb.SET_ASIDE,
        Verb.EMPTY,
        Verb.STOP,
        Verb.TIDY,
        Verb.CONF,
        Verb.RELOAD,
        Verb.FORGET,
        Verb.APPLY,
    ]
    assert [verb for verb in dict.fromkeys(done) if verb in order] == order
    assert done[-1] is Verb.STRIKE


def test_the_fence_device_goes_when_there_is_nothing_left_to_fence() -> None:
    for story in ("a member that goes", "a remote host that goes"):
        start, table = STORIES[story]
        done = [step.verb for step in play(start, table)[0]]
        assert done.index(Verb.STOP) < done.index(Verb.APPLY), story


@pytest.mark.parametrize("story", ["another machine", "a machine in the place of a dead one"])
def test_the_old_machine_is_off_before_its_fence_device_is_another_one(story: str) -> None:
    start, table = STORIES[story]
    done = [step.verb for step in play(start, table)[0]]
    assert done.count(Verb.OFF) == 1
    later = [Verb.KEY, Verb.START, *([Verb.APPLY] if Verb.APPLY in done else [])]
    assert all(done.index(Verb.OFF) < done.index(verb) for verb in later)
    assert (Verb.EMPTY in done) is start.joined


def test_another_address_is_read_by_a_corosync_that_has_let_go_of_the_old_one() -> None:
    """Corosync 3.1.7 refuses the address of a member to change (CS_ERR_INVALID_PARAM), and takes a new member."""
    done, _ = play(OTHER_MACHINE, replacing)
    order = [Verb.OFF, Verb.OMIT, Verb.OMIT, Verb.OMIT, Verb.PART, *[Verb.CONF] * 4, Verb.RELOAD, Verb.START]
    assert [step.verb for step in done if step.verb in order] == order
    assert Verb.OMIT not in [step.verb for step in play(SAME_ADDRESS, replacing)[0]]


def test_a_host_that_is_in_place_needs_nothing() -> None:
    assert joining(MEMBER) == ()
    assert joining(replace(MEMBER, remote=True, connected=True)) == ()
    assert replacing(MEMBER) == ()
    gone = Now(HOST, members=MEMBERS, reached=False)
    assert leaving(gone) == ()
    assert leaving(replace(gone, remote=True)) == ()


def test_a_file_that_is_old_on_one_member_is_written_there_alone() -> None:
    now = replace(MEMBER, stale=("n2",), running=False)
    assert joining(now) == (Step(Verb.CONF, "n2"), Step(Verb.RELOAD))


def test_the_standby_of_an_admin_is_left_alone() -> None:
    assert joining(replace(MEMBER, standby=True)) == ()


def test_a_host_that_was_to_leave_comes_back() -> None:
    begun = replace(MEMBER, standby=True, mark=Mark(Phase.LEAVING, 5))
    assert [step.verb for step in joining(begun)] == [Verb.PROVE_OTHERS, Verb.RELEASE]


def test_a_mark_is_what_was_written() -> None:
    for phase in Phase:
        assert mark(Mark(phase, 1700000000).text()) == Mark(phase, 1700000000)
    for text in ("", "joining", "joining x", "elsewhere 5", "joining -1"):
        assert mark(text) is None


def test_every_verb_is_said_in_words() -> None:
    for verb in Verb:
        text = Step(verb, "n2").text(host=HOST, here="n1")
        assert "{" not in text
