# SPDX-License-Identifier: GPL-2.0-or-later
"""What is seen of a machine that comes or goes: who lacks a key, what an earlier cluster left, whether it runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backstay.host.far import Machine
from backstay.members.seen import Seen, active, keyless, leftovers
from tests.unit.members.test_corosync_files import FRESH, OLD
from tests.unit.members.test_corosync_files import machine as member

OURS, OTHER = "a" * 64, "b" * 64
UNTOUCHED = OLD.replace("10.0.0.1", "127.0.0.1").replace("10.0.0.2", "127.0.0.2")
RUNS = {"corosync": "active", "pacemaker": "active"}
HALF = {"corosync": "active", "pacemaker": "inactive"}


def machine(name: str, key: str = OURS) -> Machine:
    return replace(member(name), key=key, remote_key=key)


ONE, NONE = (machine("n1"),), (machine("n1", ""),)
TWO = (machine("n1"), machine("n2", OTHER))


def seen(target: Machine | None, members: tuple[Machine, ...] = ONE, *, how: str = "comes") -> Seen:
    """`how` is comes, goes, and the same with "remote" before it."""
    by_name = {one.name: one for one in members}
    return Seen("n3", how.startswith("remote"), how.endswith("goes"), "n1", by_name, target)


KEYS = {
    "a new machine": (seen(FRESH), ("n3",)),
    "it has ours": (seen(replace(FRESH, key=OURS)), ()),
    "it has another": (seen(replace(FRESH, key=OTHER)), ("n3",)),
    "a cluster without encryption has none": (seen(FRESH, NONE), ()),
    "nobody answers": (seen(None), ()),
    "it goes": (seen(FRESH, how="goes"), ()),
    "a remote host, and another key": (seen(replace(FRESH, remote_key=OURS), TWO, how="remote comes"), ("n2", "n3")),
    "a remote host with ours": (seen(replace(FRESH, remote_key=OURS), how="remote comes"), ()),
    "the first remote host": (seen(FRESH, NONE, how="remote comes"), ("n1", "n3")),
    "a remote host that goes": (seen(FRESH, NONE, how="remote goes"), ()),
}  # fmt: skip


@pytest.mark.parametrize("case", KEYS)
def test_who_lacks_the_key(case: str) -> None:
    found, names = KEYS[case]
    assert keyless(found) == names


LEFT = {
    "nothing": (seen(FRESH), False),
    "nobody answers": (seen(None), False),
    "a CIB": (seen(replace(FRESH, cib=("", 0))), True),
    "a CIB that is our own by now": (seen(replace(FRESH, cib=("", 0), held=True)), False),
    "a Corosync that nobody configured": (seen(replace(FRESH, conf=UNTOUCHED, active=RUNS)), True),
    "its file alone": (seen(replace(FRESH, conf=UNTOUCHED)), False),
    "a remote host has no CIB": (seen(replace(FRESH, cib=("", 0)), how="remote comes"), False),
    "nothing on one that goes": (seen(FRESH, how="goes"), False),
    "our key on one that goes": (seen(replace(FRESH, key=OURS), how="goes"), True),
    "another key on one that goes": (seen(replace(FRESH, key=OTHER), how="goes"), False),
    "our file on one that goes": (seen(replace(FRESH, conf=OLD), how="goes"), True),
    "a distribution's file on one that goes": (seen(replace(FRESH, conf=UNTOUCHED), how="goes"), False),
    "no key in a cluster without": (seen(FRESH, NONE, how="goes"), False),
    "our key on a remote one that goes": (seen(replace(FRESH, remote_key=OURS), how="remote goes"), True),
    "a member's key on it": (seen(replace(FRESH, key=OURS), how="remote goes"), False),
}


@pytest.mark.parametrize("case", LEFT)
def test_what_is_not_to_be_there(case: str) -> None:
    found, there = LEFT[case]
    assert leftovers(found) is there


RUNNING = {
    "nobody answers": (seen(None), False),
    "both": (seen(replace(FRESH, conf=OLD, active=RUNS)), True),
    "both, one of them soon": (seen(replace(FRESH, conf=OLD, active=RUNS | {"pacemaker": "activating"})), True),
    "one of two": (seen(replace(FRESH, conf=OLD, active=HALF)), False),
    "one of two on one that goes": (seen(replace(FRESH, conf=OLD, active=HALF), how="goes"), True),
    "none on one that goes": (seen(replace(FRESH, conf=OLD), how="goes"), False),
    "those of a distribution": (seen(replace(FRESH, conf=UNTOUCHED, active=RUNS)), False),
    "a remote host": (seen(replace(FRESH, active={"pacemaker_remote": "active"}), how="remote comes"), True),
    "a member's services on it": (seen(replace(FRESH, active=RUNS), how="remote comes"), False),
}  # fmt: skip


@pytest.mark.parametrize("case", RUNNING)
def test_whether_its_services_run(case: str) -> None:
    found, runs = RUNNING[case]
    assert active(found) is runs
