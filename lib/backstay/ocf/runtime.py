# SPDX-License-Identifier: GPL-2.0-or-later
"""From the process that Pacemaker starts to the exit code that it gets: the one guard of every agent.

Decides the deadline, what a bad parameter or an internal failure means for each action, and what is printed.
Never writes to stdout except for meta-data. An action ends before Pacemaker would kill it (SIGKILL, no warning):
first by its own deadline, then by SIGALRM, last by a thread that ends the process even while the main thread is
stuck inside a C call.
"""

from __future__ import annotations

import os
import sys
from time import monotonic

from backstay.errors import BackstayError
from backstay.host.backstop import arm
from backstay.host.clock import Deadline, age_of_this_process
from backstay.host.state import State
from backstay.ocf import codes
from backstay.ocf.agent import Agent
from backstay.ocf.context import Context, meta, number
from backstay.ocf.log import Log
from backstay.ocf.outcome import Outcome, degraded, done, failed
from backstay.ocf.parameters import BadParameter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NoReturn

API_MAJOR = "1"
LENIENT = ("stop", "monitor")  # a bad value must not turn into a failed stop (fencing) or a failed guest
DEFAULT_TIMEOUT = 20.0  # seconds, Pacemaker's own default, when nobody said anything
QUIET = ("meta-data", "validate-all", "monitor")  # their success is not worth a line in the log
FORGIVEN = 600.0  # seconds for which a recurring monitor's internal failure is only degraded


class OutOfTime(BaseException):
    """The action's own deadline did not work, and Pacemaker is about to kill; nothing may swallow this."""


def enter(module: str) -> NoReturn:
    """Run the agent that `module` defines as AGENT; even a module that cannot be imported is guarded."""
    name = module.rpartition(".")[2]
    try:
        agent = __import__(module, fromlist=["AGENT"]).AGENT
    except Exception:  # noqa: BLE001  (part of the one guard: a broken package must not restart guests)
        _leave(_internal(name, _action(sys.argv), os.environ), name, _action(sys.argv), os.environ)
    main(agent)


def main(agent: Agent) -> NoReturn:
    """Run one action and end the process with its OCF code."""
    _leave(run(agent, _action(sys.argv), os.environ), agent.name, _action(sys.argv), os.environ)


def _action(argv: list[str]) -> str:
    return argv[1] if len(argv) > 1 else ""


def run(agent: Agent, action: str, environ: Mapping[str, str]) -> Outcome:
    """Run one action under the guard; whatever happens, there is an outcome."""
    if action == "meta-data":
        from backstay.ocf.metadata import render

        sys.stdout.write(render(agent))
        return done("")
    try:
        return _guarded(agent, action, environ)
    except BadParameter as bad:
        return failed(f"{bad}", bad.code)
    except OutOfTime:
        return _internal(agent.name, action, environ)
    except Exception:  # noqa: BLE001  (the one guard)
        return _internal(agent.name, action, environ)


def _guarded(agent: Agent, action: str, environ: Mapping[str, str]) -> Outcome:
    major = environ.get("OCF_RA_VERSION_MAJOR", API_MAJOR)
    if major != API_MAJOR:
        return failed(f"this agent speaks version 1 of the resource agent API, not {major!r}")
    level = int(number(environ.get("OCF_CHECK_LEVEL", ""), 0))
    if action == "validate-all":
        return _validate(agent, level, environ)
    found = agent.find(action, level)
    if found is None:
        known = ", ".join(dict.fromkeys(entry.name for entry in agent.actions))
        return failed(f"no action {action!r}; there are {known}, validate-all and meta-data", codes.UNIMPLEMENTED)
    context = _context(agent, action, level, found.timeout, environ)
    for warning in context.parameters.warnings:
        context.warn(f"{warning}; the default is used")
    outcome = found.run(context)
    if context.interval:
        _well_again(agent.name, environ)
    return outcome


def _validate(agent: Agent, level: int, environ: Mapping[str, str]) -> Outcome:
    context = _context(agent, "validate-all", level, DEFAULT_TIMEOUT, environ)
    if level >= 10 and agent.validate is not None:
        return agent.validate(context)
    return done("the parameters are well formed")


def _context(agent: Agent, action: str, level: int, advertised: float, environ: Mapping[str, str]) -> Context[Any]:
    instance = environ.get("OCF_RESOURCE_INSTANCE", "")
    log = Log(agent.name, instance)
    parameters = agent.parameters.read(environ, lenient=action in LENIENT)
    return Context(
        action,
        parameters,
        _start_clock(agent.name, action, advertised, environ),
        instance=instance,
        node=meta(environ, "on_node"),
        interval=_interval(environ),
        check_level=level,
        migrate_source=meta(environ, "migrate_source"),
        migrate_target=meta(environ, "migrate_target"),
        warn=log.warn,
        note=log.note,
    )


def margin(timeout: float) -> float:
    """Give the seconds before Pacemaker's timeout at which an action's own deadline lies."""
    return min(max(timeout * 0.1, 0.5), 5.0, timeout / 2)


def _start_clock(name: str, action: str, advertised: float, environ: Mapping[str, str]) -> Deadline:
    """Give the action's deadline and arm what ends it if it does not keep it.

    Pacemaker has counted since it started this process, so the time that the interpreter took is gone already.
    """
    timeout = number(meta(environ, "timeout"), advertised * 1000) / 1000
    spare = margin(timeout)
    left = max(timeout - age_of_this_process(), spare)

    def last() -> None:
        _leave(_internal(name, action, environ, "it is stuck in a call that cannot be interrupted"), name, action, environ)

    arm(max(left - spare / 2, 0.05), OutOfTime, max(left - spare / 4, 0.1), last)
    return Deadline(left - spare)


def _interval(environ: Mapping[str, str]) -> float:
    return number(meta(environ, "interval"), 0.0) / 1000


def _internal(name: str, action: str, environ: Mapping[str, str], stuck: str = "") -> Outcome:
    """Turn a failure of the agent itself into an outcome, and log what an author needs.

    A recurring monitor is only degraded for a while: a bug in the agent says nothing about the resource, and a
    failed monitor would restart it. Nothing else may be guessed, so nothing else is forgiven.
    """
    error = sys.exc_info()[1]
    log = Log(name, environ.get("OCF_RESOURCE_INSTANCE", ""))
    said = stuck or _said(error)
    if error is not None and not isinstance(error, BackstayError):
        _log_traceback(log, error)
    reason = f"{action} could not be completed: {said}"
    if action != "monitor" or not _interval(environ):
        return failed(reason)
    lasting = _lasting(_memory(name, environ))
    if lasting < FORGIVEN:
        return degraded(f"{reason}; counts as running for {FORGIVEN - lasting:.0f} s more")
    return failed(f"{reason}; for {lasting:.0f} s already")


def _said(error: BaseException | None) -> str:
    if isinstance(error, OutOfTime):
        return "it did not end within its timeout"
    if isinstance(error, BackstayError):
        return f"{error}; {error.hint}" if error.hint else str(error)
    return f"internal error, {type(error).__name__}: {error}"


def _log_traceback(log: Log, error: BaseException) -> None:
    import traceback

    for chunk in traceback.format_exception(error):
        for text in chunk.splitlines():
            log.error(text)


def _memory(name: str, environ: Mapping[str, str]) -> str:
    return f"{name}-{environ.get('OCF_RESOURCE_INSTANCE', '')}.failing"


def _lasting(memory: str) -> float:
    """Give the seconds since the first internal failure in a row; 0.0 when nothing can be remembered."""
    state = State()
    now = monotonic()
    try:
        first = number(state.read(memory), now)
        if first == now:
            state.write(memory, f"{now:.1f}")
    except OSError:
        return 0.0
    return max(0.0, now - first)


def _well_again(name: str, environ: Mapping[str, str]) -> None:
    try:
        State().forget(_memory(name, environ))
    except OSError:
        return


def _leave(outcome: Outcome, name: str, action: str, environ: Mapping[str, str]) -> NoReturn:
    """Say the reason and end at once: without waiting for threads, and without the interpreter's clean-up."""
    code = outcome.code if outcome.code in codes.NAMES else codes.GENERIC
    probe = action == "monitor" and not _interval(environ)
    if outcome.reason and code != codes.SUCCESS and not (probe and code == codes.NOT_RUNNING):
        prefix = environ.get("OCF_EXIT_REASON_PREFIX", "ocf-exit-reason:")
        os.write(2, f"{prefix}{outcome.reason}\n".encode())
        Log(name, environ.get("OCF_RESOURCE_INSTANCE", "")).error(f"{action}: {outcome.reason}")
    elif outcome.reason and action not in QUIET:
        Log(name, environ.get("OCF_RESOURCE_INSTANCE", "")).note(f"{action}: {outcome.reason}")
    sys.stdout.flush()
    os._exit(code)
