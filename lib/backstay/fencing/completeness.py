# SPDX-License-Identifier: GPL-2.0-or-later
"""Is fencing configured so that it can work? A table over a CIB, one finding for each thing that is missing.

Decides findings about the cluster as a whole; those about one device, about levels and about delays are decided in
completeness_devices.py, completeness_levels.py and completeness_delays.py. Asks nothing outside.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from backstay.fencing.completeness_delays import two_hosts
from backstay.fencing.completeness_devices import devices
from backstay.fencing.completeness_levels import levels
from backstay.fencing.configuration import Fencing
from backstay.fencing.finding import ERROR, NOTE, WARNING, Finding
from backstay.fencing.primitives import by_rule

# Agents whose device draws its power from the host that it switches off.
SHARES_POWER = re.compile(r"fence_(backstay_)?(ipmi|ipmilan\w*|idrac|ilo\w*|imm|redfish|drac\w*|hpblade)")
# Cluster properties that this check goes by.
JUDGED = (
    "stonith-enabled", "startup-fencing", "stonith-timeout", "stonith-watchdog-timeout", "have-watchdog",
    "priority-fencing-delay",
)  # fmt: skip
Rule = Callable[[Fencing], Iterator[Finding]]


def findings(fencing: Fencing) -> tuple[Finding, ...]:
    """Everything that is missing or does not add up, errors first."""
    found = [finding for rule in RULES for finding in rule(fencing)]
    return tuple(sorted(found, key=lambda finding: (ERROR, WARNING, NOTE).index(finding.severity)))


def _switched_on(fencing: Fencing) -> Iterator[Finding]:
    if not fencing.flag("stonith-enabled", default=True):
        yield Finding(ERROR, "stonith-enabled is false, so no host is ever fenced", "set it to true")
    if not fencing.flag("startup-fencing", default=True):
        yield Finding(
            WARNING, "startup-fencing is false: a host that was never seen is believed dead", "set it to true"
        )


def _ruled(fencing: Fencing) -> Iterator[Finding]:
    concerned = {name: place for name, place in fencing.ruled.items() if name in JUDGED}
    if concerned:
        text = f"{by_rule(concerned)}; what is said here holds while the rule does not"
        yield Finding(WARNING, text, "set it without a rule: fencing is needed at any time")


def _everybody(fencing: Fencing) -> Iterator[Finding]:
    if any(device.enabled and device.targets is None for device in fencing.devices):
        return  # whom it fences is only known to the device
    if not fencing.devices:
        if _watched(fencing):
            return  # sbd without disks, for all: Pacemaker's own device `watchdog` fences
        hint = "without one no lost host's domains can be recovered"
        yield Finding(ERROR, "there is no fence device", hint)
        return
    levelled = {level.target for level in fencing.levels}
    for host in fencing.everybody:
        if not fencing.devices_of(host) and host not in levelled:
            yield Finding(
                ERROR, f"no device can fence {host}", "configure one, with the host in its pcmk_host_list"
            )


def _watchdog(fencing: Fencing) -> Iterator[Finding]:
    if fencing.watchdog_timeout and not fencing.flag("have-watchdog", default=False):
        yield Finding(
            ERROR,
            "stonith-watchdog-timeout is set, and no watchdog is there (have-watchdog is false)",
            "start sbd, or unset it",
        )


def _watched(fencing: Fencing) -> bool:
    """Whether a lost host is believed dead once its watchdog must have fired."""
    return bool(fencing.watchdog_timeout) and fencing.flag("have-watchdog", default=False)


def _power(fencing: Fencing) -> Iterator[Finding]:
    poor = [host for host in fencing.everybody if _shares_power(fencing, host)]
    if poor and not _watched(fencing):
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


RULES: tuple[Rule, ...] = (_switched_on, _ruled, _everybody, devices, levels, two_hosts, _watchdog, _power)
