# SPDX-License-Identifier: GPL-2.0-or-later
"""From the process that Pacemaker starts to the exit code that it gets: the one guard of every agent.

Decides the deadline, what a bad parameter means for each action, and what is printed. Never writes to stdout
except for meta-data. An action ends before Pacemaker would kill it (SIGKILL, no warning): first by its own
deadline, then by SIGALRM, last by a thread that ends the process even while the main thread is inside a C call.
"""

from __future__ import annotations

import os
import sys

from backstay.host.backstop import Backstop
from backstay.host.clock import Deadline, age_of_this_process
from backstay.host.state import State
from backstay.ocf import codes, failure
from backstay.ocf.agent import Agent
from backstay.ocf.context import Call, Context
from backstay.ocf.log import Log
from backstay.ocf.outcome import Outcome, done, failed
from backstay.ocf.parameters import BadParameter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from backstay.ocf.agent import Action

API_MAJOR = "1"
# A bad value must not turn into a failed stop (fencing), nor into the code 6 for something that runs: Pacemaker 2.1.5
# then stops it on every host (seen with crm_simulate for reload-agent; with libvirtd, all its guests as well).
STRICT = ("start", "validate-all")
QUIET = ("meta-data", "validate-all", "monitor")  # their success is not worth a line in the log
STUCK = "it is stuck in a call that cannot be interrupted"


def enter(module: str) -> NoReturn:
    """Run the agent that `module` defines as AGENT; even a module that cannot be imported is guarded."""
    try:
        if sys.flags.no_site:
            import site

            sys.path += (
                site.getsitepackages()
            )  # only libvirt's own module is there, and a short monitor needs none
        agent = __import__(module, fromlist=["AGENT"]).AGENT
    except Exception as error:  # noqa: BLE001  (part of the one guard: a broken package must not restart guests)
        call = _called(module.rpartition(".")[2])
        leave(call, _broken(call, error))
    main(agent)


def main(agent: Agent) -> NoReturn:
    """Run one action and end the process with its OCF code."""
    call = _called(agent.name)
    leave(call, run(agent, call))


def run(agent: Agent, call: Call) -> Outcome:
    """Run one action under the guard: whatever happens, there is an outcome."""
    try:
        return _dispatch(agent, call)
    except BadParameter as bad:
        return failed(str(bad), bad.code)
    except (Exception, SystemExit, failure.OutOfTime) as error:  # noqa: BLE001  (the one guard)
        return _broken(call, error)


def margin(timeout: float) -> float:
    """Give the seconds before Pacemaker's timeout at which an action's own deadline lies."""
    return min(max(timeout * 0.1, 0.5), 5.0, timeout / 2)


def _called(agent: str) -> Call:
    """Read the call from this process; arguments after the first are ignored, as OCF wants it."""
    return Call(agent, sys.argv[1] if len(sys.argv) > 1 else "", os.environ)


def _dispatch(agent: Agent, call: Call) -> Outcome:
    if call.action == "meta-data":
        from backstay.ocf.metadata import render

        sys.stdout.write(render(agent))
        return done("")
    major = call.environ.get("OCF_RA_VERSION_MAJOR", API_MAJOR)
    if major != API_MAJOR:
        return failed(f"this agent speaks version {API_MAJOR} of the resource agent API, not {major!r}")
    action = agent.find(call.action, call.check_level)
    if action is None:
        known = ", ".join(agent.names())
        return failed(f"there is no action {call.action!r}; there are {known}", codes.UNIMPLEMENTED)
    return _perform(agent, action, call)


def _perform(agent: Agent, action: Action, call: Call) -> Outcome:
    journal = call_log(call)
    parameters = agent.parameters.read(
        call.environ,
        lenient=call.action not in STRICT,
        # what may be changed while it runs does not decide whether it may start
        lenient_if_reloadable=call.action != "validate-all",
    )
    for warning in parameters.warnings:
        journal.warn(warning)
    timeout = call.timeout(action.timeout)
    spare = margin(timeout)
    # Pacemaker has counted since it started this process, so what the interpreter took is gone already.
    left = max(timeout - age_of_this_process(), spare)
    backstop = Backstop(left - spare / 2, failure.OutOfTime, left - spare / 4, lambda: _give_up(call))
    try:
        outcome = action.run(Context(call, parameters, Deadline(left - spare), journal))
    finally:
        backstop.disarm()
    if not call.is_probe:
        failure.well_again(call, State())
    return outcome


def call_log(call: Call) -> Log:
    """Give the log of one call, with what it is about."""
    return Log(call.agent, call.instance, call.action, call.meta("on_node"))


def _broken(call: Call, error: BaseException) -> Outcome:
    journal = call_log(call)
    for line in failure.trace(error):
        journal.error(line)
    return failure.judge(call, failure.sentence(error), State())


def _give_up(call: Call) -> NoReturn:
    """End the process from the backstop's thread, while the main thread is stuck."""
    leave(call, failure.judge(call, STUCK, State()))


def leave(call: Call, outcome: Outcome) -> NoReturn:
    """Say the reason and end at once: without waiting for threads, and without the interpreter's clean-up."""
    code = outcome.code if outcome.code in codes.NAMES else codes.GENERIC
    try:
        _say(call, code, outcome.reason)
        sys.stdout.flush()
    finally:
        os._exit(code)


def _say(call: Call, code: int, reason: str) -> None:
    journal = call_log(call)
    if code in (codes.SUCCESS, codes.PROMOTED):
        if reason and call.action not in QUIET:
            journal.note(f"{call.action}: {reason}", code)
    elif not (call.is_probe and code == codes.NOT_RUNNING):
        prefix = call.environ.get("OCF_EXIT_REASON_PREFIX", "ocf-exit-reason:")
        os.write(2, f"{prefix}{reason}\n".encode("utf-8", "surrogateescape"))
        journal.error(f"{call.action}: {reason}", code)
