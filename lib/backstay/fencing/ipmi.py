# SPDX-License-Identifier: GPL-2.0-or-later
"""fence_backstay_ipmi: switches a host's power through its BMC, and says off when it has seen off.

Decides what each action means; how power is reached is power.py's, what a failure is called wording.py's. Takes
fence_ipmilan's parameter names, with defaults that are safer: IPMI 2.0 only, an explicit cipher suite, the role
operator. There is no `cycle`: no BMC proves that it ever was off.
"""

from __future__ import annotations

import time

from backstay.errors import BackstayError, BadInput
from backstay.fencing import password, wording
from backstay.fencing.agent import FAILED, OFF, ON, Action, Call, FenceAgent
from backstay.fencing.parameters import Parameter
from backstay.fencing.power import GiveUp, Limits, Switch, passing, reach
from backstay.fencing.wording import Device
from backstay.host.clock import Deadline, pause
from backstay.host.ipmitool import Ipmitool, Login, Power, Trouble
from backstay.host.process import run as run_process

SWITCHING = ("off", "on", "reboot")
# After a reboot's off was seen, the cluster waits for our exit before it recovers anything: on gets a short try.
ON_AFTER_OFF = Limits(total=15.0, patience=5.0, power=5.0, call=6.0)
RETRY = 1.0

PARAMETERS = (
    Parameter("action", "Fencing action", default="reboot", option="o", required=True),
    Parameter("ip", "Address or name of the BMC", option="a", old="ipaddr", required=True),
    Parameter("ipport", "UDP port of the BMC", "integer", "623", option="u", least=1, most=65535),
    Parameter("username", "Account on the BMC", option="l", old="login", required=True),
    Parameter("password", "Password of the account, at most 20 bytes", option="p", old="passwd", secret=True),
    Parameter("password_script", "Program that prints the password", option="S", old="passwd_script"),
    Parameter("password_file", "File whose first line is the password"),
    Parameter("lanplus", "IPMI 2.0 (RMCP+); nothing else is offered", "boolean", "1", option="P"),
    Parameter(
        "cipher", "Cipher suite (0, no security, is refused)", "integer", "17", option="C", least=1, most=254
    ),
    Parameter(
        "privlvl",
        "Role to ask for; operator is what switching needs",
        "select",
        "operator",
        option="L",
        choices=("callback", "user", "operator", "administrator"),
    ),
    Parameter("plug", "Host behind this BMC, as the cluster calls it", option="n", old="port"),
    Parameter(
        "method",
        "How to reboot: off, seen off, then on",
        "select",
        "onoff",
        option="m",
        choices=("onoff",),
    ),
    Parameter(
        "power_timeout", "Seconds for a power command to take effect", "second", "20", least=1, most=600
    ),
    Parameter(
        "login_timeout",
        "Seconds without any result until a BMC counts as dead",
        "second",
        "10",
        least=1,
        most=120,
    ),
    Parameter("power_wait", "Seconds between seen off and on in a reboot", "second", "0", most=120),
    Parameter("delay", "Seconds to wait before off or reboot", "second", "0", most=600),
    Parameter("ipmitool_timeout", "Seconds to wait for each packet", "integer", "1", least=1, most=30),
    Parameter("ipmitool_path", "Path of ipmitool", default="/usr/bin/ipmitool"),
    Parameter("verbose", "Say on standard error what is done", "boolean", "0", option="v"),
    Parameter("quiet", "Print nothing on standard output", "boolean", "0", option="q"),
)

LONGDESC = (
    "Switches the power of a host through its BMC with IPMI 2.0 over LAN (ipmitool). off is successful when the "
    "BMC was seen to report off, not when it accepted a command; a refusal is reported at once, with the BMC's "
    "reason. Every action ends by itself: off and on within login_timeout plus power_timeout plus delay (30 s by "
    "default), reboot within 16 s more (plus power_wait), so the pcmk_off_timeout and pcmk_reboot_timeout of "
    "larger settings must be larger. The password never appears in a process list; password_file or "
    "password_script keep it out of the cluster configuration. Old names of parameters are accepted."
)


def act(call: Call) -> int:
    """Carry out one action; the exit code as the Fence Agent API has it."""
    values = call.values
    if call.action == "list":
        plug = values.word("plug")
        if plug:
            call.say(f"{plug},")
        return ON
    if call.action in SWITCHING:
        for problem in values.wrong:
            call.warn(f"{problem}; the default is used")
    else:
        check(call)
    if call.action == "validate-all":
        return ON
    device = device_of(call)
    bmc = bmc_of(call, device)
    if call.action in ("monitor", "status"):
        return look(call, bmc, device)
    return switch(call, bmc, device)


def check(call: Call) -> None:
    """Raise BadInput for settings that cannot work; looks at nothing outside."""
    values = call.values
    values.require_sound()
    if not values.flag("lanplus"):
        raise BadInput(
            "lanplus=0 (IPMI 1.5) is not offered: it sends everything in clear", hint="remove lanplus"
        )
    if values.word("privlvl") in ("callback", "user"):
        raise BadInput(
            f"the role {values.word('privlvl')} may not switch power", hint="privlvl=operator is enough"
        )
    if not any(values.text(name) for name in ("password", "password_file", "password_script")):
        raise BadInput("no password is given", hint="set password_file, password_script or password")
    password.checked(values.text("password"))


def device_of(call: Call) -> Device:
    """The BMC in question; Pacemaker's nodename is the host when no plug names it."""
    values = call.values
    return Device(
        address=values.require("ip"),
        port=int(values.number("ipport")),
        user=values.require("username"),
        role=values.word("privlvl"),
        suite=int(values.number("cipher")),
        host=values.word("plug") or values.text("nodename").strip(),
    )


def bmc_of(call: Call, device: Device) -> Switch:
    """The way to the BMC."""
    values = call.values
    secret = password.find(values, run_process)
    call.hide(secret)
    login = Login(
        address=device.address,
        user=device.user,
        password=secret,
        port=device.port,
        suite=device.suite,
        role=device.role,
        seconds=int(values.number("ipmitool_timeout")),
        path=values.word("ipmitool_path"),
    )
    return Ipmitool(login, call.trace)


def limits_of(call: Call) -> Limits:
    """How long an off or on may take: 30 s by default, well inside Pacemaker's 60 s."""
    patience, power = call.values.number("login_timeout"), call.values.number("power_timeout")
    return Limits(total=patience + power, patience=patience, power=power, call=max(patience, power / 2))


def look(call: Call, bmc: Switch, device: Device) -> int:
    """Status and monitor: the BMC answers, and what it says. Only status tells off by its exit code."""
    patience = call.values.number("login_timeout")
    deadline = Deadline(patience)
    while True:
        answer = bmc.power(max(1.0, patience))
        if not isinstance(answer, Trouble):
            call.say(f"Status: {answer.name}")
            return OFF if call.action == "status" and answer is Power.OFF else ON
        if not passing(answer) or deadline.expired:
            raise BackstayError(wording.not_known(answer, device))
        pause(RETRY)


def switch(call: Call, bmc: Switch, device: Device) -> int:
    """off, on and reboot."""
    if call.action != "on":
        pause(call.values.number("delay"))
    goal = Power.ON if call.action == "on" else Power.OFF
    failed = bring(goal, bmc, device, limits_of(call))
    if failed:
        call.warn(failed)
        return FAILED
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


AGENT = FenceAgent(
    name="fence_backstay_ipmi",
    shortdesc="Fence agent for BMCs with IPMI 2.0 that says off when it has seen off",
    longdesc=LONGDESC,
    parameters=PARAMETERS,
    actions=(
        Action("on", automatic=False),
        Action("off"),
        Action("reboot"),
        Action("status"),
        Action("monitor"),
        Action("list"),
        Action("validate-all"),
        Action("metadata", bare=True),
        Action("manpage", bare=True),
    ),
    run=act,
)
