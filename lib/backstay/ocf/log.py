# SPDX-License-Identifier: GPL-2.0-or-later
"""One line at a time to the system log, tagged backstay-<agent>[instance]; on a terminal also to stderr.

Decides nothing. Never raises, never waits for a log daemon that hangs, and keeps nothing open between lines. Nothing
secret is ever given to it. In the journal each line has fields: BACKSTAY_RESOURCE, BACKSTAY_HOST, BACKSTAY_ACTION and
BACKSTAY_CODE, as far as they are known (`journalctl BACKSTAY_RESOURCE=web1`).
"""

from __future__ import annotations

import os
import sys

from backstay.ocf.outcome import one_line

# syslog(3) priorities
ALERT, ERROR, WARNING, NOTICE = 1, 3, 4, 5


class Log:
    """The log of one agent's call: what `action` does to the resource `instance`, on `host` (default: this one)."""

    __slots__ = ("action", "host", "instance", "tag")

    def __init__(self, agent: str, instance: str = "", action: str = "", host: str = "") -> None:
        self.tag = one_line(f"backstay-{agent}[{instance}]" if instance else f"backstay-{agent}")
        self.instance = one_line(instance)
        self.action = one_line(action)
        self.host = host or os.uname().nodename

    def line(self, priority: int, text: str, code: int | None = None) -> None:
        """Write one line (line breaks become blanks) with a syslog priority; `code` is what the action ends with."""
        from backstay.host.syslog import send

        said = one_line(text)
        fields = {
            "BACKSTAY_RESOURCE": self.instance,
            "BACKSTAY_HOST": self.host,
            "BACKSTAY_ACTION": self.action,
            "BACKSTAY_CODE": "" if code is None else str(code),
        }
        send(priority, self.tag, said, fields=fields)
        if sys.stderr is not None and sys.stderr.isatty():
            sys.stderr.write(f"{self.tag}: {said}\n")

    def alert(self, text: str) -> None:
        """Write what somebody has to get out of bed for."""
        self.line(ALERT, text)

    def error(self, text: str, code: int | None = None) -> None:
        """Write a failure."""
        self.line(ERROR, text, code)

    def traceback(self, error: BaseException) -> None:
        """Write where an error of our own came from, a line each: what the one guard of a process has to keep."""
        import traceback

        for line in "".join(traceback.format_exception(error)).splitlines():
            self.error(line)

    def warn(self, text: str) -> None:
        """Write what an admin should look at."""
        self.line(WARNING, text)

    def note(self, text: str, code: int | None = None) -> None:
        """Write what happened."""
        self.line(NOTICE, text, code)
