# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that speaks against a drill: one row for each, and nothing in the situation where all is well."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from backstay.fencing.configuration import Device, Fencing, Level
from backstay.fencing.drill import (
    ALLOW_STOP,
    OLD,
    ONLY_THESE,
    UNTESTED,
    devices_for_the_record,
    draining,
    ready_devices,
    refusals,
    standing,
    tried_devices,
)
from backstay.fencing.drill_marks import Open
from backstay.fencing.drill_situation import Foreseen, Host, Situation, Votes
from backstay.fencing.readiness import Cell, State

AT = 100000.0
MOVES = (("db1", "n1"), ("web1", "n3"))


def cell(asker: str, device: str = "fence-n2", state: State = State.READY, at: float = AT) -> Cell:
    return Cell(asker, device, "n2", state, at)


def fencing(*levels: Level, **properties: str) -> Fencing:
    names = {name.replace("_", "-"): value for name, value in properties.items()}
    return Fencing(("n1", "n2", "n3"), (), levels, MappingProxyType(names))


def situation(**more: Any) -> Situation:
    hosts = more.pop("hosts", (Host("n1"), Host("n2"), Host("n3")))
    well = Situation(
        "n2",
        "n1",
        AT,
        hosts,
        Votes(3, 2, {"n1": 1, "n2": 1, "n3": 1}),
        fencing(),
        (cell("n1"), cell("n3")),
        Foreseen(moves=MOVES, guests=("db1", "web1")),
        seen=2,
    )
    return replace(well, **more)


def said(now: Situation, *insisted: str) -> list[str]:
    return [one.text for one in refusals(now, insisted)]


def test_nothing_speaks_against_it_when_all_is_well() -> None:
    assert refusals(situation()) == standing(situation()) == ()


LEVELS = (Level("n2", 2, ("pdu",)), Level("n2", 1, ("fence-n2", "fence-n2b")))
WITHIN = [
    ({"here": "n2"}, "n2 is this host"),
    ({"hosts": (Host("n1"), Host("n2"), Host("n3", unclean=True))}, "n3 is unclean"),
    ({"hosts": (Host("n1"), Host("n2"), Host("n3", online=False))}, "n3 is offline"),
    ({"hosts": (Host("n1"), Host("n2"), Host("n3", pending=True))}, "n3 is joining"),
    ({"hosts": (Host("n1"), Host("n2", maintenance=True), Host("n3"))}, "n2 is in maintenance"),
    ({"fenced": ("n3",)}, "n3 is being fenced now"),
    ({"fencing": fencing(stonith_enabled="false")}, "stonith-enabled is false"),
    ({"fencing": fencing(maintenance_mode="true")}, "the cluster is in maintenance mode"),
    ({"votes": Votes(3, 3, {"n1": 1, "n2": 1, "n3": 1})}, "have 2 of the 3 votes of a quorum"),
    ({"votes": Votes(4, 3, {"n1": 1, "n2": 2, "n3": 1})}, "have 2 of the 3 votes of a quorum"),
    ({"votes": Votes(2, 2, {"n1": 1, "n3": 1})}, "Corosync does not name n2"),
    ({"cells": ()}, "there is no proof"),
    ({"cells": (cell("n2"),)}, "there is no proof"),
    ({"cells": (cell("n1", at=AT - OLD - 1),)}, "no proof is younger than two hours"),
    ({"cells": (cell("n1", state=State.ROLE),)}, "no device is ready to fence n2 (fence-n2 from n1: role)"),
    (
        {"cells": (cell("n1", state=State.UNTESTED),)},
        "nothing has proven yet that fence-n2 can switch n2 off",
    ),
    ({"fencing": fencing(*LEVELS)}, "whether n2 could be fenced is not known"),
]
BEFORE = [
    ({"hosts": (Host("n1"), Host("n2", standby=True), Host("n3"))}, "n2 is in standby"),
    ({"hosts": (Host("n1", standby=True), Host("n2"), Host("n3"))}, "n1 is in standby"),
    ({"open": (Open("n3", 0.0, "n1"),)}, "a drill of n3 is not over (begun 1970-01-01T00:00:00Z from n1"),
    ({"foreseen": Foreseen(unsettled=("db1 starts on n3",)), "seen": 0}, "has not settled: db1 starts on n3"),
    ({"foreseen": Foreseen(stranded=("db1",)), "seen": 0}, "db1 would have no place"),
    ({"foreseen": Foreseen(harm=("db1 stops on n2",)), "seen": 0}, "draining it would hurt: db1 stops on n2"),
    ({"foreseen": Foreseen(stays=("db1",), guests=("db1",)), "seen": 1}, "db1 would not leave n2 and die"),
    ({"foreseen": Foreseen(crowded=("n3 is full",)), "seen": 0}, "n3 is full"),
    ({"seen": 3}, "1 guest on n2 would die with it"),
    ({"seen": 5}, "3 guests on n2 would die with it"),
    ({"seen": None}, "what else runs on n2 is not known"),
]


@pytest.mark.parametrize(("what", "text"), [*WITHIN, *BEFORE], ids=lambda value: str(value)[:40])
def test_each_reason_is_said(what: dict[str, Any], text: str) -> None:
    assert [text in sentence for sentence in said(situation(**what))] == [True]


@pytest.mark.parametrize(("what", "text"), WITHIN, ids=lambda value: str(value)[:40])
def test_what_does_not_pass_by_itself_still_counts_at_the_last_moment(
    what: dict[str, Any], text: str
) -> None:
    assert [text in one.text for one in standing(situation(**what))] == [True]


@pytest.mark.parametrize("what", [what for what, _ in BEFORE], ids=str)
def test_what_the_drain_itself_changes_does_not_count_then(what: dict[str, Any]) -> None:
    assert standing(situation(**what)) == ()


def test_all_reasons_are_said_at_once() -> None:
    now = situation(cells=(), seen=None, votes=Votes(2, 2, {"n1": 1, "n2": 1}), fenced=("n1",))
    assert len(said(now)) == 4


@pytest.mark.parametrize(
    ("what", "option", "left"),
    [
        ({"foreseen": Foreseen(harm=("db1 stops on n2",)), "seen": 0}, ALLOW_STOP, 0),
        ({"foreseen": Foreseen(harm=("db1 stops on n2",)), "seen": 0}, ONLY_THESE, 1),
        ({"seen": None}, ONLY_THESE, 0),
        ({"seen": 3}, ONLY_THESE, 1),
        ({"cells": ()}, ALLOW_STOP, 1),
        ({"cells": (cell("n1", state=State.UNTESTED),)}, UNTESTED, 0),
        ({"cells": (cell("n1", state=State.UNTESTED),)}, ALLOW_STOP, 1),
        ({"cells": (cell("n1", state=State.SILENT),)}, UNTESTED, 1),
    ],
)
def test_what_may_be_insisted_on(what: dict[str, Any], option: str, left: int) -> None:
    assert len(said(situation(**what), option, "")) == left


@pytest.mark.parametrize(
    ("good", "way"),
    [
        (("fence-n2", "fence-n2b", "pdu"), ("fence-n2", "fence-n2b")),
        (("fence-n2", "pdu"), ("pdu",)),
        (("fence-n2",), ()),
        ((), ()),
    ],
)
def test_a_level_is_ready_when_all_its_devices_are(good: tuple[str, ...], way: tuple[str, ...]) -> None:
    cells = tuple(cell("n3", name) for name in good)
    assert ready_devices(situation(cells=cells, fencing=fencing(*LEVELS))) == way


def test_what_was_insisted_on_holds_until_the_last_moment() -> None:
    now = situation(cells=(cell("n1", state=State.UNTESTED),))
    assert [len(standing(now, insisted)) for insisted in ((), (UNTESTED,), (ONLY_THESE,))] == [1, 0, 1]


def test_a_drill_proves_an_untested_device_where_no_other_way_is_ready() -> None:
    untested = cell("n1", "pdu", State.UNTESTED)
    levels = fencing(Level("n2", 1, ("fence-n2",)), Level("n2", 2, ("pdu",)))
    both = situation(cells=(cell("n1"), untested), fencing=levels)
    assert tried_devices(both) == ready_devices(both) == ("fence-n2",)
    alone = situation(cells=(untested, cell("n1", state=State.SILENT)), fencing=levels)
    assert (tried_devices(alone), ready_devices(alone)) == (("pdu",), ())


def device(name: str, enabled: bool = True) -> Device:
    return Device(name, "fence_other", {}, ("n2",), enabled=enabled)


@pytest.mark.parametrize(
    ("levels", "devices", "record"),
    [
        ((), (device("fence-n2"),), "fence-n2"),
        ((), (device("fence-n2"), device("pdu")), "fence-n2|pdu"),
        ((), (device("fence-n2"), device("pdu", enabled=False)), "fence-n2"),
        ((("fence-n2",), ("pdu",)), (device("fence-n2"), device("pdu")), "fence-n2|pdu"),
        ((("fence-n2",), ("pdu",)), (device("fence-n2"), device("pdu", enabled=False)), "fence-n2"),
        ((("fence-n2", "fence-n2b"),), (device("fence-n2"), device("fence-n2b")), "fence-n2,fence-n2b"),
    ],
)
def test_the_record_names_every_device_that_may_have_done_it(levels, devices, record) -> None:
    topology = tuple(Level("n2", number, names) for number, names in enumerate(levels, 1))
    cells = (cell("n1"), cell("n1", "fence-n2b"))[: 2 if "b" in record else 1]
    now = situation(cells=cells, fencing=replace(fencing(*topology), devices=devices))
    assert devices_for_the_record(now) == record


@pytest.mark.parametrize(
    ("copies", "hosts", "refused"),
    [
        ({"n2"}, (Host("n1"), Host("n2"), Host("n3")), True),
        ({"n1", "n2"}, (Host("n1"), Host("n2"), Host("n3")), False),
        ({"n1", "n2"}, (Host("n1", standby=True), Host("n2"), Host("n3")), True),
        ({"n1"}, (Host("n1"), Host("n2"), Host("n3")), False),
        (set(), (Host("n1"), Host("n2"), Host("n3")), False),
    ],
)
def test_the_last_copy_of_data_is_not_switched_off(copies, hosts, refused) -> None:
    now = situation(copies={"drbd-web1": frozenset(copies)}, hosts=hosts)
    text = "n2 has the only current copy of the data of drbd-web1 that is known"
    assert (text in said(now)) == (text in [one.text for one in standing(now)]) == refused


def test_a_level_for_a_pattern_is_one() -> None:
    levels = (Level("@n.*", 1, ("fence-n2", "pdu")),)
    assert ready_devices(situation(fencing=fencing(*levels))) == (), "one device of two is no way"


def test_a_host_that_is_away_proves_nothing() -> None:
    hosts = (Host("n1"), Host("n2"), Host("n3", online=False))
    assert ready_devices(situation(hosts=hosts, cells=(cell("n3"),))) == ()
    assert ready_devices(situation(hosts=hosts, cells=(cell("n3"), cell("n1")))) == ("fence-n2",)


def test_a_device_that_nobody_can_watch_is_no_reason_to_stay() -> None:
    """Of two hosts one goes for good: the device of the other has no place left, and a guest without one counts."""
    now = situation(
        fencing=replace(fencing(), devices=(Device("fence-n1", "fence_ipmilan", {}, ("n1",)),)),
        foreseen=Foreseen(stranded=("fence-n1", "web2")),
        seen=0,
    )
    assert [one.text for one in draining(now)] == ["web2 would have no place"]
