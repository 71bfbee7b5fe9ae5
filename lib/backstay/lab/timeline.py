# SPDX-License-Identifier: GPL-2.0-or-later
"""The timeline of a run: what happened, when, on which host, and who did it, in one order of time.

Decides which facts an admin wants to read and in which words (80 columns). Judges nothing: lab/audit.py does.
Everything comes from evidence that somebody wrote down when it happened; nothing is told from memory.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from backstay.lab.actions import Deed, Fencing
from backstay.lab.audit import Silence
from backstay.lab.faults.ledger import INJECTED, Entry
from backstay.lab.records import BYE, UP, Heard

WIDTH = 80
FAULT, CLUSTER, BMC, HEALER, AGENT, SYSTEMD, GUEST = (
    "fault", "cluster", "BMC", "healer", "agent", "systemd", "guest",
)  # fmt: skip
"""Who did or said it."""

HEALER_TAG, AGENT_TAG = "backstay-heal-libvirtd", "backstay-"
UNIT = "libvirtd.service"
SAID_BY_SYSTEMD = {
    "Main process exited": "libvirtd ended",
    "Scheduled restart job": "libvirtd is restarted",
    "Start request repeated too quickly": "libvirtd ended too often, is not restarted any more",
}
"""What systemd says about a service that dies, and how the timeline says it."""

LOOP = 15.0
"""Seconds within which the next of systemd's or the healer's attempts at the same thing belongs to the same story."""

FOR_SECONDS = re.compile(r", for \d+ s")
ANSWERS = "answers again"
GIVEN_UP = SAID_BY_SYSTEMD["Start request repeated too quickly"]

ALERT, NOTICE = 1, 5
"""The syslog priority that wakes somebody, and the least important one that belongs into a timeline."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `at` is in seconds on the monotonic clock; `host` is empty for the whole cluster.

    `loud`: somebody was to be woken by it.
    """

    at: float
    host: str
    who: str
    text: str
    loud: bool = False


def of_faults(entries: Iterable[Entry]) -> list[Event]:
    """What was broken and mended by hand."""
    words = {True: "injected", False: "taken away by hand"}
    return [Event(e.at, e.host, FAULT, f"{e.fault} {words[e.event == INJECTED]}") for e in entries]


def of_deeds(deeds: Iterable[Deed]) -> list[Event]:
    """What Pacemaker did."""
    return [Event(deed.at, _host(deed), CLUSTER, _told(deed)) for deed in deeds]


def _host(deed: Deed) -> str:
    return deed.target if isinstance(deed, Fencing) else deed.host


def _told(deed: Deed) -> str:
    outcome = "" if deed.ok else f" failed: {deed.result}"
    if isinstance(deed, Fencing):
        return f"fenced by {deed.by} ({deed.action}){outcome}"
    return f"{deed.operation} {deed.resource}{outcome}"


def of_bmc(lines: Iterable[Mapping[str, Any]]) -> list[Event]:
    """What a BMC was asked to do with its host's power, and when that took effect."""
    events: list[Event] = []
    for line in lines:
        event, command = line["event"], line.get("command", "")
        if event == "chassis-control":
            code = f", refused with code {line['code']:#04x}" if line.get("code") else ""
            text = f"power {command} asked for by {line.get('user', '?')}{code}"
        elif event == "chassis":
            text = "power is given; the firmware starts" if command == "power" else f"power {command} done"
        elif event == "failed":
            text = f"power: {command}"
        else:
            continue
        events.append(Event(float(line["monotonic"]), str(line["host"]), BMC, text))
    return events


def of_guests(heard: Iterable[Heard], guests: Mapping[str, str], silences: Iterable[Silence]) -> list[Event]:
    """Who fell silent, who spoke again and from where, who booted, who said goodbye, who moved."""
    events: list[Event] = []
    last: dict[str, Heard] = {}
    gaps = tuple(silences)
    broken = {(silence.guest, silence.end) for silence in gaps}
    polite: set[tuple[str, float]] = set()
    for each in heard:
        name, before = guests.get(each.record.uuid), last.get(each.record.uuid)
        if name is None:
            continue
        last[each.record.uuid] = each
        if each.record.word == UP and (name, each.at) not in broken:
            events.append(Event(each.at, each.host, GUEST, f"{name} booted"))
        elif each.record.word == BYE:
            polite.add((name, each.at))
            events.append(Event(each.at, each.host, GUEST, f"{name} shut down in order"))
        elif before is not None and before.host != each.host and before.record.boot == each.record.boot:
            events.append(
                Event(each.at, each.host, GUEST, f"{name} goes on here, moved live from {before.host}")
            )
    for s in gaps:
        if s.before and (s.guest, s.begin) not in polite:
            events.append(Event(s.begin, s.before, GUEST, f"{s.guest} heard for the last time"))
        if s.after:
            events.append(
                Event(s.end, s.after, GUEST, f"{s.guest} speaks again after {s.end - s.begin:.1f} s")
            )
    return events


def of_journal(host: str, lines: Iterable[Mapping[str, Any]], offset: float) -> list[Event]:
    """What Backstay's agents and healer said on a host, and what systemd did to libvirtd.

    `lines` are the journal's entries (journalctl --output=json), `offset` what the wall clock is ahead.
    """
    events: list[Event] = []
    for line in lines:
        tag, message = str(line.get("SYSLOG_IDENTIFIER", "")), line.get("MESSAGE")
        priority = int(line.get("PRIORITY", NOTICE))
        if not isinstance(message, str):  # the journal gives bytes as numbers when they are no text
            continue
        if tag == HEALER_TAG:
            who = HEALER
        elif tag.startswith(AGENT_TAG) and priority <= NOTICE:
            who = AGENT
        elif tag == "systemd" and line.get("UNIT") == UNIT and (said := _systemd(message)):
            who, message = SYSTEMD, said
        else:
            continue
        at = float(line["__REALTIME_TIMESTAMP"]) / 1e6 - offset
        events.append(Event(at, host, who, message, loud=who == AGENT and priority <= ALERT))
    return events


def _systemd(message: str) -> str:
    """What systemd said, shorter and without counters; empty when it belongs into no timeline."""
    for sign, words in SAID_BY_SYSTEMD.items():
        if sign in message:
            how = message.partition(f"{sign}, ")[2] if words.endswith("ended") else ""
            return f"{words} ({how})" if how else words
    return ""


def merge(*parts: Iterable[Event], begin: float, end: float) -> tuple[Event, ...]:
    """All events from `begin` to `end` in the order of time, without what somebody only says again.

    An agent that repeats or quotes itself is heard once, with its longest words, and so is one that only says how
    long it has been so; so are systemd's restart loop and the healer's next attempt at the same.
    """
    ordered = sorted((e for part in parts for e in part if begin <= e.at <= end), key=lambda e: e.at)
    kept: list[Event] = []
    latest: dict[Event, float] = {}
    for each in ordered:
        event = each
        said = [e for e in kept if (e.host, e.who) == (event.host, event.who)]
        if event.who in (SYSTEMD, HEALER) and ANSWERS not in event.text:
            key = replace(event, at=0)
            before, latest[key] = latest.get(key), event.at
            if before is not None and event.at - before < LOOP:
                continue
        if event.who == AGENT and said and said[-1].loud >= event.loud:
            if FOR_SECONDS.sub("", said[-1].text) == FOR_SECONDS.sub("", event.text):
                continue
            if said[-1].text in event.text and event.at - said[-1].at < 1:
                kept.remove(said[-1])
                event = replace(event, loud=event.loud or said[-1].loud)
        kept.append(event)
    return tuple(kept)


def render(events: Sequence[Event], offset: float) -> str:
    """The table: the clock (UTC), seconds since the first event, host, who, what; 80 columns."""
    if not events:
        return "nothing happened"
    first = events[0].at
    head = f"{'CLOCK':<8} {'+S':>6} {'HOST':<4} {'WHO':<8}WHAT"
    return "\n".join([head, *(line for event in events for line in _lines(event, first, offset))])


def _lines(event: Event, first: float, offset: float) -> list[str]:
    clock = datetime.fromtimestamp(event.at + offset, UTC).strftime("%H:%M:%S")
    left = f"{clock} {event.at - first:>6.1f} {event.host or '-':<4} {event.who:<8}"
    wrapped = textwrap.wrap(f"ALARM: {event.text}" if event.loud else event.text, WIDTH - len(left)) or [""]
    return [left + wrapped[0], *(" " * len(left) + more for more in wrapped[1:])]


def healed_by(events: Iterable[Event]) -> str:
    """Who mended what one fault broke, from its events.

    Backstay when its healer made libvirtd answer again; Pacemaker when a guest spoke again (elsewhere, or anew);
    systemd when its restart of libvirtd was its last word and it never gave up; else the hand that took the fault
    away, else nobody.
    """
    ordered = sorted(events, key=lambda e: e.at)
    if any(e.who == HEALER and ANSWERS in e.text for e in ordered):
        return "Backstay"
    if any(e.who == GUEST and "speaks again" in e.text for e in ordered):
        return "Pacemaker"
    systemd = [e.text for e in ordered if e.who == SYSTEMD]
    if systemd[-1:] == [SAID_BY_SYSTEMD["Scheduled restart job"]] and GIVEN_UP not in systemd:
        return "systemd"
    return "by hand" if any(e.who == FAULT and "taken away" in e.text for e in ordered) else "nobody"
