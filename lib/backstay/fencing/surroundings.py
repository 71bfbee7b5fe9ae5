# SPDX-License-Identifier: GPL-2.0-or-later
"""Does fencing fit what it runs in: Corosync's times and votes, the watchdog and sbd? A table, one finding for each.

Decides findings from what was read on this host and told by the others. Asks nothing. What the CIB alone shows is
completeness.py's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from backstay.fencing.completeness_delays import delays_of
from backstay.fencing.configuration import Fencing
from backstay.fencing.finding import ERROR, WARNING, Finding

LEAST_TOKEN = 1.0  # seconds; Corosync 3's own default is 3 s
MOST_TOKEN = 30.0
SOFTDOG = "Software Watchdog"  # the identity of Linux's softdog


@dataclass(frozen=True, slots=True)
class Corosync:
    """What Corosync runs with. Times in seconds; None where it was not to be learnt."""

    token: float | None = None
    consensus: float | None = None
    two_node: bool = False
    wait_for_all: bool = False
    qdevice: bool = False


@dataclass(frozen=True, slots=True)
class Sbd:
    """sbd on this host. `timeout` is its SBD_WATCHDOG_TIMEOUT (s), `watchdog` what its watchdog calls itself."""

    runs: bool = False
    timeout: float | None = None
    disks: tuple[str, ...] = ()
    watchdog: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a host runs in; `watchdogs` are the SBD_WATCHDOG_TIMEOUT (s) that hosts have told of, this one included."""

    corosync: Corosync | None = None
    sbd: Sbd = Sbd()
    watchdogs: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


def findings(fencing: Fencing, around: Surroundings) -> tuple[Finding, ...]:
    """Everything that does not fit."""
    rules = (_token, _votes, _delay, _watchdog, _disks, _times)
    return tuple(finding for rule in rules for finding in rule(fencing, around))


def _token(_fencing: Fencing, around: Surroundings) -> Iterator[Finding]:
    token = around.corosync.token if around.corosync else None
    if token is None:
        return
    if token < LEAST_TOKEN:
        yield Finding(
            WARNING,
            f"Corosync's token time is {token:g} s: a host that pauses for so long is fenced",
            "set token in corosync.conf to 3000 or more",
        )
    if token > MOST_TOKEN:
        consensus = around.corosync.consensus if around.corosync else None
        lost = token + (
            1.2 * token if consensus is None else consensus
        )  # corosync.conf(5): consensus is 1.2 * token
        yield Finding(
            WARNING,
            f"Corosync's token time is {token:g} s: a lost host is noticed after {lost:.0f} s, and only then fenced",
            "its domains stay down for that time; set token in corosync.conf to 10000 or less",
        )


def _votes(fencing: Fencing, around: Surroundings) -> Iterator[Finding]:
    corosync = around.corosync
    if corosync is None or len(fencing.hosts) != 2 or corosync.qdevice:
        return
    if not corosync.two_node:
        yield Finding(
            ERROR,
            f"when {' or '.join(fencing.hosts)} is lost, the other has no quorum, and without it no host is fenced",
            "set two_node: 1 in the quorum section of corosync.conf, or add a qdevice",
        )
    elif not corosync.wait_for_all:
        yield Finding(
            WARNING,
            "wait_for_all is off: a host that boots while the network is away fences the other one",
            "remove wait_for_all: 0 from corosync.conf (two_node switches it on)",
        )


def _delay(fencing: Fencing, around: Surroundings) -> Iterator[Finding]:
    token = around.corosync.token if around.corosync else None
    if token is None or len(fencing.hosts) != 2:
        return
    first, second = (delays_of(fencing, host) for host in fencing.hosts)
    apart = abs(first.base - second.base)
    if apart and not (first.random or second.random) and apart < token:
        yield Finding(
            WARNING,
            f"the delays of {' and '.join(fencing.hosts)} differ by {apart:g} s, and one of them may notice the loss "
            f"of the other by Corosync's token time ({token:g} s) later",
            f"let pcmk_delay_base differ by {max(token + 2, 5):.0f} s",
        )


def _watchdog(fencing: Fencing, around: Surroundings) -> Iterator[Finding]:
    wait = fencing.watchdog_timeout
    sbd = around.sbd
    if fencing.flag("have-watchdog", default=False) and not sbd.runs:
        yield Finding(
            ERROR,
            "the cluster counts on a watchdog (have-watchdog is true), and sbd does not run on this host",
            "systemctl enable sbd, and restart the cluster here",
        )
    if sbd.runs and sbd.watchdog == SOFTDOG:
        yield Finding(
            WARNING,
            "the watchdog of this host is softdog, which stops with the kernel that it is to watch",
            "use the watchdog of the BMC or the chipset (ipmi_watchdog, iTCO_wdt, sp5100_tco)",
        )
    if wait and sbd.runs and not sbd.disks and len(fencing.hosts) == 2 and not _third_vote(around):
        yield Finding(
            ERROR,
            "two hosts without a qdevice both keep quorum when they lose sight of each other: no watchdog fires, and "
            "each believes the other dead after stonith-watchdog-timeout",
            "add a qdevice, or unset stonith-watchdog-timeout and fence by BMC",
        )


def _third_vote(around: Surroundings) -> bool:
    return around.corosync is None or around.corosync.qdevice or not around.corosync.two_node


def _disks(fencing: Fencing, around: Surroundings) -> Iterator[Finding]:
    if fencing.watchdog_timeout and around.sbd.disks:
        yield Finding(
            WARNING,
            "stonith-watchdog-timeout is set although sbd has disks: a host would be believed dead that can be told",
            "unset it: with disks, fence_sbd is the device",
        )


def _times(fencing: Fencing, around: Surroundings) -> Iterator[Finding]:
    """Source: Pacemaker takes twice SBD_WATCHDOG_TIMEOUT when it chooses itself (-1), and refuses less than once."""
    told = dict(around.watchdogs)
    if len(set(told.values())) > 1:
        each = ", ".join(f"{host} {time:g} s" for host, time in sorted(told.items()))
        yield Finding(
            WARNING,
            f"SBD_WATCHDOG_TIMEOUT is not the same on all hosts ({each})",
            "make it the same: what waits for one host must do for each",
        )
    wait, longest = fencing.watchdog_timeout, max(told.values(), default=0.0)
    if wait <= 0 or not longest:
        return
    if wait <= longest:
        yield Finding(
            ERROR,
            f"stonith-watchdog-timeout is {wait:g} s, and a watchdog may need {longest:g} s (SBD_WATCHDOG_TIMEOUT): a "
            "host would be believed dead while it lives",
            f"set it to {2 * longest:g}s",
        )
    elif wait < 2 * longest:
        yield Finding(
            WARNING,
            f"stonith-watchdog-timeout ({wait:g} s) is less than twice SBD_WATCHDOG_TIMEOUT ({longest:g} s)",
            f"set it to {2 * longest:g}s",
        )
