# SPDX-License-Identifier: GPL-2.0-or-later
"""Pacemaker's own log lines (recorded from 2.1.5 on the lab) become deeds; what only looks is none."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from backstay.lab.actions import Action, Fencing, merge, moment, parse_log

DATA = Path(__file__).parent / "data"
NEAR = datetime(2026, 11, 20, 10, tzinfo=UTC).timestamp()
MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC).timestamp()


def deeds_of(host):
    lines = (DATA / f"pacemaker-{host}.log").read_text().splitlines()
    return parse_log(lines, near=NEAR, offset=MIDNIGHT)


FENCED = Fencing(34119.730, "n2", "n3", "reboot", "OK", "15489c58-39d4-4742-b086-70896b5f99e4")


def test_a_log_gives_the_deeds_and_nothing_that_only_looks():
    assert [str(deed) for deed in deeds_of("n1")] == [
        "start of web1 on n1",
        "stop of web1 on n1",
        "fencing (reboot) of n2 by n3",
        "migrate_to of web2 on n1 failed: error (web2: live migration to n2 failed: 1)",
        "promote of d on n1",
    ]


def test_deeds_stand_on_the_monotonic_clock():
    first, *_ = deeds_of("n1")
    assert first == Action(pytest.approx(33509.510), "n1", "web1", "start", "ok")


def test_a_fencing_that_two_hosts_logged_is_one():
    merged = merge([deeds_of("n1"), deeds_of("n3")])
    (fencing,) = [deed for deed in merged if isinstance(deed, Fencing)]
    assert fencing == Fencing(
        pytest.approx(FENCED.at), *[getattr(FENCED, f) for f in ("target", "by", "action", "result", "event")]
    )
    assert [deed.at for deed in merged] == sorted(deed.at for deed in merged)
    assert "start of f2 on n3" in map(str, merged)


LINE = "Nov 20 09:28:39.730 n1 pacemaker-controld  [88] (handle) \t{}"


@pytest.mark.parametrize(
    ("message", "ok", "text"),
    [
        (
            "error: Peer n2 was not terminated (off) by <anyone> on behalf of stonith_admin.9@n1: No such device | event=e1",
            False,
            "fencing (off) of n2 by <anyone> failed: No such device",
        ),
        (
            "warning: Peer n2 was not terminated (reboot) by n3 on behalf of pacemaker-controld.88@n3: Timed Out (fence agent did not complete) | event=e2",
            False,
            "fencing (reboot) of n2 by n3 failed: Timed Out (fence agent did not complete)",
        ),
        (
            "error: Result of stop operation for web1 on n1: Timed Out after 1m40s (Resource agent did not exit within specified timeout) | CIB update 9",
            False,
            "stop of web1 on n1 failed: Timed Out after 1m40s (Resource agent did not exit within specified timeout)",
        ),
        (
            "notice: Result of migrate_from operation for web1 on n1: ok | CIB update 9",
            True,
            "migrate_from of web1 on n1",
        ),
        (
            "notice: Result of reload-agent operation for d on n1: ok | CIB update 9",
            True,
            "reload-agent of d on n1",
        ),
    ],
)
def test_every_way_to_end(message, ok, text):
    (deed,) = parse_log([LINE.format(message)], near=NEAR, offset=0)
    assert (str(deed), deed.ok) == (text, ok)


@pytest.mark.parametrize(
    "message",
    [
        "notice: Result of notify operation for d on n1: ok | CIB update 9",
        "notice: Result of meta-data operation for d on n1: ok",
        "notice: Result of monitor operation for d on n1: not running | CIB update 9",
        "info: Result of start operation for d on n1: Cancelled",
        "notice: Requesting local execution of start operation for d on n1 | transition_key=1",
        "notice: Requesting fencing (reboot) of node n2 | action=1 timeout=60000",
        "",
    ],
)
def test_what_changed_nothing_is_no_deed(message):
    assert parse_log([LINE.format(message)], near=NEAR, offset=0) == ()


@pytest.mark.parametrize(
    ("stamp", "near", "moment_then"),
    [
        (
            "Dec 31 23:59:58.500",
            datetime(2027, 1, 1, 0, 5, tzinfo=UTC),
            datetime(2026, 12, 31, 23, 59, 58, 500000, UTC),
        ),
        ("Jan 01 00:00:01", datetime(2026, 12, 31, 23, 0, tzinfo=UTC), datetime(2027, 1, 1, 0, 0, 1, 0, UTC)),
        ("Feb 29 12:00:00", datetime(2028, 3, 1, 0, 0, tzinfo=UTC), datetime(2028, 2, 29, 12, 0, 0, 0, UTC)),
        (
            "Nov  3 09:05:11.001",
            datetime(2026, 11, 3, 10, 0, tzinfo=UTC),
            datetime(2026, 11, 3, 9, 5, 11, 1000, UTC),
        ),
    ],
)
def test_a_stamp_without_a_year_means_the_one_nearby(stamp, near, moment_then):
    assert moment(stamp, near.timestamp()) == pytest.approx(moment_then.timestamp())
