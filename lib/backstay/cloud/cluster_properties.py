# SPDX-License-Identifier: GPL-2.0-or-later
"""Pacemaker's cluster properties that an admin may set beside what Backstay decides, by their own names.

Decides which those are, what each may be, and what to write instead of one that is decided elsewhere. Source: the
metadata of Pacemaker 2.1.5's daemons (tests/integration/cib/test_defaults.py compares them with the installed ones).
"""

from __future__ import annotations

import re
from fractions import Fraction

from backstay.cloud.kinds import BOOLEAN, Kind, choice, duration, integer, line, matching
from backstay.cloud.problems import listed, nearest, quote
from backstay.cloud.reader import Fields
from backstay.cloud.sections import Named
from backstay.cloud.units import Seconds, cib_duration

_COUNT = integer(0, 999999)
_FILES = matching("number", re.compile(r"-1|[0-9]{1,6}"), "a whole number, or -1 for all")
_SCORE = matching(
    "score", re.compile(r"[+-]?(?:INFINITY|[0-9]{1,7})"), "a score such as `100` or `-INFINITY`"
)
_SHARE = matching("percentage", re.compile(r"100%|[1-9]?[0-9]%"), "a percentage such as `80%`")
_TIME = duration(0)

KNOWN: dict[str, Kind] = {
    "batch-limit": _COUNT,
    "cluster-delay": _TIME,
    "cluster-ipc-limit": _COUNT,
    "cluster-recheck-interval": _TIME,
    "concurrent-fencing": BOOLEAN,
    "dc-deadtime": _TIME,
    "election-timeout": _TIME,
    "enable-acl": BOOLEAN,
    "fence-reaction": choice(("stop", "panic")),
    "join-finalization-timeout": _TIME,
    "join-integration-timeout": _TIME,
    "load-threshold": _SHARE,
    "node-action-limit": _COUNT,
    "node-health-base": _SCORE,
    "node-health-green": _SCORE,
    "node-health-red": _SCORE,
    "node-health-strategy": choice(("none", "migrate-on-red", "only-green", "progressive", "custom")),
    "node-health-yellow": _SCORE,
    "pe-error-series-max": _FILES,
    "pe-input-series-max": _FILES,
    "pe-warn-series-max": _FILES,
    "shutdown-escalation": _TIME,
    "stonith-action": choice(("reboot", "off")),
    "stonith-max-attempts": integer(1, 999999),
    "stop-orphan-actions": BOOLEAN,
    "stop-orphan-resources": BOOLEAN,
    "transition-delay": _TIME,
}
_FIXED = "no such property: without what Backstay has there, a domain may run twice"
_SWITCH = "no such property: it is a switch for a while (`crm_attribute --name {} --update true`)"
_ITS_OWN = "no such property: Pacemaker writes it itself"
INSTEAD = {
    "cluster-infrastructure": _ITS_OWN,
    "cluster-name": "`cluster: name`",
    "dc-version": _ITS_OWN,
    "enable-startup-probes": _FIXED,
    "have-watchdog": _ITS_OWN,
    "maintenance-mode": _SWITCH.format("maintenance-mode"),
    "migration-limit": "`policy: migration_limit`",
    "no-quorum-policy": "`policy: no_quorum`",
    "placement-strategy": "`policy: placement`",
    "priority-fencing-delay": "`policy: priority_fencing_delay`",
    "remove-after-stop": "no such property: Pacemaker calls it dangerous, and takes it away",
    "shutdown-lock": "`policy: shutdown_lock`",
    "shutdown-lock-limit": "`policy: shutdown_lock_limit`",
    "start-failure-is-fatal": "no such property: domains would not leave a host where libvirtd cannot be started",
    "startup-fencing": _FIXED,
    "stonith-enabled": _FIXED,
    "stonith-timeout": "`policy: fencing_timeout`",
    "stonith-watchdog-timeout": "no such property: it is for hosts that run sbd, set by hand once all of them do",
    "stop-all-resources": _SWITCH.format("stop-all-resources"),
    "symmetric-cluster": "no such property: no domain would find a host, as nothing says where it may run",
}
"""What is expected in place of a property that Backstay, Pacemaker or a moment decides."""

PROPERTIES = Named("setting", line(), "|".join(KNOWN), len(KNOWN))
DOC = f"Pacemaker's own properties that Backstay leaves alone, by their own names: {', '.join(KNOWN)}."


def properties_of(fields: Fields | None) -> tuple[tuple[str, str], ...]:
    """The properties in `fields`, as Pacemaker writes them, in the order of the file."""
    found: list[tuple[str, str]] = []
    if fields is None:
        return ()
    for name, (word, _) in fields.mapping.items.items():
        if name in KNOWN:
            value = fields.value(name, KNOWN[name])
            found += [(name, _written(value))] if value is not None else []
        else:
            expected = INSTEAD.get(name, f"one of {listed(KNOWN)}")
            meant = "" if name in INSTEAD else nearest(name, KNOWN)
            fields.report.add(word.at, f"the property {quote(name)}", expected, meant)
    return tuple(found)


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return cib_duration(Seconds(value)) if isinstance(value, Fraction) else str(value)
