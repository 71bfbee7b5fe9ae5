# SPDX-License-Identifier: GPL-2.0-or-later
"""The furnished lab that the tests of the agents share: six guests that run, and the audit of what a test did.

Decides when a cloud is built anew: only when it is not there any more, or cannot be put in order.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from backstay.errors import CannotAsk
from backstay.host.clock import pause
from backstay.lab import chronicle, cluster, evidence, summary, timeline
from backstay.lab.audit import BLIND, NOTHING, Evidence, Expected, Period, Verdict, audit
from backstay.lab.demo import CALM_SECONDS, period
from backstay.lab.faults import catalogue
from backstay.lab.furnish import furnish
from backstay.lab.installation import Payload
from backstay.lab.performance import Act, settle
from backstay.lab.progress import Progress
from backstay.lab.stage import FRESH, all_well, wait
from backstay.lab.stories import FURTHER

AFTERMATH = 2.0
"""Seconds after which every guest has said something since the last deed."""


@dataclass(frozen=True)
class Judgement:
    """What the audit says of one period: `findings` are its sentences, `boots` the boots of each guest in it."""

    told: Period
    found: Evidence
    verdict: Verdict
    findings: list[str]

    @property
    def silences(self):
        return self.verdict.during(self.told)

    @property
    def deeds(self):
        """(operation, resource, host) of what Pacemaker did, in the order of time; fencings are (fence, host, by)."""
        inside = [deed for deed in self.found.deeds if self.told.holds(deed.at)]
        return [
            (deed.operation, deed.resource, deed.host)
            if hasattr(deed, "resource")
            else ("fence", deed.target, deed.by)
            for deed in inside
        ]

    @property
    def boots(self):
        """How many boots of each guest spoke in the period and just before; one means that it was not restarted."""
        since = self.told.begin - FRESH
        heard = [each for each in self.found.testimony.heard if since <= each.at < self.told.end]
        return {
            name: len({each.record.boot for each in heard if each.record.uuid == uuid})
            for uuid, name in self.found.guests.items()
        }


def payload() -> Payload:
    """What is installed in the nodes."""
    deb = os.environ.get("BACKSTAY_DEB")
    return Payload(deb=Path(deb).absolute()) if deb else Payload(source=Path(__file__).parent.parent.parent)


class Cloud:
    """A furnished lab and the calm time that its audits measure against."""

    def __init__(self, lab):
        self.lab = lab
        self.build()

    def build(self):
        self.lab.put_in_order()
        self.stage = furnish(self.lab.layout, Progress(sys.__stderr__))
        begin = time.monotonic()
        pause(CALM_SECONDS)
        self.calm = (begin, time.monotonic())

    def stands(self):
        """Whether it is the lab that was furnished, however broken: another test may have taken it away."""
        try:
            known = {resource.name for resource in cluster.ask(self.lab.layout).resources}
        except CannotAsk:
            return False
        return set(self.stage.guests.values()) <= known

    def put_in_order(self):
        if not self.stands():
            self.build()
            return
        catalogue.heal_all(self.lab.layout)
        if wait(self.stage, all_well, 1.0, "a cloud that is well", tell) and settle(self.stage, tell):
            self.build()

    def node(self, host):
        return self.lab.node(host)

    def on_any(self, command, timeout=60.0):
        """The output of a command on a host that is up."""
        return self.node(cluster.ask(self.lab.layout).seen_from).check(command, timeout=timeout)

    def rest(self):
        """Wait until the cluster has nothing left to do."""
        self.on_any("crm_resource --wait --timeout=90", timeout=120)

    def settle(self):
        """Wait until all is well again; fails when it is not."""
        assert settle(self.stage, tell) == ""

    def judge(self, told: Period) -> Judgement:
        """Audit one period. The calm time belongs to the evidence; what other tests did before does not count."""
        found = evidence.collect(self.lab.layout, self.stage.guests, self.calm[0], time.monotonic())
        verdict = audit(found, [told], self.calm)
        findings = [each.text for each in verdict.findings if each.kind == BLIND or each.at >= told.begin]
        return Judgement(told, found, verdict, findings)

    def judge_act(self, act: Act) -> Judgement:
        """Audit a story that was performed, and print what happened in it."""
        pause(AFTERMATH)
        judged = self.judge(period(act))
        events = chronicle.collect(self.lab.layout, judged.found, judged.verdict.silences)
        print(summary.table([act], [judged.told], judged.verdict, judged.found, events))
        return judged

    @contextmanager
    def watched(self, expected: Expected = NOTHING) -> Generator[list[Judgement], None, None]:
        """What is done inside is audited when it is over: the list that is given holds the judgement then."""
        given: list[Judgement] = []
        begin = time.monotonic()
        yield given
        pause(AFTERMATH)
        judged = self.judge(Period("test", begin, time.monotonic(), expected))
        events = [
            e for e in chronicle.collect(self.lab.layout, judged.found, judged.silences) if e.at >= begin
        ]
        print(timeline.render(events, judged.found.testimony.offset))
        given.append(judged)


def further(name):
    """A story that is not in the demo."""
    return next(story for story in FURTHER if story.name == name)


def tell(text):
    print(text, flush=True)
