# SPDX-License-Identifier: GPL-2.0-or-later
"""What the libvirtd agent remembers survives being written down, and nonsense is nothing."""

from __future__ import annotations

import pytest

from backstay.agents.libvirtd_memory import Memory


def test_written_and_read_again() -> None:
    memory = Memory()
    memory.attribute, memory.kind, memory.first, memory.since = "degraded:hung", "hung", 12.5, 13.5
    memory.pid, memory.start, memory.ticks, memory.when = 100, 4711, 7, 14.25
    memory.blocked, memory.heal, memory.heals, memory.alerted = "a b", 15.0, (15.0, 16.5), 17.0
    again = Memory.read(memory.text(), now=20.0)
    assert {name: getattr(again, name) for name in Memory.__slots__} == {
        name: getattr(memory, name) for name in Memory.__slots__
    }


@pytest.mark.parametrize(
    "text", ["", "nonsense", "first=yesterday\npid=many\nheals=a b\n", "first=inf\nticks=nan\n"]
)
def test_nonsense_is_an_empty_memory(text: str) -> None:
    memory = Memory.read(text, now=20.0)
    assert {name: getattr(memory, name) for name in Memory.__slots__} == {
        name: getattr(Memory(), name) for name in Memory.__slots__
    }


def test_what_lies_in_the_future_was_not() -> None:
    memory = Memory.read("first=30.0\nheals=5.0 30.0\nwhen=30\n", now=20.0)
    assert (memory.first, memory.when, memory.heals) == (0.0, 0.0, (5.0,))


def test_well_again_forgets_the_trouble_and_remembers_the_heals() -> None:
    memory = Memory.read(
        "attribute=degraded:hung\nkind=hung\nfirst=1\nsince=1\npid=5\nheal=2\nheals=2\nalerted=3\n", 20.0
    )
    memory.well()
    assert (memory.kind, memory.first, memory.since, memory.pid, memory.heal, memory.alerted) == (
        "",
        0,
        0,
        0,
        0,
        0,
    )
    assert (memory.attribute, memory.heals) == ("degraded:hung", (2.0,))
