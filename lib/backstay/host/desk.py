# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a handler (an alert agent, say) is rehearsed: this host without its log and its cluster, but with a mail server
and a web server on loopback, and a journal, that keep what they are given.

Decides nothing about what a handler says. /run has nothing but that journal's socket there, so neither journald, the
log daemon nor anything of the cluster that listens below it is reached; the file system is this host's.
Source: RFC 5321 for as much of a mail server as a sender needs; systemd's "Native Journal Protocol".
"""

from __future__ import annotations

import contextlib
import os
import socket
import socketserver
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from backstay.host.fence_agents import Said
from backstay.host.private_host import NotPossible
from backstay.host.process import ProcessTimedOut, ToolMissing, run
from backstay.host.syslog import JOURNAL

ALONE = ("unshare", "--mount")
QUIET = f"""
mount --make-rprivate / && mount -t tmpfs none /run && mkdir -p {JOURNAL.rpartition("/")[0]} || exit 99
touch {JOURNAL} && mount --bind "$0" {JOURNAL} || exit 99
[ ! -e /dev/log ] || mount --bind /dev/null /dev/log || exit 99
exec "$@"
"""
TOOL_TIME = 10.0  # seconds
SILENCE = 10.0  # seconds for a sender that says nothing
LONGEST = 1 << 20  # bytes that a request may have


class Mails(socketserver.ThreadingTCPServer):
    """A mail server that keeps mails, or refuses every recipient."""

    daemon_threads = True

    def __init__(self) -> None:
        self.mails: list[str] = []
        self.refuses = False
        super().__init__(("127.0.0.1", 0), _Session)


class _Session(socketserver.StreamRequestHandler):
    """One conversation with a sender of mail."""

    server: Mails
    timeout = SILENCE

    def handle(self) -> None:
        self._say("220 rehearsal")
        while verb := self._line().partition(" ")[0].upper():
            if verb == "DATA":
                self._say("354 go on")
                self.server.mails.append("".join(iter(self._text, ".\r\n")))
            refused = verb == "RCPT" and self.server.refuses
            self._say("550 refused for a rehearsal" if refused else "221 bye" if verb == "QUIT" else "250 OK")
            if verb == "QUIT":
                return

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def _text(self) -> str:
        # An end in the middle of a mail is its end.
        return self.rfile.readline(LONGEST).decode("utf-8", "replace") or ".\r\n"

    def _line(self) -> str:
        return self.rfile.readline(LONGEST).decode("utf-8", "replace").strip()


class Posts(ThreadingHTTPServer):
    """A web server that keeps the bodies of requests."""

    daemon_threads = True

    def __init__(self) -> None:
        self.posts: list[str] = []
        super().__init__(("127.0.0.1", 0), _Request)


class _Request(BaseHTTPRequestHandler):
    """One request."""

    server: Posts
    timeout = SILENCE

    def do_POST(self) -> None:
        """Keep the body, and say that it was taken."""
        length = self.headers.get("Content-Length", "0")
        body = self.rfile.read(min(int(length), LONGEST) if length.isdecimal() else 0)
        self.server.posts.append(body.decode("utf-8", "replace"))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Entries:
    """A journal: a socket that nobody but the rehearsal writes to."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)
        self._socket.setblocking(False)

    def take(self) -> list[str]:
        """The entries since the last time, each with its fields."""
        found: list[str] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self._socket.recv(LONGEST).decode("utf-8", "replace"))
        return found

    def close(self) -> None:
        """Nobody is listened to any more."""
        self._socket.close()


class Desk:
    """Such a place. `smtp` is HOST:PORT of the mail server, `web` a URL of the web server."""

    def __init__(self, mails: Mails, posts: Posts, journal: Entries) -> None:
        self._mails, self._posts, self._journal = mails, posts, journal
        self._entries: list[str] = []
        self.smtp = f"127.0.0.1:{mails.server_address[1]}"
        self.web = f"http://127.0.0.1:{posts.server_address[1]}/rehearsal"

    def run(self, argv: Sequence[str], environment: Mapping[str, str], timeout: float) -> Said:
        """Run a program to its end there; `timeout` is in seconds. What it logged stands behind what it said."""
        begin = time.monotonic()
        code, out, err = None, "", ""
        try:
            done = run(
                [*ALONE, "sh", "-c", QUIET, self._journal.path, *argv],
                timeout=timeout,
                environment=environment,
            )
            code, out, err = done.returncode, done.stdout, done.stderr
        except ProcessTimedOut as late:
            out, err = late.stdout, f"{late.stderr}\nno end within {timeout:.0f} s"
        except ToolMissing as missing:
            err = str(missing)
        entries = self._journal.take()
        self._entries += entries
        logged = [
            line.removeprefix("MESSAGE=")
            for each in entries
            for line in each.splitlines()
            if "MESSAGE=" in line
        ]
        return Said(code, out, "\n".join([err, *logged]), time.monotonic() - begin)

    def entries(self) -> list[str]:
        """Every entry of the journal, with its fields."""
        return list(self._entries)

    def mails(self) -> list[str]:
        """Every mail that was taken, headers and all."""
        return list(self._mails.mails)

    def posts(self) -> list[str]:
        """The body of every request."""
        return list(self._posts.posts)

    def refuse_mail(self) -> None:
        """From now on every recipient of a mail is refused."""
        self._mails.refuses = True


def obstacle() -> str:
    """Say why there can be no such place on this machine; empty when there can."""
    if os.geteuid() != 0:
        return "only root can give a process a quiet place"
    try:
        allowed = run([*ALONE, "sh", "-c", QUIET, "/dev/null", "true"], timeout=TOOL_TIME)
    except (ProcessTimedOut, ToolMissing) as error:
        return str(error)
    return "" if allowed.ok else f"namespaces are not allowed here ({allowed.complaint()})"


@contextlib.contextmanager
def desk() -> Iterator[Desk]:
    """Give such a place; NotPossible where there can be none."""
    reason = obstacle()
    if reason:
        raise NotPossible(reason)
    # Not below /run: that is another directory there.
    with contextlib.ExitStack() as ending, Mails() as mails, Posts() as posts:
        place = ending.enter_context(
            tempfile.TemporaryDirectory(prefix="backstay-rehearsal-", dir="/var/tmp")
        )
        journal = Entries(f"{place}/journal")
        ending.callback(journal.close)
        for server in (mails, posts):
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            ending.callback(server.shutdown)
        yield Desk(mails, posts, journal)
