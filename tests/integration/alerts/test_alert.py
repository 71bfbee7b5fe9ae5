# SPDX-License-Identifier: GPL-2.0-or-later
"""The alert agent as Pacemaker runs it, with a real mail server and a real web server on loopback."""

from __future__ import annotations

import email
import email.policy
import json
import os
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.alerts.sinks import Mails, Posts, serving
from tests.integration.fencing.certificates import Authority

FAILED = {
    "CRM_alert_kind": "fencing",
    "CRM_alert_node": "n3",
    "CRM_alert_desc": "Operation reboot of n3 by <no-one> for pacemaker-controld.1@n2: No such device (ref=1)",
    "CRM_alert_task": "st_notify_fence",
    "CRM_alert_rc": "-19",
}


@pytest.fixture
def told(repository: Path):
    """Runs the agent for an event and recipients; how it ended, and the seconds that it took."""

    def run(recipients: str, event: dict[str, str] = FAILED, **parameters: str):
        environment = {"PATH": os.environ["PATH"], "CRM_alert_recipient": recipients, **event, **parameters}
        began = time.monotonic()
        done = subprocess.run(
            [repository / "libexec/alert"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done.returncode, time.monotonic() - began

    return run


@pytest.fixture
def silent():
    """A port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_mail_and_web_are_told_in_the_admins_words(told, tmp_path):
    recipients, token = tmp_path / "recipients", tmp_path / "token"
    token.write_text("s3cret\n")
    mails, posts = Mails(), Posts()
    with serving(mails) as smtp, serving(posts) as http:
        recipients.write_text(f"# who is woken\nadmin@example.org\nhttp://127.0.0.1:{http}/hook/abc?x=1\n")
        code, _ = told(str(recipients), smtp=f"127.0.0.1:{smtp}", cluster="rack-7", web_token_file=str(token))
    assert code == 0
    (text,) = mails.mails
    mail = email.message_from_string(text, policy=email.policy.default)
    assert (mail["To"], mail["Auto-Submitted"]) == ("admin@example.org", "auto-generated")
    assert mail["Subject"] == "[rack-7] alarm: host n3 could NOT be fenced (reboot): No such device"
    assert "stonith_admin --confirm n3" in mail.get_content()
    ((path, headers, body),) = posts.posts
    assert (path, headers["Authorization"]) == ("/hook/abc?x=1", "Bearer s3cret")
    said = json.loads(body)
    assert (said["kind"], said["host"], said["code"], said["weight"]) == ("fencing", "n3", -19, "alarm")
    assert "backstay fence check" in said["todo"]


def test_who_does_not_answer_hides_nobody_and_the_time_is_kept(told, silent):
    mails, posts = Mails(), Posts()
    with serving(mails) as smtp, serving(posts) as http:
        hanging = f"http://127.0.0.1:{silent}/a /dev/nowhere/at/all nobody http://127.0.0.1:1/b"
        code, took = told(
            f"{hanging} admin@example.org http://127.0.0.1:{http}/c",
            smtp=f"127.0.0.1:{smtp}",
            time_limit="6s",
        )
    assert code == 1
    assert (len(mails.mails), [path for path, _, _ in posts.posts]) == (1, ["/c"])
    assert took < 6.0


def test_a_mail_server_that_does_not_answer_is_left_in_time(told, silent):
    posts = Posts()
    with serving(posts) as http:
        code, took = told(
            f"admin@example.org http://127.0.0.1:{http}/c", smtp=f"127.0.0.1:{silent}", time_limit="5s"
        )
    assert (code, len(posts.posts), took < 5.0) == (1, 1, True)


@pytest.mark.parametrize(
    ("mails", "posts", "codes"),
    [
        (Mails(refuses="550 no such user"), Posts(503), (1, 1)),
        (Mails(fails=1), Posts(200), (0, 0)),  # the second try reaches it
    ],
    ids=["refused", "second-try"],
)
def test_a_refusal_is_a_failure_and_a_stumble_is_not(told, mails, posts, codes):
    with serving(mails) as smtp, serving(posts) as http:
        found = (
            told("admin@example.org", smtp=f"127.0.0.1:{smtp}")[0],
            told(f"http://127.0.0.1:{http}/")[0],
        )
    assert found == codes


def test_what_is_not_grave_enough_is_not_told(told):
    mails = Mails()
    routine = {
        "CRM_alert_kind": "resource", "CRM_alert_rsc": "web1", "CRM_alert_node": "n1", "CRM_alert_task": "start",
        "CRM_alert_rc": "0", "CRM_alert_target_rc": "0", "CRM_alert_status": "0",
    }  # fmt: skip
    with serving(mails) as smtp:
        where = {"smtp": f"127.0.0.1:{smtp}"}
        codes = [
            told("admin@example.org", routine, **where)[0],
            told("admin@example.org", FAILED, least="alarm", **where)[0],
            told("admin@example.org", routine, least="routine", **where)[0],
        ]
    assert (codes, len(mails.mails)) == ([0, 0, 0], 2)


def test_a_password_goes_to_a_server_that_was_proven_or_nowhere(told, tmp_path):
    authority = Authority(tmp_path, "authority")
    good = authority.certificate("mail")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(good.path, good.key)
    secret = tmp_path / "password"
    secret.write_text("hunter2\n")
    account = {"smtp_user": "cluster", "smtp_password_file": str(secret), "smtp_tls": "starttls"}
    mails = Mails(context)
    with serving(mails) as smtp:
        where = {"smtp": f"127.0.0.1:{smtp}", **account}
        code, _ = told("admin@example.org", **where)
        assert (code, mails.mails) == (1, [])
        code, _ = told("admin@example.org", ca=str(authority.path), **where)
        assert (code, len(mails.mails), mails.accounts) == (0, 1, [("cluster", "hunter2", True)])


def test_a_web_server_that_was_not_proven_is_told_nothing(told, tmp_path):
    authority = Authority(tmp_path, "authority")
    good = authority.certificate("web")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(good.path, good.key)
    posts = Posts()
    posts.socket = context.wrap_socket(posts.socket, server_side=True)
    with serving(posts) as https:
        assert told(f"https://127.0.0.1:{https}/x")[0] == 1
        assert posts.posts == []
        assert told(f"https://127.0.0.1:{https}/x", ca=str(authority.path))[0] == 0
    assert len(posts.posts) == 1


def test_without_an_event_it_says_how_it_is_tried(repository):
    done = subprocess.run(
        [repository / "libexec/alert"], env={}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "CRM_alert_recipient=admin@example.org" in done.stderr
