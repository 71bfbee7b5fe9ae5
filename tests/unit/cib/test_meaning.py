# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever is written, in whichever order and spelling, or left to its default: what means the same is no change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from backstay.cib.difference import differences
from backstay.cib.meaning import (
    BOOLEAN,
    INTEGER,
    LOOSE,
    SCORE,
    TIME,
    Known,
    Option,
    milliseconds,
    period,
    same,
)

AGENT = "ocf:x:y"
PROPERTIES = {
    "stonith-enabled": Option(BOOLEAN, "true"),
    "start-failure-is-fatal": Option(BOOLEAN, "true"),
    "maintenance-mode": Option(BOOLEAN, "false"),
    "stonith-timeout": Option(TIME, "60s"),
    "cluster-recheck-interval": Option(TIME, "15min"),
    "batch-limit": Option(INTEGER, "0"),
    "node-health-red": Option(INTEGER, "-INFINITY"),
    "no-quorum-policy": Option("select", "stop"),
}
PARAMETERS = {
    "heal": Option(BOOLEAN, "false"),
    "patience": Option(TIME, "30s"),
    "port": Option(INTEGER, "16509"),
}
META = {
    "allow-migrate": Option(LOOSE, "false"),
    "is-managed": Option(LOOSE, "true"),
    "failure-timeout": Option(TIME, "0"),
    "priority": Option(SCORE, "0"),
    "migration-threshold": Option(SCORE, "INFINITY"),
}
KNOWN = Known(PROPERTIES, {AGENT: PARAMETERS})
VALUES = {
    BOOLEAN: [["true", "yes", "on", "y", "1", "TRUE"], ["false", "no", "off", "n", "0", "False"]],
    TIME: [["0", "0s", "0ms"], ["30", "30s", "30000ms"], ["60", "1min", "1m", "60sec"], ["900s", "15min"]],
    INTEGER: [["0", "+0", "00"], ["5", "+5"], ["-INFINITY", "-1000000"], ["16509", "+16509"]],
    SCORE: [["0", "-0"], ["INFINITY", "+INFINITY", "1000000", "1000001"], ["-INFINITY", "-1000000"], ["7", "+7"]],
    "select": [["stop"], ["freeze"], ["demote"]],
}  # fmt: skip
VALUES[LOOSE] = VALUES[BOOLEAN]


def spellings(option):
    """The ways to write each value of an option; None for the one that holds when nothing is written."""
    return [
        [*ways, *([None] if any(same(option.kind, way, option.default) for way in ways) else [])]
        for ways in VALUES[option.kind]
    ]


@st.composite
def choices(draw, options):
    """For each option which value it has: the ways to write it."""
    return {name: draw(st.sampled_from(spellings(option))) for name, option in options.items()}


@st.composite
def configurations(draw, choice):
    """A configuration in which each option has its value, in any order and in any spelling."""
    root = etree.fromstring(
        '<cib><configuration><crm_config><cluster_property_set/></crm_config><resources><primitive id="p" class="ocf"'
        ' provider="x" type="y"/></resources><constraints/></configuration></cib>'
    )
    resource = root.find(".//primitive")
    tags = draw(st.permutations(["meta_attributes", "instance_attributes"]))
    holders = {tag: etree.SubElement(resource, tag, id=draw(st.sampled_from("ab")) + tag) for tag in tags}
    holders["cluster_property_set"] = root.find(".//cluster_property_set")
    for tag, ways in choice.items():
        for name in draw(st.permutations(sorted(ways))):
            text = draw(st.sampled_from(ways[name]))
            if text is not None:
                etree.SubElement(holders[tag], "nvpair", id=f"{tag}-{name}", name=name, value=text)
    return root


OPTIONS = {"cluster_property_set": PROPERTIES, "meta_attributes": META, "instance_attributes": PARAMETERS}
clouds = st.fixed_dictionaries({tag: choices(options) for tag, options in OPTIONS.items()})


@given(clouds.flatmap(lambda choice: st.tuples(configurations(choice), configurations(choice))))
def test_order_spelling_and_default_are_no_change(pair):
    old, new = pair
    assert differences(old, new, KNOWN) == ()


@st.composite
def changes(draw):
    """Two configurations that differ in the value of one option, and its name."""
    choice = draw(clouds)
    tag = draw(st.sampled_from(sorted(OPTIONS)))
    name = draw(st.sampled_from(sorted(OPTIONS[tag])))
    others = [ways for ways in spellings(OPTIONS[tag][name]) if ways != choice[tag][name]]
    other = {**choice, tag: {**choice[tag], name: draw(st.sampled_from(others))}}
    return draw(configurations(choice)), draw(configurations(other)), name


@given(changes())
def test_another_value_is_one_change_and_nothing_else_is(change):
    old, new, name = change
    (found,) = differences(old, new, KNOWN)
    said = found.name if found.kind == "property" else found.details[0].fact.rpartition(" ")[2]
    assert said == name
    assert len(found.details) == 1


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        (TIME, "60", "60ms"),
        (TIME, "", "0"),
        (TIME, "soon", "later"),
        (BOOLEAN, "true", "false"),
        (BOOLEAN, "", "false"),
        (INTEGER, "1000001", "INFINITY"),
        (INTEGER, "5", "5s"),
        (SCORE, "999999", "INFINITY"),
        ("string", "yes", "true"),
        ("select", "stop", "Stop"),
    ],
)
def test_what_is_not_the_same(kind, one, other):
    assert not same(kind, one, other)


def test_times_as_pacemaker_reads_them():
    """Each was read by crm_get_msec() of Pacemaker 2.1.5: a fraction is skipped, a unit known by its beginning."""
    words = {
        "1": 1000,
        "1s": 1000,
        "2 ": 2000,
        "5MS": 5,
        "2h": 7200000,
        "1hr": 3600000,
        "1sec": 1000,
        "7msec": 7,
        "1 s": 1000,
        " 3": 3000,
        "30 seconds": 30000,
        "2 Minutes": 120000,
        "1.5s": 1000,
        "1500us": 1,
        "1us": 0,
    }
    assert {word: milliseconds(word) for word in words} == words
    assert [milliseconds(word) for word in ("", "-1", "+3", "1d", "0x10", "PT1M")] == [None] * 6


def test_intervals_as_pacemaker_reads_them():
    """By crm_parse_interval_spec() of 2.1.5, which knows ISO 8601 besides."""
    words = {
        "PT1M30S": 90000,
        "PT1H30M": 5400000,
        "PT0S": 0,
        "PT100M": 6000000,
        "PT30S ": 30000,
        "30 s": 30000,
    }
    assert {word: period(word) for word in words} == words
    assert [period(word) for word in ("PT", "pt30s", "PT30", " PT5S")] == [None] * 4
