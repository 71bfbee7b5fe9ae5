# SPDX-License-Identifier: GPL-2.0-or-later
"""A mail server and a web server on loopback that keep what they are given, and one that says nothing.

Decides nothing. The mail server speaks as much of RFC 5321 as a sender needs, AUTH PLAIN and STARTTLS included.
"""

from __future__ import annotations

import base64
import contextlib
import socketserver
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Mails(socketserver.ThreadingTCPServer):
    """Keeps mails; `refuses` is what it says to every recipient instead, `fails` how often it hangs up at first."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, tls: ssl.SSLContext | None = None, refuses: str = "", fails: int = 0) -> None:
        self.tls, self.refuses, self.fails = tls, refuses, fails
        self.mails: list[str] = []
        self.accounts: list[tuple[str, str, bool]] = []
        super().__init__(("127.0.0.1", 0), Session)


class Session(socketserver.StreamRequestHandler):
    """One conversation."""

    server: Mails
    timeout = 30

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def handle(self) -> None:
        if self.server.fails > 0:
            self.server.fails -= 1
            return
        secure = False
        self.say("220 sink")
        while line := self.rfile.readline().decode().strip():
            verb, _, rest = line.partition(" ")
            verb = verb.upper()  # smtplib writes them small
            if verb == "EHLO":
                self.say("250-sink")
                self.say("250-AUTH PLAIN" if secure or not self.server.tls else "250-STARTTLS")
                self.say("250 OK")
            elif verb == "STARTTLS" and self.server.tls:
                self.say("220 go on")
                self.request = self.server.tls.wrap_socket(self.request, server_side=True)
                self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", 0)
                secure = True
            elif verb == "AUTH":
                _, user, password = base64.b64decode(rest.split()[1]).decode().split("\0")
                self.server.accounts.append((user, password, secure))
                self.say("235 OK")
            elif verb == "RCPT" and self.server.refuses:
                self.say(self.server.refuses)
            elif verb == "DATA":
                self.say("354 go on")
                lines = []
                while (text := self.rfile.readline().decode()) != ".\r\n":
                    lines.append(text)
                self.server.mails.append("".join(lines))
                self.say("250 OK")
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 OK")


class Posts(ThreadingHTTPServer):
    """Keeps requests as (path, headers, body); answers with `status`."""

    daemon_threads = True

    def __init__(self, status: int = 204) -> None:
        self.status = status
        self.posts: list[tuple[str, dict[str, str], bytes]] = []
        super().__init__(("127.0.0.1", 0), Request)


class Request(BaseHTTPRequestHandler):
    """One request."""

    server: Posts
    timeout = 30

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append((self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[int]:
    """Its port, while it serves."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
