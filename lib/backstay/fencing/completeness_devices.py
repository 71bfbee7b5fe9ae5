# SPDX-License-Identifier: GPL-2.0-or-later
"""Can each fence device do what it is configured for, in the time that it has? Findings over a CIB.

Decides the longest that an agent of ours takes. Asks nothing outside.
"""

from __future__ import annotations

from collections.abc import Iterator

from backstay.errors import BadInput
from backstay.fencing import password
from backstay.fencing.actions import ON_AFTER_OFF
from backstay.fencing.configuration import Device, Fencing
from backstay.fencing.finding import ERROR, WARNING, Finding
from backstay.fencing.ours import IPMI_AGENT, OURS, REDFISH_AGENT
from backstay.fencing.parameters import Values

STONITH_TIMEOUT = 60.0  # seconds: Pacemaker's own default (Pacemaker Explained, stonith-timeout)


def devices(fencing: Fencing) -> Iterator[Finding]:
    """What is wrong with each device, one after another."""
    places: dict[tuple[str, str, str], str] = {}
    for device in fencing.devices:
        if not device.enabled:
            yield Finding(
                WARNING,
                f"{device.name} is disabled (target-role=Stopped)",
                "Pacemaker does not fence with it",
            )
            continue
        yield from _targets(device, fencing)
        yield from _misread(device)
        yield from _times(device, fencing)
        if device.agent in OURS:
            yield from settings(device)
            yield from _address(device, places)
            yield from _certificate(device)


def _targets(device: Device, fencing: Fencing) -> Iterator[Finding]:
    for target in device.targets or ():
        if target not in fencing.everybody:
            yield Finding(
                WARNING,
                f"{device.name} is to fence {target}, and no host is called so",
                "correct pcmk_host_list",
            )
        elif (
            device.targets == (target,)
            and target in fencing.hosts
            and target not in device.never_on
            and len(fencing.hosts) > 1
        ):
            yield Finding(
                WARNING,
                f"{device.name} may run on {target}, the host that it is to fence, where its monitor proves little",
                f"forbid it there: a location constraint with -INFINITY for {target}",
            )
    if fencing.hosts and device.never_on >= frozenset(fencing.hosts):
        yield Finding(
            ERROR, f"{device.name} may run nowhere, so nobody can use it", "lift a location constraint"
        )
    if len(device.targets or ()) > 1 and _at_one_place(device):
        yield Finding(
            WARNING,
            f"{device.name} fences {', '.join(device.targets or ())} at one address: one of them, or all at once",
            "give each host a device of its own, unless these are names of one host",
        )


def _at_one_place(device: Device) -> bool:
    """Whether a device of ours switches the same machine whomever it is to fence."""
    if device.agent not in OURS or _values(device).flag("port_as_ip"):
        return False
    # Behind one address with Redfish there may be several systems; the plug says which, unless one is named.
    return device.agent == IPMI_AGENT or bool(device.options.get("systems_uri", "").strip())


def _misread(device: Device) -> Iterator[Finding]:
    for name, text, meant, taken in device.misread_limits():
        yield Finding(
            ERROR if taken < meant else WARNING,
            f"{name} of {device.name} is {text!r}, which Pacemaker 2.1.5 takes for {taken:.0f} s, not {meant:g} s",
            f"write seconds without another unit: {name}={max(1, round(meant))}",
        )


def _times(device: Device, fencing: Fencing) -> Iterator[Finding]:
    if not device.monitored:
        yield Finding(WARNING, f"{device.name} has no recurring monitor", "add one, every two minutes")
    if device.agent not in OURS:
        return
    for action, worst in worst_cases(device).items():
        own = device.limit(action)
        limit = fencing.seconds("stonith-timeout", STONITH_TIMEOUT) if own is None else own
        if worst > limit:
            name = "stonith-timeout" if own is None else f"pcmk_{action}_timeout"
            yield Finding(
                ERROR,
                f"{device.name} may need {worst:.0f} s for {action}, and {name} ends it after {limit:.0f} s",
                f"set pcmk_{action}_timeout of {device.name} to {worst * 1.2:.0f}s",
            )
    patience = worst_cases(device)["monitor"]
    if device.monitored and device.monitor_timeout < patience:
        yield Finding(
            WARNING,
            f"the monitor of {device.name} may need {patience:.0f} s, and has {device.monitor_timeout:.0f} s",
            "give the operation a longer timeout",
        )


def worst_cases(device: Device) -> dict[str, float]:
    """The longest that an agent of ours takes for each action (s), by its own parameters: see its metadata."""
    values = _values(device)
    patience, power = values.number("login_timeout"), values.number("power_timeout")
    secret = password.longest_wait(values)
    off = secret + patience + power + 3.0
    delayed = off + values.number("delay")
    on = ON_AFTER_OFF.total + 1.0 + values.number("power_wait")
    return {"off": delayed, "on": off, "reboot": delayed + on, "monitor": secret + 2 * patience}


def _values(device: Device) -> Values:
    return Values(device.parameters(), OURS[device.agent].parameters)


def settings(device: Device) -> Iterator[Finding]:
    """What an agent of ours itself would refuse as soon as it is configured."""
    if device.agent not in OURS:
        return
    try:
        OURS[device.agent].check(_values(device))
    except BadInput as error:
        yield Finding(ERROR, f"{device.name}: {error}", error.hint or "correct its configuration")


def _address(device: Device, places: dict[tuple[str, str, str], str]) -> Iterator[Finding]:
    values = _values(device)
    system = "" if device.agent == IPMI_AGENT else values.word("systems_uri").rstrip("/")
    place = (values.word("ip"), values.word("ipport"), system)
    other = places.setdefault(place, device.name)
    if other != device.name and place[0] and _at_one_place(device):
        what = "system" if system else "BMC"
        yield Finding(
            ERROR,
            f"{device.name} has the same {what} as {other} ({system or place[0]})",
            "correct the address of one",
        )


def _certificate(device: Device) -> Iterator[Finding]:
    if device.agent == REDFISH_AGENT and _values(device).flag("ssl_insecure"):
        yield Finding(
            WARNING,
            f"{device.name} accepts any certificate (ssl_insecure=1): whoever is in between can say that a host is off",
            "set ssl_ca or ssl_fingerprint instead",
        )
