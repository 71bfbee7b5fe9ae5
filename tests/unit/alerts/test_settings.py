# SPDX-License-Identifier: GPL-2.0-or-later
"""What the alert agent is told to do: instance attributes and recipients; a mistake in them silences nobody."""

from __future__ import annotations

import json

import pytest

from backstay.alerts.agent import tells
from backstay.alerts.event import Event
from backstay.alerts.settings import OPTIONS, Destination, Settings, destination, listed, read, recipient
from backstay.alerts.telling import Letter, body, request, subject
from backstay.alerts.wording import Weight, message
from backstay.errors import BadInput

LOST = Event("node", node="n3", desc="lost", time="2026-01-01T00:00:00Z")


def test_without_anything_the_defaults_of_the_manual_hold() -> None:
    said = {option.name: option.default for option in OPTIONS}
    assert read({}) == read(said) == (Settings(), ())


def test_everything_is_read() -> None:
    given = {
        "least": "alarm", "tellers": "0", "time_limit": "1500ms", "cluster": "c", "smtp": "[2001:db8::1]:465",
        "smtp_tls": "tls", "smtp_user": "u", "smtp_password_file": "/p", "mail_from": "a@b", "web_token_file": "/t",
        "ca": "/ca",
    }  # fmt: skip
    assert set(given) == {option.name for option in OPTIONS}
    assert read(given) == (
        Settings(Weight.alarm, 0, 1.5, "c", "2001:db8::1", 465, "tls", "u", "/p", "a@b", "/t", "/ca"),
        (),
    )
    assert read({"time_limit": "20"})[0].time_limit == 20.0  # Pacemaker's own way to write seconds


@pytest.mark.parametrize("name", ["least", "tellers", "time_limit", "smtp", "smtp_tls"])
def test_what_cannot_be_is_said_and_the_default_is_used(name: str) -> None:
    settings, wrong = read({name: "no/such:thing"})
    assert settings == Settings()
    assert len(wrong) == 1
    assert f"{name}=no/such:thing cannot be" in wrong[0]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("admin@example.org", Destination("mail", "admin@example.org")),
        ("mailto:admin@example.org", Destination("mail", "admin@example.org")),
        ("https://h.example/a?b=c#d", Destination("web", "https://h.example/a?b=c#d")),
        ("journal", Destination("journal", "journal")),
        ("syslog", Destination("journal", "journal")),
    ],
)
def test_what_a_recipient_is(word: str, meant: Destination) -> None:
    assert destination(word) == meant


@pytest.mark.parametrize("word", ["admin", "@", "a@", "https://", "http://[::1", "https://h:0x/", "ftp://h/"])
def test_what_is_no_recipient(word: str) -> None:
    with pytest.raises(BadInput):
        destination(word)


def test_a_file_of_recipients_has_comments_and_a_secret_address_stays_out_of_the_log() -> None:
    assert listed("# us\na@b  c@d # both\n\nhttps://h/x#y\n") == ("a@b", "c@d", "https://h/x#y")
    assert destination("https://hooks.example/T0/secret").named == "https://hooks.example"
    assert recipient({}) == "journal"


def test_mail_and_request_say_what_to_do() -> None:
    letter = Letter(LOST, message(LOST), Settings(cluster="rack-7"), "n1")
    assert subject(letter) == "[rack-7] warning: host n3 is no member of the cluster any more"
    assert "What to do: nothing, if somebody shut it down" in body(letter)
    assert "told by: n1" in body(letter)
    said = json.loads(json.dumps(request(letter)))
    assert (said["kind"], said["host"], said["weight"], said["code"]) == ("node", "n3", "warning", None)
    assert said["text"].startswith(subject(letter))


@pytest.mark.parametrize(
    ("here", "members", "tellers", "does"),
    [
        ("n1", ("n1", "n2", "n3", "n4"), 2, True),
        ("n2", ("n4", "n2", "n1"), 2, True),
        ("n4", ("n1", "n2", "n4"), 2, False),
        ("n4", ("n1", "n3", "n4"), 2, True),  # n3 is the one that is lost, and was still named
        ("n4", ("n1", "n2", "n4"), 3, True),
        ("other", ("n1", "n2"), 1, True),  # a remote host, or a name that the cluster does not have
    ],
)
def test_a_few_hosts_tell_of_what_all_of_them_see(
    here: str, members: tuple[str, ...], tellers: int, does: bool
) -> None:
    assert tells(here, members, LOST, tellers) is does
