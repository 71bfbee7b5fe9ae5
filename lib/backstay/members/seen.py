# SPDX-License-Identifier: GPL-2.0-or-later
"""What the machine that comes or goes has, beside the members: whose key is another, what an earlier cluster left.

Decides who lacks the cluster's key, what must not stay there, and whether its services run. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backstay.host.far import Machine
from backstay.members.candidate import untouched

UNITS = {False: ("corosync", "pacemaker"), True: ("pacemaker_remote",)}
"""What runs on a full member, and on a remote host, in the order of starting."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A host of the cluster as it is to be, and what was seen: `members` by name, `here` is one of them.

    `target` is the machine, None when it cannot be reached.
    """

    name: str
    remote: bool
    leaving: bool
    here: str
    members: Mapping[str, Machine]
    target: Machine | None

    @property
    def ours(self) -> Machine:
        """The member that everything is compared with."""
        return self.members[self.here]


def keyless(seen: Seen) -> tuple[str, ...]:
    """Who lacks the key that this host has; with a remote host all members have one."""
    ours, target = seen.ours, seen.target
    if seen.leaving:
        return ()
    new = [seen.name] if target is not None else []
    if not seen.remote:
        return tuple(new) if ours.key and target and target.key != ours.key else ()
    others = [
        name for name, one in seen.members.items() if not one.remote_key or one.remote_key != ours.remote_key
    ]
    return (*others, *(new if others or not target or target.remote_key != ours.remote_key else ()))


def leftovers(seen: Seen) -> bool:
    """Whether the machine has files of a cluster that are not to be there."""
    target = seen.target
    if target is None:
        return False
    if seen.leaving:
        return _has_our_key(seen, target) or bool(not seen.remote and target.conf and not _untouched(target))
    runs = any(target.runs(unit) for unit in UNITS[False])
    return not seen.remote and not target.held and (target.cib is not None or (runs and _untouched(target)))


def _has_our_key(seen: Seen, target: Machine) -> bool:
    key, has = (target.remote_key, seen.ours.remote_key) if seen.remote else (target.key, seen.ours.key)
    return bool(has) and key == has


def active(seen: Seen) -> bool:
    """Whether its services run: all of those of a host that comes, any of one that goes."""
    target = seen.target
    if target is None or (not seen.remote and _untouched(target)):
        return False
    units = [target.runs(unit) for unit in UNITS[seen.remote]]
    return any(units) if seen.leaving else all(units)


def _untouched(machine: Machine) -> bool:
    return machine.conf is not None and untouched(machine.conf)
