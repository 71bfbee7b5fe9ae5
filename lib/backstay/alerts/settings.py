# SPDX-License-Identifier: GPL-2.0-or-later
"""How the alert agent is told what to do: the instance attributes of the alert, and recipients.

Decides what a recipient is. One declaration gives parsing, defaults and the manual. A value that cannot be is no reason
to stay silent: the default is used, and what was wrong is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from backstay.alerts.event import PREFIX
from backstay.alerts.wording import Weight
from backstay.cloud.units import parse_duration
from backstay.errors import BadInput

JOURNAL = "journal"
TLS = ("auto", "none", "starttls", "tls")


@dataclass(frozen=True, slots=True)
class Option:
    """One instance attribute: its name, its default as an admin writes it, and what it is."""

    name: str
    default: str
    about: str


OPTIONS = (
    Option("least", "note", "The least grave that is told: alarm, warning, note or routine (everything)."),
    Option(
        "tellers",
        "2",
        "How many hosts send mail and web requests about a node or a fencing, the first by name of those that are "
        "there; 0 is all. Every host has the event, so 32 hosts would send 31 mails.",
    ),
    Option(
        "time_limit",
        "30s",
        "Pacemaker's timeout of the alert: it ends by itself before it would be killed. The template sets both.",
    ),
    Option("cluster", "", "What the cluster is called in subjects and requests."),
    Option("smtp", "localhost:25", "The mail server, HOST or HOST:PORT."),
    Option(
        "smtp_tls",
        "auto",
        "starttls, tls (from the first byte) or none; auto is none for this host itself and starttls for others. "
        "Certificates are checked.",
    ),
    Option(
        "smtp_user",
        "",
        "The account at the mail server; it is never used without TLS, but for this host itself.",
    ),
    Option(
        "smtp_password_file",
        "",
        "Its password's file, readable for hacluster (chown root:haclient, chmod 0640).",
    ),
    Option("mail_from", "", "The sender; default: backstay@ and the name of the host."),
    Option("web_token_file", "", "A file with a token that web requests carry (Authorization: Bearer)."),
    Option(
        "ca", "", "A file of authorities for the certificates of mail and web servers; default: the system's."
    ),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the instance attributes say; times in seconds."""

    least: Weight = Weight.note
    tellers: int = 2
    time_limit: float = 30.0
    cluster: str = ""
    smtp_host: str = "localhost"
    smtp_port: int = 25
    smtp_tls: str = "auto"
    smtp_user: str = ""
    smtp_password_file: str = ""
    mail_from: str = ""
    web_token_file: str = ""
    ca: str = ""


@dataclass(frozen=True, slots=True)
class Destination:
    """Who is told: `way` is mail, web or journal; `place` an address or URL."""

    way: str
    place: str = ""

    @property
    def named(self) -> str:
        """As it stands in a log: what comes after the host of a URL may be a secret."""
        return (
            f"{urlsplit(self.place).scheme}://{urlsplit(self.place).hostname}"
            if self.way == "web"
            else self.place
        )


def read(environ: Mapping[str, str]) -> tuple[Settings, tuple[str, ...]]:
    """The settings, and a sentence for each value that cannot be (its default is used)."""
    given: dict[str, object] = {}
    wrong = []
    for option in OPTIONS:
        text = environ.get(option.name, "").strip()
        if not text:
            continue
        try:
            given |= _READ.get(option.name, lambda text, name=option.name: {name: text})(text)
        except (ValueError, BadInput, KeyError):
            wrong.append(f"{option.name}={text} cannot be; {option.default or 'nothing'} is used")
    return Settings(**given), tuple(wrong)  # type: ignore[arg-type]


def _smtp(text: str) -> dict[str, object]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.path:
        raise ValueError
    return {"smtp_host": parts.hostname, "smtp_port": parts.port or 25}


def _tls(text: str) -> dict[str, object]:
    if text not in TLS:
        raise ValueError
    return {"smtp_tls": text}


def _tellers(text: str) -> dict[str, object]:
    if not text.isdecimal() or len(text) > 3:
        raise ValueError
    return {"tellers": int(text)}


def _time_limit(text: str) -> dict[str, object]:
    plain = f"{text}s" if text.isdecimal() else text
    return {"time_limit": float(parse_duration(plain))}


_READ: Mapping[str, Callable[[str], dict[str, object]]] = {
    "least": lambda text: {"least": Weight[text]},
    "tellers": _tellers,
    "time_limit": _time_limit,
    "smtp": _smtp,
    "smtp_tls": _tls,
}


def recipient(environ: Mapping[str, str]) -> str:
    """Pacemaker's recipient; the journal when there is none."""
    return environ.get(f"{PREFIX}recipient", "").strip() or JOURNAL


def listed(text: str) -> tuple[str, ...]:
    """The words of a file of recipients: one in a line, `#` begins a comment."""
    lines = (
        line.partition("#")[0] if not line.lstrip().startswith(("http://", "https://")) else line
        for line in text.splitlines()
    )
    return tuple(word for line in lines for word in line.split())


def destination(word: str) -> Destination:
    """What one recipient is; BadInput when it is none."""
    if word in (JOURNAL, "syslog"):
        return Destination("journal", JOURNAL)
    if word.startswith(("https://", "http://")):
        try:
            parts = urlsplit(word)
            if parts.hostname and parts.port != 0:
                return Destination("web", word)
        except ValueError:
            pass
        raise BadInput("a web address among the recipients is none", hint="write https://HOST[:PORT]/PATH")
    address = word.removeprefix("mailto:")
    if address.count("@") == 1 and all(address.split("@")) and address.isprintable():
        return Destination("mail", address)
    raise BadInput(
        f"{word} is no recipient",
        hint="write journal, a mail address, http(s)://..., or /the/path/of/a/file of them",
    )
