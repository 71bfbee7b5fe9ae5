# SPDX-License-Identifier: GPL-2.0-or-later
"""One mail to one mail server. Decides whether a password may be sent (only over TLS, or to this host itself).

May block as long as the server likes, so it is called where it can be abandoned (host.child).
Source: RFC 5321; smtplib of Python 3.11.
"""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from backstay.errors import CannotAsk

OWN = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Server:
    """A mail server; `tls` is auto, none, starttls or tls, `ca` a file of authorities ("": the system's)."""

    host: str
    port: int
    tls: str = "auto"
    user: str = ""
    password: str = ""
    ca: str = ""

    @property
    def way(self) -> str:
        """The TLS that is really used: a mail server on this host has nobody between."""
        if self.tls != "auto":
            return self.tls
        return "none" if self.host in OWN else "starttls"


def send(server: Server, sender: str, to: str, subject: str, body: str, timeout: float) -> None:
    """Hand one mail over; returns when the server has taken it. `timeout` is in seconds, for each step.

    Raises CannotAsk with the server's own reason.
    """
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, to, subject
    mail["Date"], mail["Message-ID"] = formatdate(localtime=True), make_msgid(domain=sender.partition("@")[2])
    # So that no out-of-office answers (RFC 3834).
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(body)
    where = f"{server.host}:{server.port}"
    try:
        with _connected(server, timeout) as connection:
            connection.send_message(mail)
    except smtplib.SMTPException as error:
        raise CannotAsk(f"the mail server {where} refuses: {_words(error)}") from error
    except OSError as error:  # ssl.SSLError is one
        reason = getattr(error, "verify_message", "") or error.strerror or str(error) or "it does not answer"
        raise CannotAsk(f"the mail server {where} cannot be used: {reason}") from error


def _connected(server: Server, timeout: float) -> smtplib.SMTP:
    context = ssl.create_default_context(cafile=server.ca or None)
    if server.way == "tls":
        connection: smtplib.SMTP = smtplib.SMTP_SSL(
            server.host, server.port, timeout=timeout, context=context
        )
    else:
        connection = smtplib.SMTP(server.host, server.port, timeout=timeout)
    if server.way == "starttls":
        connection.starttls(context=context)
    if server.user:
        if server.way == "none" and server.host not in OWN:
            raise smtplib.SMTPException("a password is not sent without TLS; set smtp_tls to starttls or tls")
        connection.login(server.user, server.password)
    return connection


def _words(error: smtplib.SMTPException) -> str:
    """The server's answer; smtplib keeps it in places of their own."""
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        return f"{error.smtp_code} {said.decode('utf-8', 'replace') if isinstance(said, bytes) else said}"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        answers = [f"{code} {said.decode('utf-8', 'replace')}" for code, said in error.recipients.values()]
        return "; ".join(answers)
    return str(error) or type(error).__name__
