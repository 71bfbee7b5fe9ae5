# SPDX-License-Identifier: GPL-2.0-or-later
"""What a check of fencing tells the cluster and the log, and what it reads of Corosync, sbd and the other hosts.

Decides what is a change: each cell that is not what it was is one line in the log, and nothing else is. While a host is
being fenced nobody is asked, so nothing is told either: the last proof stands, and its age grows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from backstay.errors import BackstayError
from backstay.fencing.check import Report
from backstay.fencing.finding import ERROR, Finding
from backstay.fencing.readiness import CELLS, State, changes, packed, unpacked, word
from backstay.fencing.surroundings import Corosync, Sbd, Surroundings
from backstay.host import corosync, sbd
from backstay.host.attributes import Attributes
from backstay.host.machine import MEMORY_LEFT, memory_left, system_uuid
from backstay.host.state import State as Kept
from backstay.ocf.log import Log

ATTRIBUTE = "backstay-fencing"
MACHINE, WATCHDOG = "backstay-system-uuid", "backstay-watchdog-timeout"
ERRORS = "fence-errors"  # of the configuration, as they were said last
ANSWER = 5.0  # seconds
YES = ("1", "yes")


def announce(report: Report, kept: Kept, around: Surroundings | None) -> None:
    """Tell the cluster, and the log when it changed; details go to the attribute daemon alone, not into the CIB."""
    if report.cells and all(each.state is State.UNPROVEN for each in report.cells):
        return
    attributes = Attributes()
    errors = [finding for finding in report.findings if finding.severity == ERROR]
    now = word(report.cells, configured=not errors)
    if attributes.values(ATTRIBUTE, ANSWER).get(report.here, "") != now:
        attributes.publish(ATTRIBUTE, now, ANSWER)
    _log(report, attributes.values(CELLS, ANSWER).get(report.here, ""), errors, kept)
    attributes.whisper(CELLS, packed(report.cells), ANSWER)
    attributes.whisper(MEMORY_LEFT, memory_left(), ANSWER)
    if system_uuid():
        attributes.whisper(MACHINE, system_uuid(), ANSWER)
    if around and around.sbd.runs and around.sbd.timeout:
        attributes.whisper(WATCHDOG, f"{around.sbd.timeout:g}", ANSWER)


def _log(report: Report, before: str, errors: list[Finding], kept: Kept) -> None:
    log = Log("fence")
    for each in changes(unpacked(report.here, before), report.cells):
        if each.state.good:
            log.note(f"this host could fence {each.target} with {each.device} again")
        elif each.state is State.UNTESTED:
            log.alert(f"this host may not be able to fence: {each.device} for {each.target}: {each.reason}")
        else:
            log.alert(f"this host could not fence now: {each.device} for {each.target}: {each.reason}")
    try:
        known = set(json.loads(kept.read(ERRORS) or "[]"))
    except (ValueError, TypeError):
        known = set()
    texts = [finding.text for finding in errors]
    for text in texts:
        if text not in known:
            log.alert(f"fencing is not configured so that it can work: {text}")
    if known and not texts:
        log.note("fencing is configured so that it can work again")
    if known != set(texts):
        kept.write(ERRORS, json.dumps(sorted(texts)))


def around(here: str) -> Surroundings:
    """What fencing runs in on this host; what cannot be learnt is left open."""
    runs, settings = sbd.runs(ANSWER), sbd.settings()
    own = Sbd(runs)
    if settings:
        disks = tuple(filter(None, (disk.strip() for disk in settings["SBD_DEVICE"].split(";"))))
        watchdog = sbd.identity(settings["SBD_WATCHDOG_DEV"])
        own = Sbd(runs, _number(settings["SBD_WATCHDOG_TIMEOUT"]), disks, watchdog)
    try:
        told = Attributes().values(WATCHDOG, ANSWER)
    except BackstayError:
        told = {}
    watchdogs = {host: time for host, text in told.items() if (time := _number(text)) is not None}
    if runs and own.timeout:
        watchdogs[here] = own.timeout
    return Surroundings(_corosync(corosync.settings(ANSWER)), own, watchdogs)


def _corosync(keys: Mapping[str, str]) -> Corosync | None:
    if not keys:
        return None
    token, consensus = (
        _number(keys.get(f"runtime.config.totem.{name}", "")) for name in ("token", "consensus")
    )
    two_node = keys.get("quorum.two_node", "") in YES
    # votequorum(5): two_node switches wait_for_all on, unless it is switched off.
    wait = keys.get("quorum.wait_for_all", "1" if two_node else "0") in YES
    return Corosync(
        None if token is None else token / 1000,
        None if consensus is None else consensus / 1000,
        two_node,
        wait,
        any(key.startswith("quorum.device.model") for key in keys),
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
