# SPDX-License-Identifier: GPL-2.0-or-later
"""What status, monitor, off, on and reboot mean, for every fence agent with a power switch that can be looked at.

Decides exit codes and what is said; how a state is reached and when that is given up is power.py's. One piece of code
for all transports, so that off means the same with each: seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from backstay.errors import BackstayError, BadInput
from backstay.fencing import password, wording
from backstay.fencing.agent import OFF, ON, Call
from backstay.fencing.power import GiveUp, Limits, Switch, passing, reach
from backstay.host.bmc import Power, Trouble
from backstay.host.clock import Deadline, pause

SWITCHING = ("off", "on", "reboot")
LOOKING = ("monitor", "status", "list-status")
# After a reboot's off was seen, the cluster waits for our exit before it recovers anything: on gets a short try.
ON_AFTER_OFF = Limits(total=15.0, patience=5.0, power=5.0, call=6.0)
RETRY = 1.0
LEAST = 1.0  # seconds: a call that may only take an instant tells nothing


class Device(wording.Named, Protocol):
    """The BMC as messages call it."""

    @property
    def host(self) -> str:
        """The cluster's name for the machine, or empty."""


def limits_of(call: Call) -> Limits:
    """How long an off or on may take once the password is there: 30 s by default, well inside Pacemaker's 60 s."""
    patience, power = call.values.number("login_timeout"), call.values.number("power_timeout")
    poll = call.values.number("stonith_status_sleep")
    return Limits(
        total=patience + power, patience=patience, power=power, call=max(patience, power / 2), poll=poll
    )


def list_hosts(call: Call) -> int:
    """The host behind the BMC, if it has a name."""
    plug = call.values.word("plug")
    if plug:
        call.say(f"{plug},")
    return ON


def look(call: Call, bmc: Switch, device: Device) -> int:
    """Status and monitor: the BMC answers, and what it says. Only status tells off by its exit code."""
    patience = call.values.number("login_timeout")
    deadline, end = Deadline(patience), Deadline(2 * patience - LEAST)
    while True:
        answer = bmc.power(max(LEAST, min(patience, end.left())))
        if not isinstance(answer, Trouble):
            state = Power.OFF if answer is Power.OFF else Power.ON  # going off is not off
            if call.action == "list-status":
                call.say(f"{device.host},,{state.name}")
                return ON
            call.say(f"Status: {state.name}")
            return OFF if call.action == "status" and state is Power.OFF else ON
        if not passing(answer) or deadline.expired:
            raise BackstayError(wording.not_known(answer, device))
        pause(max(RETRY, answer.after))


def begin(call: Call, check: Callable[[], None]) -> int | None:
    """What needs no BMC: an exit code when that was all, None when one is to be asked. `check` raises for bad settings.

    A host is fenced with settings that are wrong: the default takes the place of each.
    """
    if call.action == "list":
        return list_hosts(call)
    if call.action in SWITCHING:
        for problem in call.values.wrong:
            call.warn(f"{problem}; the default is used")
        try:
            password.require_given(call.values)
        except BadInput as missing:
            call.warn(f"{missing}, which only an account with an empty one allows; {missing.hint}")
    else:
        check()
    return ON if call.action == "validate-all" else None


def switch(call: Call, bmc: Switch, device: Device, darkener: Switch | None = None) -> int:
    """off, on and reboot. `darkener` is what takes the power away in a reboot, where that is not `bmc` itself."""
    if call.action != "on":
        pause(call.values.number("delay"))
    goal = Power.ON if call.action == "on" else Power.OFF
    first = darkener if darkener and call.action == "reboot" else bmc
    failed = bring(goal, first, device, limits_of(call))
    if failed:
        raise BackstayError(failed)
    if call.action == "reboot":
        # The host is dead for certain, and that is all that the cluster asked: nothing below may turn it into a no.
        call.settle(ON)
        pause(call.values.number("power_wait"))
        failed = bring(Power.ON, bmc, device, ON_AFTER_OFF)
        if failed:
            call.warn(f"off was seen, so the reboot counts as done, but {failed}")
            return ON
    call.say(
        {"off": "Success: Powered OFF", "on": "Success: Powered ON", "reboot": "Success: Rebooted"}[
            call.action
        ]
    )
    return ON


def bring(goal: Power, bmc: Switch, device: Device, limits: Limits) -> str:
    """Reach a power state; what kept it from being reached, or nothing."""
    begin = time.monotonic()
    end = reach(goal, bmc, limits, time.monotonic, pause)
    if isinstance(end, GiveUp):
        return wording.not_reached(goal, end, device, time.monotonic() - begin)
    return ""
