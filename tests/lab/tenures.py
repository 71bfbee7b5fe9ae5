# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a role was, by what each host wrote down itself when it took, held and left it: the audit of "never on two"."""

from __future__ import annotations

from backstay.agents.frontend_lease import Tenure, overlaps, parse
from backstay.errors import CannotAsk


def tenures(lab, role: str) -> list[Tenure]:
    """Every tenure that any host wrote down itself; a host without power says nothing."""
    found = []
    for name in lab.names:
        try:
            found += parse(lab.node(name).read(f"/var/lib/backstay/role-{role}"))
        except (CannotAsk, FileNotFoundError):
            continue
    return found


def never_on_two(lab, role: str) -> list[Tenure]:
    """Fail when two hosts held the role at the same time, or nobody wrote down that it did; give what was written."""
    written = tenures(lab, role)
    assert written, f"no host wrote down that it held {role}"
    assert overlaps(written) == []
    return written
