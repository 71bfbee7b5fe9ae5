# SPDX-License-Identifier: GPL-2.0-or-later
"""One HTTPS server, asked within a deadline that holds for everything: name, connection, TLS, and each byte.

Decides whom to trust and what kept an answer from coming; never what an answer means. One connection is kept from
request to request, because a BMC needs long for TLS. Nothing is ever sent to another host, and nothing is sent before
the certificate was accepted. Only the standard library: an update of something else cannot break a fencing.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import select
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from backstay.errors import CannotAsk
from backstay.host.bmc import Kind, Trouble
from backstay.host.clock import Deadline

MOST = 4 << 20  # bytes of an answer; the largest system resources that are known have some 100 KB


@dataclass(frozen=True, slots=True)
class Trust:
    """Which certificate is accepted: one signed by `ca` (a file; "": the system's) for `name`, or a pinned one.

    `pins` are SHA-256 digests of whole certificates: one of them it must be, whoever signed it; with `ca` it must be
    signed by that as well. `insecure` accepts any (but still only a pinned one, if there are pins).
    """

    ca: str = ""
    name: str = ""
    pins: tuple[bytes, ...] = ()
    insecure: bool = False

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 or newer; raises CannotAsk when the file of authorities cannot be used."""
        try:
            context = ssl.create_default_context(cafile=self.ca or None)
        except OSError as error:  # ssl.SSLError is one
            raise CannotAsk(
                f"the certificates of authorities in {self.ca} cannot be used: {error.strerror or error}",
                hint="ssl_ca names a file in PEM format, on every host that may fence",
            ) from error
        # The distribution sets it in OpenSSL's configuration, which an admin may have changed.
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.insecure or (self.pins and not self.ca):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def mismatch(self, certificate: bytes | None) -> str:
        """Why a certificate (DER) is none of the pinned ones, or nothing."""
        digest = hashlib.sha256(certificate or b"").digest()
        if not self.pins or digest in self.pins:
            return ""
        return f"its SHA-256 fingerprint is {digest.hex(':').upper()}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said: HTTP status, headers (names in lower case) and the whole body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Pipe:
    """A socket as http.client uses one, with one deadline for all reads and writes of a request."""

    def __init__(self, tls: ssl.SSLSocket) -> None:
        self._tls = tls
        self.deadline = Deadline(0.0)
        self.received = 0  # bytes since the request

    def sendall(self, data: bytes) -> None:
        """Send everything, or raise OSError."""
        self._patiently().sendall(data)

    def makefile(self, *_: object) -> io.BufferedReader:
        """What answers are read from."""
        return io.BufferedReader(_Reads(self))

    def close(self) -> None:
        """Nothing: http.client calls it before it has read the answer; `end` is what ends it."""

    def end(self) -> None:
        """Close the connection, without a word to the server that might be waited for."""
        self._tls.close()

    def ended(self) -> bool:
        """Whether the server has closed it meanwhile, or says what nobody asked for; waits for nothing."""
        return bool(self._tls.pending() or select.select([self._tls], [], [], 0)[0])

    def receive(self, buffer: bytearray) -> int:
        """Read some bytes; TimeoutError at the deadline, however slowly they drip."""
        count = self._patiently().recv_into(buffer)
        self.received += count
        return count

    def _patiently(self) -> ssl.SSLSocket:
        left = self.deadline.left()
        if left <= 0:
            raise TimeoutError
        self._tls.settimeout(left)
        return self._tls


class _Reads(io.RawIOBase):
    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._pipe.receive(buffer)


class Https:
    """A server, by its name or address (no brackets) and TCP port."""

    def __init__(self, host: str, port: int, trust: Trust) -> None:
        self.host = host
        self.port = port
        self._trust = trust
        self._context = trust.context()
        self._kept: Pipe | None = None

    def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, deadline: Deadline
    ) -> Answer | Trouble:
        """Send one request. A GET whose kept connection turns out to be closed is sent once more.

        Anything else is not, since it may have been carried out: so a connection is looked at before it is used again.
        """
        if self._kept and self._kept.ended():
            self.close()
        kept = self._kept
        pipe = kept or self._connect(deadline)
        if isinstance(pipe, Trouble):
            return pipe
        answer = self._exchange(pipe, method, path, headers, body, deadline)
        stale = kept and isinstance(answer, Trouble) and answer.kind is Kind.DROPPED and not pipe.received
        if stale and method == "GET":
            return self.ask(method, path, headers, body, deadline)
        return answer

    def close(self) -> None:
        """End the connection that is kept, if there is one."""
        if self._kept:
            self._kept.end()
            self._kept = None

    def _exchange(
        self,
        pipe: Pipe,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        deadline: Deadline,
    ) -> Answer | Trouble:
        pipe.deadline, pipe.received = deadline, 0
        connection = http.client.HTTPConnection(self.host, self.port)
        connection.sock = cast("Any", pipe)
        keep = False
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            data = response.read(MOST + 1)
            keep = response.isclosed() and not response.will_close
        except TimeoutError:
            kind = Kind.CUT if pipe.received else Kind.UNANSWERED
            return Trouble(kind, None, "no complete answer in time" if pipe.received else "no answer in time")
        except (http.client.RemoteDisconnected, http.client.IncompleteRead):
            return Trouble(Kind.DROPPED, None, "the connection was closed")
        except http.client.HTTPException as error:
            return Trouble(Kind.UNCLEAR, None, f"no HTTP: {type(error).__name__}")
        except OSError as error:
            return Trouble(Kind.DROPPED, None, _words(error))
        finally:
            self._kept = pipe if keep else None
            if not keep:
                pipe.end()
        if response.length and len(data) <= MOST:
            return Trouble(Kind.DROPPED, None, "the connection was closed within the answer")
        if len(data) > MOST:
            return Trouble(Kind.UNCLEAR, None, f"an answer of more than {MOST >> 20} MiB")
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, data)

    def _connect(self, deadline: Deadline) -> Pipe | Trouble:
        places = resolve(self.host, self.port, deadline)
        if isinstance(places, Trouble):
            return places
        trouble = Trouble(Kind.SILENT)
        for index, (family, place) in enumerate(places):
            pipe = self._open(family, place, deadline.part(1 / (len(places) - index)))
            if isinstance(pipe, Pipe):
                return pipe
            trouble = pipe
            if trouble.kind is Kind.CERTIFICATE:
                break
        return trouble

    def _open(self, family: int, place: Any, deadline: Deadline) -> Pipe | Trouble:
        plain = socket.socket(family, socket.SOCK_STREAM)
        try:
            plain.settimeout(max(0.01, deadline.left()))
            plain.connect(place)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except TimeoutError:
            plain.close()
            return Trouble(Kind.SILENT, None, "no connection in time")
        except OSError as error:
            plain.close()
            return Trouble(Kind.SILENT, None, _words(error))
        try:
            plain.settimeout(max(0.01, deadline.left()))
            tls = self._context.wrap_socket(plain, server_hostname=self._trust.name or self.host)
        except (OSError, ValueError) as error:
            plain.close()
            return handshake_trouble(error)
        mismatch = self._trust.mismatch(tls.getpeercert(binary_form=True))
        if mismatch:
            tls.close()
            return Trouble(Kind.CERTIFICATE, None, mismatch)
        return Pipe(tls)


def handshake_trouble(error: Exception) -> Trouble:
    """Why a connection did not become a TLS connection."""
    if isinstance(error, TimeoutError):
        return Trouble(Kind.SLOW, None, "no TLS in time")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Trouble(Kind.CERTIFICATE, None, error.verify_message or "it cannot be verified")
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) or not isinstance(error, ssl.SSLError):
        return Trouble(Kind.DROPPED, None, _words(error))
    return Trouble(Kind.OFFER, None, f"does not agree on TLS 1.2 or newer ({_words(error)}); enable it there")


def _words(error: Exception) -> str:
    """An error as an admin reads it, without OpenSSL's places in its source."""
    if isinstance(error, ssl.SSLError):
        return (getattr(error, "reason", None) or "TLS failed").lower().replace("_", " ")
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def resolve(host: str, port: int, deadline: Deadline) -> list[tuple[int, Any]] | Trouble:
    """Every address of a host, as (family, socket address). The name service is not waited for beyond the deadline."""
    try:
        return _addresses(host, port, socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):  # the codec for names says the latter of one that is none, such as a..b
        pass
    found: list[list[tuple[int, Any]]] = []
    why: list[str] = []

    def look() -> None:
        try:
            found.append(_addresses(host, port, 0))
        except (OSError, UnicodeError) as error:
            why.append(_words(error))

    # A thread, because nothing else bounds the C library's resolver; a daemon, so that nobody waits for it at the end.
    asking = threading.Thread(target=look, name="resolver", daemon=True)
    asking.start()
    asking.join(deadline.left())
    if found:
        return found[0]
    return Trouble(Kind.NAME, None, why[0] if why else "the name service does not answer in time")


def _addresses(host: str, port: int, flags: int) -> list[tuple[int, Any]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(int(family), place) for family, _, _, _, place in found]
