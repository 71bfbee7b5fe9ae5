# SPDX-License-Identifier: GPL-2.0-or-later
"""The rehearsal of the programs that nobody asks for metadata: Pacemaker's alert agent, and DRBD's handlers.

Decides what each is given and what must come of it. Where they run nothing reaches this host's log or cluster, and the
mail and web server are those of a rehearsal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from backstay.agents.rehearsal import COMPLETED, INTERNAL, Spoken

USAGE, TOLD, NOT_TOLD = 2, 0, 1
LIMIT = 20.0  # seconds
HOST = "backstay-rehearsal"
ADDRESS = "admin@backstay-rehearsal.invalid"  # RFC 2606
EVENT = MappingProxyType(
    {
        "CRM_alert_kind": "fencing",
        "CRM_alert_node": HOST,
        "CRM_alert_desc": f"Operation reboot of {HOST} by <no-one> for rehearsal@{HOST}: No such device (ref=1)",
        "CRM_alert_task": "st_notify_fence",
        "CRM_alert_rc": "-19",
        "tellers": "0",  # whoever is there: the cluster of this host is not asked
        "time_limit": f"{LIMIT:.0f}s",
    }
)
"""A fencing that failed, as Pacemaker 2.1.5 tells it: the event for which somebody has to be woken."""


class Desk(Protocol):
    """Where a handler runs, with a mail server, a web server and a journal of the rehearsal (host.desk)."""

    smtp: str
    web: str

    def run(self, argv: Sequence[str], environment: Mapping[str, str], timeout: float) -> Spoken: ...
    def mails(self) -> list[str]: ...
    def posts(self) -> list[str]: ...
    def entries(self) -> list[str]: ...
    def refuse_mail(self) -> None: ...


def alert(program: Path, desk: Desk) -> str:
    """Have an alert told by mail, web and journal, then with a mail server that refuses; what is wrong, or nothing."""
    trouble = _ended(desk.run([str(program)], {}, LIMIT), USAGE, "without an event")
    if trouble:
        return trouble
    whom = {"CRM_alert_recipient": f"journal {ADDRESS} {desk.web}", "smtp": desk.smtp}
    trouble = _ended(desk.run([str(program)], {**EVENT, **whom}, LIMIT), TOLD, "with an event")
    if trouble:
        return trouble
    told = {"mails": desk.mails(), "web requests": desk.posts(), "entries of the journal": desk.entries()}
    for kind, texts in told.items():
        if len(texts) != 1 or HOST not in texts[0]:
            return f"ends well, and {len(texts)} {kind} were made instead of one that names the host"
    desk.refuse_mail()
    refused = desk.run([str(program)], {**EVENT, **whom}, LIMIT)
    trouble = _ended(refused, NOT_TOLD, "when a mail server refuses")
    if trouble:
        return trouble
    return "" if len(desk.posts()) == 2 else "tells nobody else when a mail server refuses"


def drbd_fence(program: Path, desk: Desk) -> str:
    """Ask for a deed that there is not: any other would have the cluster act. What is wrong, or nothing."""
    return _ended(
        desk.run([str(program), "rehearsal"], {"DRBD_RESOURCE": HOST}, LIMIT), USAGE, "without a deed"
    )


HANDLERS: Mapping[str, Callable[[Path, Desk], str]] = MappingProxyType(
    {"alert": alert, "drbd-fence": drbd_fence}
)


def _ended(said: Spoken, code: int, when: str) -> str:
    """What is wrong with how a run ended."""
    if said.code is None:
        return f"does not end {when}: {said.reason}"
    if said.code != code or INTERNAL in said.err or COMPLETED in said.err or "Traceback" in said.err:
        return f"ends with exit code {said.code} instead of {code} {when}: {said.reason}"
    return ""
