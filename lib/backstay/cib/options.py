# SPDX-License-Identifier: GPL-2.0-or-later
"""What Pacemaker's daemons and the agents say of their own options, read from their metadata.

Decides whose word holds for which option, and which defaults are none. Each is asked once, and only when somebody wants
to know; who says nothing leaves it open. Pure: who prints metadata is a port. Source: OCF 1.1 metadata, which the
daemons of Pacemaker 2.1 print as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Protocol

from lxml import etree

from backstay.cib.meaning import TIME, Option

OF_CLUSTER = ("pacemaker-schedulerd", "pacemaker-controld", "pacemaker-based")
OF_DEVICES = ("pacemaker-fenced",)
STONITH = "stonith:"
TIMES = {"second": TIME, "duration": TIME}  # words of fence agents and of OCF for what Pacemaker calls a time
TEXT = "string"
# Metadata calls it a text, because it may also be a list of hosts with a time each.
DELAY = "pcmk_delay_base"


class Programs(Protocol):
    """Who prints metadata; nothing where there is none."""

    def daemon(self, name: str) -> str:
        """One of Pacemaker's daemons."""

    def agent(self, name: str) -> str:
        """An agent (`ocf:backstay:domain`)."""


class Metadata:
    """The options of the cluster and its agents (cib.meaning.Options)."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self._read: dict[str, Mapping[str, Option]] = {}

    def of_cluster(self, name: str) -> Option | None:
        """A cluster property."""
        return self._of(OF_CLUSTER, name)

    def of_agent(self, agent: str, name: str) -> Option | None:
        """A parameter of an agent (`ocf:backstay:domain`); of a fence device also what Pacemaker adds to it.

        A resource agent's text may be made for the resource that is asked about (`/run/Dummy-Dummy.state`), so it is
        nobody's default.
        """
        found = self._said(agent, partial(self._programs.agent, agent)).get(name)
        if agent.startswith(STONITH):
            found = found or self._of(OF_DEVICES, name)
            return replace(found, kind=TIME) if found and name == DELAY else found
        return replace(found, default="") if found and found.kind == TEXT else found

    def _of(self, daemons: tuple[str, ...], name: str) -> Option | None:
        said = (self._said(daemon, partial(self._programs.daemon, daemon)) for daemon in daemons)
        return next((options[name] for options in said if name in options), None)

    def _said(self, who: str, ask: Callable[[], str]) -> Mapping[str, Option]:
        if who not in self._read:
            self._read[who] = options(ask())
        return self._read[who]


def options(text: str) -> dict[str, Option]:
    """The options in metadata, by name; none for what is no metadata."""
    try:
        root = etree.fromstring(text.encode(), etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        return {}
    return {
        str(parameter.get("name")): Option(TIMES.get(kind, kind), content.get("default", ""))
        for parameter in root.iterfind("parameters/parameter")
        for content in parameter.iterfind("content")
        for kind in [content.get("type", "")]
    }
