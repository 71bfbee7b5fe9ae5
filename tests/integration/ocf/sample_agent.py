# SPDX-License-Identifier: GPL-2.0-or-later
"""An agent that can be told to misbehave in every way that the runtime has to bear."""

from __future__ import annotations

import signal
import sys
import time
from typing import Any

from backstay.errors import CannotAsk
from backstay.ocf.agent import Action, Agent, reload_agent
from backstay.ocf.context import Context
from backstay.ocf.outcome import Outcome, degraded, done, running, stopped
from backstay.ocf.parameters import Parameters, choice, path, seconds

WAYS = ("well", "bug", "unknown", "asleep", "stuck", "stopped", "degraded", "strange", "exit", "deadline")


class SampleParameters(Parameters):
    directory = path("where it is", required=True, unique_group="directory")
    way = choice("how to misbehave", WAYS, default="well", reloadable=True)
    wait = seconds("how long to wait", default="1s")


def behave(context: Context[SampleParameters]) -> Outcome:
    way = context.parameters.way
    if way == "bug":
        raise KeyError("one\ntwo")
    if way == "unknown":
        raise CannotAsk("the daemon does not answer", hint="look at it")
    if way == "asleep":
        time.sleep(60)
    if way == "stuck":  # in a way that no signal handler of Python interrupts
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
        time.sleep(60)
    if way == "stopped":
        return stopped("there is no process")
    if way == "degraded":
        return degraded("it is slow")
    if way == "strange":
        return Outcome(77, "a code that OCF does not know")
    if way == "exit":
        sys.exit(0)
    if way == "deadline":
        return degraded(f"{context.deadline.left():.1f} s left")
    return running("it is well")


def stop(context: Context[SampleParameters]) -> Outcome:
    return done(f"stopped in {context.parameters.directory or 'no directory'}")


def validate(_context: Context[Any]) -> Outcome:
    return degraded("looked at this host")


AGENT = Agent(
    "sample",
    "An agent of the tests",
    "Misbehaves when it is told to.",
    SampleParameters,
    (
        Action("start", 20, behave),
        Action("stop", 20, stop),
        Action("monitor", 20, behave, 10),
        Action("monitor", 20, behave, 60, depth=10),
        Action("reload-agent", 20, reload_agent),
    ),
    validate=validate,
)
