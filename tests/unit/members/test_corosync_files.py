# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose corosync.conf is old, under which number it is written, and who runs with it, wherever a change was killed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backstay.cib import corosync_text
from backstay.cib.corosync import corosync_conf
from backstay.cloud.parse import parse
from backstay.errors import CannotAsk
from backstay.host.far import Machine
from backstay.members.corosync_files import Files

TEXT = """\
cluster: {name: demo}
hosts:
  n1: {address: 10.0.0.1, bmc: {address: 10.0.1.1, username: f, password_file: /etc/pw}}
  n2: {address: 10.0.0.2, bmc: {address: 10.0.1.2, username: f, password_file: /etc/pw}}
  n3: {address: 10.0.0.3, bmc: {address: 10.0.1.3, username: f, password_file: /etc/pw}}
domains:
  web1: {config: /srv/web1.xml, memory: 1 GiB, vcpus: 2, uuid: 5a3c1f0e-7d64-4b51-9a0e-0d1b00000001}
"""
PAIR = TEXT.replace(TEXT.splitlines(keepends=True)[4], "")
OLD = corosync_conf(parse(PAIR.encode(), "x"))
NEW = corosync_conf(parse(TEXT.encode(), "x"))


def running(*numbers: int) -> dict[str, str]:
    """What corosync-cmapctl says of members."""
    return {
        f"nodelist.node.{place}.{key}": value
        for place, number in enumerate(numbers)
        for key, value in (
            ("ring0_addr", f"10.0.0.{number}"),
            ("name", f"n{number}"),
            ("nodeid", f"{number}"),
        )
    }


def machine(name: str, conf: str | None = OLD, *, members: tuple[int, ...] = (1, 2)) -> Machine:
    return Machine(name, conf=conf, cmap=running(*members))


def files(*members: Machine, text: str = TEXT) -> Files:
    return Files("n3", parse(text.encode(), "x"), {one.name: one for one in members})


def both_of(files: Files, new: Machine) -> tuple[tuple[str, ...], bool]:
    return files.stale(new), files.running()


def numbered(number: int) -> str:
    return corosync_text.renewed(OLD, NEW, number)


FRESH = Machine("n3")


def test_everybodys_file_is_old_when_a_host_is_new() -> None:
    seen = files(machine("n1"), machine("n2"))
    assert both_of(seen, FRESH) == (("n3", "n1", "n2"), False)
    assert seen.base()[1] == 1


@pytest.mark.parametrize(
    "written", [("n3",), ("n3", "n1"), ("n3", "n2"), ("n1",), ("n2",), ("n3", "n1", "n2")]
)
def test_where_it_was_killed_does_not_matter(written: tuple[str, ...]) -> None:
    """Whoever has the new file keeps it, byte for byte, and the number does not rise once more."""
    new = numbered(1)
    members = [machine(name, new if name in written else OLD) for name in ("n1", "n2")]
    target = replace(FRESH, conf=new if "n3" in written else None)
    seen = files(*members)
    stale = seen.stale(target)
    assert set(stale) == {"n1", "n2", "n3"} - set(written)
    assert seen.base()[1] == 1
    assert corosync_text.renewed(seen.base()[0], NEW, 1) == new


def test_it_is_loaded_when_every_member_runs_with_it() -> None:
    new = numbered(5)
    both = [machine(name, new, members=(1, 2, 3)) for name in ("n1", "n2")]
    assert both_of(files(*both), replace(FRESH, conf=new)) == ((), True)
    one = [both[0], machine("n2", new)]
    assert both_of(files(*one), replace(FRESH, conf=new)) == ((), False)


OTHER = corosync_conf(parse(TEXT.replace("10.0.0.3", "10.0.0.9").encode(), "x"))
ALONE = corosync_conf(parse(TEXT.encode(), "x"), "n3")


def test_a_member_that_is_replaced_is_left_out_first_and_its_vote_stays_missing() -> None:
    """Wherever it is killed: what is not yet written or read follows, under a number that rises."""
    old = corosync_text.renewed(OTHER, OTHER, 7)
    members = [machine(name, old, members=(1, 2, 3)) for name in ("n1", "n2")]
    for one in members:
        one.cmap["nodelist.node.2.ring0_addr"] = "10.0.0.9"
    seen = files(*members)
    assert (seen.moved(), seen.naming(), seen.base("n3")[1]) == (True, ("n1", "n2"), 8)
    between = corosync_text.renewed(old, ALONE, 8)
    assert set(corosync_text.members(between)) == {"n1", "n2"}
    assert "expected_votes: 3" in between
    half = files(replace(members[0], conf=between), members[1])
    assert (half.moved(), half.naming(), half.base("n3")[1]) == (True, ("n2",), 8)
    both = [replace(one, conf=between) for one in members]
    assert (files(*both).moved(), files(*both).naming()) == (True, ())
    gone = files(*[replace(one, cmap=running(1, 2)) for one in both])
    assert (gone.moved(), gone.naming(), gone.base()[1]) == (False, (), 9)
    new = corosync_text.renewed(between, NEW, 9)
    assert "expected_votes" not in new
    there = files(*[machine(name, new, members=(1, 2, 3)) for name in ("n1", "n2")])
    assert (there.moved(), both_of(there, replace(FRESH, conf=new))) == (False, ((), True))


def test_a_member_that_goes_or_is_new_has_not_moved() -> None:
    assert not files(machine("n1"), machine("n2")).moved()
    assert not files(machine("n1", members=(1, 2, 3)), text=PAIR).moved()


def test_of_two_the_one_that_stays_keeps_the_rules_of_two() -> None:
    alone = corosync_conf(parse(PAIR.encode(), "x"), "n2")
    assert set(corosync_text.members(alone)) == {"n1"}
    assert {"two_node: 1", "wait_for_all: 1", "expected_votes: 2"} <= {
        line.strip() for line in alone.splitlines()
    }


def test_a_host_with_an_older_number_is_written_again() -> None:
    members = [machine("n1", numbered(5), members=(1, 2, 3)), machine("n2", numbered(4), members=(1, 2, 3))]
    assert files(*members).stale(replace(FRESH, conf=numbered(5))) == ("n2",)


def test_one_of_two_rings_is_enough_to_be_another_machine() -> None:
    """The device's vote is no loss: its number follows from how many members there are."""

    def rings(n: int, second: int) -> str:
        return f"address: 10.0.0.{n}, rings: [10.0.0.{n}, 10.2.0.{second}]"

    text = TEXT.replace("hosts:", "quorum: {device: {host: 192.0.2.9}}\nhosts:")
    for n in (1, 2, 3):
        text = text.replace(f"address: 10.0.0.{n}", rings(n, n))
    old = corosync_text.renewed(conf := corosync_conf(parse(text.encode(), "x")), conf, 7)
    members = [machine(name, old, members=(1, 2, 3)) for name in ("n1", "n2")]
    for one in members:
        for place in range(3):
            one.cmap[f"nodelist.node.{place}.ring1_addr"] = f"10.2.0.{place + 1}"
    assert not files(*members, text=text).moved()
    seen = files(*members, text=text.replace(rings(3, 3), rings(3, 9)))
    assert (seen.moved(), seen.naming(), seen.losses()) == (True, ("n1", "n2"), ())


def test_where_no_member_has_a_file_nothing_can_be_said() -> None:
    with pytest.raises(CannotAsk, match="no member has"):
        files(machine("n1", None)).stale(FRESH)


def test_of_a_host_that_goes_no_file_is_asked_for() -> None:
    assert files(machine("n1"), machine("n2", None)).stale(None) == ("n1", "n2")


def test_a_member_that_stays_where_it_is_is_not_let_go_of() -> None:
    members = [machine(name, numbered(5), members=(1, 2, 3)) for name in ("n1", "n2")]
    assert files(*members).naming() == ()


def test_the_newest_file_is_the_base_however_short() -> None:
    longer = numbered(4) + "# the admin's own words\n"
    assert files(machine("n1", longer), machine("n2", numbered(5))).base() == (numbered(5), 5)
