# SPDX-License-Identifier: GPL-2.0-or-later
"""The process that Pacemaker starts for one event and one recipient, as the user hacluster: its entry and its guard.

Decides whether this event is told at all and from this host, and when it is over: before Pacemaker would kill it.
Ends with 0 when everybody was told, 1 when somebody was not, 2 when nothing was asked of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from backstay.alerts import settings as words
from backstay.alerts.event import Event, read
from backstay.alerts.settings import Destination, Settings
from backstay.alerts.telling import Letter, destinations, tell
from backstay.alerts.wording import Message, message
from backstay.errors import BackstayError
from backstay.host.attributes import Attributes
from backstay.host.clock import Deadline, age_of_this_process
from backstay.ocf.log import Log
from backstay.ocf.runtime import margin

ASKING = 3.0  # seconds for the cluster to say who is there
TOLD_BY_FEW = ("node", "fencing")  # every host has these events; a resource's has one host
USAGE = """usage: Pacemaker runs this as an alert agent; see backstay-alert(8). To try a recipient:
  CRM_alert_kind=node CRM_alert_node=test CRM_alert_desc=lost CRM_alert_recipient=admin@example.org %s
"""


def main() -> None:
    """Tell of the event in the environment, and end the process."""
    journal = Log("alert")
    try:
        code = run(os.environ, journal)
    except Exception as error:  # noqa: BLE001  (the one guard)
        journal.error(f"an alert was not told, the agent itself is broken: {type(error).__name__}: {error}")
        journal.traceback(error)
        code = 1
    sys.exit(code)


def run(environ: Mapping[str, str], journal: Log) -> int:
    """Tell of the event that the environment describes; the exit code."""
    event = read(environ)
    if event is None:
        sys.stderr.write(USAGE % sys.argv[0])
        return 2
    settings, wrong = words.read(environ)
    limit = settings.time_limit
    # Pacemaker counts from when it started this process.
    deadline = Deadline(max(limit - margin(limit) - age_of_this_process(), 0.5))
    said = message(event)
    if said.weight > settings.least:
        return 0
    whom, not_any = destinations(words.recipient(environ), deadline)
    here, told = _from_here(event, whom, settings, deadline)
    failed = tell(Letter(event, said, settings, here), told, deadline)
    for text in (*wrong, *not_any, *failed):
        journal.error(f"{text} ({_about(event, said)})")
    return 1 if not_any or failed else 0


def _about(event: Event, said: Message) -> str:
    return f"{event.kind}: {said.what}"


def _from_here(
    event: Event, whom: tuple[Destination, ...], settings: Settings, deadline: Deadline
) -> tuple[str, tuple[Destination, ...]]:
    """The name of this host, and who is told from here. Where the cluster does not say who is there: everybody."""
    here = os.uname().nodename
    if not any(each.way != words.JOURNAL for each in whom):
        return here, whom
    attributes = Attributes()
    try:
        here = attributes.local(deadline.at_most(ASKING).left())
        if event.kind not in TOLD_BY_FEW or not settings.tellers:
            return here, whom
        members = attributes.partition(deadline.at_most(ASKING).left())
    except BackstayError:
        return here, whom
    return here, whom if tells(here, members, event, settings.tellers) else tuple(
        each for each in whom if each.way == words.JOURNAL
    )


def tells(here: str, members: tuple[str, ...], event: Event, tellers: int) -> bool:
    """Whether this host is one of those that tell of a node or a fencing: the first by name, without the one concerned.

    More than one, because the first may fail just then; a host that the cluster does not name tells as well.
    """
    others = sorted(name for name in members if name != event.node)
    return here not in others or here in others[:tellers]
