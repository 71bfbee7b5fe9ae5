# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a role was, by what each host wrote down itself when it took, held and left it: the audit of "never on two".

Decides what the records mean, and what makes them no evidence. Each host writes by its own clock, so that is read beside
the record; a host without power says nothing, and its tenures are those that the lease has of it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from backstay.agents.frontend_lease import Tenure, overlaps, parse
from backstay.errors import CannotAsk

DIRECTORY = "/var/lib/backstay"


@dataclass(frozen=True, slots=True)
class Told:
    """A host's record; its clock is `ahead` of the others' by so many seconds, give or take `doubt`."""

    record: str
    ahead: float = 0.0
    doubt: float = 0.0


def audit(told: Mapping[str, Told], lease: str = "") -> tuple[list[Tenure], list[str]]:
    """Give every tenure by one clock, and each reason why the role was not, or is not proven to have been, on one host.

    `told` is of each host that has power, `lease` the text of the file that moves with the role.
    """
    own = {host: parse(each.record) for host, each in told.items()}
    findings = [
        f"{who} has a line that makes no sense: {line!r}"
        for who, text in [*((host, each.record) for host, each in told.items()), ("the lease", lease)]
        for line in text.splitlines()
        if not parse(line)
    ]
    findings += [
        f"{host} wrote down a tenure of {each.host}"
        for host, tenures in own.items()
        for each in tenures
        if each.host != host
    ]
    shared = parse(lease)
    findings += [
        f"the lease has a tenure of {each.host} which that host did not write down: {each}"
        for each in shared
        if each.host in told and not any(_covers(one, each) for one in own[each.host])
    ]
    silent = [each for each in shared if each.host not in told]
    found = [_by_one_clock(each, told) for tenures in [*own.values(), silent] for each in tenures]
    findings += [
        f"{each} goes backwards: a clock was set" for each in found if not each.taken <= each.held <= each.end
    ]
    findings += [f"{one} and {other} overlap" for one, other in overlaps(found) if _surely(one, other, told)]
    if not found:
        findings.append("no host wrote down that it held the role")
    return sorted(found, key=lambda each: each.taken), findings


def _covers(own: Tenure, shared: Tenure) -> bool:
    """Whether a host's own record has a tenure of the lease; both are written with the same time."""
    return own.by(shared.host, shared.boot) and own.taken <= shared.taken <= own.end


def _by_one_clock(each: Tenure, told: Mapping[str, Told]) -> Tenure:
    ahead = told[each.host].ahead if each.host in told else 0.0
    return Tenure(
        each.host, each.boot, each.taken - ahead, each.held - ahead, each.left - ahead if each.left else 0.0
    )


def _surely(one: Tenure, other: Tenure, told: Mapping[str, Told]) -> bool:
    """Whether two tenures overlap by more than what is not known of their hosts' clocks."""
    return one.end - other.taken > sum(told[each.host].doubt for each in (one, other) if each.host in told)


def ask(lab, role: str, lease: str = "") -> tuple[dict[str, Told], str]:
    """What each host with power says, and the lease as the first of them has it that sees it."""
    told, shared = {}, ""
    for name in lab.names:
        try:
            before = time.time()
            clock, _, record = (
                lab.node(name)
                .check(f"date +%s.%N; cat {DIRECTORY}/role-{role} 2>/dev/null || true")
                .partition("\n")
            )
            after = time.time()
            shared = shared or (lab.node(name).run(["cat", lease]).stdout if lease else "")
        except CannotAsk:
            continue
        told[name] = Told(record, float(clock) - (before + after) / 2, (after - before) / 2)
    return told, shared


def never_on_two(lab, role: str, lease: str = "") -> list[Tenure]:
    """Fail when two hosts held the role at the same time, or the records do not prove that; give what was written."""
    written, findings = audit(*ask(lab, role, lease))
    assert findings == []
    return written
