# SPDX-License-Identifier: GPL-2.0-or-later
"""fence_backstay_ipmi: switches a host's power through its BMC, and says off when it has seen off.

Decides what it needs to be told and the way to a BMC; what an action means is actions.py's, what a failure is called
wording.py's, what can be told to it ipmi_parameters.py's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from backstay.errors import BadInput
from backstay.fencing import password, wording
from backstay.fencing.actions import LOOKING, begin, look, switch
from backstay.fencing.agent import POWER_ACTIONS, Call, FenceAgent
from backstay.fencing.ipmi_parameters import LIKE_IPMILAN, LONGDESC, PARAMETERS
from backstay.fencing.parameters import Values
from backstay.fencing.ways import Cycling, Falling
from backstay.fencing.wording import Device
from backstay.host.ipmitool import Ipmitool, Login
from backstay.host.process import run as run_process

LONGEST_USER = 16  # bytes (IPMI 2.0, section 22.28)


def act(call: Call) -> int:
    """Carry out one action; the exit code as the Fence Agent API has it."""
    values = call.values
    code = begin(call, lambda: check(values))
    if code is not None:
        return code
    device = device_of(values)
    bmc = bmc_of(call, device)
    if call.action in LOOKING:
        return look(call, bmc, device)
    return switch(call, bmc, device, Cycling(bmc) if values.word("method") == "cycle" else None)


def check(values: Values) -> None:
    """Raise BadInput for settings that cannot work; looks at nothing outside."""
    values.require_sound()
    if not values.flag("lanplus"):
        raise BadInput(
            "lanplus=0 (IPMI 1.5) is not offered: it sends everything in clear", hint="remove lanplus"
        )
    if values.word("privlvl") in ("callback", "user"):
        raise BadInput(
            f"the role {values.word('privlvl')} may not switch power", hint="privlvl=operator is enough"
        )
    size = len(values.word("username").encode("utf-8", "surrogateescape"))
    if size > LONGEST_USER:
        raise BadInput(
            f"the username has {size} bytes, and IPMI 2.0 allows {LONGEST_USER}",
            hint="create an account with a shorter one on the BMC",
        )
    password.require_given(values)
    password.checked(values.text("password"))
    password.key(values.word("hexadecimal_kg"))


def device_of(values: Values) -> Device:
    """The BMC in question; Pacemaker's nodename is the host when no plug names it."""
    by_plug = values.flag("port_as_ip")
    plug = values.word("plug")
    return Device(
        address=((by_plug and plug) or values.require("ip")).removeprefix("[").removesuffix("]"),
        port=int(values.number("ipport")),
        user=values.require("username"),
        role=values.word("privlvl"),
        suite=int(values.number("cipher")),
        host=(not by_plug and plug) or values.text("nodename").strip(),
        fallback=fallback_of(values),
    )


def fallback_of(values: Values) -> int:
    """The cipher suite to take in place of one that the BMC does not offer; 0 when there is none."""
    other = values.word("cipher_fallback")
    return 0 if other == "none" or int(other) == values.number("cipher") else int(other)


def bmc_of(call: Call, device: Device) -> Falling:
    """The way to the BMC of an action."""
    return way_to(call.values, device, call.hide, call.trace, lambda: call.warn(wording.fell_back(device)))


def way_to(
    values: Values,
    device: Device,
    hide: Callable[[str], None],
    trace: Callable[[str], None],
    fell_back: Callable[[], None],
) -> Falling:
    """The way to a BMC, at its first cipher suite. `hide` hears of each secret before anything is traced."""
    secret, key = password.find(values, run_process), password.key(values.word("hexadecimal_kg"))
    for hidden in (secret, key):
        hide(hidden)
    login = Login(
        address=device.address,
        user=device.user,
        password=secret,
        port=device.port,
        suite=device.suite,
        role=device.role,
        seconds=int(values.number("ipmitool_timeout")),
        path=values.word("ipmitool_path"),
        key=key,
        target=values.word("target"),
    )
    second = Ipmitool(replace(login, suite=device.fallback), trace) if device.fallback else None
    return Falling(Ipmitool(login, trace), second, fell_back)


AGENT = FenceAgent(
    name="fence_backstay_ipmi",
    shortdesc="Fence agent for BMCs with IPMI 2.0 that says off when it has seen off",
    longdesc=LONGDESC,
    parameters=PARAMETERS,
    actions=POWER_ACTIONS,
    run=act,
    like="fence_ipmilan",
    ignored=LIKE_IPMILAN,
)
