# SPDX-License-Identifier: GPL-2.0-or-later
"""Whom HTTPS trusts, what a failed connection is called, and that dripping bytes end at the deadline: no socket."""

from __future__ import annotations

import hashlib
import ssl

import pytest

from backstay.errors import CannotAsk
from backstay.host.bmc import Kind
from backstay.host.clock import Deadline
from backstay.host.https import Pipe, Trust, handshake_trouble

PIN = hashlib.sha256(b"certificate").digest()


def verification(message: str) -> ssl.SSLCertVerificationError:
    """OpenSSL's no to a certificate."""
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    error.verify_message = message
    return error


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (TimeoutError(), Kind.SLOW, "no TLS in time"),
        (verification("certificate has expired"), Kind.CERTIFICATE, "certificate has expired"),
        (verification(""), Kind.CERTIFICATE, "it cannot be verified"),
        (ssl.SSLEOFError(8, "EOF"), Kind.DROPPED, ""),
        (ssl.SSLZeroReturnError(6, "closed"), Kind.DROPPED, ""),
        (ConnectionResetError(104, "Connection reset by peer"), Kind.DROPPED, "Connection reset by peer"),
        (
            ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong"),
            Kind.OFFER,
            "does not agree on TLS 1.2 or newer",
        ),
        (ValueError("check_hostname requires server_hostname"), Kind.DROPPED, "check_hostname"),
    ],
)
def test_why_there_is_no_tls(error, kind, words):
    trouble = handshake_trouble(error)
    assert (trouble.kind, words in trouble.said) == (kind, True)


@pytest.mark.parametrize(
    ("pins", "certificate", "fits"),
    [
        ((), b"anything", True),
        ((PIN,), b"certificate", True),
        ((bytes(32), PIN), b"certificate", True),
        ((PIN,), b"other", False),
        ((PIN,), b"", False),
        ((PIN,), None, False),
    ],
)
def test_pins(pins, certificate, fits):
    assert (Trust(pins=pins).mismatch(certificate) == "") is fits


@pytest.mark.parametrize(
    ("trust", "checks"),
    [
        (Trust(), True),
        (Trust(name="bmc"), True),
        (Trust(pins=(PIN,)), False),
        (Trust(insecure=True), False),
        (Trust(insecure=True, pins=(PIN,)), False),
    ],
)
def test_the_authorities_are_asked_unless_a_pin_or_the_admin_says_otherwise(trust, checks):
    context = trust.context()
    assert context.check_hostname is checks
    assert context.verify_mode is (ssl.CERT_REQUIRED if checks else ssl.CERT_NONE)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_a_pin_beside_an_authority_takes_nothing_away(tmp_path):
    with pytest.raises(CannotAsk, match="cannot be used"):
        Trust(ca=str(tmp_path / "none.pem")).context()
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(CannotAsk, match="cannot be used"):
        Trust(ca=str(tmp_path / "empty.pem"), insecure=True).context()


class Dripping:
    """A TLS socket on which one byte comes each second, by the clock that it moves itself."""

    def __init__(self) -> None:
        self.now = 0.0
        self.limits: list[float] = []

    def settimeout(self, seconds: float) -> None:
        self.limits.append(seconds)

    def recv_into(self, buffer) -> int:
        self.now += 1.0
        buffer[:1] = b"x"
        return 1

    def sendall(self, data: bytes) -> None:
        self.now += 1.0

    def close(self) -> None:
        self.now += 1000.0


def test_bytes_that_drip_end_at_the_deadline():
    tls = Dripping()
    pipe = Pipe(tls)
    pipe.deadline = Deadline(5.0, lambda: tls.now)
    pipe.sendall(b"GET")
    stream = pipe.makefile("rb")
    with pytest.raises(TimeoutError):
        stream.readline()
    assert tls.limits == [5.0, 4.0, 3.0, 2.0, 1.0]
    assert (pipe.received, tls.now) == (4, 5.0)


def test_http_cannot_end_a_connection_that_is_still_read():
    tls = Dripping()
    pipe = Pipe(tls)
    pipe.close()
    pipe.makefile().close()
    assert tls.now == 0.0
    pipe.end()
    assert tls.now == 1000.0
