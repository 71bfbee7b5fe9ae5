# SPDX-License-Identifier: GPL-2.0-or-later
"""Is fencing configured so that it can work? A table over a CIB, one finding for each thing that is missing.

Decides findings and how bad they are: an error is a host that would not be fenced, a warning is a fencing that may
fail or hit at the wrong moment. Asks nothing outside.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from backstay.fencing.actions import ON_AFTER_OFF
from backstay.fencing.configuration import Device, Fencing
from backstay.fencing.ipmi_parameters import PARAMETERS
from backstay.fencing.parameters import Parameter, Values
from backstay.fencing.redfish_parameters import PARAMETERS as REDFISH

ERROR, WARNING, NOTE = "error", "warning", "note"
OURS = "fence_backstay_ipmi"
# Agents of the house: their parameters, and so their times and addresses, are known.
KNOWN: dict[str, tuple[Parameter, ...]] = {OURS: PARAMETERS, "fence_backstay_redfish": REDFISH}
# Agents whose device draws its power from the host that it switches off.
SHARES_POWER = re.compile(r"fence_(backstay_)?(ipmi|ipmilan\w*|idrac|ilo\w*|imm|redfish|drac\w*|hpblade)")
STONITH_TIMEOUT = 60.0
LEAST_DELAY = 3.0  # seconds: an off that goes well has been seen by then


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: how bad, one sentence, and what to do."""

    severity: str
    text: str
    hint: str = ""


def findings(fencing: Fencing) -> tuple[Finding, ...]:
    """Everything that is missing or does not add up, errors first."""
    rules = (_switched_on, _everybody, _devices, _levels, _two_hosts, _watchdog, _power)
    found = [finding for rule in rules for finding in rule(fencing)]
    return tuple(sorted(found, key=lambda finding: (ERROR, WARNING, NOTE).index(finding.severity)))


def _switched_on(fencing: Fencing) -> Iterator[Finding]:
    if not fencing.flag("stonith-enabled", default=True):
        yield Finding(ERROR, "stonith-enabled is false, so no host is ever fenced", "set it to true")
    if not fencing.flag("startup-fencing", default=True):
        yield Finding(
            WARNING, "startup-fencing is false: a host that was never seen is believed dead", "set it to true"
        )


def _everybody(fencing: Fencing) -> Iterator[Finding]:
    if any(device.enabled and device.targets is None for device in fencing.devices):
        return  # whom it fences is only known to the device
    levelled = {level.target for level in fencing.levels}
    for host in fencing.everybody:
        if not fencing.devices_of(host) and host not in levelled:
            yield Finding(
                ERROR, f"no device can fence {host}", "configure one, with the host in its pcmk_host_list"
            )


def _devices(fencing: Fencing) -> Iterator[Finding]:
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
        if device.agent in KNOWN:
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
    if device.agent not in KNOWN or Values(device.parameters(), KNOWN[device.agent]).flag("port_as_ip"):
        return False
    # Behind one address with Redfish there may be several systems; the plug says which, unless one is named.
    return device.agent == OURS or bool(device.options.get("systems_uri", "").strip())


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
    if device.agent not in KNOWN:
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
    values = Values(device.parameters(), KNOWN[device.agent])
    patience, power = values.number("login_timeout"), values.number("power_timeout")
    off = patience + power + 3.0
    delayed = off + values.number("delay")
    on = ON_AFTER_OFF.total + 1.0 + values.number("power_wait")
    return {"off": delayed, "on": off, "reboot": delayed + on, "monitor": 2 * patience}


def _address(device: Device, places: dict[tuple[str, str, str], str]) -> Iterator[Finding]:
    values = Values(device.parameters(), KNOWN[device.agent])
    problems = [text for text in values.missing + values.wrong if not text.startswith("action")]
    for problem in problems:
        yield Finding(ERROR, f"{device.name}: {problem}", "correct its configuration")
    system = "" if device.agent == OURS else values.word("systems_uri").rstrip("/")
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
    values = Values(device.parameters(), REDFISH)
    if device.agent in KNOWN and device.agent != OURS and values.flag("ssl_insecure"):
        yield Finding(
            WARNING,
            f"{device.name} accepts any certificate (ssl_insecure=1): whoever is in between can say that a host is off",
            "set ssl_ca or ssl_fingerprint instead",
        )


def _levels(fencing: Fencing) -> Iterator[Finding]:
    known = {device.name: device for device in fencing.devices}
    for level in fencing.levels:
        for name in level.devices:
            if name not in known:
                yield Finding(
                    ERROR, f"level {level.index} of {level.target} names {name}, and there is no such device"
                )
            elif not known[name].enabled:
                yield Finding(ERROR, f"level {level.index} of {level.target} needs {name}, which is disabled")
            elif level.target in fencing.everybody and level.target not in (
                known[name].targets or fencing.everybody
            ):
                yield Finding(
                    ERROR,
                    f"level {level.index} of {level.target} needs {name}, which does not fence {level.target}",
                    f"add {level.target} to its pcmk_host_list, or take it out of the level",
                )
    for host in fencing.everybody:
        kinds = {level.target for level in fencing.levels if level.is_for(host)}
        if len(kinds) > 1 and host not in kinds:
            yield Finding(
                WARNING,
                f"{host} fits several sets of levels ({', '.join(sorted(kinds))}), and Pacemaker takes one of them",
                f"write levels with target={host}",
            )
        used = {name for level in fencing.levels_of(host) for name in level.devices}
        unused = [device.name for device in fencing.devices_of(host) if used and device.name not in used]
        if unused:
            yield Finding(
                WARNING,
                f"{', '.join(unused)} can fence {host} and is in none of its levels, so it is never used for it",
                "add a level",
            )


@dataclass(frozen=True, slots=True)
class Delays:
    """How long the fencing of one host waits: the shortest certain time (s), and whether more is left to chance."""

    base: float
    random: bool


def delays_of(fencing: Fencing, host: str) -> Delays:
    """The delay of the device that would fence a host first."""
    devices = fencing.devices_of(host)
    base = min((device.delay(host) for device in devices), default=0.0)
    return Delays(base, any(device.seconds("pcmk_delay_max") for device in devices))


def _two_hosts(fencing: Fencing) -> Iterator[Finding]:
    """Source: Pacemaker Explained, which wants priority-fencing-delay to be safely twice the longest pcmk_delay."""
    if len(fencing.hosts) != 2:
        return
    both, priority = " and ".join(fencing.hosts), fencing.seconds("priority-fencing-delay", 0.0)
    first, second = (delays_of(fencing, host) for host in fencing.hosts)
    random, apart = first.random or second.random, abs(first.base - second.base)
    tie = not (random or apart)
    if tie and not (priority and fencing.prioritised):
        useless = (
            " (priority-fencing-delay decides nothing while no resource has a priority)" if priority else ""
        )
        yield Finding(
            WARNING,
            f"{both} would fence each other at once when they lose sight of each other{useless}",
            "set priority-fencing-delay, or pcmk_delay_base on one device",
        )
    elif not random and 0 < apart < LEAST_DELAY:
        yield Finding(
            WARNING,
            f"the delays of {both} differ by {apart:g} s: before one is off, it may have switched off the other",
            "let pcmk_delay_base differ by 5 s or more",
        )
    longest = max(
        (max(device.delay(host), device.seconds("pcmk_delay_max") or 0.0)
         for host in fencing.hosts for device in fencing.devices_of(host)),
        default=0.0,
    )  # fmt: skip
    if priority and longest and priority < 2 * longest:
        yield Finding(
            WARNING,
            f"priority-fencing-delay ({priority:g} s) is less than twice the longest other delay ({longest:g} s), "
            "and may be outweighed",
            f"set it to {2 * longest:g}s or more",
        )


def _watchdog(fencing: Fencing) -> Iterator[Finding]:
    if fencing.watchdog_timeout and not fencing.flag("have-watchdog", default=False):
        yield Finding(
            ERROR,
            "stonith-watchdog-timeout is set, and no watchdog is there (have-watchdog is false)",
            "start sbd, or unset it",
        )


def _power(fencing: Fencing) -> Iterator[Finding]:
    poor = [host for host in fencing.everybody if _shares_power(fencing, host)]
    if poor and not (fencing.watchdog_timeout and fencing.flag("have-watchdog", default=False)):
        yield Finding(
            WARNING,
            f"every way to fence {', '.join(poor)} draws its power from the host: without power it cannot be fenced, "
            "and its domains start nowhere",
            "a second level (a switched power strip, or sbd with a watchdog) covers that",
        )


def _shares_power(fencing: Fencing, host: str) -> bool:
    """Whether each level of a host, or without levels each device, has something in it that dies with the host."""
    known = {device.name: device for device in fencing.devices}
    levels = [[known[name] for name in level.devices if name in known] for level in fencing.levels_of(host)]
    ways = levels or [[device] for device in fencing.devices_of(host)]
    return bool(ways) and all(any(SHARES_POWER.fullmatch(device.agent) for device in way) for way in ways)
