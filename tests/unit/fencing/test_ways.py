# SPDX-License-Identifier: GPL-2.0-or-later
"""When the second cipher suite is taken, and what a second command after a cycle is."""

from __future__ import annotations

import pytest

from backstay.fencing.ways import Cycling, Falling
from backstay.host.bmc import Kind, Power, Trouble

NO_SUITE = Trouble(Kind.SUITE)
OTHERS = [Trouble(kind) for kind in Kind if kind is not Kind.SUITE]


class Bmc:
    """Gives the same answer to everything and remembers what it was asked."""

    def __init__(self, answer: Trouble | None = None) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def power(self, timeout: float) -> Power | Trouble:
        self.asked.append("power")
        return self.answer or Power.ON

    def switch(self, wanted: Power, timeout: float) -> Trouble | None:
        self.asked.append(wanted.value)
        return self.answer

    def cycle(self, timeout: float) -> Trouble | None:
        self.asked.append("cycle")
        return self.answer

    def guid(self, timeout: float) -> bytes | Trouble:
        self.asked.append("guid")
        return self.answer or bytes(16)


def test_the_second_suite_is_taken_for_good_and_said_once():
    first, second, said = Bmc(NO_SUITE), Bmc(), []
    both = Falling(first, second, lambda: said.append("fell"))
    assert both.fell is False
    assert both.power(1) is Power.ON
    assert both.switch(Power.OFF, 1) is None
    assert both.guid(1) == bytes(16)
    assert (first.asked, second.asked) == (["power"], ["power", "off", "guid"])
    assert said == ["fell"]
    assert both.fell


@pytest.mark.parametrize("trouble", OTHERS, ids=lambda trouble: trouble.kind.name)
def test_no_other_trouble_leads_to_the_second_suite(trouble):
    second = Bmc()
    assert Falling(Bmc(trouble), second, lambda: None).power(1) == trouble
    assert second.asked == []


def test_the_second_suite_is_only_taken_when_there_is_one_and_it_is_offered():
    said: list[str] = []
    assert Falling(Bmc(NO_SUITE), None, lambda: said.append("fell")).power(1) == NO_SUITE
    assert Falling(Bmc(NO_SUITE), Bmc(NO_SUITE), lambda: said.append("fell")).power(1) == NO_SUITE
    assert said == []


def test_a_trouble_of_the_second_suite_is_the_one_that_tells():
    wrong = Trouble(Kind.PASSWORD)
    assert Falling(Bmc(NO_SUITE), Bmc(wrong), lambda: None).power(1) == wrong


def test_the_command_after_a_cycle_is_a_plain_off():
    bmc = Bmc()
    cycling = Cycling(bmc)
    for wanted in (Power.OFF, Power.OFF, Power.ON):
        cycling.switch(wanted, 1)
    assert bmc.asked == ["cycle", "off", "on"]


@pytest.mark.parametrize("trouble", [None, Trouble(Kind.REFUSED, 0xD4)])
def test_what_the_bmc_answers_is_handed_on_unaltered(trouble: Trouble | None):
    both = Falling(Bmc(trouble), Bmc(), lambda: None)
    assert [both.cycle(1), both.switch(Power.OFF, 1)] == [trouble, trouble]
    assert [both.power(1), both.guid(1)] == ([trouble] * 2 if trouble else [Power.ON, bytes(16)])
