# SPDX-License-Identifier: GPL-2.0-or-later
"""What faults that were injected by hand justify, derived from the ledger and what the witness heard."""

from __future__ import annotations

from backstay.lab import demo, records, review
from backstay.lab.audit import NOTHING
from backstay.lab.faults.ledger import INJECTED, Entry
from backstay.lab.records import Heard, Record
from backstay.lab.review import derive
from backstay.lab.stories import STORIES, Scene

GUESTS = {"u1": "web1", "u2": "db1"}


def injected(fault, host, at):
    return Entry(at, at, INJECTED, fault, host)


def speaking(at):
    heard = (
        Heard(Record("u1", "b", 1, "run"), "n3", at, at),
        Heard(Record("u2", "b", 1, "run"), "n1", at, at),
    )
    return records.Testimony(heard)


def expected(name, hosts, guests):
    return next(s for s in STORIES if s.name == name).expected(Scene(hosts, guests))


def test_each_fault_lasts_until_the_next_one():
    entries = [injected("cut-power", "n3", 100.0), injected("hang-libvirtd", "n1", 200.0)]
    first, second = derive(entries, speaking(99.0), GUESTS, 300.0)
    assert (first.name, first.begin, first.end) == ("cut-power", 100.0, 200.0)
    assert (second.name, second.begin, second.end) == ("hang-libvirtd", 200.0, 300.0)
    assert first.expected == expected("power", ("n3",), ("web1",))
    assert second.expected == NOTHING


def test_the_same_fault_on_several_hosts_at_once_is_one():
    entries = [
        injected("break-libvirtd", host, 100.0 + number) for number, host in enumerate(("n1", "n2", "n3"))
    ]
    (everywhere,) = derive(entries, speaking(99.0), GUESTS, 300.0)
    assert everywhere.expected == NOTHING


def test_the_same_fault_later_is_another_one():
    entries = [injected("break-libvirtd", "n3", 100.0), injected("break-libvirtd", "n1", 150.0)]
    first, second = derive(entries, speaking(99.0), GUESTS, 300.0)
    assert first.expected == expected("broken", ("n3",), ("web1",))
    assert (second.begin, second.expected) == (150.0, expected("broken", ("n1",), ()))


def test_a_guest_that_was_silent_before_the_fault_was_not_there():
    (period,) = derive([injected("cut-power", "n3", 100.0)], speaking(50.0), GUESTS, 300.0)
    assert period.expected == expected("power", ("n3",), ())


def test_a_fault_without_a_story_justifies_nothing():
    (period,) = derive([injected("drop-bmc", "n3", 100.0)], speaking(99.0), GUESTS, 300.0)
    assert period.expected == NOTHING


def test_a_fault_that_the_demo_does_not_have_is_judged_by_its_story_too():
    (period,) = derive([injected("drain", "n3", 100.0)], speaking(99.0), GUESTS, 300.0)
    assert period.expected.missing([]) != ()
    assert period.expected.touches("web1")


def test_a_demo_that_was_kept_can_be_judged_again():
    assert review.CALM_SECONDS < demo.CALM_SECONDS
