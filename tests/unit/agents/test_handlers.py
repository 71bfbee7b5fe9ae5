# SPDX-License-Identifier: GPL-2.0-or-later
"""The rehearsal of the alert agent and of DRBD's handler: each thing that may be wrong with one is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstay.agents import handlers
from backstay.agents.handlers import ADDRESS, HOST

BROKE = "backstay: an alert could not be completed: internal error, NameError: name 'x'"


class Said:
    def __init__(self, code: int | None, err: str = "") -> None:
        self.code, self.out, self.err, self.reason = code, "", err, err or "it said nothing"


class Desk:
    """A place in which an alert agent does what it should, but for one thing."""

    smtp, web = "127.0.0.1:25", "http://127.0.0.1:80/x"

    def __init__(self, wrong: str = "") -> None:
        self.wrong, self.refuses, self.given = wrong, False, []
        self.mailed, self.posted, self.logged = [], [], []

    def run(self, argv, environment, timeout):
        self.given.append(dict(environment))
        if self.wrong == "hangs":
            return Said(None, "no end within 20 s")
        if "CRM_alert_kind" not in environment:
            return Said(0 if self.wrong == "no usage" else 2, "usage")
        if self.wrong == "broken":
            return Said(0, BROKE)
        if not self.refuses and self.wrong != "no mail":
            self.mailed.append("somebody" if self.wrong == "no name" else f"host {HOST}")
        if self.wrong not in ("no web", "hides") or (self.wrong == "hides" and not self.refuses):
            self.posted.append(f"host {HOST}")
        self.logged += [] if self.wrong == "no entry" else [f"MESSAGE=host {HOST}"]
        return Said(1 if self.refuses and self.wrong != "silent" else 0)

    def mails(self):
        return self.mailed

    def posts(self):
        return self.posted

    def entries(self):
        return self.logged

    def refuse_mail(self):
        self.refuses = True


@pytest.mark.parametrize(
    ("wrong", "trouble"),
    [
        ("", ""),
        ("hangs", "does not end without an event: no end within 20 s"),
        ("no usage", "ends with exit code 0 instead of 2 without an event"),
        ("broken", "NameError"),
        ("no mail", "0 mails were made instead of one"),
        ("no name", "1 mails were made instead of one that names the host"),
        ("no web", "0 web requests were made"),
        ("no entry", "0 entries of the journal were made"),
        ("silent", "ends with exit code 0 instead of 1 when a mail server refuses"),
        ("hides", "tells nobody else when a mail server refuses"),
    ],
)
def test_what_may_be_wrong_with_an_alert_agent(wrong, trouble):
    found = handlers.alert(Path("alert"), Desk(wrong))
    assert trouble in found
    assert bool(found) == bool(trouble)


def test_an_alert_is_told_in_every_way_and_to_nobody_real():
    desk = Desk()
    handlers.alert(Path("alert"), desk)
    first, event, again = desk.given
    assert (first, event) == ({}, again)
    assert event["CRM_alert_recipient"].split() == ["journal", ADDRESS, desk.web]
    assert ADDRESS.endswith(".invalid")
    assert event["smtp"] == desk.smtp


@pytest.mark.parametrize(("code", "trouble"), [(2, ""), (0, "instead of 2"), (None, "does not end")])
def test_drbds_handler_is_only_asked_for_what_there_is_not(code, trouble):
    class Quiet(Desk):
        def run(self, argv, environment, timeout):
            assert not {"fence", "unfence", "split-brain"} & set(argv)
            return Said(code)

    assert trouble in handlers.drbd_fence(Path("drbd-fence"), Quiet())
    assert bool(handlers.drbd_fence(Path("drbd-fence"), Quiet())) == bool(trouble)
