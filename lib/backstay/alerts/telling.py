# SPDX-License-Identifier: GPL-2.0-or-later
"""Tells everybody of one event at the same time, each in a process that can be abandoned.

Decides what a mail and a web request look like, who of several hosts sends them, and that nobody who does not answer
hides another one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from backstay import __version__
from backstay.alerts.event import Event
from backstay.alerts.settings import Destination, Settings, destination, listed
from backstay.alerts.wording import Message
from backstay.errors import BackstayError, CannotAsk
from backstay.host import mail, webhook
from backstay.host.child import Broke, NoAnswer, Pending, ask
from backstay.host.clock import Deadline, pause
from backstay.host.syslog import send

READING = 5.0  # seconds for a file of recipients, which may lie on storage that hangs
AGAIN = 1.0  # seconds before the second and last try
LEAST = 0.05  # seconds to collect what has been answered already
LONGEST = 64 << 10  # bytes of a file of recipients, or of a secret


@dataclass(frozen=True, slots=True)
class Letter:
    """What is told, and by whom."""

    event: Event
    message: Message
    settings: Settings
    here: str


def destinations(text: str, deadline: Deadline) -> tuple[tuple[Destination, ...], tuple[str, ...]]:
    """Who is told, and a sentence for each recipient that is none.

    `text` has one or several, between blanks; a path is a file of them, so that what is secret stays out of the CIB.
    """
    found, wrong = [], []
    for word in text.split():
        words: Sequence[str] = (word,)
        if word.startswith("/"):
            try:
                words = listed(ask(partial(_content, word), deadline.at_most(READING).left()))
            except (NoAnswer, Broke) as error:
                wrong.append(f"the recipients in {word} are not known: {error}")
                continue
        for each in words:
            try:
                found.append(destination(each))
            except BackstayError as error:
                wrong.append(f"{error}; {error.hint}")
    return tuple(dict.fromkeys(found)), tuple(wrong)


def _content(path: str) -> str:
    with Path(path).open("rb") as stream:
        return stream.read(LONGEST).decode("utf-8", "replace")


def tell(letter: Letter, whom: Sequence[Destination], deadline: Deadline) -> tuple[str, ...]:
    """Tell everybody; a sentence for each who was not told."""
    ways: dict[str, Callable[[Letter, Destination, float], None]] = {
        "mail": _mail,
        "web": _web,
        "journal": _journal,
    }
    begun: list[tuple[Destination, Pending]] = []
    failed = []
    try:
        # What cannot wait comes before whoever may hang.
        for each in sorted(whom, key=lambda each: each.way):
            way = partial(ways[each.way], letter, each, deadline.left())
            begun.append((each, Pending(partial(_twice, way, deadline))))
        for each, pending in begun:
            try:
                answered = pending.wait(max(LEAST, deadline.left()))
                why = pending.answer() if answered else "no answer in time"
            except Broke as error:
                why = str(error)
            if why:
                failed.append(f"{each.named} is not told: {why}")
    finally:
        for _, pending in begun:
            pending.abandon()
    return tuple(failed)


def _twice(way: Callable[[], None], deadline: Deadline) -> str:
    """Try a second time: a network that just lost a host may need a moment. The reason when that fails too."""
    why = ""
    for last in (False, True):
        try:
            way()
        except CannotAsk as error:
            why = str(error)
        else:
            return ""
        if not last:
            pause(min(AGAIN, deadline.left() / 2))
    return why


def _mail(letter: Letter, to: Destination, timeout: float) -> None:
    settings = letter.settings
    password = _secret(settings.smtp_password_file)
    server = mail.Server(
        settings.smtp_host, settings.smtp_port, settings.smtp_tls, settings.smtp_user, password, settings.ca
    )
    sender = settings.mail_from or f"backstay@{letter.here}"
    mail.send(server, sender, to.place, subject(letter), body(letter), timeout)


def subject(letter: Letter) -> str:
    """One line: how grave, which cluster, what happened."""
    cluster = f"[{letter.settings.cluster}] " if letter.settings.cluster else ""
    return f"{cluster}{letter.message.weight.name}: {letter.message.what}"


def body(letter: Letter) -> str:
    """A mail's text: what happened, what to do, and what Pacemaker said."""
    event = letter.event
    facts = (
        ("when", event.time),
        ("kind", event.kind),
        ("host", event.node),
        ("resource", event.resource),
        ("action", event.task),
        ("attribute", event.attribute),
        ("value", event.value),
        ("Pacemaker's words", event.desc),
        ("told by", letter.here),
    )
    said = [f"{letter.message.what}.", ""]
    said += [f"What to do: {letter.message.todo}.", ""] if letter.message.todo else []
    said += [f"{name}: {value}" for name, value in facts if value]
    said += [
        "",
        "An alert is never repeated, and none comes from a host that is gone: crm_mon -1 -A is the truth.",
    ]
    return "\n".join(said) + "\n"


def request(letter: Letter) -> dict[str, object]:
    """What a web server is told; `text` is what chat servers show."""
    event, message = letter.event, letter.message
    return {
        "text": f"{subject(letter)}. What to do: {message.todo}." if message.todo else f"{subject(letter)}.",
        "weight": message.weight.name,
        "what": message.what,
        "todo": message.todo,
        "cluster": letter.settings.cluster,
        "kind": event.kind,
        "host": event.node,
        "resource": event.resource,
        "action": event.task,
        "code": event.rc if event.kind in ("resource", "fencing") else None,
        "attribute": event.attribute,
        "value": event.value,
        "said": event.desc,
        "time": event.time,
        "told_by": letter.here,
    }


def _web(letter: Letter, to: Destination, timeout: float) -> None:
    headers = {"Content-Type": "application/json", "User-Agent": f"backstay-alert/{__version__}"}
    token = _secret(letter.settings.web_token_file)
    if token:
        headers["Authorization"] = f"Bearer {token}"
    webhook.post(to.place, json.dumps(request(letter)).encode(), headers, letter.settings.ca, timeout)


def _journal(letter: Letter, _to: Destination, _timeout: float) -> None:
    event = letter.event
    fields = {
        "BACKSTAY_RESOURCE": event.resource,
        "BACKSTAY_HOST": event.node,
        "BACKSTAY_ACTION": event.task or event.fencing.action,
        "BACKSTAY_CODE": str(event.rc) if event.kind in ("resource", "fencing") else "",
        "BACKSTAY_ALERT": event.kind,
    }
    send(int(letter.message.weight), "backstay-alert", letter.message.text, fields=fields)


def _secret(file: str) -> str:
    """The content of a file without what is around it; CannotAsk when it cannot be read."""
    if not file:
        return ""
    try:
        return _content(file).strip()
    except OSError as error:
        raise CannotAsk(
            f"{file} cannot be read: {error.strerror} (chown root:haclient, chmod 0640)"
        ) from error
