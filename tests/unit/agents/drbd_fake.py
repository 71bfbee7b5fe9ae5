# SPDX-License-Identifier: GPL-2.0-or-later
"""A DRBD resource that does what it is told, or refuses as the real one was seen to, on a clock of its own."""

from __future__ import annotations

from dataclasses import replace

from backstay.errors import CannotAsk
from backstay.host.clock import Deadline
from backstay.host.process import Completed, ProcessTimedOut
from tests.unit.agents.test_drbd_health import state

HELD = "0: State change failed: (-12) Device is held open by someone"
NO_DATA = "0: State change failed: (-2) Need access to UpToDate data"


class Fake:
    """`now` is the state; `held` names who holds the device; `broken` are the verbs of drbdadm that fail.

    `hangs`: verbs that do not answer. `refuses` is how often a promotion is refused. `blind` is how many looks fail.
    """

    def __init__(self, now=None, version=(8, 4, 11), **how):
        self.name = "web1"
        self.now = now
        self.there = how.get("there", state("UpToDate", "Secondary"))
        self.number = version
        self.module = how.get("module", True)
        self.held = how.get("held", "")
        self.held_for = how.get("held_for", 10**9)
        self.broken = how.get("broken", {})
        self.hangs = how.get("hangs", ())
        self.refuses = how.get("refuses", 0)
        self.complaint = how.get(
            "complaint", "0: State change failed: (-1) Multiple primaries not allowed by config"
        )
        self.code = how.get("code", 11)
        self.blind = how.get("blind", 0)
        self.told = []
        self.said = []
        self.clock = 0.0

    def deadline(self, seconds):
        return Deadline(seconds, lambda: self.clock)

    def warn(self, text):
        self.said.append(text)

    def _done(self, verb, ok=True, complaint="", code=10, timeout=0.0):
        self.told.append(verb)
        self.clock += 0.1
        if verb.split()[0] in self.hangs or verb in self.hangs:
            self.clock += timeout
            raise ProcessTimedOut((verb,), timeout)
        trouble = complaint if not ok else self.broken.get(verb, "")
        return Completed((verb,), code if trouble else 0, "", trouble)

    def loaded(self):
        return self.module

    def load(self, timeout):
        done = self._done("modprobe")
        self.module = done.ok
        return done

    def version(self):
        return self.number

    def look(self, timeout):
        self.clock += 0.01
        if self.blind > 0:
            self.blind -= 1
            raise CannotAsk("DRBD does not answer")
        return self.now

    def adm(self, *words, timeout):
        verb = " ".join(words)
        if verb == "primary" and self.refuses > 0:
            self.refuses -= 1
            return self._done(verb, False, self.complaint, self.code, timeout)
        done = self._done(verb, timeout=timeout)
        if done.ok:
            self._obey(verb)
        return done

    def _obey(self, verb):
        if verb == "new-resource":
            self.now = replace(self.there, devices=(), connections=())
        elif verb in ("attach", "adjust --skip-net"):
            self.now = replace(self.there, connections=())
        elif verb == "adjust" and self.now:
            self.now = replace(self.there, role=self.now.role)
        elif verb == "primary":
            self.now = replace(self.now, role="Primary")
        elif verb == "down":
            self.now = None

    def down(self, timeout):
        done = self._done("drbdsetup down", timeout=timeout)
        if done.ok:
            self.now = None
        return done

    def secondary(self, _state, timeout):
        if self.held and self.clock < self.held_for:
            return self._done("secondary", False, HELD, 11, timeout)
        done = self._done("secondary", timeout=timeout)
        if done.ok:
            self.now = replace(self.now, role="Secondary")
        return done

    def holders(self, _state, timeout):
        self.clock += 0.05
        return self.held

    def pause(self, seconds):
        self.clock += max(seconds, 0.0)
