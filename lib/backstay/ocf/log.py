# SPDX-License-Identifier: GPL-2.0-or-later
"""One line at a time to the system log, tagged backstay-<agent>[instance]; on a terminal also to stderr.

Decides nothing. Never raises, never waits for a log daemon that hangs, and keeps nothing open between lines. Nothing
secret is ever given to it.
"""

from __future__ import annotations

import sys

from backstay.ocf.outcome import one_line

# syslog(3) priorities
ALERT, ERROR, WARNING, NOTICE = 1, 3, 4, 5


class Log:
    """The log of one agent's call."""

    __slots__ = ("tag",)

    def __init__(self, agent: str, instance: str = "") -> None:
        self.tag = one_line(f"backstay-{agent}[{instance}]" if instance else f"backstay-{agent}")

    def line(self, priority: int, text: str) -> None:
        """Write one line (line breaks become blanks) with a syslog priority."""
        from backstay.host.syslog import send

        said = one_line(text)
        send(priority, self.tag, said)
        if sys.stderr is not None and sys.stderr.isatty():
            sys.stderr.write(f"{self.tag}: {said}\n")

    def alert(self, text: str) -> None:
        """Write what somebody has to get out of bed for."""
        self.line(ALERT, text)

    def error(self, text: str) -> None:
        """Write a failure."""
        self.line(ERROR, text)

    def warn(self, text: str) -> None:
        """Write what an admin should look at."""
        self.line(WARNING, text)

    def note(self, text: str) -> None:
        """Write what happened."""
        self.line(NOTICE, text)
