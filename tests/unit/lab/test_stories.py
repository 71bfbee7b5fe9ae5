# SPDX-License-Identifier: GPL-2.0-or-later
"""The stories as data: what each lets the cluster do, and what it may not do."""

from __future__ import annotations

import pytest

from backstay.errors import BadInput
from backstay.lab.actions import Action, Fencing
from backstay.lab.expected import NOTHING
from backstay.lab.faults.catalogue import FAULTS
from backstay.lab.stories import FURTHER, STORIES, Scene, choose

SCENE = Scene(("n3",), ("web1",))
EVERYWHERE = Scene(("n1", "n2", "n3"), ("db1", "web1"))


def story(name):
    return next(each for each in (*STORIES, *FURTHER) if each.name == name)


def did(operation, resource="web1", host="n3", result="ok"):
    return Action(1.0, host, resource, operation, result)


FENCED = Fencing(1.0, "n3", "n1", "reboot", "OK", "e1")


def test_every_story_has_its_fault_and_a_name_of_its_own():
    every = (*STORIES, *FURTHER)
    assert {each.fault for each in every} <= set(FAULTS)
    assert len({each.name for each in every}) == len(every)
    assert [each.chapter for each in STORIES] == sorted(each.chapter for each in STORIES)


@pytest.mark.parametrize("name", ["hung", "stalled", "crashed", "crash-loop", "broken-everywhere"])
@pytest.mark.parametrize(
    "deed", [did("stop"), did("start"), did("stop", "libvirtd"), did("migrate_to"), FENCED]
)
def test_what_is_healed_in_place_justifies_nothing(name, deed):
    scene = EVERYWHERE if story(name).everywhere else SCENE
    assert story(name).expected(scene).needless([deed]) == (deed,)


LEAVING = [did("stop"), did("start", host="n1")]


@pytest.mark.parametrize(
    ("deeds", "needless"),
    [
        (LEAVING, ()),
        ([did("migrate_to", result="error"), did("stop", host="n1"), *LEAVING], ()),
        ([*LEAVING, did("stop", "libvirtd"), did("start", "libvirtd", result="error")], ()),
        ([*LEAVING, did("stop", "web2")], (did("stop", "web2"),)),
        ([*LEAVING, did("stop", "libvirtd", "n1")], (did("stop", "libvirtd", "n1"),)),
        ([*LEAVING, did("start", host="n2")], (did("start", host="n2"),)),
        ([*LEAVING, FENCED], (FENCED,)),
    ],
)
def test_leaving_is_an_orderly_stop_and_one_start(deeds, needless):
    for name in ("broken", "uninstalled"):
        expected = story(name).expected(SCENE)
        assert expected.needless(deeds) == needless
        assert expected.missing(deeds) == ()


@pytest.mark.parametrize("name", ["power", "cut-off"])
def test_a_lost_host_is_fenced_and_its_guests_start(name):
    expected = story(name).expected(SCENE)
    assert (
        expected.needless(
            [FENCED, did("start", host="n2"), did("start", "libvirtd"), did("start", "fence-n1")]
        )
        == ()
    )
    assert [str(permit) for permit in expected.missing([did("start", host="n2")])] == ["fencing of n3"]
    assert [str(permit) for permit in expected.missing([FENCED])] == ["start of web1"]
    assert expected.needless([did("start", "web2", "n2")]) == (did("start", "web2", "n2"),)


def test_some_stories_in_the_order_of_the_demo():
    assert [each.name for each in choose(("power", "hung"))] == ["hung", "power"]
    assert choose(()) == STORIES
    with pytest.raises(BadInput, match="no story 'pwer'"):
        choose(("power", "pwer"))


@pytest.mark.parametrize("name", ["reboot", "drain"])
def test_a_host_that_is_left_in_order_has_its_guests_moved_alive_and_none_restarted(name):
    expected = story(name).expected(SCENE)
    moved = [did("migrate_to"), did("migrate_from", host="n1"), did("stop")]
    around = [did("stop", "libvirtd"), did("start", "libvirtd"), did("start", "fence-n1", "n2")]
    assert expected.needless([*moved, *around]) == ()
    assert expected.missing([*moved, *around]) == ()
    assert expected.needless([did("start"), FENCED]) == (did("start"), FENCED)
    assert {permit.operation for permit in expected.missing(moved[2:])} == {"migrate_to", "migrate_from"}


def test_a_killed_guest_is_started_once_and_its_neighbour_never():
    expected = story("killed").expected(Scene(("n3",), ("db1", "web1")))
    assert expected.needless([did("stop", "db1"), did("start", "db1", "n1")]) == ()
    assert expected.needless([did("start", "db1"), did("start", "db1")]) == (did("start", "db1"),)
    assert expected.needless([did("start")]) == (did("start"),)


@pytest.mark.parametrize("name", ["stopped", "io-error"])
@pytest.mark.parametrize("deed", [did("stop", "db1"), did("start", "db1"), did("migrate_to", "db1"), FENCED])
def test_a_guest_that_is_broken_itself_may_fall_silent_and_nothing_may_be_done_about_it(name, deed):
    expected = story(name).expected(Scene(("n3",), ("db1", "web1")))
    assert (expected.touches("db1"), expected.touches("web1")) == (True, False)
    assert expected.needless([deed]) == (deed,)


def test_a_guest_that_takes_over_parameters_neither_stops_nor_falls_silent():
    expected = NOTHING.reloading("db1", "n3", most=2)
    assert not expected.touches("db1")
    reload = did("reload-agent", "db1", "n3")
    assert expected.needless([reload, reload]) == ()
    assert expected.needless([reload, reload, reload]) == (reload,)
    assert expected.needless([did("stop", "db1", "n3")])
    assert expected.needless([did("reload-agent", "db1", "n1")])
