# SPDX-License-Identifier: GPL-2.0-or-later
"""The timeline tells everything once, in order, in 80 columns."""

from __future__ import annotations

import pytest

from backstay.lab import timeline
from backstay.lab.actions import Action, Fencing
from backstay.lab.audit import Silence
from backstay.lab.faults.ledger import Entry
from backstay.lab.records import Heard, Record
from backstay.lab.timeline import AGENT, CLUSTER, FAULT, GUEST, HEALER, SYSTEMD, Event, merge, render

WALL = 1_700_000_000.0
WEB, OLD, NEW = "uuid-web", "boot-old", "boot-new"
GUESTS = {WEB: "web1"}


def heard(at, host, word="run", boot=OLD, sequence=0):
    return Heard(Record(WEB, boot, sequence, word), host, at, WALL + at)


def journal(tag, message, at=5.0, priority="5", **more):
    moment = str(int((WALL + at) * 1e6))
    return {
        "SYSLOG_IDENTIFIER": tag,
        "MESSAGE": message,
        "PRIORITY": priority,
        "__REALTIME_TIMESTAMP": moment,
    } | more


BMC = [
    {
        "monotonic": 15.0,
        "host": "n1",
        "event": "chassis-control",
        "command": "off",
        "user": "fencer",
        "code": 0,
    },
    {"monotonic": 15.5, "host": "n1", "event": "chassis", "command": "off"},
    {"monotonic": 15.6, "host": "n1", "event": "note", "text": "noise"},
    {
        "monotonic": 16.0,
        "host": "n1",
        "event": "chassis-control",
        "command": "on",
        "user": "viewer",
        "code": 0xD4,
    },
    {"monotonic": 16.5, "host": "n1", "event": "failed", "command": "on: no container"},
]


def run():
    return merge(
        timeline.of_faults(
            [
                Entry(10, WALL + 10, "injected", "cut-power", "n1"),
                Entry(60, WALL + 60, "healed", "cut-power", "n1"),
            ]
        ),
        timeline.of_deeds(
            [
                Fencing(17, "n1", "n2", "reboot", "OK", "e1"),
                Action(18.5, "n2", "web1", "start", "ok"),
                Action(
                    19,
                    "n2",
                    "db1",
                    "start",
                    "error (the disk is in use by somebody else and will be for a long time yet)",
                ),
            ]
        ),
        timeline.of_bmc(BMC),
        timeline.of_guests(
            [
                heard(9.9, "n1"),
                heard(20, "n2", "up", NEW),
                heard(20.5, "n2", boot=NEW),
                heard(50, "n3", boot=NEW),
                heard(55, "n3", "bye", NEW),
            ],
            GUESTS,
            [Silence("web1", 9.9, 20, 9.6, "n1", "n2")],
        ),
        timeline.of_journal(
            "n2",
            [journal("backstay-libvirtd[libvirtd]", "libvirtd is well again after 9 s (hung)", 30)],
            WALL,
        ),
        begin=0,
        end=100,
    )


def test_the_whole_of_it(golden):
    text = render(run(), WALL)
    golden("timeline.txt", text + "\n")
    assert max(map(len, text.splitlines())) <= 80


def test_nothing_to_tell():
    assert render((), WALL) == "nothing happened"


def test_who_said_goodbye_is_not_missed():
    silent = Silence("web1", 9.9, 20, 9.6, "n1", "n2")
    events = timeline.of_guests([heard(9.9, "n1", "bye"), heard(20, "n2", "up", NEW)], GUESTS, [silent])
    assert [e.text for e in events] == ["web1 shut down in order", "web1 speaks again after 10.1 s"]


def test_a_guest_that_never_came_back_does_not_speak_again():
    silent = Silence("web1", 9.9, 100, 90, "n1", "")
    assert [e.text for e in timeline.of_guests([], GUESTS, [silent])] == ["web1 heard for the last time"]


@pytest.mark.parametrize(
    ("line", "who"),
    [
        (journal("backstay-heal-libvirtd", "aborting libvirtd (pid 5)"), HEALER),
        (journal("backstay-domain[web1]", "stopping web1"), AGENT),
        (journal("backstay-domain[web1]", "chatter", priority="6"), None),
        (
            journal("systemd", "libvirtd.service: Main process exited, code=killed", UNIT="libvirtd.service"),
            SYSTEMD,
        ),
        (journal("systemd", "libvirtd.service: Scheduled restart job", UNIT="libvirtd.service"), SYSTEMD),
        (journal("systemd", "libvirtd.service: Consumed 3 s", UNIT="libvirtd.service"), None),
        (journal("systemd", "sshd.service: Main process exited", UNIT="sshd.service"), None),
        (journal("sshd", "backstay"), None),
        (journal("backstay-heal-libvirtd", [1, 2, 3]), None),
        ({"MESSAGE": "no tag", "__REALTIME_TIMESTAMP": "1"}, None),
    ],
)
def test_what_belongs_into_it_from_a_journal(line, who):
    events = timeline.of_journal("n1", [line], WALL)
    assert [event.who for event in events] == ([who] if who else [])
    assert all(event.at == pytest.approx(5.0) for event in events)


def test_an_agent_that_repeats_itself_is_quoted_once():
    same = [Event(t, "n1", AGENT, "libvirtd hangs") for t in (1, 2, 3)]
    other = [Event(2.5, "n2", AGENT, "libvirtd hangs"), Event(4, "n1", AGENT, "libvirtd is well again")]
    assert [(e.at, e.host) for e in merge(same, other, begin=0, end=9)] == [(1, "n1"), (2.5, "n2"), (4, "n1")]


def test_what_wakes_somebody_stands_out_and_is_not_lost_in_a_repetition():
    lines = [
        journal("backstay-libvirtd[libvirtd]", "libvirtd is broken", 20),
        journal("backstay-libvirtd[libvirtd]", "libvirtd is broken", 20.1, priority="1"),
        journal("backstay-libvirtd[libvirtd]", "monitor: libvirtd is broken", 20.2),
        journal("backstay-libvirtd[libvirtd]", "libvirtd is broken", 30),
    ]
    shown = render(merge(timeline.of_journal("n1", lines, WALL), begin=0, end=99), WALL)
    assert [line.partition("agent   ")[2] for line in shown.splitlines()[1:]] == [
        "libvirtd is broken",
        "ALARM: monitor: libvirtd is broken",
        "libvirtd is broken",
    ]


def test_what_was_before_or_after_is_left_out():
    assert merge([Event(t, "", CLUSTER, "x") for t in (1, 2, 3)], begin=2, end=2.5) == (
        Event(2, "", CLUSTER, "x"),
    )


def systemd_says(*messages):
    lines = [journal("systemd", f"libvirtd.service: {m}", at, UNIT="libvirtd.service") for at, m in messages]
    return timeline.of_journal("n1", lines, WALL)


LOOPING = (
    (1.0, "Main process exited, code=killed, status=9/KILL"),
    (1.1, "Scheduled restart job, restart counter is at 1."),
    (1.2, "Main process exited, code=exited, status=127/n/a"),
    (1.3, "Scheduled restart job, restart counter is at 2."),
    (1.4, "Main process exited, code=exited, status=127/n/a"),
    (1.5, "Start request repeated too quickly."),
    (20.0, "Main process exited, code=exited, status=127/n/a"),
)


def test_a_restart_loop_is_one_story():
    events = merge(systemd_says(*LOOPING), begin=0, end=99)
    assert [(round(e.at, 1), e.text) for e in events] == [
        (1.0, "libvirtd ended (code=killed, status=9/KILL)"),
        (1.1, "libvirtd is restarted"),
        (1.2, "libvirtd ended (code=exited, status=127/n/a)"),
        (1.5, "libvirtd ended too often, is not restarted any more"),
        (20.0, "libvirtd ended (code=exited, status=127/n/a)"),
    ]


def test_who_only_says_for_how_long_says_nothing_new():
    said = [
        Event(t, "n1", AGENT, f"libvirtd hangs{since}; healing it")
        for t, since in ((1, ""), (6, ", for 5 s"))
    ]
    assert merge(said, begin=0, end=99) == (said[0],)


def test_the_healers_attempts_at_the_same_thing_are_one():
    tries = [Event(t, "n1", HEALER, "starting libvirtd") for t in (1, 11, 21, 50)]
    answers = [Event(t, "n1", HEALER, "libvirtd answers again") for t in (22, 30)]
    assert [e.at for e in merge(tries, answers, begin=0, end=99)] == [1, 22, 30, 50]


def test_an_agent_that_quotes_itself_is_heard_with_its_longer_words():
    said = [
        Event(1.0, "n1", AGENT, "libvirtd hangs"),
        Event(1.1, "n1", AGENT, "monitor: libvirtd hangs; healing it"),
    ]
    later = Event(9.0, "n1", AGENT, "start: monitor: libvirtd hangs; healing it")
    assert merge(said, [later], begin=0, end=99) == (said[1], later)


AWAY = Event(90, "n1", FAULT, "x taken away by hand")


@pytest.mark.parametrize(
    ("events", "who"),
    [
        ([Event(1, "n1", HEALER, "libvirtd answers again"), *systemd_says(LOOPING[1]), AWAY], "Backstay"),
        ([*systemd_says(*LOOPING[:2]), AWAY], "systemd"),
        ([*systemd_says(*LOOPING), AWAY], "by hand"),
        ([*systemd_says(*LOOPING[:6]), AWAY], "by hand"),
        ([*systemd_says(*LOOPING, (21.0, LOOPING[1][1])), AWAY], "by hand"),
        ([*systemd_says(*LOOPING), Event(30, "n2", GUEST, "web1 speaks again after 9 s"), AWAY], "Pacemaker"),
        ([Event(1, "n1", CLUSTER, "start libvirtd"), AWAY], "by hand"),
        ([Event(1, "n1", FAULT, "x injected")], "nobody"),
        ([], "nobody"),
    ],
)
def test_who_healed_it(events, who):
    assert timeline.healed_by(events) == who
