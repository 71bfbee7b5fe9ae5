# SPDX-License-Identifier: GPL-2.0-or-later
"""What no rehearsal sees of host/https.py, found by breaking it (bench/mutation-records.md): each a test.

Connections that fail in every way, answers that are none, names.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from backstay.errors import CannotAsk
from backstay.host import https
from backstay.host.bmc import Kind, Trouble
from backstay.host.clock import Deadline
from backstay.host.https import Answer, Https, Trust, resolve


class Plain:
    """A socket that does not come to a connection."""

    def __init__(self, error: OSError) -> None:
        self.error, self.closed = error, False
        self.limits: list[float] = []

    def settimeout(self, seconds: float) -> None:
        self.limits.append(round(seconds, -3))

    def connect(self, _place: object) -> None:
        raise self.error

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TimeoutError(), "no connection in time"),
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (OSError(113, "No route to host"), "No route to host"),
    ],
)
def test_a_connection_that_fails_is_closed_and_told(
    monkeypatch: pytest.MonkeyPatch, error: OSError, said: str
) -> None:
    plain = Plain(error)
    monkeypatch.setattr(https, "socket", SimpleNamespace(**vars(socket) | {"socket": lambda *_: plain}))
    found = Https("192.0.2.1", 443, Trust()).ask("GET", "/", {}, None, Deadline(50_000))
    assert found == Trouble(Kind.SILENT, None, said)
    assert (plain.closed, plain.limits) == (True, [50_000])


class Pipe:
    """A connection as far as an exchange needs it."""

    def __init__(self, received: int = 0) -> None:
        self.deadline, self.received, self.begun = Deadline(0), received, received
        self.ends = 0

    def ended(self) -> bool:
        return False

    def end(self) -> None:
        self.ends += 1


def exchanged(
    monkeypatch: pytest.MonkeyPatch, connection: type, method: str = "GET"
) -> tuple[object, Pipe, Https]:
    """What comes of one request on a new connection."""
    pipe, server = Pipe(), Https("192.0.2.1", 443, Trust())
    monkeypatch.setattr(http.client, "HTTPConnection", connection)
    monkeypatch.setattr(server, "_connect", lambda _deadline: pipe)
    return server.ask(method, "/", {}, None, Deadline(5)), pipe, server


def failing(error: Exception) -> type:
    class Connection:
        def __init__(self, *_: object) -> None:
            self.sock = None

        def request(self, *_: object) -> None:
            raise error

    return Connection


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (TimeoutError(), Kind.UNANSWERED, "no answer in time"),
        (http.client.RemoteDisconnected(), Kind.DROPPED, "the connection was closed"),
        (http.client.IncompleteRead(b""), Kind.DROPPED, "the connection was closed"),
        (http.client.BadStatusLine("x"), Kind.UNCLEAR, "no HTTP: BadStatusLine"),
        (ConnectionResetError(104, "Connection reset by peer"), Kind.DROPPED, "Connection reset by peer"),
    ],
)
def test_an_exchange_that_fails_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: Kind, said: str
) -> None:
    found, pipe, _ = exchanged(monkeypatch, failing(error))
    assert (found, pipe.ends) == (Trouble(kind, None, said), 1)


def answering(size: int, left: int = 0) -> type:
    class Connection:
        def __init__(self, *_: object) -> None:
            self.sock = None

        def request(self, *_: object) -> None:
            """Sent."""

        def getresponse(self) -> object:
            return SimpleNamespace(
                read=lambda most: b"x" * min(size, most), isclosed=lambda: True, will_close=False, length=left, status=200,
                getheaders=lambda: [("ETag", "1")],
            )  # fmt: skip

    return Connection


def test_an_answer_without_an_end_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _, _ = exchanged(monkeypatch, answering(https.MOST + 5))
    assert found == Trouble(Kind.UNCLEAR, None, "an answer of more than 4 MiB")
    found, _, _ = exchanged(monkeypatch, answering(https.MOST))
    assert isinstance(found, Answer)


def test_an_answer_that_is_cut_off_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _, _ = exchanged(monkeypatch, answering(3, left=2))
    assert found == Trouble(Kind.DROPPED, None, "the connection was closed within the answer")


@pytest.mark.parametrize(("method", "asked"), [("GET", 2), ("POST", 1)])
def test_only_a_look_is_repeated_on_a_new_connection(
    monkeypatch: pytest.MonkeyPatch, method: str, asked: int
) -> None:
    kept, fresh, server = Pipe(), Pipe(), Https("192.0.2.1", 443, Trust())
    server._kept = kept  # type: ignore[assignment]
    answers = [Trouble(Kind.DROPPED), Answer(200)]
    sent: list[Pipe] = []

    def exchange(pipe: Pipe, *_: object) -> Answer | Trouble:
        sent.append(pipe)
        server._kept = None
        return answers[len(sent) - 1]

    monkeypatch.setattr(server, "_exchange", exchange)
    monkeypatch.setattr(server, "_connect", lambda _deadline: fresh)
    found = server.ask(method, "/", {}, None, Deadline(5))
    assert (len(sent), found) == (asked, answers[asked - 1])


@pytest.mark.parametrize("name", ["a..b", "rehearsal..invalid", "x" * 64 + ".invalid"])
def test_a_name_that_cannot_be_one_is_a_reason(name: str) -> None:
    found = resolve(name, 443, Deadline(10))
    assert isinstance(found, Trouble)
    assert found.kind is Kind.NAME
    assert found.said not in ("", "the name service does not answer in time")


def test_an_address_is_no_question_for_a_name_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", lambda _: pytest.fail("an address was looked up"))
    assert resolve("192.0.2.1", 443, Deadline(1)) == [(socket.AF_INET, ("192.0.2.1", 443))]


def test_a_name_service_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()

    def hangs(host: str, port: int, flags: int) -> list[tuple[int, object]]:
        if flags:
            raise OSError
        held.wait(30)
        return []

    monkeypatch.setattr(https, "_addresses", hangs)
    found = resolve("bmc.example", 443, Deadline(0.2))
    held.set()
    assert found == Trouble(Kind.NAME, None, "the name service does not answer in time")


def test_what_could_be_read_before_the_end_of_time_was_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    class Connection:
        def __init__(self, *_: object) -> None:
            self.sock: Pipe | None = None

        def request(self, *_: object) -> None:
            assert self.sock
            self.sock.received = 5
            raise TimeoutError

    found, _, _ = exchanged(monkeypatch, Connection)
    assert found == Trouble(Kind.CUT, None, "no complete answer in time")


def test_a_connection_is_kept_until_somebody_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    _, pipe, server = exchanged(monkeypatch, answering(3))
    assert (server._kept, pipe.ends) == (pipe, 0)
    server.close()
    assert (server._kept, pipe.ends) == (None, 1)


def test_several_addresses_share_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    server, left = Https("bmc", 443, Trust()), []
    monkeypatch.setattr(https, "resolve", lambda *_: [(2, "a"), (2, "b"), (2, "c")])

    def opened(_family: int, _place: object, deadline: Deadline) -> Trouble:
        left.append(round(deadline.left(), -3))
        return Trouble(Kind.SILENT, None, "no connection in time")

    monkeypatch.setattr(server, "_open", opened)
    assert server.ask("GET", "/", {}, None, Deadline(30_000)) == Trouble(
        Kind.SILENT, None, "no connection in time"
    )
    assert left == [10_000, 15_000, 30_000]
    monkeypatch.setattr(https, "resolve", lambda *_: [])
    assert server.ask("GET", "/", {}, None, Deadline(30)) == Trouble(Kind.SILENT)


def test_a_name_is_looked_up_for_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []

    def known(host: str, port: int, *, type: int, flags: int) -> list[tuple[object, ...]]:  # noqa: A002
        asked.append((host, port, type, flags))
        if flags:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, type, 6, "", ("192.0.2.1", port))]

    monkeypatch.setattr(https.socket, "getaddrinfo", known)
    assert resolve("bmc", 443, Deadline(10)) == [(socket.AF_INET, ("192.0.2.1", 443))]
    assert asked == [("bmc", 443, socket.SOCK_STREAM, flags) for flags in (socket.AI_NUMERICHOST, 0)]


def test_openssl_is_quoted_without_its_places() -> None:
    error = ssl.SSLError(1, "[SSL: UNSUPPORTED_PROTOCOL] unsupported protocol (_ssl.c:992)")
    error.reason = "UNSUPPORTED_PROTOCOL"
    said = https.handshake_trouble(error).said
    assert said == "does not agree on TLS 1.2 or newer (unsupported protocol); enable it there"
    assert https._words(ssl.SSLError(1, "odd")) == "tls failed"


def test_authorities_that_cannot_be_used_are_a_reason(tmp_path: Path) -> None:
    with pytest.raises(CannotAsk) as caught:
        Trust(ca=str(tmp_path / "none")).context()
    assert str(caught.value).endswith("cannot be used: No such file or directory")
    assert (caught.value.hint or "").startswith("ssl_ca names a file in PEM format")


class Tls:
    """What a handshake gives."""

    closed = False

    def getpeercert(self, *, binary_form: bool) -> bytes:
        assert binary_form
        return b"somebody else's"

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("refuses", [True, False])
def test_a_handshake_that_fails_leaves_no_connection(monkeypatch: pytest.MonkeyPatch, refuses: bool) -> None:
    plain, tls = Plain(OSError()), Tls()
    server = Https("192.0.2.1", 443, Trust(pins=(bytes(32),)))

    def wrap(_plain: object, *, server_hostname: str) -> Tls:
        assert server_hostname == "192.0.2.1"
        if refuses:
            raise ssl.SSLEOFError(8, "EOF occurred")
        return tls

    monkeypatch.setattr(plain, "connect", lambda _place: None)
    monkeypatch.setattr(plain, "setsockopt", lambda *_: None, raising=False)
    monkeypatch.setattr(https, "socket", SimpleNamespace(**vars(socket) | {"socket": lambda *_: plain}))
    monkeypatch.setattr(server, "_context", SimpleNamespace(wrap_socket=wrap))
    found = server.ask("GET", "/", {}, None, Deadline(50_000))
    assert isinstance(found, Trouble)
    assert plain.limits == [50_000, 50_000]
    assert (found.kind, plain.closed, tls.closed) == (
        (Kind.DROPPED, True, False) if refuses else (Kind.CERTIFICATE, False, True)
    )


def test_a_name_service_that_takes_its_time_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Event()

    def slow(_host: str, port: int, *, type: int, flags: int) -> list[tuple[object, ...]]:  # noqa: A002
        if flags:
            raise OSError("no number")
        told.wait(60)
        return [(socket.AF_INET, type, 0, "", ("192.0.2.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    threading.Timer(0.3, told.set).start()
    assert resolve("bmc", 443, Deadline(60)) == [(socket.AF_INET, ("192.0.2.1", 443))]
