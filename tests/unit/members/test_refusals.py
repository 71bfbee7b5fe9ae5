# SPDX-License-Identifier: GPL-2.0-or-later
"""What speaks against a host that comes, goes or is replaced: a row for each, and nothing where all is well."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backstay.members.refusals import ADD, REMOVE, REPLACE, Case, Corosync, is_examined, left_behind, refusals
from backstay.members.steps import Mark, Now, Phase, Step, Verb, joining, leaving, replacing

TABLES = {ADD: joining, REMOVE: leaving, REPLACE: replacing}
THERE = Now("n4", members=("n1", "n2"), joined=True, active=True, listed=True)
AWAY = replace(THERE, joined=False, active=False)
NODES = ("n1", "n2", "n4")


def case(verb: str, now: Now, **besides: object) -> Case:
    made = Case(verb, now, TABLES[verb](now), "192.0.2.4")
    return replace(made, **besides)  # type: ignore[arg-type]


@pytest.mark.parametrize("verb", TABLES)
def test_nothing_speaks_against_it_where_all_is_well(verb: str) -> None:
    now = replace(THERE, changed=True, stale=("n1",))
    well = Corosync(NODES, votes=3, members=3, majority=True)
    assert refusals(case(verb, now, corosync=well)) == ()


def test_what_is_asked_is_what_matters() -> None:
    """The scheduler, crm_mon and Corosync are asked for nothing that the steps do not depend on."""
    assert case(ADD, replace(THERE, stale=("n1",))).rewrites
    assert not case(ADD, THERE).rewrites
    assert case(REMOVE, THERE).drains
    assert case(REPLACE, replace(THERE, changed=True)).drains
    assert not case(REPLACE, AWAY).drains
    assert case(REMOVE, AWAY).may_be_unclean
    for verb, now in ((REMOVE, THERE), (REMOVE, replace(AWAY, listed=False)), (ADD, AWAY), (REPLACE, AWAY)):
        assert not case(verb, now).may_be_unclean


def test_a_drain_that_goes_on_is_not_judged_again() -> None:
    """Guests that are under way speak against a drain that begins, and not against the one that moves them."""
    begun = replace(THERE, busy=("web1",), standby=True, mark=Mark(Phase.LEAVING, 1))
    assert not case(REMOVE, begun).drains


def test_what_a_drain_would_hurt_is_said() -> None:
    assert refusals(case(REMOVE, THERE, harm=("no room for web1; make room",))) == (
        "no room for web1; make room",
    )


def test_a_host_that_may_still_run_is_not_forgotten() -> None:
    (said,) = refusals(case(REMOVE, AWAY, unclean=True))
    assert said == "n4 is unclean: the cluster does not know yet that it is off"


@pytest.mark.parametrize(
    ("verb", "votes", "members", "joined", "kept"),
    [
        (REMOVE, 3, 2, True, True),
        (REMOVE, 3, 3, True, True),
        (REMOVE, 3, 4, True, False),
        (REMOVE, 2, 2, True, False),
        (REMOVE, 2, 2, False, True),
        (REPLACE, 3, 4, True, False),
        (REPLACE, 3, 4, False, True),
        (ADD, 3, 4, True, True),
        (ADD, 3, 4, False, True),
        (ADD, 2, 4, False, False),
    ],
)
def test_quorum_is_kept_by_those_that_stay(
    verb: str, votes: int, members: int, joined: bool, kept: bool
) -> None:
    """The vote of a host that goes, or is replaced while it is there, does not count; that of a new one not yet."""
    now = replace(THERE, joined=joined, changed=True)
    seen = case(verb, now, corosync=Corosync(NODES, votes, members, majority=True))
    said = f"with {members} members a quorum needs {members // 2 + 1} votes, more than are there"
    assert refusals(seen) == (() if kept else (said,))


def test_a_device_and_the_rules_of_two_count_votes_by_themselves() -> None:
    assert refusals(case(REMOVE, THERE, corosync=Corosync(NODES, 2, 4, majority=False))) == ()


def test_who_is_away_and_what_would_be_lost_speak_against_it() -> None:
    seen = case(REMOVE, THERE, corosync=Corosync(NODES, 3, 2, True, ("lost",)))
    assert refusals(seen) == ("lost (insist with --replace-settings)",)
    assert refusals(replace(seen, settings=True)) == ()
    assert refusals(replace(seen, settings=True, now=replace(THERE, members=("n1",)))) == (
        "n2 is away, and would come back with an old corosync.conf",
    )


def test_a_member_does_not_get_another_address_by_being_added() -> None:
    """Corosync would have to let go of the old machine, which nobody has seen off."""
    elsewhere = replace(THERE, moved=True, naming=("n1",))
    for now in (elsewhere, replace(elsewhere, joined=False)):
        (said,) = refusals(case(ADD, now))
        assert said.endswith("backstay host replace n4")
    assert refusals(case(ADD, replace(elsewhere, joined=False, mark=Mark(Phase.REPLACED, 1)))) == ()
    assert refusals(case(REPLACE, replace(elsewhere, changed=True))) == ()


def test_what_the_cluster_does_not_know_is_not_replaced() -> None:
    """Nothing is switched off, and no record of it is made, for a host that never was one."""
    (said,) = refusals(case(REPLACE, replace(AWAY, listed=False, changed=True)))
    assert said.endswith("backstay host add n4")


def test_the_new_machine_is_not_switched_off_in_place_of_the_old_one() -> None:
    """It has the old one's BMC address and answers: only an admin can know whether the old one is off."""
    seen = case(REPLACE, AWAY)
    (said,) = refusals(seen)
    assert said.startswith("a machine answers at 192.0.2.4")
    assert "--old-is-off" in said
    assert refusals(replace(seen, old_is_off=True)) == ()
    assert refusals(case(REPLACE, replace(AWAY, changed=True))) == ()
    assert refusals(case(REPLACE, replace(AWAY, reached=False))) == ()


NEW = Now("n4", members=("n1",), loaded=False, keyless=("n4",))


@pytest.mark.parametrize(
    ("verb", "now", "examined"),
    [
        (ADD, NEW, True),
        (ADD, replace(NEW, reached=False), False),
        (ADD, THERE, False),
        (REMOVE, THERE, False),
        (REPLACE, replace(AWAY, changed=True, keyless=("n4",)), True),
        (REPLACE, replace(THERE, changed=True, keyless=("n4",)), False),
    ],
)
def test_the_machine_that_something_is_done_to_is_examined(verb: str, now: Now, examined: bool) -> None:
    """Of a replacement with the address of the old machine it is the old one that answers until it is off."""
    assert case(verb, now).examines is examined


def test_what_is_done_to_a_new_machine_waits_for_its_examination() -> None:
    assert is_examined(ADD, Step(Verb.KEY, "n4"))
    assert is_examined(REPLACE, Step(Verb.CLEAR))
    assert not is_examined(REMOVE, Step(Verb.KEY, "n4"))
    assert not is_examined(ADD, Step(Verb.APPLY))


def test_what_stays_on_a_host_that_cannot_be_reached_is_said() -> None:
    gone = replace(AWAY, reached=False)
    (said,) = left_behind(case(REMOVE, gone))
    assert said.text == "n4 cannot be reached: its key and configuration stay on it"
    for seen in (case(REMOVE, AWAY), case(REMOVE, replace(gone, listed=False)), case(ADD, gone)):
        assert list(left_behind(seen)) == []
