# SPDX-License-Identifier: GPL-2.0-or-later
"""The text of the metadata; that it is valid against the schema is an integration test."""

from __future__ import annotations

from backstay.ocf.agent import Action, Agent
from backstay.ocf.metadata import render
from backstay.ocf.outcome import done
from backstay.ocf.parameters import Parameters, choice, path, seconds


class Sample(Parameters):
    directory = path("a & <b>", required=True, unique_group="place", longdesc='says "more"')
    mode = choice("f\u00fcr", ("fast", "slow"), default="fast")
    wait = seconds("how long", default="2s", reloadable=True)


AGENT = Agent(
    "sample",
    "does\n  things",
    """First.

    Second.""",
    Sample,
    (
        Action("start", 90, lambda _context: done("")),
        Action("monitor", 20, lambda _context: done(""), 10.5, depth=10),
    ),
)


def test_each_declaration_is_there_and_escaped() -> None:
    text = render(AGENT)
    assert '<parameter name="directory" unique-group="place" required="1">' in text
    assert "a &amp; &lt;b&gt;</shortdesc>" in text
    assert "says &quot;more&quot;" in text
    assert '<shortdesc lang="en">f&#252;r</shortdesc>' in text
    assert '<content type="select" default="fast">' in text
    assert '<option value="slow"/>' in text
    assert '<parameter name="wait" reloadable="1">' in text
    assert '<content type="string" default="2s"/>' in text


def test_actions_say_seconds() -> None:
    text = render(AGENT)
    assert '<action name="start" timeout="90s"/>' in text
    assert '<action name="monitor" timeout="20s" interval="10.5s" depth="10"/>' in text
    assert '<action name="validate-all" timeout="10s"/>' in text


def test_descriptions_are_folded_as_they_are_read() -> None:
    text = render(AGENT)
    assert "\nFirst.\n\nSecond.\n" in text
    assert '<shortdesc lang="en">does things</shortdesc>' in text


def test_ascii_and_the_same_every_time() -> None:
    text = render(AGENT)
    assert text.isascii()
    assert text.endswith("</resource-agent>\n")
    assert text == render(AGENT)
